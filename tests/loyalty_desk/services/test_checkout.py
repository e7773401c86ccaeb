from dataclasses import replace
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import check_from_payload, drift
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import ClockConfidence, Credential, Decision, Record, RecordKind
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.services.sentences import sentence
from loyalty_desk.services.wording import Words
from tests.loyalty_desk.till_parts import (
    ANNA,
    ANNA_CARD,
    ANNA_ROW,
    CARD,
    GUEST,
    HANDLE,
    INCARNATION,
    NUMBER,
    PROGRAM,
    STAFF,
    STORE,
    Counter,
    make_counter,
    stocked,
    stored_program,
)  # fmt: skip


@pytest.fixture
def counter(tmp_path: Path):
    made = stocked(tmp_path)
    yield made
    made.parts.journal.close()
    made.cache.close()


def last_record(counter: Counter) -> Record:
    head = counter.parts.journal.head()
    [sealed] = counter.parts.journal.records(head.epoch, head.seq, 1)
    return Record.from_payload(sealed.payload)


def test_a_card_and_a_number_lead_to_the_guest(counter: Counter) -> None:
    card = counter.checkout.identify(CARD.encode())
    assert (card.guest_id, card.name, card.tier, card.tier_name, card.points) == (GUEST, "Анна", "GOLD", "Gold", 400)
    assert card.credential == Credential(CodeKind.LD1, HANDLE)
    assert card.as_of == counter.parts.clock.now()
    number = counter.checkout.identify(NUMBER)
    assert (number.guest_id, number.credential) == (GUEST, Credential(CodeKind.NUMBER, None))
    assert (card.allowance.max_points, card.allowance.reason) == (100, "code_limit")
    assert number.allowance.max_points == 0


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        ("https://example.com", "code_foreign"),
        ("LD104HMASW9NF6YY55", "code_malformed"),
        ("", "scan_empty"),
        ("LD104HMASW9NF6YY54", "card_unknown"),
        ("1000000024", "number_unknown"),
        ("123456", "needs_server"),
        ("79261234567", "needs_server"),
    ],
)
def test_what_cannot_be_served_says_why(counter: Counter, scan: str, code: str) -> None:
    with pytest.raises((BadInput, Refused)) as refused:
        counter.checkout.identify(scan)
    assert refused.value.code == code


@pytest.mark.parametrize(("change", "code"), [({"state": "blocked"}, "card_blocked"), ({"kind": "phone"}, "card_kind")])
def test_a_credential_that_may_not_be_used_so_is_refused(counter: Counter, change, code: str) -> None:
    counter.feed((ANNA_CARD[0], ANNA_CARD[1], {**ANNA_CARD[2], **change}))
    with pytest.raises(Refused, match=code):
        counter.checkout.identify(CARD)


def test_a_sale_is_on_the_disk_and_prices_the_same_again(counter: Counter) -> None:
    done = counter.sell(CARD, 1_000)
    assert (done.quote.total, done.quote.earned_points, done.balance_after) == (900_00, 45, 445)
    assert done.receipt_no == "DE71-000001"
    record = last_record(counter)
    assert (record.id, record.kind, record.guest_id, record.cashier) == (
        done.record_id,
        RecordKind.SALE,
        GUEST,
        "anna.k",
    )
    assert (record.points_earned, record.points_redeemed, record.money_total) == (45, 0, 900_00)
    assert (record.known_balance, record.cache_feed_seq, record.decision_bits) == (400, 4, None)
    assert (record.business_day, record.clock_conf) == ("2026-03-02", ClockConfidence.GOOD)
    contents = check_from_payload(record.check)
    again = contents.quoted(Program.from_dict(PROGRAM), from_ms(record.occurred_at))
    assert not drift(contents.claimed, again)


def test_points_pay_up_to_what_the_card_may(counter: Counter) -> None:
    done = counter.sell(CARD, 1_000, points=80)
    assert (done.quote.redeemed_points, done.quote.total) == (80, 820_00)
    assert done.balance_after == 400 - 80 + done.quote.earned_points
    record = last_record(counter)
    assert (record.points_redeemed, record.decision_bits) == (80, 0)


