"""What a shift came to: counts and sums of its records, as an X or Z report prints them and a `shift_close` carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.record import Record, RecordKind

NOBODY = ""


@dataclass(frozen=True, slots=True)
class Sums:
    """Counts, money in minor units and points in smallest units; none that is kept is negative.

    `sales` counts sales alone, `gross`, `discounts`, `points_money` (what points paid for) and `money` (to pay)
    are theirs: `money` = `gross` − `discounts` − `points_money`. `returned` is money back of voids and refunds. Of
    exchanges `exchange_money` is what the new goods cost after discounts and points, `exchange_returned` what those
    cost that came back. Shifts closed before the last three had names count exchanges among sales and returns.
    `points_earned` and `points_redeemed` are those of sales and exchanges, `points_back` what returns gave back of the
    points spent, `points_reversed` what they took back of the points earned, `points_follow` how many returns the
    server still has to work out.
    """

    sales: int = 0
    gross: int = 0
    discounts: int = 0
    points_money: int = 0
    money: int = 0
    voids: int = 0
    refunds: int = 0
    returned: int = 0
    exchanges: int = 0
    exchange_money: int = 0
    exchange_returned: int = 0
    points_earned: int = 0
    points_redeemed: int = 0
    points_back: int = 0
    points_reversed: int = 0
    points_follow: int = 0
    registered: int = 0
    credited: int = 0
    debited: int = 0

    @property
    def left(self) -> int:
        """Return the minor units that stay once everything that came back is taken off; the only sum below 0."""
        return self.money - self.returned + self.exchange_money - self.exchange_returned

    def plus(self, other: Sums) -> Sums:
        """Return both together."""
        return Sums(**{name: getattr(self, name) + getattr(other, name) for name in _NAMES})

    def to_dict(self) -> dict[str, Json]:
        """Return the canonical object; zeros are left out."""
        return {name: getattr(self, name) for name in _NAMES if getattr(self, name)}

    @classmethod
    def from_fields(cls, f: Fields) -> Sums:
        """Return the sums of an object; raises `BadInput`."""
        return cls(**{name: f.integer(name, low=0) for name in _NAMES})


_NAMES = tuple(one.name for one in fields(Sums))


@dataclass(frozen=True, slots=True)
class ShiftTotals:
    """A whole shift's sums, the same by cashier, and the receipts it began and ended with."""

    whole: Sums = field(default_factory=Sums)
    by_cashier: Mapping[str, Sums] = field(default_factory=dict)
    first_receipt: str = ""
    last_receipt: str = ""

    def after(self, record: Record) -> ShiftTotals:
        """Return the totals with one more record; a kind that moves neither money nor points changes nothing."""
        more = sums_of(record)
        who = record.cashier or NOBODY
        receipt = record.receipt_no or ""
        if more == Sums() and not receipt:
            return self
        return ShiftTotals(
            self.whole.plus(more),
            {**self.by_cashier, who: self.by_cashier.get(who, Sums()).plus(more)},
            self.first_receipt or receipt,
            receipt or self.last_receipt,
        )

    def to_dict(self) -> dict[str, Json]:
        """Return the canonical object, cashiers in order of their ids."""
        data = self.whole.to_dict()
        optional: dict[str, Json] = {
            "first_receipt": self.first_receipt,
            "last_receipt": self.last_receipt,
            "by_cashier": [{"cashier": who, **sums.to_dict()} for who, sums in sorted(self.by_cashier.items())],
        }
        return data | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_fields(cls, f: Fields) -> ShiftTotals:
        """Return the totals of an object; raises `BadInput`."""
        return cls(
            Sums.from_fields(f),
            {row.text("cashier"): Sums.from_fields(row) for row in f.objects("by_cashier")},
            f.text("first_receipt"),
            f.text("last_receipt"),
        )


def totals_of(records: Iterable[Record]) -> ShiftTotals:
    """Return the totals of a shift's records, in their order."""
    totals = ShiftTotals()
    for record in records:
        totals = totals.after(record)
    return totals


def sums_of(record: Record) -> Sums:
    """Return what one record adds to its shift."""
    kind, money = record.kind, record.money_total or 0
    if kind in (RecordKind.VOID, RecordKind.REFUND):
        follows = record.check is not None and record.check.get("follow") is True
        return Sums(
            voids=int(kind is RecordKind.VOID),
            refunds=int(kind is RecordKind.REFUND),
            returned=money,
            points_back=record.points_earned,
            points_reversed=record.points_redeemed,
            points_follow=int(follows),
        )
    if kind is RecordKind.REGISTER:
        return Sums(registered=1)
    if kind in (RecordKind.ADJUST, RecordKind.TRANSFER):
        return Sums(credited=record.points_earned, debited=record.points_redeemed)
    if kind not in (RecordKind.SALE, RecordKind.EXCHANGE):
        return Sums()
    check = Fields(record.check or {}, "check")
    points = Sums(points_earned=record.points_earned, points_redeemed=record.points_redeemed)
    if kind is RecordKind.SALE:
        return replace(
            points,
            sales=1,
            gross=check.integer("gross"),
            discounts=check.integer("discount_total"),
            points_money=check.integer("redeemed_money"),
            money=money,
        )
    returned = check.object("returned")
    return replace(
        points,
        exchanges=1,
        exchange_money=money,
        exchange_returned=returned.integer("money"),
        points_back=returned.integer("spent_returned"),
        points_reversed=returned.integer("earned_reversed"),
    )
