import random
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.record import ClockConfidence, ExceptionKind, Record, RecordKind
from loyalty_desk.services.ports.server import NotOurServer, ServerSaid
from loyalty_desk.services.sync import MOST_ROUNDS, SyncEngine, SyncOutcome
from loyalty_desk.wire.v1.sync import BlockIds, PushAnswer, PushRequest, ReconcileAnswer
from tests.loyalty_desk.services.fake_ledger import ROOT, FakeLedger
from tests.loyalty_desk.till_parts import (
    ANNA_CARD,
    ANNA_ROW,
    CARD,
    GUEST,
    IDENTITY,
    NETWORK,
    STAFF,
    Counter,
    make_counter,
    stored_program,
)  # fmt: skip

IDENTITY_HERE = replace(IDENTITY, root=ROOT.public_key().public_bytes_raw())


@dataclass
class Line:
    """A till and its ledger."""

    counter: Counter
    ledger: FakeLedger
    engine: SyncEngine

    def step(self) -> SyncOutcome:
        return self.engine.step()

    def waiting(self) -> int:
        return self.counter.parts.journal.waiting().count

    def points(self) -> int:
        return self.counter.checkout.identify(CARD).points

    def ids(self) -> list[UUID]:
        journal = self.counter.parts.journal
        return [r.id for e in journal.epochs() for r in journal.records(e.epoch, 1, 100_000)]

    def server_points(self) -> int:
        return self.ledger.rows["guest", str(GUEST)][1]["points"]

    def notices(self) -> list[str]:
        return [notice.code for notice in self.counter.parts.journal.notices()]

    def restarted(self) -> "Line":
        """Be the same till after its process has ended."""
        self.counter.parts.journal.close()
        self.counter.cache.close()
        counter = make_counter(self.counter.parts.folder, clock=self.counter.parts.clock)
        return Line(counter, self.ledger, make_engine(counter, self.ledger))


def make_engine(counter: Counter, ledger: FakeLedger, app: str = "0.1.0") -> SyncEngine:
    parts = counter.parts
    return SyncEngine(
        IDENTITY_HERE, parts.journal, counter.cache, ledger, parts.trusted, parts.recorder, random.Random(5), app=app
    )


def make_line(folder: Path) -> Line:
    ledger = FakeLedger(NETWORK)
    program = stored_program()
    ledger.put(
        "program",
        "current",
        {"version": 3, "hash": bytes_to_text(program.hash), "bytes": bytes_to_text(program.bytes)},
    )
    ledger.put(*STAFF)
    ledger.put("guest", str(GUEST), dict(ANNA_ROW))
    ledger.put(*ANNA_CARD)
    counter = make_counter(folder)
    counter.parts.journal.put("keyset", ledger.keyset(1))
    return Line(counter, ledger, make_engine(counter, ledger))


@pytest.fixture
def line(tmp_path: Path):
    made = make_line(tmp_path)
    yield made
    made.counter.parts.journal.close()
    made.counter.cache.close()


def test_the_first_step_brings_everything(line: Line) -> None:
    outcome = line.step()
    assert outcome == SyncOutcome(online=True, done=True, pushed=1, pulled=5)
    assert line.ledger.calls == ["hello", "push", "pull"]
    assert (line.waiting(), line.points()) == (0, 400)
    assert line.counter.parts.trusted.confidence() is ClockConfidence.GOOD
    assert line.counter.cashier.id() == "anna.k"
    assert line.counter.checkout.identify(CARD).allowance.max_points == 100
    line.counter.sell(CARD, 1_000, points=20)
    assert (line.waiting(), line.points()) == (1, 400 - 20 + 44)
    assert line.step() == SyncOutcome(online=True, done=True, pushed=1, pulled=1)
    assert (line.waiting(), line.points(), line.server_points()) == (0, 424, 424)
    assert line.step() == SyncOutcome(online=True, done=True)


@pytest.mark.parametrize("call", [0, 1, 2])
@pytest.mark.parametrize("fault", ["cut", "lost"])
def test_an_answer_cut_off_anywhere_loses_and_doubles_nothing(line: Line, call: int, fault: str) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.ledger.faults.extend([None] * call + [fault])
    outcome = line.step()
    assert (outcome.online, outcome.done, outcome.error) == (False, False, "server_silent")
    assert line.points() == 445
    assert line.step().done
    assert (line.points(), line.server_points(), line.waiting()) == (445, 445, 0)
    assert line.ledger.posted() == line.ids()


def of_another_life(answer: PushAnswer) -> PushAnswer:
    return msgspec.structs.replace(answer, incarnation=UUID(int=1))


def without_results(answer: PushAnswer) -> PushAnswer:
    return msgspec.structs.replace(answer, results=[])


