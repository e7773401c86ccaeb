"""What has come back of a sale, by the set of its returns alone: whatever order they came in, the sum is one (INV-19).

A return's posting is the difference between what all returns of its sale come to with it and without it. They are
reckoned in the order of their ids, each up to what is left of the sale (INV-17); what a return claims beyond that never
reaches the guest: the loss account of the store that accepted it stands in the guest's place. Points of a return that
only told goods and money are computed here, from the sale's own check.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import check_from_payload, drift, priced_at
from loyalty_desk.domain.contents import contents_of
from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.domain.refund import NOTHING_YET, Refunded, Return, Sale, SoldLine, refund, refund_amount
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, ReturnContents, Returned

SALES = frozenset({RecordKind.SALE, RecordKind.EXCHANGE})
RETURNS = frozenset({RecordKind.VOID, RecordKind.REFUND, RecordKind.EXCHANGE})


@dataclass(frozen=True, slots=True)
class Excess:
    """What returns at one store claimed beyond the sale: points taken back and given back, smallest units."""

    earned: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class CameBack:
    """What came back of a sale in all: points taken back and given back, minor units, whether nothing is left of it."""

    earned: int = 0
    spent: int = 0
    money: int = 0
    is_whole: bool = False
    excess: Mapping[UUID, Excess] = field(default_factory=dict)


NOTHING_BACK = CameBack()


@dataclass(frozen=True, slots=True)
class Source:
    """Points that a sale was paid with, by the lot they came from; times are milliseconds UTC, None is never."""

    points: int
    expires_at: int | None
    own_expiry: bool = False


@dataclass(frozen=True, slots=True)
class Returning:
    """A return about to be posted: its sale, and what has come back of that before and after it.

    `sources` are the lots that paid for the sale, the one drawn last coming first: it gets its points back first.
    `is_stores`: no guest's points paid for it but the store that took it, which gets them back. `who` is by what its
    guest was named. `woke`: it came late and spent or kept points that were dead by then.
    """

    original: Record
    before: CameBack
    after: CameBack
    sources: Sequence[Source] = ()
    is_stores: bool = False
    who: Mapping[str, Json] = field(default_factory=dict)
    woke: bool = False


@dataclass(slots=True)
class Original:
    """What returns name: a sale, or what cannot be taken back. `guest` is who has its points today.

    `returns` are those posted so far; `sources`, `is_stores`, `who` and `woke` as in `Returning`: an exchange is
    of the guest of the sale that it takes back.
    """

    record: Record
    guest: UUID | None = None
    returns: list[Record] = field(default_factory=list)
    sources: Sequence[Source] = ()
    is_stores: bool = False
    who: Mapping[str, Json] = field(default_factory=dict)
    woke: bool = False

    @property
    def is_unknown(self) -> bool:
        """Return whether its points wait in suspense for a guest."""
        moves = self.record.points_earned > 0 or self.record.points_redeemed > 0
        return self.guest is None and (bool(self.who) or moves)


def who(record: Record) -> dict[str, Json]:
    """Return by what a record names its guest: where nobody knows them, who is registered so later gets what waits."""
    named: dict[str, Json] = {} if record.guest_id is None else {"guest": str(record.guest_id)}
    return named if record.credential is None else {**named, "credential": record.credential.to_payload()}


def is_follow(record: Record) -> bool:
    """Return whether a return tells goods and money alone."""
    return record.kind is RecordKind.REFUND and record.check is not None and record.check.get("follow") is True


def came_back(original: Record, program: Program | None, returns: Iterable[Record]) -> CameBack:
    """Return what came back of `original` by all these returns, as `Counting` counts it."""
    return Counting(original, program, returns).now


class Counting:
    """What came back of a sale, counted on by one return at a time; `program` is the one it was priced with.

    The program is needed where a return's points follow only; without it they follow by the share of the money. A
    further return costs the counting of itself and of those with later ids: counted anew from the first, 2 000 of one
    sale kept everybody else waiting for minutes.
    """

    def __init__(self, original: Record, program: Program | None, returns: Iterable[Record]) -> None:
        self._original = original
        self._program = program
        self._sale: Sale | None = None
        self._is_priced = False
        self._ordered = sorted((_Return(one, _read(one)) for one in returns), key=_id)
        # What came back by the first of them, by the first two, and so on.
        self._after = [_Counted(NOTHING_YET, {}, is_whole=False)]
        self._count_on()

    @property
    def now(self) -> CameBack:
        """Return what came back by all of them."""
        last = self._after[-1]
        so_far = last.so_far
        return CameBack(so_far.earned_reversed, so_far.spent_returned, so_far.money, last.is_whole, last.excess)

    def add(self, record: Record) -> CameBack:
        """Count a further return and return what came back by all of them."""
        place = bisect_right(self._ordered, record.id, key=_id)
        self._ordered.insert(place, _Return(record, _read(record)))
        del self._after[place + 1 :]
        self._count_on()
        return self.now

    def _count_on(self) -> None:
        if not self._is_priced and any(isinstance(one.read, FollowContents) for one in self._ordered):
            self._sale, self._is_priced = _sale(self._original, self._program), True
            del self._after[1:]
        for one in self._ordered[len(self._after) - 1 :]:
            self._after.append(self._with(self._after[-1], one))

    def _with(self, before: _Counted, one: _Return) -> _Counted:
        original, sale, read, excess = self._original, self._sale, one.read, before.excess
        if isinstance(read, FollowContents):
            after = _follow(original, sale, read, before.so_far)
        else:
            after = read.after(before.so_far)
        earned_most, spent_most = original.points_earned, original.points_redeemed
        over = Excess(max(0, after.earned_reversed - earned_most), max(0, after.spent_returned - spent_most))
        if over != Excess():
            had = excess.get(one.record.store, Excess())
            excess = {**excess, one.record.store: Excess(had.earned + over.earned, had.spent + over.spent)}
        so_far = replace(
            after,
            quantities=_within(sale, after.quantities),
            earned_reversed=min(after.earned_reversed, earned_most),
            spent_returned=min(after.spent_returned, spent_most),
            money=min(after.money, original.money_total or 0),
        )
        is_whole = isinstance(read, Returned) and read.is_whole
        return _Counted(so_far, excess, before.is_whole or is_whole or _is_whole(original, sale, so_far))


@dataclass(frozen=True, slots=True)
class _Return:
    record: Record
    read: Returned | FollowContents


@dataclass(frozen=True, slots=True)
class _Counted:
    so_far: Refunded
    excess: Mapping[UUID, Excess]
    is_whole: bool


def _id(one: _Return) -> UUID:
    return one.record.id


def _read(record: Record) -> Returned | FollowContents:
    return FollowContents.from_check(record.check) if is_follow(record) else _returned(record)


def given_back(sources: Sequence[Source], before: int, points: int) -> list[Source]:
    """Return the parts that `points` given back make, `before` of them having been given back already.

    What no lot paid for, because the sale was overdrawn, is left out.
    """
    parts: list[Source] = []
    for one in sources:
        skipped = min(before, one.points)
        before -= skipped
        part = min(points, one.points - skipped)
        points -= part
        if part:
            parts.append(replace(one, points=part))
    return parts


def _returned(record: Record) -> Returned:
    found = contents_of(record)
    assert isinstance(found, ReturnContents | ExchangeContents)  # noqa: S101 - a follow is told apart before
    return found.returned


def _sale(original: Record, program: Program | None) -> Sale | None:
    """Return the sale priced again, None where that gives other figures than the till claimed."""
    if program is None or original.check is None:
        return None
    try:
        contents = check_from_payload(original.check)
        moment = priced_at(original.check, original.occurred_at)
        sale = Sale.priced(contents.basket, contents.guest, program, moment, contents.choices)
    except (ForPerson, OverflowError):
        return None
    if drift(contents.claimed, sale.quote) or contents.claimed.earned_points != original.points_earned:
        return None
    return sale


def _follow(original: Record, sale: Sale | None, followed: FollowContents, before: Refunded) -> Refunded:
    if sale is not None:
        try:
            if not followed.lines:
                left = (original.money_total or 0) - before.money
                return refund_amount(sale, min(followed.money, left), before).after
            back = _lines_back(sale.lines, followed, before)
            if not back:
                return before
            return refund(sale, back, before).after
        except (ForPerson, OverflowError):
            pass  # a set that the program would not split is in the guest's bag no more all the same
    return _by_money(original, followed, before)


def _lines_back(lines: Sequence[SoldLine], followed: FollowContents, before: Refunded) -> list[Return]:
    """Return the lines as far as they are still with the guest, whole units of what is not weighed."""
    back: dict[str, int] = {}
    for one in followed.lines:
        back[one.line] = back.get(one.line, 0) + one.quantity_milli
    made = []
    for sold in lines:
        left = max(0, sold.line.quantity_milli - before.quantities.get(sold.id, 0))
        quantity = min(left, back.get(sold.id, 0))
        if not sold.line.is_weighed:
            quantity -= quantity % MILLI
        if quantity:
            made.append(Return(sold.id, quantity))
    return made


def _within(sale: Sale | None, quantities: Mapping[str, int]) -> Mapping[str, int]:
    """Return quantities of lines that were sold, none above what was sold; as they are where that is not known."""
    if sale is None:
        return quantities
    return {
        one.id: min(quantities[one.id], one.line.quantity_milli) for one in sale.lines if quantities.get(one.id, 0) > 0
    }


def _by_money(original: Record, followed: FollowContents, before: Refunded) -> Refunded:
    """Return what came back where the check cannot be priced again: points by the share of the money paid back."""
    paid = original.money_total or 0
    money = min(paid, before.money + followed.money)
    quantities = dict(before.quantities)
    for one in followed.lines:
        quantities[one.line] = quantities.get(one.line, 0) + one.quantity_milli
    if not paid:
        return replace(before, quantities=quantities)
    return replace(
        before,
        quantities=quantities,
        money=money,
        earned_reversed=max(before.earned_reversed, original.points_earned * money // paid),
        spent_returned=max(before.spent_returned, original.points_redeemed * money // paid),
    )


def _is_whole(original: Record, sale: Sale | None, so_far: Refunded) -> bool:
    if sale is None or sale.is_bare_total:
        return bool(original.money_total) and so_far.money >= (original.money_total or 0)
    return all(so_far.quantities.get(one.id, 0) >= one.line.quantity_milli for one in sale.lines)
