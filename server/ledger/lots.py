"""Lots of points: spent earliest expiry first, a debt eaten by the next credit (section 2; pricing.md, rule 13).

Pure and on the server alone: a till never knows lots. `sum(remaining) - debt` is what the account has posted, and
never are both above zero (INV-15).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID, uuid5


@dataclass(slots=True)
class Lot:
    """Points credited by one leg: `amount` > 0. Times are milliseconds UTC; `expires_at` None is never."""

    id: UUID
    tx_id: UUID
    amount: int
    remaining: int
    earned_at: int
    expires_at: int | None
    usable_at: int | None = None
    held: bool = False


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
    ) -> Lot:
        """Add a lot of `amount` > 0 points; an existing debt eats of it first."""
        lot = Lot(lot_id(tx_id, leg), tx_id, amount, amount, earned_at, expires_at, usable_at)
        repaid = min(self.debt, amount)
        if repaid:
            self.debt -= repaid
            lot.remaining -= repaid
            self.used.append(LotUse(tx_id, lot.id, repaid))
        self.lots.append(lot)
        self.made.append(lot)
        return lot

    def hold(self, tx_id: UUID, leg: int, amount: int, earned_at: int, expires_at: int | None) -> None:
        """Add a lot of `amount` > 0 points that nobody can spend before a manager has looked."""
        lot = Lot(uuid5(tx_id, f"held:{leg}"), tx_id, amount, amount, earned_at, expires_at, held=True)
        self.waiting.append(lot)
        self.made.append(lot)

    def debit(self, tx_id: UUID, amount: int, at: int, of: UUID | None = None) -> int:
        """Take `amount` > 0 points and return the part nothing covered, which is owed from now on.

        Where the posting `of` is being taken back, its own lots give first, those that wait for a manager before all.
        Pending points, and dead ones that no job has expired yet, go last: a debt beside points would break INV-15.
        """
        order = [lot for lot in self.waiting if of is not None and lot.tx_id == of]
        order += sorted(self.lots, key=lambda one: (one.tx_id != of, not is_spendable(one, at), *_spending_order(one)))
        for lot in order:
            if not amount:
                break
            taken = min(lot.remaining, amount)
            if taken:
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

    def restart(self, at: int, expires_at: int | None) -> None:
        """Give every live lot a new end."""
        for lot in self.lots:
            if lot.remaining and is_live(lot, at) and lot.expires_at != expires_at:
                lot.expires_at = expires_at
                self.touched[lot.id] = lot


def lot_id(tx_id: UUID, leg: int) -> UUID:
    """Return the id of the lot that leg `leg` of a transaction makes."""
    return uuid5(tx_id, f"lot:{leg}")


def is_live(lot: Lot, at: int) -> bool:
    """Return whether a lot can be spent at `at`; its expiry instant is already too late."""
    return lot.expires_at is None or at < lot.expires_at


def is_spendable(lot: Lot, at: int) -> bool:
    """Return whether a lot is alive and no longer pending at `at`."""
    return is_live(lot, at) and (lot.usable_at is None or lot.usable_at <= at)


def next_expiries(lots: Iterable[Lot], at: int, count: int = 3) -> list[tuple[int, int]]:
    """Return the next instants at which points expire, with how many, soonest first."""
    sums: dict[int, int] = {}
    for lot in lots:
        if lot.remaining and lot.expires_at is not None and is_live(lot, at):
            sums[lot.expires_at] = sums.get(lot.expires_at, 0) + lot.remaining
    return sorted(sums.items())[:count]


def _spending_order(lot: Lot) -> tuple[bool, int, int, bytes]:
    return (lot.expires_at is None, lot.expires_at or 0, lot.earned_at, lot.id.bytes)
