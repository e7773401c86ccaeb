"""Where a push belongs: appended, repeated, after a gap, into a hole, forked."""

from __future__ import annotations

from uuid import UUID

import pytest

from loyalty_desk.domain.record import SealedRecord
from loyalty_desk.wire.v1.sync import Hole
from server.ledger.branching import Branch, Gap, Placement, place
from server.ledger.intake import Incoming
from tests.server.fake_till import FakeTill

NETWORK, STORE = UUID(int=1), UUID(int=2)


@pytest.fixture
def till() -> FakeTill:
    till = FakeTill(NETWORK, STORE)
    till.open_epoch()
    for _ in range(9):
        till.sale()
    return till


def incoming(records: list[SealedRecord]) -> list[Incoming]:
    return [Incoming(one.seq, one.id, one.prev, one.hash, one.payload, None, None) for one in records]


def branch(records: list[SealedRecord], number: int = 0) -> Branch:
    head = records[-1]
    return Branch(number, head.seq, head.hash, {one.seq: one.hash for one in records})


def seqs(placed: Placement | Gap) -> list[int]:
    assert isinstance(placed, Placement)
    return [one.seq for one in placed.fresh]


def test_the_first_push_opens_the_epoch(till: FakeTill) -> None:
    placed = place(incoming(till.journal), [], ())
    assert isinstance(placed, Placement)
    assert (placed.branch, placed.opens, placed.forked) == (0, True, False)
    assert seqs(placed) == list(range(1, 11))


def test_a_first_push_from_the_middle_is_a_gap(till: FakeTill) -> None:
    assert place(incoming(till.journal[4:]), [], ()) == Gap(1)


def test_it_appends_repeats_and_overlaps(till: FakeTill) -> None:
    held = [branch(till.journal[:6])]
    assert seqs(place(incoming(till.journal[6:]), held, ())) == [7, 8, 9, 10]
    assert seqs(place(incoming(till.journal[:6]), held, ())) == []
    assert seqs(place(incoming(till.journal[3:8]), held, ())) == [7, 8]


def test_a_gap_names_what_is_expected_and_a_hole_closes_it(till: FakeTill) -> None:
    held = [branch(till.journal[:4])]
    assert place(incoming(till.journal[6:]), held, ()) == Gap(5)
    assert place(incoming(till.journal[6:]), held, [Hole(6, 6, "lost")]) == Gap(5)
    placed = place(incoming(till.journal[6:]), held, [Hole(3, 6, "lost")])
    assert seqs(placed) == [7, 8, 9, 10]
    assert isinstance(placed, Placement)
    assert placed.holes == (Hole(5, 6, "lost"),)


def test_records_of_a_hole_may_still_come(till: FakeTill) -> None:
    known = till.journal[:4] + till.journal[6:]
    assert seqs(place(incoming(till.journal[4:6]), [branch(known)], ())) == [5, 6]


def test_a_rewound_till_opens_a_branch_from_the_fork_point_on(till: FakeTill) -> None:
    first = [branch(list(till.journal))]
    till.rewind(6)
    for _ in range(3):
        till.sale()
    placed = place(incoming(till.journal[4:]), first, ())
    assert isinstance(placed, Placement)
    assert (placed.branch, placed.opens, placed.forked) == (1, True, True)
    assert seqs(placed) == [7, 8, 9]
    both = [*first, branch(till.journal[6:], 1)]
    again = place(incoming(till.journal[4:]), both, ())
    assert isinstance(again, Placement)
    assert (again.branch, again.opens, again.forked, again.fresh) == (1, False, True, ())


def test_a_fork_seen_at_the_head_alone_is_a_fork(till: FakeTill) -> None:
    held = [branch(list(till.journal))]
    till.rewind(6)
    for _ in range(6):
        till.sale()
    placed = place(incoming(till.journal[10:]), held, ())
    assert isinstance(placed, Placement)
    assert (placed.branch, seqs(placed)) == (1, [11, 12])


def test_a_piece_from_before_a_fork_is_not_put_on_the_fork(till: FakeTill) -> None:
    first = branch(list(till.journal))
    kept = list(till.journal)
    till.rewind(6)
    till.sale()
    fork = Branch(1, 7, till.journal[-1].hash, {7: till.journal[-1].hash}, first=7)
    till.journal[:] = kept
    till.rewind(2)
    for _ in range(3):
        till.sale()
    placed = place(incoming(till.journal[2:]), [first, fork], ())
    assert isinstance(placed, Placement)
    assert (placed.branch, placed.opens, seqs(placed)) == (2, True, [3, 4, 5])
    assert place(incoming(till.journal[3:]), [first, fork], ()) == Placement(
        2, opens=True, forked=True, fresh=tuple(incoming(till.journal[3:])), holes=()
    )


def test_a_piece_that_its_successor_is_not_chained_to_does_not_close_a_hole(till: FakeTill) -> None:
    kept = list(till.journal)
    head = kept[-1]
    around = {one.seq: one.hash for one in (*kept[:3], *kept[5:])}
    held = Branch(0, head.seq, head.hash, around, next_prev=kept[5].prev)
    assert seqs(place(incoming(kept[3:5]), [held], ())) == [4, 5]
    till.rewind(3)
    till.sale()
    till.sale()
    placed = place(incoming(till.journal[3:5]), [held], ())
    assert isinstance(placed, Placement)
    assert (placed.branch, placed.opens) == (1, True)