def test_more_points_than_allowed_are_cut_with_the_reason(counter: Counter) -> None:
    draft = counter.draft(CARD, 1_000, points=250)
    quote = counter.checkout.price(draft)
    assert (quote.redeemed_points, quote.redemption.binding, quote.redemption.reason) == (100, "cap", "code_limit")
    counter.checkout.confirm(draft, quote)
    assert last_record(counter).decision_bits == 1 << Decision.CVM


def test_the_share_of_the_check_is_a_limit_of_its_own(counter: Counter) -> None:
    quote = counter.checkout.price(counter.draft(CARD, 100, points=60))
    assert (quote.redeemed_points, quote.redemption.reason) == (27, "floor_share")


def test_points_that_cannot_be_had_are_refused_with_the_reason(counter: Counter) -> None:
    draft = counter.draft(NUMBER, 1_000, points=50)
    with pytest.raises(Refused) as refused:
        counter.checkout.confirm(draft, counter.checkout.price(draft))
    assert refused.value.code == "redemption_refused"
    assert refused.value.facts["reason"] == "code_limit"
    assert counter.parts.journal.head().seq == 1


def test_the_third_redemption_of_a_guest_waits_for_the_server(counter: Counter) -> None:
    for _ in range(2):
        counter.sell(CARD, 1_000, points=30)
    assert last_record(counter).decision_bits == 1 << Decision.LOWER_CONSECUTIVE
    draft = counter.draft(CARD, 1_000, points=30)
    with pytest.raises(Refused) as refused:
        counter.checkout.confirm(draft, counter.checkout.price(draft))
    assert refused.value.facts == {"reason": "upper_consecutive", "count": 2, "limit": 2}
    counter.sell(CARD, 1_000)


def test_a_day_without_the_server_ends_redemption_and_not_earning(counter: Counter) -> None:
    counter.parts.clock.advance(days=1, seconds=1)
    draft = counter.draft(CARD, 1_000, points=30)
    with pytest.raises(Refused) as refused:
        counter.checkout.confirm(draft, counter.checkout.price(draft))
    assert refused.value.facts == {"reason": "stale_data", "hours": 24, "limit_hours": 24}
    assert counter.sell(CARD, 1_000).quote.earned_points == 45


def test_a_new_epoch_redeems_nothing_until_it_is_level(counter: Counter) -> None:
    counter.parts.recorder.open_epoch("rollback")
    assert counter.checkout.identify(CARD).allowance.reason == "new_epoch"
    counter.synced()
    assert counter.checkout.identify(CARD).allowance.reason == "code_limit"


def test_a_quote_that_no_longer_holds_is_refused(counter: Counter) -> None:
    draft = counter.draft(CARD, 1_000)
    quote = counter.checkout.price(draft)
    counter.parts.journal.remember_program(stored_program(version=4, tiers=[]))
    with pytest.raises(Refused, match="quote_stale"):
        counter.checkout.confirm(draft, quote)
    quote = counter.checkout.price(draft)
    counter.parts.clock.advance(seconds=16 * 60)
    with pytest.raises(Refused, match="quote_stale"):
        counter.checkout.confirm(draft, quote)
    assert counter.parts.journal.head().seq == 1


def test_a_guest_who_changed_tier_meanwhile_is_priced_again(counter: Counter) -> None:
    draft = counter.draft(CARD, 1_000)
    quote = counter.checkout.price(draft)
    counter.feed(("guest", str(GUEST), {**ANNA_ROW, "tier": "BRONZE"}))
    with pytest.raises(Refused, match="quote_stale"):
        counter.checkout.confirm(draft, quote)


def test_points_that_moved_without_touching_the_check_do_not_disturb(counter: Counter) -> None:
    draft = counter.draft(CARD, 1_000)
    quote = counter.checkout.price(draft)
    counter.feed(("guest", str(GUEST), {**ANNA_ROW, "points": 7}))
    assert counter.checkout.confirm(draft, quote).balance_after == 52


def test_a_check_without_a_guest_is_a_sale_too(counter: Counter) -> None:
    done = counter.sell(None, 500)
    assert (done.guest, done.balance_after, done.quote.total) == (None, None, 500_00)
    assert last_record(counter).credential is None