def with_each_result_twice(answer: PushAnswer) -> PushAnswer:
    return msgspec.structs.replace(answer, results=answer.results * 2)


NOT_ANSWERS = [
    NotOurServer("a captive portal"),
    ServerSaid(500, "INTERNAL"),
    ServerSaid(503, "OUTAGE", retry_after=7),
    ServerSaid(429, "TOO_MANY", retry_after=9),
    ServerSaid(400, "BAD_BODY"),
    ServerSaid(401, "BAD_TOKEN"),
    ServerSaid(403, "BAD_SIGNATURE"),
    ServerSaid(404, "NOT_FOUND"),
    ServerSaid(409, "SOMETHING_NEW"),
    ServerSaid(410, "MUST_BOOTSTRAP"),
    of_another_life,
    without_results,
    with_each_result_twice,
]


@pytest.mark.parametrize("fault", NOT_ANSWERS, ids=lambda fault: getattr(fault, "__name__", str(fault)))
def test_no_answer_but_the_right_one_discards_a_record(line: Line, fault: object) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.ledger.faults.extend([None, fault])
    outcome = line.step()
    assert not outcome.done
    assert outcome.error
    assert line.waiting() == 1
    assert line.points() == 445
    if isinstance(fault, ServerSaid):
        assert (outcome.online, outcome.retry_after) == (True, fault.retry_after)
    assert line.step().done
    assert line.ledger.posted() == line.ids()


def test_a_hello_not_signed_by_the_network_is_nobody(line: Line) -> None:
    line.ledger.keys[1] = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x09")
    outcome = line.step()
    assert (outcome.online, outcome.error, outcome.pushed) == (False, "server_foreign", 0)
    assert line.counter.parts.trusted.confidence() is ClockConfidence.BAD


def test_a_replayed_hello_is_not_believed(line: Line) -> None:
    kept: list[object] = []

    def keep(answer: object) -> object:
        kept.append(answer)
        return answer

    line.ledger.faults.append(keep)
    line.step()
    line.ledger.faults.append(lambda _: kept[0])
    assert line.step().error == "server_foreign"


@pytest.mark.parametrize("tells", [True, False])
def test_a_younger_key_is_learned_first(line: Line, tells: bool) -> None:
    line.step()
    line.ledger.tells_key_set = tells
    line.counter.sell(CARD, 1_000)
    line.ledger.keys[2] = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x03")
    line.ledger.publish_keys(2)
    line.ledger.kid = 2
    assert line.step().done
    assert (line.waiting(), line.points()) == (0, 445)


