"""Scenarios told in the deterministic simulation: the real protocol of both sides, everything around it played."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from random import Random
from uuid import UUID

import pytest

from loyalty_desk.domain.record import SealedRecord
from loyalty_desk.services.ports.server import NoAnswer
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.rows import ProfileRow
from loyalty_desk.wire.v1.sync import PushedRecord, PushRequest
from server.kit.errors import ApiError
from server.ledger.posting import AccountKey, AccountKind
from tests.scenarios.counts import count
from tests.simulation.faults import Fault, Plan
from tests.simulation.keys import signatures
from tests.simulation.memory_journal import Medium, MemoryWitness
from tests.simulation.oracle import Verdict, judge
from tests.simulation.run import play
from tests.simulation.sim_till import SimTill
from tests.simulation.world import NETWORK, World

type Make = Callable[..., World]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make quiet worlds, level at the start: what goes wrong in them is what the test does."""
    made: list[World] = []

    def world(
        tills: int = 1, guests: int = 1, *, points: int = 0, seed: int = 1, faults: Sequence[Fault] = ()
    ) -> World:
        one = World(seed, Plan(tills, guests, steps=0, trouble=0, faults=frozenset(faults)))
        one.calm = True
        made.append(one)
        for till in one.tills:
            level(one, till)
        if points:
            for handle in one.handles:
                sell(one, one.tills[0], earned=points, handle=handle)
            for till in [one.tills[0], *one.tills]:
                level(one, till)
        return one

    with signatures(real=False):
        yield world
        for one in made:
            one.server.close()


def sell(
    world: World, till: SimTill, *, earned: int = 0, wanted: int = 0, handle: int | None = None, total: int = 100_000
) -> SealedRecord:
    """Sell to a guest with a card, a minute later."""
    world.now_ms += 60_000
    card = till.card(world.handles[0] if handle is None else handle)
    return till.sell(card, total, earned, wanted)


def level(world: World, till: SimTill) -> None:
    """Sync until the till is level."""
    world.now_ms += 1_000
    for _ in range(5):
        outcome = till.sync()
        if outcome.done and not till.journal.waiting().count:
            return
    raise AssertionError(f"{till.name} does not get level: {outcome}")


def ended(world: World) -> Verdict:
    """Bring everything to rest and judge it; anything lost, doubled or against an invariant is an error here."""
    world.settle()
    verdict = judge(world)
    assert verdict.good, verdict
    return verdict


def fail_over(world: World, records: int) -> None:
    """Put the server back to the state before its last records came, however many commits that is."""
    history = world.server.history
    wanted = len(history[-1].txs) - records
    world.server.put_back(next(n for n in range(len(history)) if len(history[-1 - n].txs) <= wanted), told=True)


def kinds(world: World) -> list[str]:
    """Return the kinds of the exceptions raised."""
    return sorted(str(kind) for kind, _ in world.server.tables.exceptions)


def balance(world: World, number: int = 0) -> int:
    """Return what the ledger has posted for a guest."""
    tables = world.server.tables
    found = tables.account_ids.get(AccountKey(AccountKind.GUEST, world.guests[number][0]))
    return 0 if found is None else tables.accounts[found].posted


def redeemed(till: SimTill) -> int:
    """Return what the till's own journal says was redeemed there."""
    return sum(row.effect.redeemed for row in till.disk.journal.effects.values())


def all_good(faults: Sequence[Fault], seeds: range, *, tills: int = 3) -> None:
    """Play seeds with some faults alone."""
    for seed in seeds:
        verdict = play(seed, Plan(tills, guests=2, steps=50, trouble=0.4, faults=frozenset(faults)))
        assert verdict.good, verdict