def test_an_empty_check_and_a_missing_program_are_refused(counter: Counter, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="check_empty"):
        counter.checkout.price(CheckDraft(at=counter.parts.clock.now()))
    (tmp_path / "other").mkdir()
    bare = make_counter(tmp_path / "other")
    with pytest.raises(Refused, match="program_missing"):
        bare.checkout.price(bare.draft(None, 5))
    bare.parts.journal.close()
    bare.cache.close()


def test_while_guests_load_a_card_earns_by_its_handle(tmp_path: Path) -> None:
    counter = make_counter(tmp_path)
    counter.parts.journal.remember_program(stored_program())
    card = counter.checkout.identify(CARD)
    assert (card.guest_id, card.name, card.points, card.allowance.reason) == (None, "", 0, "guest_unknown")
    with pytest.raises(Refused, match="guests_loading"):
        counter.checkout.identify(NUMBER)
    draft = counter.draft(CARD, 1_000, points=10)
    with pytest.raises(Refused, match="redemption_refused"):
        counter.checkout.confirm(draft, counter.checkout.price(draft))
    done = counter.sell(CARD, 1_000)
    # Bronze earns 3% and takes 5% off: the points are due to whoever holds a card of ours, the discount is not.
    assert (done.quote.total, done.quote.earned_points, done.balance_after) == (1_000_00, 30, None)
    record = last_record(counter)
    assert (record.guest_id, record.credential) == (None, Credential(CodeKind.LD1, HANDLE))
    assert (record.points_earned, record.money_total) == (30, 1_000_00)
    contents = check_from_payload(record.check)
    again = contents.quoted(Program.from_dict(PROGRAM), from_ms(record.occurred_at))
    assert not drift(contents.claimed, again)
    counter.parts.journal.close()
    counter.cache.close()


def test_a_guest_who_arrives_in_the_middle_of_a_check_is_priced_anew(tmp_path: Path) -> None:
    counter = make_counter(tmp_path)
    counter.parts.journal.remember_program(stored_program())
    draft = counter.draft(CARD, 1_000)
    quote = counter.checkout.price(draft)
    counter.feed(ANNA, ANNA_CARD)
    with pytest.raises(Refused, match="quote_stale"):
        counter.checkout.confirm(draft, quote)
    fresh = replace(draft, guest=counter.checkout.refresh(draft.guest))
    done = counter.checkout.confirm(fresh, counter.checkout.price(fresh))
    assert (done.quote.total, done.quote.earned_points) == (900_00, 45)
    counter.parts.journal.close()
    counter.cache.close()


def test_a_lost_cache_leaves_program_and_cashier(counter: Counter, tmp_path: Path) -> None:
    counter.cashier.remember()
    counter.cache.wipe(None)
    done = counter.sell(CARD, 1_000)
    assert done.quote.total == 1_000_00
    assert last_record(counter).cashier == "anna.k"


@pytest.mark.parametrize("code", [CARD, NUMBER])
def test_a_cache_lost_in_the_middle_of_a_check_costs_redemption_alone(counter: Counter, code: str) -> None:
    draft = counter.draft(code, 1_000)
    quote = counter.checkout.price(draft)
    counter.cache.wipe(None)
    done = counter.checkout.confirm(draft, quote)
    assert (done.quote.total, last_record(counter).guest_id) == (900_00, GUEST)
    with pytest.raises(Refused) as refused:
        counter.checkout.confirm(replace(draft, points_asked=20), quote)
    assert refused.value.facts["reason"] == "guests_loading"


def test_a_guest_who_is_gone_after_the_commit_does_not_undo_the_sale(counter: Counter, monkeypatch, expect_log) -> None:
    expect_log("the sale is recorded")
    draft = counter.draft(CARD, 1_000)
    quote = counter.checkout.price(draft)
    real = counter.parts.recorder.record

    def recorded_then_erased(fact):
        done = real(fact)
        counter.feed(("guest", str(GUEST), None), (ANNA_CARD[0], ANNA_CARD[1], None))
        return done

    monkeypatch.setattr(counter.parts.recorder, "record", recorded_then_erased)
    done = counter.checkout.confirm(draft, quote)
    assert (done.guest, done.balance_after) == (None, None)
    assert last_record(counter).id == done.record_id