def test_a_suspended_till_without_the_key_set_pushes_all_the_same(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.counter.parts.journal.put("keyset", None)
    line.ledger.keys[2] = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x03")
    line.ledger.publish_keys(2)
    line.ledger.kid, line.ledger.commands = 2, ["suspend"]
    assert line.step().error == "till_suspended"
    assert (line.waiting(), "pull" in line.ledger.calls[3:]) == (0, False)


def test_a_key_set_that_the_root_never_signed_is_said_aloud(line: Line) -> None:
    line.step()
    line.ledger.publish_keys(2)
    line.ledger.key_set = line.ledger.key_set | {"sig": bytes_to_text(bytes(64))}
    line.step()
    assert "keyset_refused" in {one.code for one in line.counter.parts.journal.notices()}


def test_a_key_that_the_root_never_signed_gets_nothing(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.ledger.keys[2] = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x03")
    line.ledger.kid = 2
    assert line.step().error == "server_foreign"
    assert line.waiting() == 1


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


def test_a_server_put_back_gets_what_it_lost_and_balances_hold(line: Line) -> None:
    line.ledger.put("profile", "default", {"tier_codes": ["ld1"], "cvm": {"ld1": 100}})
    line.step()
    for _ in range(4):
        line.counter.sell(CARD, 1_000)
    line.step()
    assert (line.points(), line.server_points()) == (580, 580)
    line.ledger.restore(keep=2)
    assert line.server_points() == 445
    line.counter.sell(CARD, 1_000)
    assert line.points() == 625
    assert line.step().done
    assert (line.points(), line.server_points()) == (625, 625)
    assert line.ledger.posted() == line.ids()


@pytest.mark.parametrize("call", range(4))
def test_the_way_into_a_new_life_may_be_cut_anywhere(line: Line, call: int) -> None:
    line.ledger.put("profile", "default", {"tier_codes": ["ld1"], "cvm": {"ld1": 100}})
    line.step()
    for _ in range(3):
        line.counter.sell(CARD, 1_000)
    line.step()
    line.ledger.restore(keep=2)
    line.ledger.faults.extend([None] * call + ["lost"])
    line.step()
    again = line.restarted()
    assert again.step().done
    assert (again.points(), again.server_points()) == (535, 535)
    assert again.ledger.posted() == again.ids()
    line.counter = again.counter


def test_a_stale_incarnation_at_push_says_hello_again(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)

    def restored(answer: object) -> object:
        line.ledger.restore(keep=1)
        return answer

    line.ledger.faults.append(restored)
    assert line.step().done
    assert line.ledger.posted() == line.ids()


def test_a_fork_is_stored_and_a_new_epoch_begins(line: Line, tmp_path: Path) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.step()
    # The same till put back from a copy without a witness sells under a seq the server knows otherwise.
    epoch = line.counter.parts.journal.head().epoch
    other = line.ledger.branches[epoch, 0][-1]
    line.counter.parts.journal.rewind(epoch, 1)
    foreign = Record.from_payload(other.record.payload)
    replaced = replace(foreign, id=UUID(int=foreign.id.int + 1))
    from loyalty_desk.domain.record import seal
    from tests.loyalty_desk.till_parts import DEVICE_KEY

    sealed = seal(replaced, other.record.prev, DEVICE_KEY)
    other.record = msgspec.structs.replace(other.record, id=sealed.id, hash=sealed.hash, payload=sealed.payload)
    line.counter.sell(CARD, 1_000)
    assert line.step().done
    epochs = line.counter.parts.journal.epochs()
    assert [e.epoch == epoch for e in epochs] == [True, False]
    assert line.waiting() == 0
    assert set(line.ids()) <= set(line.ledger.posted())
    assert line.points() == line.server_points()
    assert "till_forked" in line.notices()
    assert line.counter.checkout.identify(CARD).allowance.reason == "code_limit"


def test_the_server_may_ask_for_a_new_epoch_once(line: Line) -> None:
    line.step()
    line.ledger.commands = ["rotate_epoch"]
    assert line.step().done
    assert len(line.counter.parts.journal.epochs()) == 2
    line.ledger.commands = []
    assert line.step().done
    assert len(line.counter.parts.journal.epochs()) == 2


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


def test_pages_come_one_by_one_and_a_cut_resumes(line: Line) -> None:
    for n in range(30):
        line.ledger.put("guest", str(UUID(int=n + 1)), {"name": f"guest {n}", "points": n})
    line.ledger.page_rows = 7
    line.ledger.faults.extend([None, None, None, None, "cut"])
    assert line.step().error == "server_silent"
    state = line.counter.cache.state()
    assert (state.cursor, state.complete) == (14, False)
    assert line.step().done
    assert line.counter.cache.state().guests == 31
    assert line.ledger.calls.count("pull") == 3 + 3


def test_a_cache_that_differs_is_read_again_once_and_then_alarms(line: Line) -> None:
    line.step()
    line.counter.cache._writer.execute("UPDATE state SET digest = zeroblob(16)")
    line.counter.cache._state = line.counter.cache._read_state()
    assert line.step().done
    assert line.counter.cache.state().guests == 1
    line.ledger.wrong_digest = True
    assert line.step().error == "cache_mismatch"
    assert line.notices() == ["cache_mismatch"]


def test_a_feed_that_cannot_be_followed_is_read_from_the_beginning(line: Line) -> None:
    line.step()
    line.ledger.faults.extend([None, ServerSaid(410, "MUST_BOOTSTRAP")])
    assert line.step() == SyncOutcome(online=True, done=True, pulled=5)


def test_a_revoked_till_gives_up_the_data_and_keeps_the_facts(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.ledger.faults.extend([None, None, ServerSaid(403, "DEVICE_REVOKED")])
    assert line.step().error == "till_revoked"
    assert line.counter.cache.state().guests == 0
    assert len(line.ids()) == 2
    assert line.notices() == ["till_revoked"]


def test_an_error_before_a_proved_hello_takes_nothing_away(line: Line) -> None:
    line.step()
    line.ledger.faults.append(ServerSaid(403, "DEVICE_REVOKED"))
    outcome = line.step()
    assert (outcome.online, outcome.error) == (False, "server_foreign")
    assert (line.counter.cache.state().guests, line.notices()) == (1, [])


def test_a_signed_revocation_takes_the_data_after_the_facts_are_handed_over(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.ledger.commands = ["suspend", "revoke"]
    assert line.step().error == "till_revoked"
    assert (line.waiting(), line.counter.cache.state().guests, line.notices()) == (0, 0, ["till_revoked"])


def test_what_only_the_server_holds_is_told_once(line: Line) -> None:
    line.step()
    record = line.ledger.branches[next(iter(line.ledger.branches))][0]
    line.ledger.branches[77, 0] = [record]
    line.step()
    line.step()
    [notice] = line.counter.parts.journal.notices()
    assert (notice.code, notice.facts) == ("journal_behind_server", {"records": 1})


def test_a_server_that_lost_acknowledged_sales_gets_them_at_the_next_hello(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.step()
    for branch in line.ledger.branches.values():
        del branch[1:]
    assert line.step().done
    assert line.ledger.posted() == line.ids()


def test_a_suspended_till_hands_over_facts_and_gets_no_data(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    line.ledger.commands = ["suspend"]
    line.ledger.calls.clear()
    assert line.step().error == "till_suspended"
    assert (line.waiting(), line.ledger.calls) == (0, ["hello", "push"])


def test_an_old_program_still_hands_over_facts(line: Line) -> None:
    line.ledger.min_app = "0.2.0"
    assert line.step().error == "app_too_old"
    assert (line.waiting(), line.counter.cache.state().cursor) == (0, None)
    assert make_engine(line.counter, line.ledger, app="0.10.0").step().done


def test_a_program_that_is_not_what_it_says_is_not_put_in_force(line: Line) -> None:
    line.step()
    line.ledger.put("program", "current", {"version": 4, "hash": bytes_to_text(bytes(32)), "bytes": "e30"})
    assert line.step().done
    assert line.counter.parts.journal.program().version == 3
    assert line.notices() == ["program_refused"]


def test_redemption_waits_for_a_pull_after_its_push(line: Line) -> None:
    line.step()
    for _ in range(2):
        line.counter.sell(CARD, 1_000, points=10)
    line.ledger.faults.extend([None, None, "cut"])
    line.step()
    assert line.waiting() == 0
    assert line.counter.checkout.identify(CARD).allowance.reason == "upper_consecutive"
    line.step()
    assert line.counter.checkout.identify(CARD).allowance.reason == "code_limit"


def test_reconcile_runs_at_start_and_once_a_day(line: Line) -> None:
    line.step()
    again = line.restarted()
    again.step()
    again.step()
    assert again.ledger.calls.count("reconcile") == 1
    again.counter.parts.clock.advance(days=1, seconds=1)
    again.step()
    assert again.ledger.calls.count("reconcile") == 2
    line.counter = again.counter


def test_stopping_ends_between_requests(line: Line) -> None:
    asked = []

    def stopping() -> bool:
        asked.append(1)
        return bool(line.ledger.calls)

    assert not line.engine.step(stopping).done
    assert line.ledger.calls == ["hello"]
    assert line.waiting() == 1


MOVES = st.lists(
    st.sampled_from(["sell", "redeem", "step", "cut", "lost", "restore", "wipe", "restart", "day", "office"]),
    max_size=25,
)


@settings(max_examples=40)
@given(moves=MOVES, seed=st.integers(0, 10_000))
def test_the_balance_is_right_at_every_step_whatever_happens(tmp_path_factory, moves: list[str], seed: int) -> None:
    """INV-4 and INV-23: what is shown = what the office gave + every own sale, once; at the end all of it is posted."""
    line = make_line(tmp_path_factory.mktemp("till"))
    chance = random.Random(seed)
    line.step()
    truth = 400
    for move in moves:
        match move:
            case "sell":
                truth += line.counter.sell(CARD, 1_000).quote.earned_points
            case "redeem":
                card = line.counter.checkout.identify(CARD)
                points = min(10, card.allowance.max_points)
                done = line.counter.sell(CARD, 1_000, points=points)
                truth += done.quote.earned_points - done.quote.redeemed_points
            case "step":
                line.step()
            case "cut" | "lost":
                line.ledger.faults.extend([None] * chance.randrange(5) + [move])
                line.step()
                line.ledger.faults.clear()
            case "restore":
                line.ledger.restore(keep=chance.randrange(1, 4))
            case "wipe":
                line.counter.cache.wipe(line.counter.cache.state().incarnation)
            case "restart":
                line = line.restarted()
            case "day":
                line.counter.parts.clock.advance(days=1)
                line.ledger.server_time += 86_400_000
            case "office":
                row = line.ledger.rows["guest", str(GUEST)][1]
                line.ledger.put("guest", str(GUEST), {**row, "points": row["points"] + 7})
                truth += 7
                line.step()
        card = line.counter.checkout.identify(CARD)
        if card.guest_id is not None:
            assert card.points == truth, move
    while not line.step().done:
        pass
    assert line.points() == line.server_points() == truth
    assert line.ledger.posted() == line.ids()
    line.counter.parts.journal.close()
    line.counter.cache.close()


def test_kinds_of_records_that_open_epochs_are_pushed_too(line: Line) -> None:
    line.step()
    [held] = line.ledger.branches[line.counter.parts.journal.head().epoch, 0]
    assert Record.from_payload(held.record.payload).kind is RecordKind.EPOCH_OPEN
