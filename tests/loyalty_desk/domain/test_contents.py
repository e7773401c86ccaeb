"""What records carry is written and read back the same, through canonical bytes, and what disagrees is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty_desk.domain import canonical
from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.contents import (
    AdjustContents,
    AdjustReason,
    HoldOutcome,
    HoldResultContents,
    Overridden,
    OverrideContents,
    RegisterContents,
    ShiftCloseContents,
    ShiftOpenContents,
    TransferContents,
    contents_of,
    hold_of,
    with_hold,
)
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.private_fields import Consent, GuestFields, Private
from loyalty_desk.domain.record import ClockConfidence, Record, RecordKind, Totals
from loyalty_desk.domain.refund import NOTHING_YET, Return, Sale, refund, refund_amount, void
from loyalty_desk.domain.return_contents import (
    ExchangeContents,
    FollowContents,
    FollowedLine,
    ReturnContents,
    Returned,
)
from loyalty_desk.domain.shift_totals import ShiftTotals, Sums
from tests.loyalty_desk.domain.pricing_parts import AT, basket, percent, program, rule

ONE, TWO = (UUID(int=number) for number in (1, 2))
MOMENT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
SALT = bytes(range(16))


def record(kind: RecordKind, check: Mapping[str, Json] | None, **changes: Any) -> Record:
    made = Record(
        network=ONE,
        id=TWO,
        device=ONE,
        epoch=1,
        seq=2,
        kind=kind,
        store=ONE,
        occurred_at=1,
        boot_id=ONE,
        monotonic_ms=1,
        clock_conf=ClockConfidence.GOOD,
        business_day="2026-03-02",
        totals=Totals(2),
        check=check,
        guest_id=TWO,
    )
    return replace(made, **changes)


def through_bytes(made: Record) -> Record:
    return Record.from_payload(made.to_payload())


def test_a_return_is_read_back_as_it_was_worked_out() -> None:
    sale = sold()
    first = refund(sale, [Return("a", 1000)])
    second = void(sale, first.after)
    checks = (
        ReturnContents.to_check("RUB", MOMENT, first),
        ReturnContents.to_check("RUB", MOMENT, second, is_void=True),
    )
    before, how = NOTHING_YET, []
    for worked_out, check, kind in zip((first, second), checks, (RecordKind.REFUND, RecordKind.VOID), strict=True):
        made = record(
            kind,
            check,
            reverses_id=ONE,
            points_earned=worked_out.spent_returned,
            points_redeemed=worked_out.earned_reversed,
            money_total=worked_out.money,
        )
        found = contents_of(through_bytes(made))
        assert isinstance(found, ReturnContents)
        assert (found.currency, found.at) == ("RUB", MOMENT)
        assert found.returned.lines == worked_out.lines
        assert found.returned.money == worked_out.money > 0
        before = found.returned.after(before)
        assert before == worked_out.after
        how.append(found.returned.how)
    assert how == ["lines", "void"]


@settings(max_examples=60)
@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=6))
def test_returns_read_back_one_after_another_are_the_state_that_the_next_starts_from(amounts: list[int]) -> None:
    sale = Sale.priced(Basket.of_amount("RUB", 30_000), None, POINTS, AT)
    before = read_back = NOTHING_YET
    for amount in amounts:
        if before.money + amount > sale.quote.total:
            break
        worked_out = refund_amount(sale, amount, before)
        check = ReturnContents.to_check("RUB", MOMENT, worked_out)
        again = ReturnContents.from_check(canonical.decode_object(canonical.encode(check)))
        before, read_back = worked_out.after, again.returned.after(read_back)
    assert read_back == before


POINTS = program(rule("r", percent(1000)), tiers=[{"code": "A", "earn_bp": 500}], model="points")


def sold() -> Sale:
    return Sale.priced(
        basket(Line("a", quantity_milli=3000, unit_price=10_000), Line("b", unit_price=5_000)), None, POINTS, AT
    )


def test_a_return_of_another_tills_sale_carries_goods_and_money_alone() -> None:
    lines = (FollowedLine("a", 1000, 300), FollowedLine("b", 500, 200))
    made = record(
        RecordKind.REFUND, FollowContents("RUB", MOMENT, 500, lines).to_check(), reverses_id=ONE, money_total=500
    )
    assert contents_of(through_bytes(made)) == FollowContents("RUB", MOMENT, 500, lines)
    by_amount = FollowContents("RUB", MOMENT, 500)
    made = replace(made, check=by_amount.to_check())
    assert contents_of(through_bytes(made)) == by_amount
    with pytest.raises(BadInput, match="sum_of_lines"):
        contents_of(replace(made, check=FollowContents("RUB", MOMENT, 499, lines).to_check()))
    with pytest.raises(BadInput, match="money_total"):
        contents_of(replace(made, money_total=501))
    with pytest.raises(BadInput, match="points"):
        contents_of(replace(made, points_earned=1))


def test_an_exchange_carries_the_new_sale_and_what_came_back() -> None:
    back = refund(sold(), [Return("b", 1000)])
    check = ExchangeContents.to_check({"currency": "RUB", "total": 900}, back)
    made = record(RecordKind.EXCHANGE, check, reverses_id=ONE, money_total=900, points_earned=7)
    found = contents_of(through_bytes(made))
    assert isinstance(found, ExchangeContents)
    assert found.returned == Returned.from_fields(Fields(back.to_dict(), "returned"))
    assert check["total"] == 900


def test_a_registration_is_bound_to_its_fields_and_tells_nothing_of_them() -> None:
    fields = GuestFields(
        name="Анна",
        phone="+79161234567",
        birthday=date(1990, 3, 4),
        consents=(Consent("personal_data", "2026-01", given=True, at=MOMENT),),
    )
    private = Private(SALT, fields)
    made = record(RecordKind.REGISTER, RegisterContents(private.digest).to_check())
    found = contents_of(through_bytes(made))
    assert isinstance(found, RegisterContents)
    assert found.matches(Private.from_bytes(private.to_bytes()))
    assert Private.from_bytes(private.to_bytes()) == private
    assert not found.matches(replace(private, salt=bytes(16)))
    assert not found.matches(replace(private, fields=replace(fields, phone="+79161234568")))
    assert b"9161234567" not in made.to_payload()
    assert "Анна".encode() not in made.to_payload()


def test_the_digest_is_of_salt_and_canonical_fields() -> None:
    private = Private(SALT, GuestFields(phone="+79161234567"))
    assert private.digest == sha256(SALT + b'{"phone":"+79161234567"}').digest()
    assert private.to_bytes() == b'{"fields":{"phone":"+79161234567"},"salt":"AAECAwQFBgcICQoLDA0ODw"}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"fields":{},"salt":"AAEC"}',
        b'{"fields":{},"salt":"*"}',
        b'{"fields":{"birthday":"4.3.1990"},"salt":"AAECAwQFBgcICQoLDA0ODw"}',
        b'{"fields":{"consents":[{"given":true}]},"salt":"AAECAwQFBgcICQoLDA0ODw"}',
    ],
)
def test_private_fields_that_are_not_ours_are_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        Private.from_bytes(data)


PLAIN = [
    (RecordKind.ADJUST, AdjustContents(AdjustReason.GOODWILL, "m1"), {"points_earned": 5}),
    (RecordKind.ADJUST, AdjustContents(AdjustReason.FRAUD, "m1", sha256(b"x").digest()), {"points_redeemed": 5}),
    (RecordKind.TRANSFER, TransferContents(ONE, AdjustReason.FAMILY, "m1"), {"points_redeemed": 5}),
    (RecordKind.SHIFT_OPEN, ShiftOpenContents(ONE, 1), {"guest_id": None}),
    (
        RecordKind.SHIFT_CLOSE,
        ShiftCloseContents(ONE, 1, ShiftTotals(Sums(sales=1, money=5), {"c1": Sums(sales=1, money=5)}, "A-1", "A-1")),
        {"guest_id": None},
    ),
    (RecordKind.OVERRIDE, OverrideContents(Overridden.UPPER_CONSECUTIVE, "m1"), {}),
    (RecordKind.HOLD_RESULT, HoldResultContents(ONE, 100, HoldOutcome.TIMED_OUT), {}),
]


@pytest.mark.parametrize(("kind", "contents", "changes"), PLAIN)
def test_every_other_kind_is_read_back(kind: RecordKind, contents: Any, changes: dict[str, Any]) -> None:
    assert contents_of(through_bytes(record(kind, contents.to_check(), **changes))) == contents


@pytest.mark.parametrize(("kind", "contents", "changes"), PLAIN)
def test_a_missing_field_is_named(kind: RecordKind, contents: Any, changes: dict[str, Any]) -> None:
    check = contents.to_check()
    for name in check.keys() - {"digest", "totals"}:
        cut = {key: value for key, value in check.items() if key != name}
        with pytest.raises(BadInput) as refused:
            contents_of(record(kind, cut, **changes))
        assert refused.value.facts == {"place": "check", "field": name}
    with pytest.raises(BadInput):
        contents_of(record(kind, None, **changes))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (RecordKind.ADJUST, {"points_earned": 5, "points_redeemed": 5}),
        (RecordKind.ADJUST, {}),
        (RecordKind.ADJUST, {"points_earned": 5, "guest_id": None}),
        (RecordKind.ADJUST, {"points_earned": 5, "reverses_id": ONE}),
        (RecordKind.TRANSFER, {"points_earned": 5}),
        (RecordKind.TRANSFER, {"points_redeemed": 5, "guest_id": ONE}),
        (RecordKind.SHIFT_OPEN, {"points_earned": 1}),
        (RecordKind.OVERRIDE, {"guest_id": None}),
        (RecordKind.HOLD_RESULT, {"points_redeemed": 1}),
    ],
)
def test_common_fields_that_disagree_are_refused(kind: RecordKind, changes: dict[str, Any]) -> None:
    contents = next(contents for of, contents, _ in PLAIN if of is kind)
    with pytest.raises(BadInput):
        contents_of(record(kind, cast("Any", contents).to_check(), **changes))


def test_a_reversal_names_its_sale_and_the_points_it_says() -> None:
    back = refund(sold(), [Return("a", 1000)])
    check = ReturnContents.to_check("RUB", MOMENT, back)
    good = record(
        RecordKind.REFUND,
        check,
        reverses_id=ONE,
        money_total=back.money,
        points_redeemed=back.earned_reversed,
        points_earned=back.spent_returned,
    )
    assert contents_of(good) is not None
    for changes in (
        {"reverses_id": None},
        {"money_total": back.money + 1},
        {"points_earned": 1},
        {"points_redeemed": back.earned_reversed + 1},
        {"kind": RecordKind.VOID},
    ):
        with pytest.raises(BadInput):
            contents_of(replace(good, **cast("Any", changes)))


def test_a_sale_has_no_contents_of_its_own_but_may_spend_a_hold() -> None:
    assert contents_of(record(RecordKind.SALE, {"currency": "RUB"})) is None
    check = with_hold({"currency": "RUB"}, ONE)
    assert hold_of(check) == ONE
    assert hold_of({"currency": "RUB"}) is None
    for wrong in ("", "x", "0190A7C4-0000-7000-8000-00000000000A", "{" + str(ONE) + "}"):
        with pytest.raises(BadInput):
            hold_of({"hold": wrong})


def test_unknown_fields_are_passed_over() -> None:
    check: dict[str, Json] = {**ShiftOpenContents(ONE, 3).to_check(), "later": [1, {"x": None}]}
    assert ShiftOpenContents.from_check(check) == ShiftOpenContents(ONE, 3)