def test_a_cache_that_breaks_after_the_commit_does_not_undo_the_sale(counter: Counter, monkeypatch, expect_log) -> None:
    expect_log("the sale is recorded")
    draft = counter.draft(CARD, 1_000)
    quote = counter.checkout.price(draft)
    real = counter.parts.recorder.record

    def recorded_then_broken(fact):
        done = real(fact)

        def broken(card):
            raise OSError("disk I/O error")

        monkeypatch.setattr(counter.checkout._guests, "refresh", broken)
        return done

    monkeypatch.setattr(counter.parts.recorder, "record", recorded_then_broken)
    done = counter.checkout.confirm(draft, quote)
    assert (done.guest, done.balance_after) == (None, None)
    assert last_record(counter).id == done.record_id


@pytest.mark.parametrize("count", [400, 1_000])
def test_a_check_too_large_to_be_recorded_is_refused_before_the_commit(tmp_path: Path, count: int) -> None:
    rules: list[Json] = [
        {"id": f"rule-{n}", "name": {"en": f"Rule {n}"}, "effects": [{"type": "percentage", "rate_bp": 100}]}
        for n in range(20)
    ]
    counter = stocked(tmp_path / "large", rules=rules)
    lines = tuple(Line(f"line-{n}", f"product {n}", "food", 1_000, 10_000) for n in range(count))
    basket = Basket("RUB", lines, str(STORE), ZoneInfo("Europe/Moscow"))
    draft = replace(counter.draft(CARD, 1), basket=basket)
    quote = counter.checkout.price(draft)
    assert sum(note.applied for note in quote.explanation) >= 20
    with pytest.raises(Refused) as refused:
        counter.checkout.confirm(draft, quote)
    assert sentence(refused.value, Words("en")) == (
        "This check has too many lines to be recorded as one. Sell it in smaller parts."
    )
    assert "на части" in sentence(refused.value, Words("ru"))
    assert counter.parts.journal.head().seq == 1
    # The till goes on with the next.
    assert counter.sell(CARD, 100).receipt_no == "DE71-000001"
    counter.parts.journal.close()
    counter.cache.close()


def test_the_balance_counts_own_sales_once_whatever_arrives_first(counter: Counter) -> None:
    epoch = counter.parts.journal.head().epoch

    def shown() -> int:
        return counter.checkout.identify(CARD).points

    counter.sell(CARD, 1_000)
    assert shown() == 445
    counter.parts.journal.acknowledge(epoch, 2, INCARNATION, counter.feed_seq + 1)
    assert shown() == 445
    counter.feed(("guest", str(GUEST), {**ANNA_ROW, "points": 445}))
    assert shown() == 445
    counter.sell(CARD, 1_000)
    assert shown() == 490
    # The page that holds the second sale arrives before its acknowledgement would be the lie: it never does,
    # because a pull is asked for only when every push has been answered.
    counter.parts.journal.acknowledge(epoch, 3, INCARNATION, counter.feed_seq + 1)
    counter.feed(("guest", str(GUEST), {**ANNA_ROW, "points": 490}), STAFF)
    assert shown() == 490


def test_the_window_language_names_the_tier(tmp_path: Path) -> None:
    counter = make_counter(tmp_path, language="ru")
    counter.parts.journal.remember_program(stored_program())
    counter.feed((ANNA[0], ANNA[1], {**ANNA_ROW, "tier": "BRONZE"}), ANNA_CARD)
    assert counter.checkout.identify(CARD).tier_name == "Бронза"
    counter.parts.journal.close()
    counter.cache.close()


def test_records_of_two_sales_never_share_an_id(counter: Counter) -> None:
    ids: set[UUID] = {counter.sell(None, 5).record_id for _ in range(20)}
    assert len(ids) == 20


def test_a_check_of_nothing_is_refused_and_leaves_no_record(tmp_path: Path) -> None:
    counter = stocked(tmp_path)
    before = counter.parts.journal.waiting().count
    good = counter.checkout.price(counter.draft(CARD, 980))
    with pytest.raises(Refused, match="amount_zero"):
        counter.checkout.price(counter.draft(CARD, 0))
    with pytest.raises(Refused, match="amount_zero"):
        counter.checkout.confirm(counter.draft(None, 0), good)
    assert counter.parts.journal.waiting().count == before
