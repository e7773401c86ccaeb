"""What is being bought: lines with exact prices, or a bare total of one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from loyalty_desk.domain.canonical import is_text
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.money import LARGEST, MAX_MAJOR, currency, divide_half_up

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
    `gross` is unit price times quantity in minor units, rounded half up once; the charge is not in it. A line is plain
    when it is sound whatever stands beside it and nothing but its goods, price and whole units matters to pricing.
    Both are worked out once, for a line is priced again with every line that comes after it.
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
    gross: int = field(init=False, repr=False, compare=False)
    is_plain: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        price, quantity = self.unit_price, self.quantity_milli
        is_plain = (
            price >= 0
            and 0 < quantity <= MAX_QUANTITY_MILLI
            and quantity % MILLI == 0
            and not (self.flags or self.tax or self.charge or self.floor or self.added_at)
            and is_text(self.id)
            and is_text(self.product)
            and is_text(self.category)
        )
        gross = price * quantity // MILLI if is_plain else divide_half_up(price * quantity, MILLI)
        object.__setattr__(self, "gross", gross)
        object.__setattr__(self, "is_plain", is_plain)

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


type Read = tuple[list[str], list[int], bool]
"""The ids and the gross of all lines, in their order, and whether every line is plain."""


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
        self.read()
        return self

    def read(self) -> Read:
        """Return what pricing needs of all lines, for a check is gone through once; raises what `validated` raises."""
        lines = self.lines
        limit = LARGEST.get(self.currency) or LARGEST[currency(self.currency).code]
        if len(lines) > MAX_LINES:
            raise BadInput("lines_too_many", lines=len(lines), limit=MAX_LINES)
        gross = [line.gross for line in lines]
        cost = sum(gross)
        all_plain = False not in [line.is_plain for line in lines]
        if not all_plain:
            for position, line in enumerate(lines, start=1):
                if not line.is_plain:
                    _validate_line(line, position, limit if line.floor or line.tax or line.flags else None)
                    _validate_names(line, position)
                    cost += line.charge_total
        ids = [line.id for line in lines]
        if len(set(ids)) < len(ids):
            _validate_ids(lines)
        if cost > limit:
            for position, line in enumerate(lines, start=1):
                _validate_line(line, position, limit)
            raise BadInput("amount_too_large", limit=MAX_MAJOR)
        return ids, gross, all_plain


def _validate_line(line: Line, position: int, limit: int | None) -> None:
    for name, value in (
        ("unit_price", line.unit_price),
        ("charge", line.charge),
        ("floor", line.floor),
        ("tax", line.tax or 0),
    ):
        if value < 0:
            raise BadInput("line_negative", line=position, field=name)
        if limit is not None and value > limit:
            raise BadInput("line_too_large", line=position, field=name)
    if not 0 < line.quantity_milli <= MAX_QUANTITY_MILLI:
        raise BadInput("line_quantity", line=position, quantity_milli=line.quantity_milli)
    unknown = sorted(line.flags - set(LineFlag))
    if unknown:
        raise BadInput("line_flag_unknown", line=position, flag=unknown[0])


def _validate_names(line: Line, position: int) -> None:
    for name, text in (("id", line.id), ("product", line.product), ("category", line.category)):
        if not is_text(text):
            raise BadInput("line_text", line=position, field=name)


def _validate_ids(lines: tuple[Line, ...]) -> None:
    seen: set[str] = set()
    for position, line in enumerate(lines, start=1):
        if line.id and line.id in seen:
            raise BadInput("line_id_twice", line=position, id=line.id)
        seen.add(line.id)


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
