"""A guest's lots as the ledger stores them: what a posting makes, uses and touches.

Which lot is alive, goes first and lives on is the kernel's arithmetic, and a property holds the kernel's own ledger and
this one to each other. `sum(remaining) - debt` is what the account has posted, and never are both above zero (INV-15).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from uuid import UUID, uuid5

from loyalty_desk.domain.lots import Activity, drawn, is_live, is_spendable, spending_order

_REMAINING = attrgetter("remaining")


@dataclass(slots=True)
class Lot:
    """Points credited by one leg: `amount` > 0. Times are milliseconds UTC; `expires_at` None is never.

    `own_expiry`: the end is not the program's, so no check lengthens this life. Of one made a moment ago `leg` is which
    leg of its transaction made it, and `of_check` whether a check earned it.
    """

    id: UUID
    tx_id: UUID
    amount: int
    remaining: int
    earned_at: int
    expires_at: int | None
    usable_at: int | None = None
    held: bool = False
    own_expiry: bool = False
    leg: int = 0
    of_check: bool = False


@dataclass(frozen=True, slots=True)
class LotUse:
    """`amount` > 0 points of a lot consumed by a posting: spent, or eaten by the debt it met."""

    tx_id: UUID
    lot_id: UUID
    amount: int


@dataclass(slots=True)
class Holdings:
    """A guest's open lots and debt while a batch is being posted; `made`, `used` and `touched` are to be stored.

    Held lots are in `waiting`, never in `lots`: they pay for nothing, not even for a debt, and are not to be spent;
    only what made them can be taken back of them.
    """

    lots: list[Lot] = field(default_factory=list)
    waiting: list[Lot] = field(default_factory=list)
    debt: int = 0
    made: list[Lot] = field(default_factory=list)
    used: list[LotUse] = field(default_factory=list)
    touched: dict[UUID, Lot] = field(default_factory=dict)
    activity: Activity[int] = field(default_factory=Activity)

    @property
    def posted(self) -> int:
        """Return the account's balance as the lots tell it."""
        return sum(lot.remaining for lot in self.lots) - self.debt

    def available(self, at: int) -> int:
        """Return what could be spent at `at`: neither dead nor pending points; a debt leaves less than zero."""
        return sum(lot.remaining for lot in self.lots if is_spendable(lot, at)) - self.debt

    def credit(
        self,
        tx_id: UUID,
        leg: int,
        amount: int,
        earned_at: int,
        expires_at: int | None,
        usable_at: int | None = None,
        *,
        own_expiry: bool = False,
        of_check: bool = False,
    ) -> Lot:
        """Add a lot of `amount` > 0 points; an existing debt eats of it first, known checks lengthen its life."""
        ends = self._ends(expires_at, own_expiry=own_expiry)
        lot = Lot(lot_id(tx_id, leg), tx_id, amount, amount, earned_at, ends, usable_at)
        lot.own_expiry, lot.leg, lot.of_check = own_expiry, leg, of_check
        repaid = min(self.debt, amount)
        if repaid:
            self.debt -= repaid
            lot.remaining -= repaid
            self.used.append(LotUse(tx_id, lot.id, repaid))
        self.lots.append(lot)
        self.made.append(lot)
        return lot

    def hold(
        self,
        tx_id: UUID,
        leg: int,
        amount: int,
        earned_at: int,
        expires_at: int | None,
        *,
        own_expiry: bool = False,
        of_check: bool = False,
    ) -> None:
        """Add a lot of `amount` > 0 points that nobody can spend before a manager has looked."""
        ends = self._ends(expires_at, own_expiry=own_expiry)
        lot = Lot(held_id(tx_id, leg), tx_id, amount, amount, earned_at, ends, held=True)
        lot.own_expiry, lot.leg, lot.of_check = own_expiry, leg, of_check
        self.waiting.append(lot)
        self.made.append(lot)

    def debit(self, tx_id: UUID, amount: int, at: int, of: UUID | None = None) -> int:
        """Take `amount` > 0 points and return the part nothing covered, which is owed from now on.

        Where the posting `of` is being taken back, its own lots give first, those that wait for a manager before all.
        Pending points, and dead ones that no job has expired yet, go last: a debt beside points would break INV-15.
        """
        order = [lot for lot in self.waiting if of is not None and lot.tx_id == of]
        order += sorted(
            self.lots, key=lambda one: (one.tx_id != of, not is_spendable(one, at), *spending_order(one), one.id)
        )
        for lot, taken in drawn(order, amount, _REMAINING):
            lot.remaining -= taken
            amount -= taken
            self.used.append(LotUse(tx_id, lot.id, taken))
            self.touched[lot.id] = lot
        self.debt += amount
        return amount

    def expire(self, tx_id: UUID, lot: Lot) -> None:
        """Take all that is left of one lot."""
        self.used.append(LotUse(tx_id, lot.id, lot.remaining))
        lot.remaining = 0
        self.touched[lot.id] = lot

    def restart(self, at: int, expires_at: int | None) -> int | None:
        """Lengthen the life of every lot alive at `at`: a paid check, which shortens nothing when it comes late.

        Returns the first end that it moved.
        """
        self.activity.note(at, expires_at)
        return self._lengthen()

    def join(self, other: Holdings) -> None:
        """Let the checks of an account merged into this one count here; its lots are credited each by itself."""
        self.activity.join(other.activity.spans)
        self._lengthen()

    def has_spent(self, tx_id: UUID, dead_by: int) -> bool:
        """Return whether a posting has taken points that were dead by then."""
        used = {use.lot_id for use in self.used if use.tx_id == tx_id}
        return any(lot.id in used and not is_live(lot, dead_by) for lot in self.lots)

    def _lengthen(self) -> int | None:
        first: int | None = None
        for lot in (*self.lots, *self.waiting):
            ends = self._ends(lot.expires_at, own_expiry=lot.own_expiry)
            if lot.remaining and lot.expires_at is not None and ends != lot.expires_at:
                first = lot.expires_at if first is None else min(first, lot.expires_at)
                lot.expires_at = ends
                self.touched[lot.id] = lot
        return first

    def _ends(self, expires_at: int | None, *, own_expiry: bool) -> int | None:
        return expires_at if own_expiry else self.activity.end_of(expires_at)


def made_by_leg(lots: Iterable[Lot]) -> dict[tuple[UUID, int], UUID]:
    """Return lots made a moment ago by transaction and leg; of a leg that is held in part what can be spent."""
    found: dict[tuple[UUID, int], UUID] = {}
    for lot in lots:
        found.setdefault((lot.tx_id, lot.leg), lot.id)
    return found


def lot_id(tx_id: UUID, leg: int) -> UUID:
    """Return the id of the lot that leg `leg` of a transaction makes."""
    return uuid5(tx_id, f"lot:{leg}")


def held_id(tx_id: UUID, leg: int) -> UUID:
    """Return the id of the lot that leg `leg` of a transaction makes of points that wait for a manager."""
    return uuid5(tx_id, f"held:{leg}")
