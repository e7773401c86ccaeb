"""Where a push belongs in the life of a till's journal: appended, seen before, after a gap, or forked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loyalty_desk.wire.v1.sync import Hole
from server.ledger.intake import Incoming


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of records of an epoch as the server holds it; branch 0 is the one seen first.

    `held` maps the sequence numbers around the push to the hashes held in this branch, quarantined ones included.
    `first` is where it parts from the others (1: it is the line itself), `next_prev` what the record behind the push
    is chained to, where this branch holds that one.
    """

    number: int
    head_seq: int
    head_hash: bytes
    held: Mapping[int, bytes]
    first: int = 1
    next_prev: bytes | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Records before the push are missing."""

    expected_seq: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the push goes. `fresh` are the records that no branch holds; `holes` those newly declared.

    `opens` says that the branch begins with this push, `forked` that the epoch has more than one line of records.
    """

    branch: int
    opens: bool
    forked: bool
    fresh: tuple[Incoming, ...]
    holes: tuple[Hole, ...]


def place(incoming: Sequence[Incoming], branches: Sequence[Branch], holes: Sequence[Hole]) -> Placement | Gap:
    """Return the branch that the records continue or repeat, a new one where they contradict all, or the gap."""
    first = incoming[0]
    if not branches:
        open_holes = _holes_after(0, first.seq, holes)
        if open_holes is None:
            return Gap(1)
        return Placement(0, opens=True, forked=False, fresh=tuple(incoming), holes=open_holes)
    fresh = tuple(one for one in incoming if all(branch.held.get(one.seq) != one.hash for branch in branches))
    agreeing = [branch for branch in branches if _agrees(branch, incoming, branches)]
    for branch in sorted(agreeing, key=lambda one: (-_overlap(one, incoming), one.number)):
        open_holes = _holes_after(branch.head_seq, first.seq, holes)
        if open_holes is not None:
            return Placement(branch.number, opens=False, forked=branch.number > 0, fresh=fresh, holes=open_holes)
    if agreeing:
        return Gap(min(agreeing, key=lambda one: one.number).head_seq + 1)
    number = max(branch.number for branch in branches) + 1
    return Placement(number, opens=True, forked=True, fresh=fresh, holes=())


def _agrees(branch: Branch, incoming: Sequence[Incoming], branches: Sequence[Branch]) -> bool:
    """Return whether the records can stand in this branch: nothing it holds, or parted from, says otherwise."""
    first, last = incoming[0], incoming[-1]
    before = branch.head_hash if first.seq == branch.head_seq + 1 else branch.held.get(first.seq - 1)
    if before is None and 1 < first.seq <= branch.first:
        # The record before it is of the line that this branch parted from.
        shared = _of_ancestors(branch, first.seq - 1, branches)
        if shared and first.prev not in shared:
            return False
    if before is not None and before != first.prev:
        return False
    if branch.next_prev is not None and branch.next_prev != last.hash:
        return False
    for one in incoming:
        # Below its first record a branch has none of its own: what it shares there is held by the others.
        if one.seq < branch.first and one.hash not in _of_ancestors(branch, one.seq, branches):
            return False
        if branch.held.get(one.seq, one.hash) != one.hash:
            return False
    return True


def _of_ancestors(branch: Branch, seq: int, branches: Sequence[Branch]) -> set[bytes]:
    return {one.held[seq] for one in branches if one.number < branch.number and seq in one.held}


def _overlap(branch: Branch, incoming: Sequence[Incoming]) -> int:
    return sum(one.seq in branch.held for one in incoming) + (incoming[0].prev == branch.head_hash)


def _holes_after(head_seq: int, from_seq: int, holes: Sequence[Hole]) -> tuple[Hole, ...] | None:
    """Return the holes that explain `head_seq` + 1 to `from_seq` - 1, clipped to it, or None where they do not."""
    explained: list[Hole] = []
    reached = head_seq
    for hole in sorted(holes, key=lambda one: one.first):
        if hole.last > reached and hole.first <= reached + 1:
            explained.append(Hole(reached + 1, min(hole.last, from_seq - 1), hole.reason))
            reached = explained[-1].last
    return tuple(explained) if reached >= from_seq - 1 else None
