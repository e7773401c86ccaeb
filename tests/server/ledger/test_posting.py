"""What a sale does to the ledger, planned in memory."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.record import ExceptionKind, Record, RecordKind, SealedRecord, Totals
from server.ledger.lots import Holdings
from server.ledger.posting import (
    LIABILITY,
    PROMO_COST,
    SUSPENSE,
    AccountKey,
    AccountKind,
    Claim,
    Fact,
    GuestState,
    Leg,
    Plan,
    Terms,
    continuity,
    earned_parts,
    legs,
    plan,
)
from tests.server.fake_till import FakeTill

GUEST = UUID(int=7)
HOLDER = AccountKey(AccountKind.GUEST, GUEST)


def make_till() -> FakeTill:
    till = FakeTill(UUID(int=1), UUID(int=2))
    till.open_epoch()
    return till


def fact(sealed: SealedRecord, guest: UUID | None = GUEST, *, unknown: bool = False, clock_off: bool = False) -> Fact:
    record = Record.from_payload(sealed.payload)
    return Fact(record, guest, unknown, record.occurred_at, clock_off)


def planned(facts: list[Fact], held: Holdings, state: GuestState) -> Plan:
    return plan(facts, {GUEST: held}, {GUEST: state}, lambda _, at: Terms(at + 1_000), lambda one: f"T{one.visits}")


def test_earning_and_redeeming_have_their_counterparts() -> None:
    record = fact(make_till().sale(GUEST, earned=5, redeemed=3)).record
    assert legs(record, GUEST) == (Leg(HOLDER, -3), Leg(LIABILITY, 3), Leg(PROMO_COST, -5), Leg(HOLDER, 5))
    assert legs(record, None) == (Leg(SUSPENSE, -3), Leg(LIABILITY, 3), Leg(PROMO_COST, -5), Leg(SUSPENSE, 5))


def test_an_anonymous_sale_and_a_shift_have_none() -> None:
    till = make_till()
    assert legs(fact(till.sale()).record, None) == ()
    assert legs(fact(till.write(RecordKind.SHIFT_OPEN)).record, None) == ()


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), max_size=8))
def test_every_plan_balances(moves: list[tuple[int, int]]) -> None:
    till, held, state = make_till(), Holdings(), GuestState()
    facts = [fact(till.sale(GUEST, earned=earned, redeemed=redeemed)) for earned, redeemed in moves]
    made = planned(facts, held, state)
    assert all(sum(leg.amount for leg in one.legs) == 0 for one in made.posted)
    assert sum(made.moved.values()) == 0
    assert made.moved.get(HOLDER, 0) == held.posted == sum(earned - redeemed for earned, redeemed in moves)
    assert state.visits == len(moves)


def test_overdraft_is_flagged_with_what_is_owed_and_the_next_earning_repays() -> None:
    till, held = make_till(), Holdings()
    made = planned(
        [fact(till.sale(GUEST, earned=100)), fact(till.sale(GUEST, redeemed=130)), fact(till.sale(GUEST, earned=50))],
        held,
        GuestState(),
    )
    assert [[one.kind for one in posted.raised] for posted in made.posted] == [[], [ExceptionKind.OVERDRAFT], []]
    assert made.posted[1].raised[0].details == {"points": 30}
    assert made.posted[1].flags == 1
    assert (held.debt, held.posted) == (0, 20)


def test_a_sale_moves_the_guest_and_an_unknown_one_is_flagged() -> None:
    till, state = make_till(), GuestState(first_visit="2026-05-05")
    made = planned(
        [fact(till.sale(GUEST, total=700)), fact(till.sale(UUID(int=9), earned=1), None, unknown=True)],
        Holdings(),
        state,
    )
    assert state == GuestState("T1", 700, 1, "2026-03-02", 0)
    assert [one.kind for one in made.posted[1].raised] == [ExceptionKind.UNKNOWN_GUEST]
    assert made.moved[SUSPENSE] == 1


def test_a_clock_far_off_is_flagged() -> None:
    made = planned([fact(make_till().sale(GUEST), clock_off=True)], Holdings(), GuestState())
    assert [one.kind for one in made.posted[0].raised] == [ExceptionKind.CLOCK]


DAY = 86_400_000


def own(*parts: tuple[int, int]) -> dict[str, Json]:
    return {"own_expiry": [{"rule": "bonus", "points": points, "days": days} for points, days in parts]}


def test_points_with_days_of_their_own_are_lots_of_their_own() -> None:
    till, held = make_till(), Holdings()
    one = fact(till.sale(GUEST, earned=100, redeemed=10, check=own((30, 1), (20, 10))))
    made = planned([one], held, GuestState())
    assert [leg.amount for leg in made.posted[0].legs] == [-10, 10, -50, 50, -30, 30, -20, 20]
    assert sum(made.moved.values()) == 0
    at = one.effective_at
    # The first part repays what this check overspent; N days end with that day, of the network's zone.
    assert [(lot.amount, lot.remaining, lot.own_expiry) for lot in held.lots] == [
        (50, 40, False),
        (30, 30, True),
        (20, 20, True),
    ]
    ends = [lot.expires_at for lot in held.lots]
    midnight = at - at % DAY
    assert ends == [at + 1_000, midnight + 2 * DAY, midnight + 11 * DAY]
    assert len({lot.id for lot in held.lots}) == 3


def test_points_that_waited_for_their_guest_keep_their_own_days() -> None:
    till, held = make_till(), Holdings()
    one = fact(till.sale(GUEST, earned=100, redeemed=10, check=own((30, 1), (20, 10))), None, unknown=True)
    waited = tuple(leg.amount for leg in legs(one.record, None) if leg.account == SUSPENSE)
    claim = Fact(one.record, GUEST, unknown_guest=False, effective_at=one.effective_at, clock_off=False,
                 claim=Claim(one.record.id, waited))  # fmt: skip
    made = planned([claim], held, GuestState())
    assert (made.moved[HOLDER], made.moved[SUSPENSE]) == (90, -90)
    midnight = one.effective_at - one.effective_at % DAY
    assert [(lot.amount, lot.remaining, lot.expires_at, lot.own_expiry) for lot in held.lots] == [
        (50, 40, one.effective_at + 1_000, False),
        (30, 30, midnight + 2 * DAY, True),
        (20, 20, midnight + 11 * DAY, True),
    ]


@given(
    st.integers(0, 200),
    st.lists(st.tuples(st.integers(-5, 150), st.integers(-1, 50_000)), max_size=4),
    st.integers(0, 250),
)
def test_parts_of_what_was_earned_never_exceed_it(earned: int, parts: list[tuple[int, int]], held: int) -> None:
    till, holdings = make_till(), Holdings()
    one = fact(till.sale(GUEST, earned=earned, check=own(*parts)))
    assert sum(points for points, _ in earned_parts(one.record)) == earned
    assert all(points > 0 for points, _ in earned_parts(one.record))
    waits = min(held, earned)
    made = plan([one], {GUEST: holdings}, {GUEST: GuestState()}, lambda *_: Terms(), lambda _: "", lambda _: waits)
    assert sum(leg.amount for leg in made.posted[0].legs) == 0
    assert made.moved.get(HOLDER, 0) == earned
    assert sum(lot.amount for lot in holdings.lots) == earned - waits
    assert sum(lot.amount for lot in holdings.waiting) == waits


def test_running_totals_that_jump_say_what_is_missing() -> None:
    till = make_till()
    till.sale(GUEST, earned=5)
    lost = till.totals
    till.sale(GUEST, earned=7, redeemed=2)
    record = Record.from_payload(till.sale(GUEST, earned=1).payload)
    assert continuity(record, Totals(3, 12, 2)) is None
    hole = continuity(record, lost)
    assert hole is not None
    assert hole.details == {"records": 1, "earned": 7, "redeemed": 2}