@pytest.mark.parametrize("seed", range(4))
def test_batches_in_any_order_end_in_contiguous_heads(make: Make, seed: int) -> None:
    world, random, gaps = make(tills=3), Random(seed), 0
    life = world.server.tables.life
    assert life is not None
    waiting: list[tuple[SimTill, list[SealedRecord]]] = []
    for till in world.tills:
        acked = till.journal.head().seq
        for _ in range(count(24, 120)):
            sell(world, till, earned=3)
        head = till.journal.head()
        records = till.journal.records(head.epoch, acked + 1, 1_000)
        waiting += [(till, records[at : at + 5]) for at in range(0, len(records), 5)]
    while waiting:
        # Two under way, the later one first as often as not; one of them may be a copy of what has arrived before.
        for till, batch in random.sample(waiting, min(2, len(waiting))):
            request = PushRequest(
                NETWORK,
                till.identity.device,
                life,
                batch[0].epoch,
                batch[0].seq,
                [PushedRecord(one.seq, one.id, one.prev, one.hash, one.payload) for one in batch],
                batch[-1].sig,
            )
            try:
                world.server.serve("push", till.identity.device, codec.encode(request))
            except ApiError as error:
                assert error.answer.code == ErrorCode.GAP
                gaps += 1
                continue
            if random.random() < 0.8:
                waiting.remove((till, batch))
    assert gaps > len(world.tills)
    verdict = ended(world)
    assert verdict.gone == 0
    for till in world.tills:
        head = till.journal.head()
        assert world.server.tables.epochs[till.identity.device, head.epoch, 0].head_seq == head.seq
        assert world.server.tables.epochs[till.identity.device, head.epoch, 0].count == head.seq


def test_a_journal_that_went_back_begins_a_new_epoch_and_counts_what_is_lost(make: Make) -> None:
    world = make()
    (till,) = world.tills
    for _ in range(5):
        sell(world, till, earned=10)
    old = till.disk.journal.copy()
    for _ in range(6):
        sell(world, till, earned=10)
    level(world, till)
    for _ in range(4):
        sell(world, till, earned=10)
    pushed, before = set(world.server.tables.txs), till.journal.head()
    till.disk.journal = old
    world._rewind(till)
    # The new epoch is there before the first sale, and the till can say what is missing: the witness trails by one.
    assert till.journal.head().epoch != before.epoch
    (told,) = [one.facts for one in till.journal.notices() if one.code == "journal_rolled_back"]
    assert told["records"] in (9, 10)
    assert told["earned"] in (90, 100)
    sell(world, till, earned=7)
    verdict = ended(world)
    assert verdict.gone == 4
    assert pushed <= set(world.server.tables.txs)
    device = till.identity.device
    assert {epoch for owner, epoch, _ in world.server.tables.epochs if owner == device} >= {
        before.epoch,
        till.journal.head().epoch,
    }
    assert balance(world) == 117
    all_good([Fault.ROLLBACK, Fault.DISK_LIES], range(1, 1 + count(10, 300)))


