"""A guest's points as lots: what came when, what it was spent on, what is dead, owed or held.

All points are smallest point units, all times aware. Every movement is an entry with an id of its own; the same id a
second time changes nothing and returns the first entry. At all times `balance` is the sum of the entries, and lots with
points left and a debt never stand side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.lots import Activity, drawn, is_live, is_spendable, next_expiries, spending_order

RETURNED_LIVE = timedelta(days=30)
_FREE, _REMAINING = attrgetter("free"), attrgetter("remaining")


class EntryKind(StrEnum):
    """What moved the points."""

    CREDIT = "credit"
    DEBIT = "debit"
    EXPIRE = "expire"
    REVERSE = "reverse"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Lot:
    """Points that came together: `amount` then, `remaining` now (of which `held`); dead from `expires_at` on.

    `usable_at` is None where they can be spent at once. An end of its `own` is not the policy's: no check moves it.
    """

    id: str
    amount: int
    remaining: int
    earned_at: datetime
    expires_at: datetime | None = None
    usable_at: datetime | None = None
    held: int = 0
    own_expiry: bool = False

    @property
    def free(self) -> int:
        """Return the points left that no hold keeps."""
        return self.remaining - self.held

    def is_live(self, at: datetime) -> bool:
        """Return whether the lot is alive at `at`; its expiry instant is already too late."""
        return is_live(self, at)

    def spendable(self, at: datetime) -> int:
        """Return the points of the lot that can be spent at `at`."""
        return self.free if is_spendable(self, at) else 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement: `points` with their sign, from or to which lots; `of` names the entry it reverses or returns."""

    id: str
    kind: EntryKind
    points: int
    at: datetime
    lots: tuple[tuple[str, int], ...] = ()
    of: str = ""


