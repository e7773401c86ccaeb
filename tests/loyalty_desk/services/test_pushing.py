"""Pushing: what is sent again, what is halved, and what of it a person is told."""

from loyalty_desk.domain.record import ExceptionKind, Record, RecordKind
from loyalty_desk.services.ports.server import ServerSaid
from loyalty_desk.services.sync import MOST_ROUNDS
from loyalty_desk.wire.v1.sync import BlockIds, PushAnswer, PushRequest, ReconcileAnswer
from tests.loyalty_desk.services.sync_line import Line
from tests.loyalty_desk.till_parts import (
    CARD,
)  # fmt: skip


def test_a_gap_is_closed_by_going_back(line: Line) -> None:
    line.step()
    for _ in range(6):
        line.counter.sell(CARD, 100)
    line.step()
    epoch = line.counter.parts.journal.head().epoch
    del line.ledger.branches[epoch, 0][3:]
    line.counter.sell(CARD, 100)
    asked = []
    real = line.ledger._hello
    line.ledger._hello = lambda request: (asked.append(request), real(request))[1]
    assert line.step().done
    assert line.ledger.posted() == line.ids()
    # Before anything is pushed again the server hears what it had acknowledged.
    assert [[one.seq for one in request.acked] for request in asked] == [[7]]
    assert {request.acked_in for request in asked} == {line.ledger.incarnation}


def test_a_ledger_that_keeps_nothing_of_what_it_acknowledges_is_not_asked_for_ever(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 100)

    def forked(request: PushRequest) -> PushAnswer:
        raise ServerSaid(409, "FORK", epoch=request.epoch)

    line.ledger._push = forked
    line.ledger._reconcile = lambda asked: ReconcileAnswer(
        asked.incarnation, [BlockIds(one.first_seq, []) for one in asked.blocks]
    )
    line.ledger.calls.clear()
    assert line.step().error == "server_unsettled"
    assert line.ledger.calls.count("hello") == MOST_ROUNDS


def test_records_no_longer_here_become_a_named_hole(line: Line) -> None:
    line.step()
    for _ in range(4):
        line.counter.sell(CARD, 100)
    journal = line.counter.parts.journal
    epoch = journal.head().epoch
    journal._connection.execute("DELETE FROM record WHERE seq IN (2, 3)")
    holes = []
    real = line.ledger._push
    line.ledger._push = lambda request: (holes.extend(request.holes), real(request))[1]
    assert line.step().done
    assert [(hole.first, hole.last) for hole in holes] == [(2, 3)]
    assert [h.record.seq for h in line.ledger.branches[epoch, 0]] == [1, 4, 5]


def test_a_stale_incarnation_at_push_says_hello_again(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)

    def restored(answer: object) -> object:
        line.ledger.restore(keep=1)
        return answer

    line.ledger.faults.append(restored)
    assert line.step().done
    assert line.ledger.posted() == line.ids()


def test_a_batch_too_large_is_halved(line: Line) -> None:
    line.step()
    for _ in range(40):
        line.counter.sell(None, 1)
    line.ledger.biggest_push = 7
    assert line.step().done
    assert line.ledger.posted() == line.ids()


def test_a_link_too_slow_for_a_large_push_carries_small_ones_and_grows_back(line: Line) -> None:
    line.step()
    for _ in range(90):
        line.counter.sell(None, 1)
    line.ledger.carries = 25
    assert [line.step().done for _ in range(2)] == [False, False]
    assert line.waiting() == 90
    while not line.step().done:
        pass
    assert (line.waiting(), line.ledger.posted()) == (0, line.ids())
    line.ledger.carries = 500
    for _ in range(200):
        line.counter.sell(None, 1)
    before = line.ledger.calls.count("push")
    assert line.step().done
    # What arrives makes the next push larger by an eighth.
    assert 200 / 45 < line.ledger.calls.count("push") - before < 200 / 20


def test_quarantined_and_flagged_sales_are_acknowledged_and_told(line: Line) -> None:
    line.step()
    line.ledger.quarantine = lambda r: "BAD_SCHEMA" if r.receipt_no == "DE71-000002" else None
    line.ledger.flag = lambda r: 1 << list(ExceptionKind).index(ExceptionKind.OVERDRAFT) if r.seq == 4 else 0
    for _ in range(3):
        line.counter.sell(CARD, 100)
    assert line.step().done
    assert line.waiting() == 0
    found = [(n.code, n.facts) for n in line.counter.parts.journal.notices()]
    assert found == [
        ("sale_quarantined", {"receipt": "DE71-000002", "reason": "BAD_SCHEMA"}),
        ("sale_flagged", {"receipt": "DE71-000003", "kinds": "OVERDRAFT"}),
    ]


def test_kinds_of_records_that_open_epochs_are_pushed_too(line: Line) -> None:
    line.step()
    [held] = line.ledger.branches[line.counter.parts.journal.head().epoch, 0]
    assert Record.from_payload(held.record.payload).kind is RecordKind.EPOCH_OPEN