def test_an_image_put_back_forks_and_loses_nothing(make: Make) -> None:
    world = make()
    (till,) = world.tills
    for _ in range(3):
        sell(world, till, earned=1)
    image = till.disk.copy()
    for _ in range(3):
        sell(world, till, earned=10)
    level(world, till)
    epoch = till.journal.head().epoch
    till.disk.journal, till.disk.witness, till.disk.cache = image.journal, image.witness, image.cache
    world._rewind(till, noticeable=False)
    assert till.journal.head().epoch == epoch, "nothing on this machine can tell"
    for _ in range(3):
        sell(world, till, earned=100)
    assert not till.sync().done or till.journal.head().epoch != epoch
    verdict = ended(world)
    assert (verdict.gone, balance(world)) == (0, 333)
    assert "FORK" in kinds(world)
    assert till.journal.head().epoch != epoch
    assert {branch for _, one, branch in world.server.tables.epochs if one == epoch} == {0, 1}
    all_good([Fault.ROLLBACK_UNSEEN], range(1, 1 + count(10, 300)))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_return_that_comes_before_its_sale_waits_for_it(make: Make, order: Sequence[int]) -> None:
    world = make(tills=3)
    seller, other, third = world.tills
    sale = sell(world, seller, earned=200)
    sell(world, seller, earned=50)
    other.give_back(sale)
    sell(world, other, earned=7)
    sell(world, third, earned=1)
    for number in order:
        world.now_ms += 1_000
        assert world.tills[number].sync().done
        waits = [one.reason for one in world.server.tables.quarantine.values() if one.state == "waiting_dependency"]
        has_come = sale.id in world.server.tables.txs
        assert waits == (["WAITING_DEP"] if world.tills[1].journal.waiting().count == 0 and not has_come else [])
    assert (balance(world), kinds(world)) == (58, [])
    verdict = ended(world)
    assert (verdict.gone, balance(world)) == (0, 58)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_one_sale_taken_back_by_two_tills_offline_costs_one_of_their_stores(make: Make, order: Sequence[int]) -> None:
    world = make(tills=3, points=500)
    sale = sell(world, world.tills[0], earned=20, wanted=60)
    assert redeemed(world.tills[0]) == 60
    refunds = [till.give_back(sale) for till in world.tills[1:]]
    for number in order:
        world.now_ms += 1_000
        assert world.tills[number].sync().done
    verdict = ended(world)
    # The guest has what there was before the sale: what came back is never more than it.
    assert (verdict.gone, balance(world)) == (0, 500)
    assert kinds(world) == ["EXCESS_RETURN"]
    tables = world.server.tables
    losses = {
        key.owner: tables.accounts[n].posted for key, n in tables.account_ids.items() if key.kind == "refund_loss"
    }
    # Which of the two stores bears it does not hang on who came first (INV-19).
    bears = max(zip(refunds, world.tills[1:], strict=True), key=lambda one: one[0].id)[1]
    assert losses == {bears.identity.store: 40}


def test_a_cloned_till_posts_both_lines(make: Make) -> None:
    world = make(faults=[Fault.CLONE])
    (till,) = world.tills
    sell(world, till, earned=1)
    level(world, till)
    world._clone(till)
    twin = world.tills[1]
    for _ in range(3):
        sell(world, till, earned=10)
        sell(world, twin, earned=100)
    for one in (till, twin, till, twin):
        one.sync()
    # So far the twin may be the same till, put back.
    assert world.server.tables.devices[till.identity.device].state == "active"
    sell(world, till, earned=1_000)
    till.sync()
    verdict = ended(world)
    assert (verdict.gone, balance(world)) == (0, 1_331)
    assert "FORK" in kinds(world)
    assert till.journal.head().epoch != twin.journal.head().epoch
    assert world.server.tables.devices[till.identity.device].state == "cloned"
    for one in (till, twin):
        assert one.sync().error == "till_suspended"
        assert "till_suspended" in {notice.code for notice in one.journal.notices()}
    all_good([Fault.CLONE], range(1, 1 + count(10, 300)), tills=2)


def test_a_till_put_back_and_a_failover_lose_what_is_on_no_medium_and_say_how_much(make: Make) -> None:
    world = make(tills=2)
    till, other = world.tills
    for _ in range(6):
        sell(world, till, earned=10)
        sell(world, other, earned=1)
    level(world, other)
    level(world, till)
    old = till.disk.journal.copy()
    for _ in range(4):
        sell(world, till, earned=100)
        level(world, till)
    fail_over(world, 4)
    till.disk.journal = old
    world._rewind(till)
    (told,) = [one.facts for one in till.journal.notices() if one.code == "journal_rolled_back"]
    assert told["records"] in (3, 4)
    sell(world, till, earned=10)
    verdict = ended(world)
    # Four sales are neither in the ledger that was put back nor in the journal that was: those and no others.
    assert (verdict.gone, balance(world)) == (4, 6 * 10 + 6 + 10)
    all_good([Fault.ROLLBACK_UNSEEN, Fault.ROLLBACK, Fault.FAILOVER, Fault.RESTORE], range(1, 1 + count(10, 300)))


