"""What a void, a refund and an exchange carry: what came back, in full, or goods and money of another till's sale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.refund import Refund, Refunded, ReturnedLine

VOID = "void"
_HOW = ("lines", "repriced", "amount", "whole", VOID)


@dataclass(frozen=True, slots=True)
class Returned:
    """What a return moved: `domain.refund.Refund` without the state after it. Minor units, smallest point units."""

    how: str
    money: int
    earned_reversed: int
    spent_returned: int
    is_whole: bool
    lines: tuple[ReturnedLine, ...] = ()
    back_to: tuple[tuple[str, int], ...] = ()
    cards: tuple[tuple[str, int], ...] = ()
    uses: tuple[tuple[str, int], ...] = ()
    stamps: tuple[tuple[str, int], ...] = ()
    coupons_freed: tuple[str, ...] = ()
    coupons_withdrawn: tuple[tuple[str, int], ...] = ()

    @classmethod
    def from_fields(cls, f: Fields) -> Returned:
        """Return what `Refund.to_dict` wrote; raises `BadInput`."""
        return cls(
            how=f.text("how", None, one_of=_HOW),
            money=f.natural("money"),
            earned_reversed=f.natural("earned_reversed"),
            spent_returned=f.natural("spent_returned"),
            is_whole=f.flag("is_whole"),
            lines=tuple(
                ReturnedLine(
                    line.text("line", None),
                    line.integer("quantity_milli", None, low=1),
                    line.natural("money"),
                    line.natural("earned_reversed"),
                    line.natural("spent_returned"),
                )
                for line in f.objects("lines")
            ),
            back_to=_pairs(f, "back_to", "amount"),
            cards=_pairs(f, "cards", "amount"),
            uses=_pairs(f, "uses", "count"),
            stamps=_pairs(f, "stamps", "count"),
            coupons_freed=f.texts("coupons_freed"),
            coupons_withdrawn=_pairs(f, "coupons_withdrawn", "count"),
        )

    def after(self, before: Refunded) -> Refunded:
        """Return what came back of the sale so far, this return included: the `before` of the next one."""
        quantities = dict(before.quantities)
        for line in self.lines:
            quantities[line.line] = quantities.get(line.line, 0) + line.quantity_milli
        return Refunded(
            quantities=quantities,
            money=before.money + self.money,
            earned_reversed=before.earned_reversed + self.earned_reversed,
            spent_returned=before.spent_returned + self.spent_returned,
            stamps=_plus(before.stamps, self.stamps),
            coupons_withdrawn=_plus(before.coupons_withdrawn, self.coupons_withdrawn),
        )


@dataclass(frozen=True, slots=True)
class ReturnContents:
    """A void or refund of a sale that the till has in full; `at` is the moment it was worked out for."""

    currency: str
    at: datetime
    returned: Returned
    approved_by: str = ""

    @staticmethod
    def to_check(
        currency: str, at: datetime, refund: Refund, *, is_void: bool = False, approved_by: str = ""
    ) -> dict[str, Json]:
        """Return the `check` of a void or refund; `approved_by` is the manager's staff id where one was needed."""
        more: dict[str, Json] = {"how": VOID} if is_void else {}
        if approved_by:
            more["approved_by"] = approved_by
        return {"currency": currency, "at": to_ms(at), **refund.to_dict(), **more}

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> ReturnContents:
        """Return what a void or refund carries; raises `BadInput`."""
        f = check_fields(check)
        return cls(f.text("currency", None), f.instant("at"), Returned.from_fields(f), f.text("approved_by"))


@dataclass(frozen=True, slots=True)
class FollowedLine:
    """One line that came back of a sale of another till: thousandths and minor units."""

    line: str
    quantity_milli: int
    money: int


@dataclass(frozen=True, slots=True)
class FollowContents:
    """A refund of a sale that is not in this till's journal: goods and money; points follow, worked out by the server.

    Without lines it is a return by amount of a bare total.
    """

    currency: str
    at: datetime
    money: int
    lines: tuple[FollowedLine, ...] = ()

    def to_check(self) -> dict[str, Json]:
        """Return the `check` of the refund."""
        return {
            "currency": self.currency,
            "at": to_ms(self.at),
            "follow": True,
            "money": self.money,
            "lines": [
                {"line": one.line, "quantity_milli": one.quantity_milli, "money": one.money} for one in self.lines
            ],
        }

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> FollowContents:
        """Return what the refund carries; raises `BadInput`."""
        f = check_fields(check)
        if not f.flag("follow"):
            raise f.wrong("follow", "true")
        lines = tuple(
            FollowedLine(line.text("line", None), line.integer("quantity_milli", None, low=1), line.natural("money"))
            for line in f.objects("lines")
        )
        money = f.natural("money")
        if lines and sum(line.money for line in lines) != money:
            raise f.wrong("money", "sum_of_lines")
        return cls(f.text("currency", None), f.instant("at"), money, lines)


@dataclass(frozen=True, slots=True)
class ExchangeContents:
    """A return and a new sale in one record; the new sale's own check is read by `domain.check`."""

    returned: Returned

    @staticmethod
    def to_check(sale: Mapping[str, Json], refund: Refund) -> dict[str, Json]:
        """Return the `check` of an exchange: that of the new sale, and what came back."""
        return {**sale, "returned": refund.to_dict()}

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> ExchangeContents:
        """Return what came back in an exchange; raises `BadInput`."""
        f = check_fields(check)
        if "returned" not in f.data:
            raise BadInput("field_missing", place=f.place, field="returned")
        return cls(Returned.from_fields(f.object("returned")))


def check_fields(check: Mapping[str, Json] | None) -> Fields:
    """Return a record's check to be read; raises `BadInput` where the record has none."""
    if check is None:
        raise BadInput("field_missing", place="record", field="check")
    return Fields(check, "check")


def _pairs(f: Fields, name: str, unit: str) -> tuple[tuple[str, int], ...]:
    return tuple((one.text("id", None), one.integer(unit, None)) for one in f.objects(name))


def _plus(before: Mapping[str, int], more: tuple[tuple[str, int], ...]) -> dict[str, int]:
    return {**before, **{name: before.get(name, 0) + count for name, count in more}}
