"""What a till gives of rules that are limited for all guests together: never more than the server let it."""

import threading
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.ports.server import ServerSaid
from loyalty_desk.wire.v1.leases import Given
from tests.loyalty_desk.services.sync_line import Line, make_line
from tests.loyalty_desk.services.test_returns import newest, returns_of
from tests.loyalty_desk.till_parts import CARD, stored_program

GIFT = {
    "id": "gift",
    "name": {"en": "Gift", "ru": "Подарок"},
    "effects": [{"type": "fixed_amount", "amount": 100_00}],
    "conditions": [{"type": "usage", "total": 5}],
}
FUND = {
    "id": "fund",
    "name": {"en": "Fund", "ru": "Фонд"},
    "effects": [{"type": "fixed_amount", "amount": 30_00}],
    "conditions": [{"type": "budget", "amount": 100_00}],
}


@pytest.fixture
def line(tmp_path: Path):
    made = make_line(tmp_path)
    program = stored_program(rules=[GIFT, FUND], tiers=[])
    row = {"version": 3, "hash": bytes_to_text(program.hash), "bytes": bytes_to_text(program.bytes)}
    made.ledger.put("program", "current", row)
    made.ledger.allowed = {("gift", ""): 2, ("fund", "money"): 50_00}
    yield made
    made.counter.parts.journal.close()
    made.counter.cache.close()


def paid(line: Line) -> int:
    return line.counter.sell(None, 1_000).quote.total


def given(line: Line) -> list[Given]:
    return line.ledger.told[-1].given


def test_a_till_gives_what_it_was_let_and_then_says_that_none_is_left(line: Line) -> None:
    assert line.step().done
    # The budget is cut to what is left of it; a use more than let is none.
    assert [paid(line) for _ in range(3)] == [870_00, 880_00, 1_000_00]
    quoted = line.counter.checkout.price(line.counter.draft(None, 1_000))
    said = {note.rule: note.code for note in quoted.explanation}
    assert (said["gift"], said["fund"]) == ("limit_total", "budget_spent")
    assert line.step().done
    epoch = line.counter.parts.journal.head().epoch
    assert given(line) == [Given(epoch, "fund", "money", 50_00), Given(epoch, "gift", "", 2)]


def test_what_was_given_counts_once_before_and_after_its_acknowledgement(line: Line) -> None:
    line.step()
    paid(line)
    left = line.counter.parts.recorder.leases.left
    program = line.counter.checkout.program()
    assert left(program) == {"gift": 1, "fund": 20_00}
    line.ledger.faults.extend([None, "lost"])
    assert line.step().error == "server_silent"
    assert left(program) == {"gift": 1, "fund": 20_00}
    line.step()
    assert left(program) == {"gift": 1, "fund": 20_00}
    line.ledger.allowed = {("gift", ""): 4, ("fund", "money"): 50_00}
    line.step()
    assert left(program) == {"gift": 3, "fund": 20_00}


@pytest.mark.parametrize("fault", ["cut", "lost"])
def test_an_answer_that_never_came_leaves_the_one_before_in_force(line: Line, fault: str) -> None:
    line.step()
    line.ledger.allowed = {}
    line.ledger.faults.extend([None, None, fault])
    assert line.step().error == "server_silent"
    assert line.ledger.calls[-1] == "leases"
    assert paid(line) == 870_00
    # The number says which answer is in force, so that the server knows that this one is not.
    line.step()
    assert [one.number for one in line.ledger.told[-2:]] == ([1, 1] if fault == "lost" else [0, 1])
    assert paid(line) == 1_000_00


def test_a_restart_keeps_what_is_left_and_another_epoch_has_none(line: Line) -> None:
    line.step()
    paid(line)
    line = line.restarted()
    assert paid(line) == 880_00
    assert paid(line) == 1_000_00
    line.counter.parts.recorder.open_epoch("manual")
    line.ledger.allowed = {("gift", ""): 1}
    assert paid(line) == 1_000_00
    line.step()
    # Sums of an epoch: what the one before gave is not of this one.
    assert (paid(line), paid(line)) == (900_00, 1_000_00)
    assert line.ledger.told[-1].number == 0