def test_a_failover_without_the_last_30_batches_gets_them_again(make: Make) -> None:
    world = make(tills=2, guests=2)
    for number in range(40):
        for till in world.tills:
            sell(world, till, earned=number, handle=world.handles[number % 2])
            level(world, till)
    before, life = [balance(world, 0), balance(world, 1)], world.server.tables.life
    posted = set(world.server.tables.txs)
    fail_over(world, 30)
    assert len(world.server.tables.txs) <= len(posted) - 30
    verdict = ended(world)
    assert (verdict.gone, set(world.server.tables.txs)) == (0, posted)
    assert [balance(world, 0), balance(world, 1)] == before
    assert world.server.tables.life != life
    all_good([Fault.FAILOVER], range(1, 1 + count(10, 300)))


def test_two_tills_offline_redeem_the_same_points(make: Make) -> None:
    world = make(tills=2, points=100)
    for till in world.tills:
        sell(world, till, wanted=100)
        assert redeemed(till) == 100
    for till in world.tills:
        level(world, till)
    assert balance(world) == -100
    assert kinds(world).count("OVERDRAFT") == 1
    # The next earning repays what is owed before anything can be spent again.
    sell(world, world.tills[0], earned=130)
    ended(world)
    assert balance(world) == 30
    assert [row.remaining for row in world.server.tables.lots.values() if row.remaining] == [30]


@pytest.mark.parametrize("tills", range(1, 21))
def test_offline_redemption_stays_within_the_bound(make: Make, tills: int) -> None:
    """INV-14: what a guest may come to owe is N times the offline limit, less what is there."""
    profile, points = ProfileRow(), 150
    world = make(tills=tills, points=points)
    for _ in range(4):
        for till in world.tills:
            sell(world, till, wanted=1_000)
    code_limit = profile.cvm["ld1"]
    each = min(profile.split_sale_points, profile.upper_consecutive * min(profile.floor_points, code_limit))
    for till in world.tills:
        assert redeemed(till) <= each
    for till in world.tills:
        level(world, till)
    owed = max(0, -balance(world))
    assert owed <= max(0, tills * each - points)
    assert (owed > 0) == (tills > 1), "the bound is reached, or nothing was tried"
    ended(world)


def test_a_till_redeems_no_more_than_its_own_limit_whoever_comes(make: Make) -> None:
    world = make(guests=40, points=400)
    (till,) = world.tills
    for handle in world.handles * 3:
        sell(world, till, wanted=1_000, handle=handle)
    assert 4_000 < redeemed(till) <= ProfileRow().device_points
    ended(world)


def test_every_clock_wrong_all_the_time_loses_and_doubles_nothing() -> None:
    all_good([Fault.CLOCK, Fault.LOST_ANSWER], range(1, 1 + count(15, 500)))


def test_a_tail_removed_from_the_journal_is_counted(make: Make) -> None:
    """By hand, out of the database: ten that were never sent, and ten that the server has."""
    for sent in (False, True):
        world = make()
        (till,) = world.tills
        for _ in range(20):
            sell(world, till, earned=10)
        if sent:
            level(world, till)
        epoch, head = till.journal.head().epoch, till.journal.head().seq
        medium = till.disk.journal
        for seq in range(head - 9, head + 1):
            del medium.records[epoch, seq], medium.effects[epoch, seq]
        medium.acks[epoch] = min(medium.acks.get(epoch, 0), head - 10)
        world._rewind(till)
        (told,) = [one.facts for one in till.journal.notices() if one.code == "journal_rolled_back"]
        assert told["records"] in (9, 10)
        assert told["earned"] in (90, 100)
        sell(world, till, earned=1)
        verdict = ended(world)
        assert (verdict.gone, balance(world)) == ((0, 201) if sent else (10, 101))