@dataclass(slots=True)
class PointsLedger:
    """The lots, debt and entries of one guest, to be moved by the methods below."""

    lots: dict[str, Lot] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    holds: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    _owed: dict[str, int] = field(default_factory=dict)
    _sources: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    _activity: Activity[datetime] = field(default_factory=Activity)

    @property
    def debt(self) -> int:
        """Return the points spent beyond all lots and not repaid by a later credit."""
        return sum(self._owed.values())

    @property
    def balance(self) -> int:
        """Return all points, dead ones that no job has expired yet included; negative where more was spent than had."""
        return sum(lot.remaining for lot in self.lots.values()) - self.debt

    @property
    def open_lots(self) -> list[Lot]:
        """Return the lots with points left, in the order in which they are spent."""
        return sorted((lot for lot in self.lots.values() if lot.remaining), key=_spending_order)

    def available(self, at: datetime) -> int:
        """Return the points that could be spent at `at`: alive, usable and not held; negative where some are owed."""
        return sum(lot.spendable(at) for lot in self.lots.values()) - self.debt

    def expiring_by(self, at: datetime) -> int:
        """Return the points that will be dead at `at` if nobody spends them, held ones left out."""
        return sum(lot.free for lot in self.lots.values() if not lot.is_live(at))

    def next_expiries(self, at: datetime, count: int = 3) -> list[tuple[datetime, int]]:
        """Return the next instants after `at` at which points die, with how many, soonest first."""
        return next_expiries(self.lots.values(), at, count)

    def credit(
        self,
        entry_id: str,
        points: int,
        at: datetime,
        *,
        expires_at: datetime | None = None,
        usable_at: datetime | None = None,
        own_expiry: bool = False,
    ) -> Entry:
        """Add a lot of `points`, named as the entry; a debt eats of it first. Raises `BadInput` below zero.

        Paid checks known already lengthen its life (see `restart`) unless its end is its own.
        """
        known = self.entries.get(entry_id)
        if known is not None:
            return known
        _natural(points)
        ends = self._ends(expires_at, own_expiry=own_expiry)
        self.lots[entry_id] = Lot(entry_id, points, 0, at, ends, usable_at, own_expiry=own_expiry)
        self._land(entry_id, points)
        return self._note(Entry(entry_id, EntryKind.CREDIT, points, at, ((entry_id, points),)))

    def debit(self, entry_id: str, points: int, at: datetime) -> Entry:
        """Take `points`, earliest expiry first; what no lot covers is owed. Raises `BadInput` below zero.

        `at` decides which lots were alive, so a sale dated before a lot's end still pays with it. Held points, and dead
        ones that no job has expired yet, go last: a debt must not stand beside them.
        """
        known = self.entries.get(entry_id)
        if known is not None:
            return known
        _natural(points)
        return self._note(Entry(entry_id, EntryKind.DEBIT, -points, at, self._take(entry_id, points, at)))

    def redeem(self, entry_id: str, points: int, at: datetime) -> Entry:
        """Take as much of `points` as is available at `at`."""
        return self.debit(entry_id, max(0, min(points, self.available(at))), at)

    def hold(self, hold_id: str, points: int, at: datetime) -> int:
        """Set points aside and return how many; the same id again changes nothing. Raises `Refused` when short."""
        if hold_id not in self.holds:
            _natural(points)
            available = self.available(at)
            if points > available:
                raise Refused("points_short", asked=points, available=max(available, 0))
            parts = list(drawn(self.open_lots, points, lambda lot: lot.spendable(at)))
            for lot, part in parts:
                self.lots[lot.id] = replace(lot, held=lot.held + part)
            self.holds[hold_id] = tuple((lot.id, part) for lot, part in parts)
        return sum(part for _, part in self.holds[hold_id])

    def release(self, hold_id: str, at: datetime) -> list[Entry]:
        """Let held points go; of lots dead by `at` they expire at once, and those entries are returned."""
        freed = self._free(hold_id)
        return [
            self._expire(self.lots[lot], part, at, f"{hold_id}:{lot}")
            for lot, part in freed
            if not self.lots[lot].is_live(at)
        ]

    def capture(self, hold_id: str, entry_id: str, at: datetime) -> Entry:
        """Spend exactly the points that a hold set aside, even of a lot that died meanwhile.

        Points that another debit had to take meanwhile are owed. Raises `Refused` `hold_unknown`.
        """
        known = self.entries.get(entry_id)
        if known is not None:
            return known
        if hold_id not in self.holds:
            raise Refused("hold_unknown", hold=hold_id)
        promised = sum(part for _, part in self.holds[hold_id])
        freed = self._free(hold_id)
        for lot, part in freed:
            self._draw(lot, part)
        taken = freed + self._take(entry_id, promised - sum(part for _, part in freed), at)
        self._sources[entry_id] = list(taken)
        return self._note(Entry(entry_id, EntryKind.DEBIT, -promised, at, taken))

    def expire(self, at: datetime, *, grace: timedelta = timedelta(0)) -> list[Entry]:
        """Expire what is left, and not held, of every lot dead for at least `grace`; one entry a lot.

        The grace lets late facts come in; dead points cannot be spent meanwhile.
        """
        return [
            self._expire(lot, lot.free, at, lot.id)
            for lot in self.open_lots
            if lot.free and lot.expires_at is not None and lot.expires_at + grace <= at
        ]

    def restart(self, at: datetime, expires_at: datetime | None) -> None:
        """Lengthen the life of every lot alive at `at`: a paid check under the `inactivity` policy.

        A check that comes late shortens nothing, and the ends are the same in whatever order checks and credits come.
        """
        self._activity.note(at, expires_at)
        for lot in self.lots.values():
            self.lots[lot.id] = replace(lot, expires_at=self._ends(lot.expires_at, own_expiry=lot.own_expiry))

    def reverse(
        self, entry_id: str, of: str, at: datetime, points: int | None = None, *, clamp_to_zero: bool = False
    ) -> Entry | None:
        """Take back points of the credit `of` (None: all), clamped to between 0 and what was not reversed before.

        The credit's own lot gives first. The balance may fall below zero unless `clamp_to_zero`. None: nothing to do.
        """
        known = self.entries.get(entry_id)
        if known is not None:
            return known
        wanted = self._clamped(of, EntryKind.CREDIT, EntryKind.REVERSE, points)
        if clamp_to_zero:
            wanted = min(wanted, max(self.balance, 0))
        if not wanted:
            return None
        return self._note(Entry(entry_id, EntryKind.REVERSE, -wanted, at, self._take(entry_id, wanted, at, of), of))

    def give_back(self, entry_id: str, of: str, at: datetime, points: int | None = None) -> Entry | None:
        """Return points of the debit `of` (None: all) to the lots they came from, clamped to what was not returned yet.

        They keep their lots' expiry, but live 30 days at least from `at`: what would die sooner makes a lot of its own.
        What the debit still owes is cancelled first, other debts eat of the rest. None: nothing to do.
        """
        known = self.entries.get(entry_id)
        if known is not None:
            return known
        wanted = self._clamped(of, EntryKind.DEBIT, EntryKind.RETURN, points)
        if not wanted:
            return None
        own = min(self._owed[of], wanted)
        self._owed[of] -= own
        left, parts = wanted - own, []
        sources = self._sources[of]
        while left:
            lot, part = sources.pop()
            back = min(part, left)
            left -= back
            if back < part:
                sources.append((lot, part - back))
            parts.append((self._put_back(lot, back, at, entry_id), back))
        return self._note(Entry(entry_id, EntryKind.RETURN, wanted, at, tuple(parts), of))

    def _put_back(self, name: str, points: int, at: datetime, entry_id: str) -> str:
        lot = self.lots[name]
        least = at + RETURNED_LIVE
        if lot.expires_at is not None and lot.expires_at < least:
            name = f"{entry_id}<{name}"
            if name not in self.lots:
                ends = self._ends(least, own_expiry=lot.own_expiry)
                self.lots[name] = Lot(name, 0, 0, lot.earned_at, ends, own_expiry=lot.own_expiry)
            self.lots[name] = replace(self.lots[name], amount=self.lots[name].amount + points)
        self._land(name, points)
        return name

    def _ends(self, expires_at: datetime | None, *, own_expiry: bool) -> datetime | None:
        return expires_at if own_expiry else self._activity.end_of(expires_at)

    def _land(self, name: str, points: int) -> None:
        """Put points into a lot; those who owe take of them first, the eldest debt before the younger."""
        for debtor, owed in list(self._owed.items()):
            part = min(owed, points)
            if part:
                self._owed[debtor] -= part
                self._sources[debtor].append((name, part))
                points -= part
        lot = self.lots[name]
        self.lots[name] = replace(lot, remaining=lot.remaining + points)

    def _clamped(self, of: str, kind: EntryKind, undone_by: EntryKind, points: int | None) -> int:
        original = self.entries.get(of)
        if original is None or original.kind is not kind:
            raise Refused("entry_unknown", entry=of)
        undone = sum(abs(e.points) for e in self.entries.values() if e.of == of and e.kind is undone_by)
        left = abs(original.points) - undone
        return left if points is None else max(0, min(points, left))

    def _take(self, entry_id: str, points: int, at: datetime, first: str = "") -> tuple[tuple[str, int], ...]:
        """Draw points from the lot `first`, then live ones, then dead ones, held points last; the rest is owed."""
        taken: dict[str, int] = {}
        order = sorted(self.open_lots, key=lambda lot: (lot.id != first, lot.spendable(at) == 0, *_spending_order(lot)))
        for has in (_FREE, _REMAINING):
            for lot, part in drawn([self.lots[lot.id] for lot in order], points, has):
                points -= part
                taken[lot.id] = taken.get(lot.id, 0) + part
                self._draw(lot.id, part)
        self._sources[entry_id] = list(taken.items())
        self._owed[entry_id] = points
        return tuple(taken.items())

    def _draw(self, name: str, points: int) -> None:
        lot = self.lots[name]
        remaining = lot.remaining - points
        self.lots[name] = replace(lot, remaining=remaining, held=min(lot.held, remaining))

    def _free(self, hold_id: str) -> tuple[tuple[str, int], ...]:
        freed = []
        for name, part in self.holds.pop(hold_id, ()):
            lot = self.lots[name]
            still = min(part, lot.held)
            self.lots[name] = replace(lot, held=lot.held - still)
            if still:
                freed.append((name, still))
        return tuple(freed)

    def _expire(self, lot: Lot, points: int, at: datetime, name: str) -> Entry:
        self._draw(lot.id, points)
        entry_id, n = f"expire:{name}", 1
        while entry_id in self.entries:
            n += 1
            entry_id = f"expire:{name}:{n}"
        return self._note(Entry(entry_id, EntryKind.EXPIRE, -points, at, ((lot.id, points),)))

    def _note(self, entry: Entry) -> Entry:
        self.entries[entry.id] = entry
        return entry


def _spending_order(lot: Lot) -> tuple[bool, datetime | None, datetime, str]:
    return (*spending_order(lot), lot.id)


def _natural(points: int) -> None:
    if points < 0:
        raise BadInput("points_negative", points=points)
