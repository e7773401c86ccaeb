"""What comes back: worked out from the journal alone, however it is split, and never more than was sold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.contents import contents_of
from loyalty_desk.domain.errors import BadInput, ForPerson, Refused
from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.domain.refund import Return
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, FollowedLine, ReturnContents
from loyalty_desk.services.checkout import CheckDraft, SaleDone
from loyalty_desk.services.pins import Member
from loyalty_desk.services.returns import Returns
from loyalty_desk.services.sold_checks import SoldChecks
from loyalty_desk.wire.v1.lookup import SaleFound
from tests.loyalty_desk.till_parts import CARD, GUEST, IDENTITY, STORE, Counter, make_counter, stocked, stored_program

BOSS = Member("boss", "Boris", "manager", has_pin=True)
ELSEWHERE = UUID("77777777-7777-4777-8777-777777777777")


def returns_of(counter: Counter) -> Returns:
    parts = counter.parts
    return Returns(
        IDENTITY, SoldChecks(parts.journal), parts.recorder, counter.checkout, parts.trusted, counter.cashier
    )


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    made = stocked(tmp_path)
    yield made
    made.parts.journal.close()
    made.cache.close()


def find(counter: Counter, text: str):
    return SoldChecks(counter.parts.journal).find(text)


def newest(counter: Counter):
    return SoldChecks(counter.parts.journal).newest()


def last(counter: Counter) -> Record:
    head = counter.parts.journal.head()
    [sealed] = counter.parts.journal.records(head.epoch, head.seq, 1)
    return Record.from_payload(sealed.payload)


def goods(*lines: Line) -> Basket:
    return Basket("RUB", lines, store=str(STORE), zone=ZoneInfo("Europe/Moscow"))


def sell_goods(counter: Counter, basket: Basket, points: int = 0) -> SaleDone:
    draft = CheckDraft(basket, counter.checkout.identify(CARD), points, at=counter.parts.trusted.now())
    return counter.checkout.confirm(draft, counter.checkout.price(draft))


LATTE = Line("a", "latte", "coffee", 3_000, 20_000)
CAKE = Line("b", "cake", "sweets", 1_000, 15_000)


def refused(call, *args, **more) -> ForPerson:
    with pytest.raises(ForPerson) as found:
        call(*args, **more)
    return found.value


def test_a_sale_is_found_by_what_is_printed_on_its_receipt(counter: Counter) -> None:
    done = counter.sell(CARD, 100)
    for text in (done.receipt_no, done.receipt_no.lower(), " 1 ", "000001", str(done.record_id), done.record_id.hex):
        assert find(counter, text).record.id == done.record_id
    assert newest(counter).record.id == done.record_id
    assert [one.record.id for one in SoldChecks(counter.parts.journal).of_guest(GUEST)] == [done.record_id]
    assert refused(find, counter, "DE71-000009").code == "sale_unknown"
    assert refused(find, counter, str(ELSEWHERE)).code == "sale_unknown"
    for wrong in ("", "abc", "12x", "9" * 40, "z" * 36):
        assert refused(find, counter, wrong).code in ("receipt_malformed", "sale_unknown")


def test_a_till_without_a_sale_says_so(tmp_path: Path) -> None:
    counter = make_counter(tmp_path)
    assert refused(newest, counter).code == "no_sale_yet"
    counter.parts.journal.close()
    counter.cache.close()


def test_a_void_gives_everything_back_and_the_balance_is_as_before(counter: Counter) -> None:
    before = counter.checkout.identify(CARD).points
    done = counter.sell(CARD, 300, 50)
    assert done.balance_after != before
    gone = returns_of(counter).void(newest(counter))
    assert (gone.money, gone.points_back, gone.is_whole) == (done.quote.total, 50, True)
    assert gone.points_taken == done.quote.earned_points
    assert counter.checkout.identify(CARD).points == before
    record = last(counter)
    assert (record.kind, record.reverses_id, record.guest_id) == (RecordKind.VOID, done.record_id, GUEST)
    assert (record.points_earned, record.points_redeemed) == (50, done.quote.earned_points)
    contents = contents_of(record)
    assert isinstance(contents, ReturnContents)
    assert contents.returned.how == "void"
    assert refused(returns_of(counter).void, find(counter, done.receipt_no)).code == "return_nothing_left"


def test_a_void_that_gives_points_back_does_not_free_the_offline_limits(counter: Counter) -> None:
    counter.sell(CARD, 300, 60)
    returns_of(counter).void(newest(counter))
    assert counter.parts.journal.offline_use(GUEST).guest_points == 60


def test_an_older_void_needs_a_manager_and_says_who(counter: Counter) -> None:
    returns, first = returns_of(counter), counter.sell(CARD, 100)
    counter.sell(CARD, 100)
    assert refused(returns.void, find(counter, first.receipt_no)).code == "void_needs_manager"
    cashier = replace(BOSS, role="cashier")
    assert refused(returns.void, find(counter, first.receipt_no), cashier).code == "void_needs_manager"
    counter.parts.clock.advance(seconds=601)
    assert returns.needs_manager(newest(counter))
    returns.void(find(counter, first.receipt_no), BOSS)
    contents = contents_of(last(counter))
    assert isinstance(contents, ReturnContents)
    assert contents.approved_by == "boss"


def test_lines_come_back_one_by_one_and_never_more_than_was_sold(counter: Counter) -> None:
    returns, done = returns_of(counter), sell_goods(counter, goods(LATTE, CAKE), 60)
    one = returns.refund(find(counter, done.receipt_no), [Return("a", 2_000)])
    assert refused(returns.refund, find(counter, done.receipt_no), [Return("a", 2_000)]).code == "return_more_than_left"
    assert refused(returns.refund, find(counter, done.receipt_no), [Return("x", 1_000)]).code == "return_line_unknown"
    assert refused(returns.refund, find(counter, done.receipt_no), [Return("a", 500)]).code == "return_quantity"
    sold = find(counter, done.receipt_no)
    assert [(line.line, line.left_milli) for line in sold.lines] == [("a", 1_000), ("b", 1_000)]
    assert sold.money_left == done.quote.total - one.money
    two = returns.refund(sold, [Return("a", 1_000), Return("b", 1_000)])
    assert two.is_whole
    assert one.money + two.money == done.quote.total
    assert (one.points_back + two.points_back, one.points_taken + two.points_taken) == (60, done.quote.earned_points)
    assert counter.checkout.identify(CARD).points == 400


NO_LIMITS = {"upper_consecutive": 10**6, "split_sale_points": 10**9, "device_points": 10**9, "cvm": {"ld1": 100}}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=5), st.integers(0, 90))
def test_a_bare_total_comes_back_by_amounts_that_sum_to_it(counter: Counter, amounts: list[int], points: int) -> None:
    counter.feed(("profile", "default", NO_LIMITS), ("guest", str(GUEST), {"name": "Анна", "points": 10**6}))
    returns, done = returns_of(counter), counter.sell(CARD, 500, points)
    money = back = taken = 0
    for amount in amounts:
        sold = newest(counter)
        if amount > sold.money_left:
            assert refused(returns.refund, sold, amount=amount).code == "return_more_than_left"
            continue
        part = returns.refund(sold, amount=amount)
        assert part.money == amount
        money, back, taken = money + part.money, back + part.points_back, taken + part.points_taken
        assert back <= done.quote.redeemed_points
        assert taken <= done.quote.earned_points
    if money < done.quote.total:
        rest = returns.refund(newest(counter), amount=done.quote.total - money)
        back, taken = back + rest.points_back, taken + rest.points_taken
    assert (back, taken) == (done.quote.redeemed_points, done.quote.earned_points)


def test_two_windows_on_one_sale_do_not_give_it_back_twice(counter: Counter) -> None:
    returns, done = returns_of(counter), counter.sell(CARD, 100)
    stale = newest(counter)
    returns.refund(stale, amount=done.quote.total)
    assert refused(returns.refund, stale, amount=1).code == "return_more_than_left"
    assert refused(returns.void, stale).code == "return_nothing_left"


def test_a_return_is_not_returned(counter: Counter) -> None:
    counter.sell(CARD, 100)
    gone = returns_of(counter).void(newest(counter))
    assert refused(find, counter, str(gone.record_id)).code == "not_a_sale"


def test_a_return_two_programs_later_is_worked_out_with_its_own(counter: Counter) -> None:
    done = counter.sell(CARD, 100)
    for version in (4, 5, 6):
        counter.parts.journal.remember_program(stored_program(version=version, model="discount"))
    counter.parts.journal.acknowledge(counter.parts.journal.head().epoch, 99, IDENTITY.network, 1)
    counter.parts.journal.remember_program(stored_program(version=7, model="points"))
    gone = returns_of(counter).refund(newest(counter), amount=done.quote.total)
    assert (gone.follows, gone.points_taken) == (False, done.quote.earned_points)


def test_a_sale_whose_program_is_lost_has_its_points_follow(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("is not here any more")
    done = sell_goods(counter, goods(LATTE, CAKE))
    monkeypatch.setattr(counter.parts.journal, "programs", list)
    returns = returns_of(counter)
    assert refused(returns.void, newest(counter)).code == "sale_not_priced"
    part = returns.refund(newest(counter), [Return("a", 1_000)])
    assert (part.follows, part.points_taken) == (True, 0)
    contents = contents_of(last(counter))
    assert isinstance(contents, FollowContents)
    assert contents.money == part.money == done.quote.lines[0].net // 3
    assert refused(returns.refund, newest(counter), amount=done.quote.total).code == "return_more_than_left"
    monkeypatch.undo()
    # What the server alone knows of the first return, it knows of the next one too.
    assert returns.refund(newest(counter), [Return("b", 1_000)]).follows


def found_sale(total: int, left: int, **more) -> SaleFound:
    return SaleFound(ELSEWHERE, "AB12-000001", 1, "2026-03-02", "RUB", total, left, [], STORE, GUEST, **more)


def test_a_sale_of_another_till_comes_back_as_goods_and_money(counter: Counter) -> None:
    returns = returns_of(counter)
    lines = [FollowedLine("a", 1_000, 300), FollowedLine("b", 1_000, 200)]
    done = returns.refund_elsewhere(ELSEWHERE, 500, lines)
    record = last(counter)
    assert (done.follows, record.reverses_id, record.money_total) == (True, ELSEWHERE, 500)
    assert contents_of(record) == FollowContents("RUB", counter.parts.clock.now(), 500, tuple(lines))
    assert refused(returns.refund_elsewhere, ELSEWHERE, 400, lines).code == "return_amount"
    assert refused(returns.refund_elsewhere, ELSEWHERE, 0).code == "return_amount"
    here = counter.sell(CARD, 100)
    assert refused(returns.refund_elsewhere, here.record_id, 100).code == "sale_is_here"


def test_what_the_server_says_is_left_bounds_a_return_and_so_does_what_it_has_not_heard_of(counter: Counter) -> None:
    returns, found = returns_of(counter), found_sale(1_000, 600)
    assert refused(returns.refund_elsewhere, ELSEWHERE, 601, found=found).code == "return_more_than_left"
    assert returns.refund_elsewhere(ELSEWHERE, 600, found=found).follows
    assert last(counter).guest_id == GUEST
    assert refused(returns.refund_elsewhere, ELSEWHERE, 401, found=found).code == "return_more_than_left"
    voided = found_sale(1_000, 1_000, voided=True)
    assert refused(returns.refund_elsewhere, ELSEWHERE, 1, found=voided).code == "return_more_than_left"


def test_a_check_of_two_hundred_lines_under_three_rules_is_sold_and_comes_back_in_one_record_each(
    tmp_path: Path,
) -> None:
    rules: list[Json] = [
        {
            "id": f"morning-{n}",
            "name": {"en": "Morning coffee"},
            "effects": [{"type": "percentage", "rate_bp": 500}],
            "conditions": [{"type": "categories", "categories": ["coffee"]}],
        }
        for n in range(3)
    ]
    counter = stocked(tmp_path / "large", rules=rules)
    at = counter.parts.trusted.now()
    lines = [Line(str(n), f"sku-{100_000 + n}", "coffee", 2_000, 25_050, tax=4_175, added_at=at) for n in range(200)]
    done = sell_goods(counter, goods(*lines), 100)
    assert {len(line.discounts) for line in done.quote.lines} == {3}
    returns = returns_of(counter)
    first = returns.refund(newest(counter), [Return(str(n), 1_000) for n in range(200)])
    rest = returns.refund(newest(counter), [Return(str(n), 1_000) for n in range(200)])
    assert (first.money + rest.money, rest.is_whole) == (done.quote.total, True)
    assert counter.checkout.identify(CARD).points == 400
    counter.parts.journal.close()
    counter.cache.close()


def test_an_exchange_is_one_record_of_both(counter: Counter) -> None:
    returns, done = returns_of(counter), sell_goods(counter, goods(LATTE, CAKE), 60)
    sold = find(counter, done.receipt_no)
    draft = CheckDraft(
        goods(Line("n", "tea", "coffee", 1_000, 30_000)), counter.checkout.identify(CARD), at=counter.parts.clock.now()
    )
    back, quote = returns.exchange_quote(sold, [Return("a", 2_000)], draft)
    swapped = returns.exchange(sold, [Return("a", 2_000)], draft, quote)
    assert swapped.difference == quote.due - back.cash
    record = last(counter)
    assert (record.kind, record.reverses_id) == (RecordKind.EXCHANGE, done.record_id)
    assert (record.points_earned, record.money_total) == (quote.earned_points, quote.total)
    contents = contents_of(record)
    assert isinstance(contents, ExchangeContents)
    assert contents.returned.money == back.money
    balance = 400 - 60 + done.quote.earned_points + back.spent_returned - back.earned_reversed + quote.earned_points
    assert counter.checkout.identify(CARD).points == balance == swapped.sold.balance_after
    rest = find(counter, done.receipt_no)
    assert [(line.line, line.left_milli) for line in rest.lines] == [("a", 1_000), ("b", 1_000)]
    assert returns.refund(rest, [Return("a", 1_000), Return("b", 1_000)]).is_whole
    # What was taken in exchange is a sale of its own and may come back too.
    assert returns.refund(find(counter, swapped.sold.receipt_no), [Return("n", 1_000)]).money == quote.total
    assert counter.checkout.identify(CARD).points == 400


def test_an_exchange_stays_with_its_guest(counter: Counter) -> None:
    returns, done = returns_of(counter), sell_goods(counter, goods(LATTE, CAKE))
    draft = CheckDraft(goods(CAKE), None, at=counter.parts.clock.now())
    sold = find(counter, done.receipt_no)
    _, quote = returns.exchange_quote(sold, [Return("b", 1_000)], draft)
    assert refused(returns.exchange, sold, [Return("b", 1_000)], draft, quote).code == "exchange_other_guest"
    with pytest.raises(BadInput, match="return_empty"):
        returns.exchange_quote(sold, [], draft)


def test_a_void_frees_the_uses_of_limited_rules_on_the_day_they_were_made(counter: Counter) -> None:
    limited = {
        "id": "once",
        "name": {"en": "Once"},
        "effects": [{"type": "fixed_amount", "amount": 1_000}],
        "conditions": [{"type": "usage", "per_guest": 1}],
    }
    counter.parts.journal.remember_program(stored_program(version=9, rules=[limited]))
    done = counter.sell(CARD, 100)
    assert dict(done.quote.uses) == {"once": 1}
    assert dict(counter.checkout.price(counter.draft(CARD, 100)).uses) == {}
    counter.parts.clock.advance(days=1)
    returns_of(counter).void(newest(counter), BOSS)
    assert dict(counter.checkout.price(counter.draft(CARD, 100)).uses) == {"once": 1}
    assert isinstance(refused(returns_of(counter).void, newest(counter), BOSS), Refused)