def test_nothing_is_given_past_the_end_or_with_a_clock_that_is_wrong(line: Line) -> None:
    line.step()
    clock = line.counter.parts.clock
    clock.advance(seconds=3_599)
    assert paid(line) == 870_00
    clock.advance(seconds=1)
    assert paid(line) == 1_000_00
    line.ledger.server_time += 3_600_000
    line.step()
    assert paid(line) == 880_00


def test_a_clock_that_is_wrong_gives_nothing(line: Line) -> None:
    line.step()
    clock = line.counter.parts.clock.clock
    clock.at = clock.at.replace(year=2020)
    assert paid(line) == 1_000_00


def test_two_sales_at_once_do_not_share_the_last_one(line: Line) -> None:
    line.ledger.allowed = {("gift", ""): 1}
    line.step()
    checkout = line.counter.checkout
    drafts = [line.counter.draft(None, 1_000) for _ in range(2)]
    quotes = [checkout.price(draft) for draft in drafts]
    assert [one.total for one in quotes] == [900_00, 900_00]
    recorder, leases = line.counter.parts.recorder, line.counter.parts.recorder.leases
    record, both = recorder.record, threading.Barrier(2, timeout=10)
    said: list[str] = []

    def at_once(fact):
        both.wait()
        return record(fact)

    recorder.record = at_once  # type: ignore[method-assign]

    def confirm(place: int) -> None:
        try:
            checkout.confirm(drafts[place], quotes[place])
            said.append("sold")
        except Refused as error:
            said.append(error.code)

    threads = [threading.Thread(target=confirm, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(said) == ["quote_stale", "sold"]
    epoch = line.counter.parts.journal.head().epoch
    assert line.counter.parts.journal.given() == {(epoch, "gift", ""): 1}
    assert leases.left(checkout.program())["gift"] == 0


def test_a_return_does_not_give_back_what_others_may_have_got(line: Line) -> None:
    """It goes back to the server, from where everybody takes: were it this till's, a return elsewhere gave it twice."""
    line.ledger.allowed = {("gift", ""): 1}
    line.step()
    assert paid(line) == 900_00
    returns = returns_of(line.counter)
    assert returns.void(newest(line.counter)).money == 900_00
    assert paid(line) == 1_000_00


@pytest.mark.parametrize("command", ["suspend", "revoke"])
def test_a_till_that_is_refused_gives_nothing_any_more(line: Line, command: str) -> None:
    line.step()
    line.ledger.commands = [command]
    line.step()
    assert paid(line) == 1_000_00


def test_another_life_of_the_server_begins_with_nothing(line: Line) -> None:
    line.step()
    paid(line)
    line.ledger.restore(keep=1)
    line.ledger.faults.extend([None] * 4 + ["cut"])
    line.step()
    assert line.ledger.calls[-1] == "leases"
    assert paid(line) == 1_000_00
    line.step()
    told = line.ledger.told[-1]
    assert (told.incarnation, told.number) == (line.ledger.incarnation, 0)
    # What it gave in the life before is told: nobody may give it again.
    assert [one.amount for one in told.given] == [30_00, 1]


def test_a_server_that_knows_no_leases_stops_nothing_else(line: Line) -> None:
    line.step()
    line.ledger.faults.extend([None, None, ServerSaid(404, "NOT_FOUND")])
    assert line.step().done
    assert paid(line) == 870_00


def test_an_answer_of_another_life_is_not_put_in_force(line: Line) -> None:
    line.ledger.faults.extend([None] * 3 + [lambda answer: msgspec.structs.replace(answer, incarnation=UUID(int=1))])
    assert line.step().error == "server_foreign"
    assert paid(line) == 1_000_00


def test_a_program_without_such_limits_asks_for_nothing(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    try:
        line.step()
        line.counter.sell(CARD, 1_000)
        line.step()
        assert "leases" not in line.ledger.calls
        assert line.counter.parts.journal.given() == {}
    finally:
        line.counter.parts.journal.close()
        line.counter.cache.close()


def test_a_rule_may_be_called_anything(line: Line) -> None:
    name = "first guests-2"
    program = stored_program(rules=[{**GIFT, "id": name}], tiers=[])
    row = {"version": 3, "hash": bytes_to_text(program.hash), "bytes": bytes_to_text(program.bytes)}
    line.ledger.put("program", "current", row)
    line.ledger.allowed = {(name, ""): 1}
    line.step()
    assert [paid(line), paid(line)] == [900_00, 1_000_00]
