"""Quotes, refunds, lots and tiers as tables that a person can read, in Russian and English."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loyalty_desk.domain.basket import WHOLE_CHECK, Basket
from loyalty_desk.domain.points import PointsLedger
from loyalty_desk.domain.quote import MANUAL_RULE, TIER_RULE, Quote
from loyalty_desk.domain.refund import Refund
from loyalty_desk.domain.tiers import Standing
from loyalty_desk.language import catalogue
from loyalty_desk.language import mark as _
from loyalty_desk.services import formats
from loyalty_desk.services.explanation import explain, explain_hint, reason
from loyalty_desk.services.wording import Words

LIMITS = {
    "available": _("that is all the guest has"),
    "share": _("that is the allowed share of the check"),
    "check": _("the check costs no more"),
    "minimum": _("fewer than the smallest number allowed"),
    "block": _("points are taken in whole steps"),
    "cap": _("that is the limit now"),
    "not_offered": _("the program does not pay with points"),
    "no_guest": _("points belong to a guest"),
}
HOW = {
    "lines": _("By lines"),
    "repriced": _("What is kept was priced again"),
    "amount": _("By amount"),
    "whole": _("The whole sale"),
}
CAUSES = {
    "reached": _("reached"),
    "fell": _("fell"),
    "manual": _("given by hand"),
    "manual_ended": _("given by hand, ended"),
}


class Tables:
    """Makes tables in one language. Money is the program's currency, times are those of `words.zone`.

    `names` are the rules' names by id and language.
    """

    def __init__(self, words: Words, names: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.words = words
        self._names = names or {}
        self.say: Callable[[str], str] = catalogue("commands", words.language).gettext

    def quote(self, quoted: Quote, basket: Basket) -> RenderableType:
        """Return lines, totals, points, what applied and what did not and why."""
        say, money = self.say, self.words.money
        headings = (_("Line"), _("Quantity"), _("Price"), _("Amount"), _("Discount"), _("Points"), _("To pay"))
        lines = self._table(headings, left=1)
        for position, (line, priced) in enumerate(zip(basket.lines, quoted.lines, strict=True)):
            name = line.product or (
                say(_("The whole check")) if line.id == WHOLE_CHECK else line.id or str(position + 1)
            )
            lines.add_row(
                Text(name),
                self.words.quantity(line.quantity_milli),
                money(line.unit_price + line.charge),
                money(priced.gross + priced.charge),
                money(-priced.discount) if priced.discount else "",
                money(-priced.points_money) if priced.points_money else "",
                money(priced.net),
            )
        totals = self._pairs(
            [
                (_("Before discounts"), money(quoted.gross)),
                (_("Discounts"), money(-quoted.discount_total) if quoted.discount_total else ""),
                (_("Paid with points"), money(-quoted.redeemed_money) if quoted.redeemed_money else ""),
                (_("To pay"), self.words.money(quoted.total, sign=True)),
                *((_("Gift card"), f"{identifier}: {money(-amount)}") for identifier, amount in quoted.payments),
                (_("Left to pay"), money(quoted.due) if quoted.payments else ""),
                (_("Gifts"), ", ".join(f"{gift.product} × {gift.quantity}" for gift in quoted.gifts)),
                (_("Points taken"), self._signed_points(-quoted.redeemed_points)),
                *((_("Reward"), f"{self._rule(rule)}: {self.words.points(-n)}") for rule, n in quoted.rewards),
                (_("Points earned"), self._signed_points(quoted.earned_points)),
                (_("Money that earns"), money(quoted.earning_base) if quoted.earned_points else ""),
                *((_("Stamps"), f"{self._rule(rule)}: {self._count(count)}") for rule, count in quoted.stamps),
                *((_("Coupon for next time"), f"{self._rule(rule)} × {n}") for rule, n in quoted.coupons_issued),
            ]
        )
        return Group(lines, totals, *self._reasons(quoted), *self._remarks(quoted))

    def _reasons(self, quoted: Quote) -> Iterable[RenderableType]:
        for heading, applied in ((_("What applied"), True), (_("What did not apply, and why"), False)):
            notes = [note for note in quoted.explanation if note.applied is applied]
            if notes:
                table = self._table((heading, ""), left=2)
                for note in notes:
                    table.add_row(Text(self._rule(note.rule)), Text(explain(note, self.words)))
                yield Padding(table, (0, 0, 1, 0))

    def _remarks(self, quoted: Quote) -> Iterable[RenderableType]:
        note = quoted.redemption
        if note.asked > note.points:
            why = self.say(LIMITS.get(note.binding, note.binding))
            said = self.say(_("Points: {asked} were asked for, {points} can be taken, {why}."))
            number = self.words.number_of_points
            yield Text(said.format(asked=number(note.asked), points=number(note.points), why=why))
        for key, code in quoted.rejected:
            yield Text(f"{key}: {reason(code, {}, self.words)}")
        if quoted.hint is not None:
            yield Text(self.say(_("Nearest offer: {hint}")).format(hint=explain_hint(quoted.hint, self.words)))

    def _rule(self, rule: str) -> str:
        if rule == TIER_RULE:
            return self.say(_("Guest’s tier"))
        return self.say(_("By hand")) if rule == MANUAL_RULE else self.words.name_of(self._names.get(rule, {}), rule)

    def refund(self, back: Refund, names: Mapping[str, str]) -> RenderableType:
        """Return what comes back: lines by their `names`, money and where it goes, points, counters."""
        money, points = self.words.money, self._signed_points
        lines = self._table(
            (_("Line"), _("Quantity"), _("Money back"), _("Points taken back"), _("Points returned")), 1
        )
        for line in back.lines:
            lines.add_row(
                Text(self.say(_("The whole check")) if line.line == WHOLE_CHECK else names.get(line.line, line.line)),
                self.words.quantity(line.quantity_milli),
                money(line.money),
                points(-line.earned_reversed),
                points(line.spent_returned),
            )
        totals = self._pairs(
            [
                (_("Return"), self.say(HOW[back.how])),
                (_("Money back"), self.words.money(back.money, sign=True)),
                *((_("To gift card"), f"{identifier}: {money(amount)}") for identifier, amount in back.back_to),
                *((_("Gift card loses"), f"{line}: {money(amount)}") for line, amount in back.cards),
                (_("Points taken back"), points(-back.earned_reversed)),
                (_("Points returned"), points(back.spent_returned)),
                *((_("Stamps"), f"{self._rule(rule)}: {self._count(-count)}") for rule, count in back.stamps),
                *((_("Use given back"), f"{self._rule(rule)}: {count}") for rule, count in back.uses),
                *((_("Coupon given back"), code) for code in back.coupons_freed),
                *((_("Coupon withdrawn"), f"{self._rule(r)} × {n}") for r, n in back.coupons_withdrawn),
            ]
        )
        return Group(lines, totals) if back.lines else totals

    def points(self, ledger: PointsLedger, at: datetime) -> RenderableType:
        """Return the lots and what can be spent at `at`."""
        number = self.words.number_of_points
        lots = self._table((_("Lot"), _("Since"), _("Points"), _("Left"), _("Held"), _("Until")), left=2)
        for lot in ledger.open_lots:
            until = self._moment(lot.expires_at) if lot.expires_at else self.say(_("for good"))
            if not lot.is_live(at):
                until = f"{until} ({self.say(_('expired'))})"
            lots.add_row(
                Text(lot.id),
                self._moment(lot.earned_at),
                number(lot.amount),
                number(lot.remaining),
                number(lot.held) if lot.held else "",
                until,
            )
        expiries = ledger.next_expiries(at)
        totals = self._pairs(
            [
                (_("Can be spent"), self.words.points(max(0, ledger.available(at)))),
                (_("Balance"), self.words.points(ledger.balance)),
                (_("Owed"), self.words.points(ledger.debt) if ledger.debt else ""),
                *((_("Expires next"), f"{self._moment(when)}: {self.words.points(n)}") for when, n in expiries),
            ]
        )
        return Group(lots, totals) if ledger.open_lots else totals

    def tier(self, found: Standing, base: str, name: Callable[[str], str], stated: str = "") -> RenderableType:
        """Return the tier, until when, what is missing to the next, and the history.

        `stated` is the tier that the file gives the guest: a quote takes it, here checks and tiers by hand count alone.
        """
        amount = self._measure(base)
        rows = [
            (_("Tier"), name(found.tier) or self.say(_("none"))),
            (_("Given by hand until"), self._moment(found.until) if found.until else ""),
            (_("Counts"), amount(found.measured)),
        ]
        if found.next_tier:
            missing = self.say(_("{missing} more")).format(missing=amount(found.missing))
            rows.append((_("Next tier"), f"{name(found.next_tier)}: {missing}"))
        if found.falls_at:
            rows.append((_("Falls"), f"{self._moment(found.falls_at)}: {name(found.falls_to)}"))
        parts: list[RenderableType] = [self._pairs(rows)]
        if stated and stated != found.tier:
            said = self.say(
                _("The file gives the tier {tier}; a tier is worked out from paid checks and tiers by hand.")
            )
            parts.append(Padding(Text(said.format(tier=name(stated))), (0, 0, 1, 0)))
        if found.history:
            history = self._table((_("When"), _("Tier"), _("Why"), _("Counts")), left=3)
            for change in found.history:
                cause = self.say(CAUSES[change.cause])
                history.add_row(self._moment(change.at), Text(name(change.after)), cause, amount(change.measured))
            parts.append(history)
        return Group(*parts)

    def _measure(self, base: str) -> Callable[[int], str]:
        if base == "spend":
            return lambda units: self.words.money(units, sign=True)
        return self.words.points if base == "earned" else str

    def _table(self, headings: Sequence[str], left: int) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for position, heading in enumerate(headings):
            table.add_column(self.say(heading) if heading else "", justify="left" if position < left else "right")
        return table

    def _pairs(self, rows: Iterable[tuple[str, str]]) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for heading, shown in rows:
            if shown:
                table.add_row(self.say(heading), Text(shown))
        return Padding(table, (1, 0))

    def _signed_points(self, units: int) -> str:
        if not units:
            return ""
        return f"+{self.words.number_of_points(units)}" if units > 0 else self.words.number_of_points(units)

    def _count(self, count: int) -> str:
        return f"+{count}" if count > 0 else formats.number(count, 0, self.words.language)

    def _moment(self, moment: datetime) -> str:
        return self.words.whole_moment(moment)


def printed(shown: RenderableType, *, width: int | None = None) -> str:
    """Return what a renderable looks like as plain text of at most `width` columns (None: the terminal's)."""
    console = Console(width=width, color_system=None, highlight=False, emoji=False, markup=False)
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
