"""What is being bought: lines with exact prices, or a bare total of one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from loyalty_desk.domain.canonical import is_text
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.money import MAX_MAJOR, currency, divide_half_up

MAX_LINES = 1_000
MAX_QUANTITY_MILLI = 1_000_000_000
MILLI = 1_000
WHOLE_CHECK = "check"


class LineFlag(StrEnum):
    """What a line may be marked with; the names are those of a record's payload."""

    NO_DISCOUNT = "no_discount"
    NO_POINTS = "no_points"
    NO_REDEEM = "no_redeem"
    WEIGHED = "weighed"
    DELIVERY = "delivery"
    GIFT_CARD = "gift_card"
    REWARD = "reward"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a check. Money in minor units, quantity in thousandths.

    `charge` (per unit) is paid in full on top of `unit_price` and lies outside every base: a bottle deposit, an excise.
    `floor` is the least a unit may cost after discounts. `tax` is contained in the line's price, None where unknown.
    """

    id: str = ""
    product: str = ""
    category: str = ""
    quantity_milli: int = MILLI
    unit_price: int = 0
    flags: frozenset[str] = frozenset()
    tax: int | None = None
    charge: int = 0
    floor: int = 0
    added_at: datetime | None = None

    @property
    def gross(self) -> int:
        """Return unit price times quantity in minor units, rounded half up once; the charge is not in it."""
        return divide_half_up(self.unit_price * self.quantity_milli, MILLI)

    @property
    def is_weighed(self) -> bool:
        """Return whether the line is sold by weight: it counts as one unit and is never a free unit."""
        return self.quantity_milli % MILLI != 0 or LineFlag.WEIGHED in self.flags

    @property
    def units(self) -> int:
        """Return the whole units of the line; a weighed line is one."""
        return 1 if self.is_weighed else self.quantity_milli // MILLI

    @property
    def charge_total(self) -> int:
        """Return the charge of all units in minor units."""
        return divide_half_up(self.charge * self.quantity_milli, MILLI)


@dataclass(frozen=True, slots=True)
class Basket:
    """A check before any discount. `zone` is the store's time zone, which weekdays and hours are counted in."""

    currency: str
    lines: tuple[Line, ...] = ()
    store: str = ""
    zone: tzinfo = UTC
    channel: str = "till"

    @classmethod
    def of_amount(
        cls,
        code: str,
        amount: int,
        *,
        store: str = "",
        zone: tzinfo = UTC,
        channel: str = "till",
        no_points: bool = False,
    ) -> Basket:
        """Return the basket of a bare total of `amount` minor units: one line of one unit."""
        flags = frozenset({LineFlag.NO_POINTS.value}) if no_points else frozenset[str]()
        return cls(code, (Line(id=WHOLE_CHECK, unit_price=amount, flags=flags),), store, zone, channel)

    @property
    def gross(self) -> int:
        """Return what the check costs before discounts, charges included, in minor units."""
        return sum(line.gross + line.charge_total for line in self.lines)

    def validated(self) -> Basket:
        """Return the basket itself; raises `BadInput` naming `line` and `field` of what cannot be priced."""
        limit = currency(self.currency).unit * (MAX_MAJOR + 1) - 1
        if len(self.lines) > MAX_LINES:
            raise BadInput("lines_too_many", lines=len(self.lines), limit=MAX_LINES)
        cost_milli = 0
        for line in self.lines:
            quantity, price, charge = line.quantity_milli, line.unit_price, line.charge
            cost_milli += (price + charge) * quantity
            if (
                price < 0
                or charge < 0
                or line.floor
                or line.tax
                or line.flags
                or not 0 < quantity <= MAX_QUANTITY_MILLI
            ):
                _validate_line(line, self.lines.index(line) + 1, limit)
            names = f"{line.id}{line.product}{line.category}"
            if not names.isascii() or "\x00" in names:
                _validate_names(line, self.lines.index(line) + 1)
        ids = [line.id for line in self.lines if line.id]
        if len(set(ids)) < len(ids):
            position = next(n for n, line in enumerate(self.lines) if line.id and line.id in ids[:n])
            raise BadInput("line_id_twice", line=position + 1, id=self.lines[position].id)
        if cost_milli > limit * MILLI and self.gross > limit:
            for position, line in enumerate(self.lines, start=1):
                _validate_line(line, position, limit)
            raise BadInput("amount_too_large", limit=MAX_MAJOR)
        return self


def _validate_line(line: Line, position: int, limit: int) -> None:
    for field, value in (
        ("unit_price", line.unit_price),
        ("charge", line.charge),
        ("floor", line.floor),
        ("tax", line.tax or 0),
    ):
        if value < 0:
            raise BadInput("line_negative", line=position, field=field)
        if value > limit:
            raise BadInput("line_too_large", line=position, field=field)
    if not 0 < line.quantity_milli <= MAX_QUANTITY_MILLI:
        raise BadInput("line_quantity", line=position, quantity_milli=line.quantity_milli)
    unknown = sorted(line.flags - set(LineFlag))
    if unknown:
        raise BadInput("line_flag_unknown", line=position, flag=unknown[0])


def _validate_names(line: Line, position: int) -> None:
    for field, text in (("id", line.id), ("product", line.product), ("category", line.category)):
        if not is_text(text):
            raise BadInput("line_text", line=position, field=field)


def by_canonical_order(lines: Iterable[Line]) -> list[int]:
    """Return positions in the order that settles ties: as given; lines without ids by what they are, not where."""
    lines = list(lines)
    if all(line.id for line in lines):
        return list(range(len(lines)))
    return sorted(range(len(lines)), key=lambda i: _canonical_key(lines[i]))


def _canonical_key(line: Line) -> tuple[object, ...]:
    added = line.added_at.astimezone(UTC).isoformat() if line.added_at else ""
    goods = (line.id, line.product, line.category, line.unit_price, line.quantity_milli)
    return (*goods, sorted(line.flags), line.tax or 0, line.charge, line.floor, added)
