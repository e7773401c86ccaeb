"""What a shift came to is the sum of its records, however they are grouped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.record import ClockConfidence, Record, RecordKind, Totals
from loyalty_desk.domain.shift_totals import ShiftTotals, Sums, totals_of

ONE = UUID(int=1)


def record(kind: RecordKind, check: Mapping[str, Json] | None = None, **changes: Any) -> Record:
    return Record(
        ONE, ONE, ONE, 1, 2, kind, ONE, 1, ONE, 1, ClockConfidence.GOOD, "2026-03-02", Totals(2), check=check, **changes
    )


SALE = record(
    RecordKind.SALE,
    {"gross": 10_000, "discount_total": 1_000, "redeemed_money": 500},
    cashier="anna",
    receipt_no="A-1",
    money_total=8_500,
    points_earned=85,
    points_redeemed=5,
)
VOID = record(RecordKind.VOID, {"how": "void"}, cashier="boris", money_total=8_500, points_earned=5, points_redeemed=85)
FOLLOW = record(RecordKind.REFUND, {"follow": True}, cashier="boris", money_total=300)
EXCHANGE = record(
    RecordKind.EXCHANGE,
    {
        "gross": 2_000,
        "discount_total": 0,
        "returned": {"money": 700, "earned_reversed": 7, "spent_returned": 2},
    },
    cashier="anna",
    receipt_no="A-2",
    money_total=2_000,
    points_earned=20,
)
HANDS = (
    record(RecordKind.ADJUST, {}, cashier="boris", points_earned=50),
    record(RecordKind.ADJUST, {}, cashier="boris", points_redeemed=30),
    record(RecordKind.TRANSFER, {}, cashier="boris", points_redeemed=11),
    record(RecordKind.REGISTER, {}, cashier="anna"),
    record(RecordKind.SHIFT_OPEN, {}, cashier="anna"),
)


def test_every_kind_goes_where_it_belongs() -> None:
    totals = totals_of([SALE, VOID, FOLLOW, EXCHANGE, *HANDS])
    assert totals.whole == Sums(
        sales=1,
        gross=10_000,
        discounts=1_000,
        points_money=500,
        money=8_500,
        voids=1,
        refunds=1,
        returned=8_800,
        exchanges=1,
        exchange_money=2_000,
        exchange_returned=700,
        points_earned=105,
        points_redeemed=5,
        points_back=7,
        points_reversed=92,
        points_follow=1,
        registered=1,
        credited=50,
        debited=41,
    )
    assert (totals.first_receipt, totals.last_receipt) == ("A-1", "A-2")


def test_cashiers_sum_to_the_whole() -> None:
    totals = totals_of([SALE, VOID, FOLLOW, EXCHANGE, *HANDS])
    together = Sums()
    for sums in totals.by_cashier.values():
        together = together.plus(sums)
    assert together == totals.whole
    assert set(totals.by_cashier) == {"anna", "boris"}


def test_totals_are_read_back_as_written() -> None:
    totals = totals_of([SALE, VOID, EXCHANGE])
    assert ShiftTotals.from_fields(Fields(totals.to_dict(), "totals")) == totals
    assert ShiftTotals().to_dict() == {}
    assert ShiftTotals.from_fields(Fields({}, "totals")) == ShiftTotals()


def test_totals_of_a_shift_closed_before_exchanges_had_lines_of_their_own_are_still_read() -> None:
    kept = {"sales": 2, "gross": 12_000, "money": 10_500, "exchanges": 1, "returned": 9_500}
    totals = ShiftTotals.from_fields(Fields(kept, "totals"))
    assert (totals.whole.sales, totals.whole.exchanges, totals.whole.exchange_money) == (2, 1, 0)
    assert totals.to_dict() == kept


def test_opening_a_shift_is_no_part_of_it() -> None:
    assert totals_of([record(RecordKind.SHIFT_OPEN, {}, cashier="anna")]) == ShiftTotals()


def test_what_is_left_is_what_was_paid_less_what_came_back() -> None:
    totals = totals_of([SALE, FOLLOW, EXCHANGE])
    assert totals.whole.left == 8_500 - 300 + 2_000 - 700
    assert totals_of([VOID]).whole.left == -8_500
    assert "left" not in totals.to_dict()
