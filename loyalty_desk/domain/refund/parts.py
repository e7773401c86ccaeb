"""What a return names and what it gives back, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loyalty_desk.domain.canonical import Json


@dataclass(frozen=True, slots=True)
class Return:
    """So many thousandths of one line of the sale."""

    line: str
    quantity_milli: int


@dataclass(frozen=True, slots=True)
class Refunded:
    """What came back of a sale so far: thousandths per line, minor units, smallest point units."""

    quantities: Mapping[str, int] = field(default_factory=dict)
    money: int = 0
    earned_reversed: int = 0
    spent_returned: int = 0
    stamps: Mapping[str, int] = field(default_factory=dict)
    coupons_withdrawn: Mapping[str, int] = field(default_factory=dict)


NOTHING_YET = Refunded()


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """One line's part of a return: thousandths, minor units, and smallest point units taken back and given back."""

    line: str
    quantity_milli: int
    money: int
    earned_reversed: int
    spent_returned: int


@dataclass(frozen=True, slots=True)
class Refund:
    """What a return moves. `how` is `lines`, `repriced`, `amount` or `whole`; `is_whole`: nothing of the sale is left.

    `back_to` are gift cards and deposits that get their money first (id, minor units); `cards` are gift cards sold that
    lose it again (line, minor units). `uses`, `stamps` and `coupons_withdrawn` are counts to subtract, by rule.
    """

    how: str
    money: int
    earned_reversed: int
    spent_returned: int
    lines: tuple[ReturnedLine, ...]
    is_whole: bool
    after: Refunded
    back_to: tuple[tuple[str, int], ...] = ()
    cards: tuple[tuple[str, int], ...] = ()
    uses: tuple[tuple[str, int], ...] = ()
    stamps: tuple[tuple[str, int], ...] = ()
    coupons_freed: tuple[str, ...] = ()
    coupons_withdrawn: tuple[tuple[str, int], ...] = ()

    @property
    def cash(self) -> int:
        """Return the minor units that do not go back to a gift card or deposit."""
        return self.money - sum(amount for _, amount in self.back_to)

    def to_dict(self) -> dict[str, Json]:
        """Return the canonical object of the refund; empty parts are left out."""
        data: dict[str, Json] = {
            "how": self.how,
            "money": self.money,
            "earned_reversed": self.earned_reversed,
            "spent_returned": self.spent_returned,
            "is_whole": self.is_whole,
            "lines": [
                {
                    "line": line.line,
                    "quantity_milli": line.quantity_milli,
                    "money": line.money,
                    "earned_reversed": line.earned_reversed,
                    "spent_returned": line.spent_returned,
                }
                for line in self.lines
            ],
        }
        for key, unit, pairs in (
            ("back_to", "amount", self.back_to),
            ("cards", "amount", self.cards),
            ("uses", "count", self.uses),
            ("stamps", "count", self.stamps),
            ("coupons_withdrawn", "count", self.coupons_withdrawn),
        ):
            if pairs:
                data[key] = [{"id": identifier, unit: number} for identifier, number in pairs]
        if self.coupons_freed:
            data["coupons_freed"] = list(self.coupons_freed)
        return data