def test_journal_and_witness_deleted_begin_anew_without_redemption(make: Make) -> None:
    world = make(points=100)
    (till,) = world.tills
    for _ in range(20):
        sell(world, till, earned=1)
    before = till.journal.head().epoch
    kept = till.disk.journal.meta
    till.disk.journal = Medium(world._uuid(), meta={key: kept[key] for key in ("keyset",)})
    till.disk.witness = MemoryWitness()
    world._rewind(till, noticeable=False)
    assert till.journal.head().epoch != before
    assert [one.code for one in till.journal.notices()] == ["journal_lost"]
    sell(world, till, wanted=50)
    assert redeemed(till) == 0, "nothing is redeemed before the till is level"
    level(world, till)
    sell(world, till, wanted=50)
    assert redeemed(till) == 50
    assert ended(world).gone == 20


def test_redemptions_stay_within_the_bound_while_no_pull_completes(make: Make) -> None:
    """A push alone resets no limit: the till has not seen what its own redemptions did."""
    world = make(points=1_000)
    (till,) = world.tills
    pull = till.client.pull

    def blocked(cursor: str | None, limit: int) -> None:
        raise NoAnswer("blocked")

    till.client.pull = blocked  # type: ignore[method-assign,assignment]
    for _ in range(10):
        sell(world, till, wanted=100)
        outcome = till.sync()
        assert not outcome.done
    assert not till.journal.waiting().count, "every record was acknowledged"
    assert redeemed(till) == ProfileRow().upper_consecutive * 100
    till.client.pull = pull  # type: ignore[method-assign]
    level(world, till)
    sell(world, till, wanted=100)
    assert redeemed(till) == (ProfileRow().upper_consecutive + 1) * 100
    ended(world)


def test_a_server_that_dies_before_its_commit_has_acknowledged_nothing(make: Make) -> None:
    world = make()
    (till,) = world.tills
    for _ in range(3):
        sell(world, till, earned=10)
    world.server.crash_before_commit = True
    assert not till.sync().done
    assert till.journal.waiting().count == 3
    level(world, till)
    ended(world)
    assert balance(world) == 30


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, ErrorCode.BAD_BODY),
        (401, ErrorCode.UNKNOWN_DEVICE),
        (403, ErrorCode.BAD_SIGNATURE),
        (404, ErrorCode.NOT_FOUND),
        (413, ErrorCode.TOO_LARGE),
    ],
)
def test_no_refusal_makes_a_till_give_up_a_record(make: Make, status: int, code: ErrorCode) -> None:
    world = make()
    (till,) = world.tills
    for _ in range(3):
        sell(world, till, earned=10)
    serve = world.server.serve

    def refuse(path: str, device: UUID, body: bytes) -> object:
        if path == "push":
            raise ApiError(status, code, "No.")
        return serve(path, device, body)

    world.server.serve = refuse  # type: ignore[method-assign]
    for _ in range(3):
        assert not till.sync().done
    world.server.serve = serve  # type: ignore[method-assign]
    assert till.journal.waiting().count == 3
    ended(world)
    assert balance(world) == 30


def test_an_answer_lost_before_25_hours_offline_doubles_nothing(make: Make) -> None:
    world = make()
    (till,) = world.tills
    for _ in range(3):
        sell(world, till, earned=10)
    push = till.client.push

    def lost(request: PushRequest) -> None:
        push(request)
        raise NoAnswer("lost on the way back")

    till.client.push = lost  # type: ignore[method-assign,assignment]
    assert not till.sync().done
    till.client.push = push  # type: ignore[method-assign]
    assert balance(world) == 30
    world.now_ms += 25 * 3_600_000
    sell(world, till, earned=10)
    ended(world)
    assert balance(world) == 40


def test_two_tills_offline_spend_lots_that_neither_has_named(make: Make) -> None:
    world = make(tills=2)
    for earned in (60, 140):
        sell(world, world.tills[0], earned=earned)
    for till in (world.tills[0], world.tills[1], world.tills[0]):
        level(world, till)
    for till in world.tills:
        sell(world, till, wanted=40)
        assert redeemed(till) == 40
    ended(world)
    tables = world.server.tables
    assert (balance(world), [lot.remaining for lot in tables.lots.values()]) == (120, [0, 120])
    assert not any(account.debt for account in tables.accounts.values())
    assert "OVERDRAFT" not in kinds(world)
