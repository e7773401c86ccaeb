"""Returns of a sale: by lines and units, by amount, whole; money, points and counters that come back (rules 17, 18).

Everything is worked out from the start of the sale to the state after the return, less what came back before: however a
guest returns a check piece by piece, the pieces sum to the whole, and none exceeds what was paid or spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from loyalty_desk.domain.basket import MILLI, WHOLE_CHECK, Basket, Line, LineFlag
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.conditions.usage import PERIODS
from loyalty_desk.domain.conditions.when import period_of
from loyalty_desk.domain.effects import EFFECTS, EarningEffect
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.money import allocate, divide_half_up
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES, Choices, Quote
from loyalty_desk.domain.units import Run, Runs, unit_shares

EARNING = {name for name, made in EFFECTS.items() if isinstance(made, type) and issubclass(made, EarningEffect)}


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


@dataclass(frozen=True)
class Sale:
    """A check as it was sold: what went into its quote, and the quote."""

    basket: Basket
    guest: GuestFacts | None
    program: Program
    choices: Choices
    quote: Quote

    @classmethod
    def priced(
        cls,
        basket: Basket,
        guest: GuestFacts | None,
        program: Program,
        at: datetime,
        choices: Choices = NO_CHOICES,
    ) -> Sale:
        """Return the sale of a check priced at `at`."""
        return cls(basket, guest, program, choices, quote(basket, guest, program, at, choices))

    @property
    def spent(self) -> int:
        """Return the points that the guest gave for the check, rewards included, smallest point units."""
        return self.quote.redeemed_points

    @property
    def is_bare_total(self) -> bool:
        """Return whether the check has no lines but its total."""
        return len(self.basket.lines) == 1 and self.basket.lines[0].id == WHOLE_CHECK

    @cached_property
    def unredeemed(self) -> Quote:
        """Return the same check as it would have cost without points."""
        if self.spent == 0:
            return self.quote
        return self.quoted(self.basket, replace(self.choices, points_asked=0, rewards=()))

    @cached_property
    def lines(self) -> tuple[SoldLine, ...]:
        """Return the lines with their units, in the basket's order."""
        return tuple(_sold_line(self, position) for position in range(len(self.basket.lines)))

    @cached_property
    def has_sets(self) -> bool:
        """Return whether a buy-get, group or bundle rule gave something: its units stand or fall together."""
        return self.quote.units_consumed > 0 or bool(self.quote.gifts)

    def quoted(self, basket: Basket, choices: Choices) -> Quote:
        """Return another basket priced as this sale was: same program, moment and guest."""
        return quote(basket, self.guest, self.program, self.quote.at, choices)


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line sold, unit by unit in the line's order: `nets` paid, and the price `before` points came off (minor units).

    `earned` and `spent` are the points of each unit. A weighed line has one unit. `id` is the line's, or its place.
    """

    id: str
    line: Line
    nets: Runs
    before: Runs
    earned: Runs
    spent: Runs

    def back(self, of: Runs, quantity_milli: int) -> int:
        """Return how much of `of` belongs to `quantity_milli` thousandths, last units first."""
        if self.line.is_weighed:
            return divide_half_up(sum(run.price for run in of) * quantity_milli, self.line.quantity_milli)
        total, left = 0, quantity_milli // MILLI
        for run in reversed(of):
            taken = min(left, run.units)
            total += taken * run.price
            left -= taken
        return total


def refund(sale: Sale, returns: Sequence[Return], before: Refunded = NOTHING_YET) -> Refund:
    """Return what a return by lines gives back; `before` is what came back earlier.

    Raises `BadInput` (`return_line_unknown`, `return_quantity`) and `Refused` (`return_more_than_left`,
    `return_nothing_left`, `return_splits_set`).
    """
    quantities = _quantities(sale, returns, before)
    is_whole = all(quantities.get(s.id, 0) == s.line.quantity_milli for s in sale.lines)
    if is_whole:
        return _whole(sale, before, quantities)
    if sale.has_sets and sale.program.settings.partial_bundle_return == "refuse":
        raise Refused("return_splits_set")
    shares = [
        ReturnedLine(
            sold.id,
            quantities.get(sold.id, 0),
            *(sold.back(of, quantities.get(sold.id, 0)) for of in (sold.nets, sold.earned, sold.spent)),
        )
        for sold in sale.lines
    ]
    settings = sale.program.settings
    spent = sum(line.spent_returned for line in shares) if settings.spent_back == "share" else 0
    earned = sum(line.earned_reversed for line in shares)
    money = sum(line.money for line in shares)
    kept = _kept_quote(sale, quantities) if sale.has_sets or _counts_units(sale) else None
    if kept is not None and sale.has_sets:
        kept_spent = kept.redeemed_points
        spent = sale.spent - kept_spent if settings.spent_back == "share" else 0
        held_back = 0 if settings.spent_back == "share" else sale.quote.redeemed_money - kept.redeemed_money
        money = sale.quote.total - max(0, kept.total - held_back)
        earned = sale.quote.earned_points - kept.earned_points
    if settings.points_reversal == "formula":
        earned = _by_formula(sale, quantities)
    return _made(
        sale,
        before,
        "repriced" if sale.has_sets else "lines",
        replace(before, quantities=quantities, money=money, earned_reversed=earned, spent_returned=spent),
        kept,
    )


def refund_amount(sale: Sale, amount: int, before: Refunded = NOTHING_YET) -> Refund:
    """Return what a return of `amount` minor units of a bare-total check gives back.

    Points come back as floor(points × returned so far ÷ paid) less what came back before. Raises `BadInput`
    (`return_amount`) and `Refused` (`return_by_lines`, `return_more_than_left`).
    """
    if not sale.is_bare_total:
        raise Refused("return_by_lines")
    if amount <= 0:
        raise BadInput("return_amount", amount=amount)
    paid = sale.quote.total
    so_far = before.money + amount
    if so_far > paid:
        raise Refused("return_more_than_left", asked=amount, left=max(0, paid - before.money))
    if so_far == paid:
        return _whole(sale, before, {WHOLE_CHECK: sale.basket.lines[0].quantity_milli})
    settings = sale.program.settings
    earned = sale.quote.earned_points * so_far // paid
    if settings.points_reversal == "formula":
        earned = _formula_points(sale, [Line(id=WHOLE_CHECK, unit_price=so_far, flags=sale.basket.lines[0].flags)])
    spent = sale.spent * so_far // paid if settings.spent_back == "share" else 0
    after = replace(before, money=so_far, earned_reversed=earned, spent_returned=spent)
    return _made(sale, before, "amount", after, None)


def void(sale: Sale, before: Refunded = NOTHING_YET) -> Refund:
    """Return what taking back the whole sale, or what is left of it, gives back. Raises `Refused` where nothing is."""
    quantities = {sold.id: sold.line.quantity_milli for sold in sale.lines}
    if quantities and dict(before.quantities) == quantities:
        raise Refused("return_nothing_left")
    return _whole(sale, before, quantities)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A return and a sale in one; `to_pay` minor units, negative where the guest gets money back."""

    refund: Refund
    sale: Sale

    @property
    def to_pay(self) -> int:
        """Return what the guest pays for the difference, in minor units."""
        return self.sale.quote.due - self.refund.cash


def exchange(
    sale: Sale,
    returns: Sequence[Return],
    basket: Basket,
    program: Program,
    at: datetime,
    *,
    guest: GuestFacts | None = None,
    choices: Choices = NO_CHOICES,
    before: Refunded = NOTHING_YET,
) -> Exchange:
    """Return an exchange: the return is worked out first, then the new basket for the guest as it leaves them."""
    returned = refund(sale, returns, before)
    return Exchange(returned, Sale.priced(basket, guest_after(guest, sale, returned), program, at, choices))


def guest_after(guest: GuestFacts | None, sale: Sale, returned: Refund) -> GuestFacts | None:
    """Return a guest's facts once a return is posted: points, spend, stamps and, of a whole return, visits and uses.

    Uses go from all time and from the periods that the sale lay in, not from others.
    """
    if guest is None:
        return None
    local = sale.quote.at.astimezone(sale.basket.zone)
    periods = {"", *(period_of(local, period) for period in PERIODS)}
    uses, stamps = dict(guest.uses), dict(guest.stamps)
    for rule, count in returned.uses:
        uses = {key: max(0, n - count) if key[0] == rule and key[1] in periods else n for key, n in uses.items()}
    for rule, count in returned.stamps:
        stamps[rule] = stamps.get(rule, 0) - count
    visits = 1 if returned.is_whole else 0
    return replace(
        guest,
        points=guest.points - returned.earned_reversed + returned.spent_returned,
        spend=max(0, guest.spend - returned.money),
        earned=max(0, guest.earned - returned.earned_reversed),
        visits=max(0, guest.visits - visits),
        visits_ever=None if guest.visits_ever is None else max(0, guest.visits_ever - visits),
        uses=uses,
        stamps=stamps,
    )


def line_id(line: Line, position: int) -> str:
    """Return what a return calls a line: its id, else `#` and its place from 1, as explanations do."""
    return line.id or f"#{position + 1}"


def _quantities(sale: Sale, returns: Sequence[Return], before: Refunded) -> dict[str, int]:
    """Return the thousandths of each line that are back after this return."""
    sold = {s.id: s.line for s in sale.lines}
    quantities = dict(before.quantities)
    for back in returns:
        line = sold.get(back.line)
        if line is None:
            raise BadInput("return_line_unknown", line=back.line[:40])
        if back.quantity_milli <= 0 or (not line.is_weighed and back.quantity_milli % MILLI):
            raise BadInput("return_quantity", line=back.line, quantity_milli=back.quantity_milli)
        left = line.quantity_milli - quantities.get(back.line, 0)
        if back.quantity_milli > left:
            raise Refused("return_more_than_left", line=back.line, asked_milli=back.quantity_milli, left_milli=left)
        quantities[back.line] = quantities.get(back.line, 0) + back.quantity_milli
    if quantities == dict(before.quantities):
        raise BadInput("return_empty")
    return quantities


def _kept_quote(sale: Sale, quantities: Mapping[str, int]) -> Quote:
    """Return what is kept priced as the sale was; what was taken off a line by hand is gone with the line."""
    kept = _kept(sale, quantities)
    ids = {line.id for line in kept.lines}
    manual = tuple(one for one in sale.choices.manual_discounts if one.line is None or one.line in ids)
    return sale.quoted(kept, replace(sale.choices, manual_discounts=manual))


def _kept(sale: Sale, quantities: Mapping[str, int]) -> Basket:
    lines = []
    for position, line in enumerate(sale.basket.lines):
        left = line.quantity_milli - quantities.get(line_id(line, position), 0)
        if left:
            tax = None if line.tax is None else divide_half_up(line.tax * left, line.quantity_milli)
            # What is left of a weighed line is still a weighed line, even where it happens to be whole.
            flags = line.flags | {LineFlag.WEIGHED.value} if line.is_weighed else line.flags
            lines.append(replace(line, quantity_milli=left, tax=tax, flags=flags))
    return replace(sale.basket, lines=tuple(lines))


def _counts_units(sale: Sale) -> bool:
    return bool(sale.quote.stamps or sale.quote.coupons_issued)


def _whole(sale: Sale, before: Refunded, quantities: Mapping[str, int]) -> Refund:
    after = replace(
        before,
        quantities=quantities,
        money=sale.quote.total,
        earned_reversed=sale.quote.earned_points,
        spent_returned=sale.spent,
    )
    return _made(sale, before, "whole", after, None, is_whole=True)


def _made(
    sale: Sale, before: Refunded, how: str, after: Refunded, kept: Quote | None, *, is_whole: bool = False
) -> Refund:
    """Return the refund from totals before and after; each part is between nothing and what is left."""
    q = sale.quote
    money = _between(after.money - before.money, q.total - before.money)
    earned = _between(after.earned_reversed - before.earned_reversed, q.earned_points - before.earned_reversed)
    spent = _between(after.spent_returned - before.spent_returned, sale.spent - before.spent_returned)
    stamps = _less(_whole_or_kept(q.stamps, kept.stamps if kept else q.stamps, is_whole=is_whole), before.stamps)
    issued = _whole_or_kept(q.coupons_issued, kept.coupons_issued if kept else q.coupons_issued, is_whole=is_whole)
    withdrawn = _less(issued, before.coupons_withdrawn)
    paid_back = before.money
    back_to: list[tuple[str, int]] = []
    for identifier, amount in q.payments:
        due = max(0, amount - paid_back)
        part = min(due, money - sum(given for _, given in back_to))
        paid_back = max(0, paid_back - amount)
        if part:
            back_to.append((identifier, part))
    lines = _lines(sale, before, after, money, earned, spent)
    return Refund(
        how=how,
        money=money,
        earned_reversed=earned,
        spent_returned=spent,
        lines=lines,
        is_whole=is_whole,
        after=Refunded(
            quantities=dict(after.quantities),
            money=before.money + money,
            earned_reversed=before.earned_reversed + earned,
            spent_returned=before.spent_returned + spent,
            stamps=_plus(before.stamps, stamps),
            coupons_withdrawn=_plus(before.coupons_withdrawn, withdrawn),
        ),
        back_to=tuple(back_to),
        cards=_cards(sale, before, after),
        uses=q.uses if is_whole else (),
        stamps=stamps,
        coupons_freed=_coupons_freed(sale) if is_whole else (),
        coupons_withdrawn=withdrawn,
    )


def _lines(
    sale: Sale, before: Refunded, after: Refunded, money: int, earned: int, spent: int
) -> tuple[ReturnedLine, ...]:
    """Return each line's part, the totals being split by what the returned units paid, earned and spent."""
    moved = [(sold, after.quantities.get(sold.id, 0), before.quantities.get(sold.id, 0)) for sold in sale.lines]
    moved = [(sold, now, then) for sold, now, then in moved if now > then]
    parts = [
        allocate(amount, [max(0, sold.back(of, now) - sold.back(of, then)) for (sold, now, then), of in zipped])
        for amount, zipped in (
            (money, [(row, row[0].nets) for row in moved]),
            (earned, [(row, row[0].earned) for row in moved]),
            (spent, [(row, row[0].spent) for row in moved]),
        )
    ]
    return tuple(
        ReturnedLine(sold.id, now - then, *numbers) for (sold, now, then), *numbers in zip(moved, *parts, strict=True)
    )


def _between(amount: int, most: int) -> int:
    return max(0, min(amount, most))


def _whole_or_kept(
    had: Sequence[tuple[str, int]], kept: Sequence[tuple[str, int]], *, is_whole: bool
) -> dict[str, int]:
    left = {} if is_whole else _summed(kept)
    return {rule: count - left.get(rule, 0) for rule, count in _summed(had).items()}


def _summed(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Return the counts by rule; a rule with two effects may be there twice."""
    counts: dict[str, int] = {}
    for rule, count in pairs:
        counts[rule] = counts.get(rule, 0) + count
    return counts


def _less(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    counts = {rule: count - before.get(rule, 0) for rule, count in now.items()}
    return tuple((rule, count) for rule, count in counts.items() if count)


def _plus(before: Mapping[str, int], more: Sequence[tuple[str, int]]) -> dict[str, int]:
    return {**before, **{rule: before.get(rule, 0) + count for rule, count in more}}


def _cards(sale: Sale, before: Refunded, after: Refunded) -> tuple[tuple[str, int], ...]:
    """Return what gift cards sold lose again: what was loaded on the units returned, their price before discounts."""
    found = []
    for sold in sale.lines:
        now, then = (state.quantities.get(sold.id, 0) for state in (after, before))
        if LineFlag.GIFT_CARD in sold.line.flags and now > then:
            found.append((sold.id, divide_half_up(sold.line.unit_price * (now - then), MILLI)))
    return tuple(found)


def _coupons_freed(sale: Sale) -> tuple[str, ...]:
    """Return the coupons presented, but for those that a used rule keeps after a void."""
    used = {rule for rule, _ in sale.quote.uses} | {note.rule for note in sale.quote.explanation if note.applied}
    kept: set[str] = set()
    owned = {} if sale.guest is None else {c.code.strip().casefold(): c.rule for c in sale.guest.coupons}
    for rule in sale.program.rules:
        for condition in rule.conditions:
            if rule.id in used and condition.data.get("type") == "coupon":
                if condition.flag("reusable_after_void", default=True):
                    continue
                kept |= {code.strip().casefold() for code in condition.texts("codes")}
                kept |= {code for code, of in owned.items() if of == rule.id}
    return tuple(code for code in sale.choices.coupons if code.strip().casefold() not in kept)


def _by_formula(sale: Sale, quantities: Mapping[str, int]) -> int:
    """Return what the earning rules give for the units returned so far, at their price before points came off."""
    lines: list[Line] = []
    for sold in sale.lines:
        left = quantities.get(sold.id, 0)
        if sold.line.is_weighed:
            if left:
                price = divide_half_up(sold.before[0].price * left, sold.line.quantity_milli)
                lines.append(_priced(sold.line, len(lines), price, 1, WEIGHED))
            continue
        left //= MILLI
        for run in reversed(sold.before):
            taken = min(left, run.units)
            left -= taken
            if taken:
                lines.append(_priced(sold.line, len(lines), run.price, taken, frozenset()))
    return _formula_points(sale, lines)


WEIGHED = frozenset({LineFlag.WEIGHED.value})


def _priced(line: Line, number: int, price: int, units: int, flags: frozenset[str]) -> Line:
    tax = None
    if line.tax is not None and line.gross:
        tax = divide_half_up(line.tax * price * units, line.gross)
    return replace(
        line,
        id=f"{number}",
        unit_price=price,
        quantity_milli=units * MILLI,
        flags=line.flags | flags,
        tax=tax,
        charge=0,
        floor=0,
    )


def _formula_points(sale: Sale, lines: Sequence[Line]) -> int:
    program = _earning_alone(sale.program)
    basket = replace(sale.basket, lines=tuple(lines))
    choices = replace(sale.choices, points_asked=0, rewards=(), manual_discounts=(), payments=())
    return quote(basket, sale.guest, program, sale.quote.at, choices).earned_points


def _earning_alone(program: Program) -> Program:
    """Return the program without anything that takes money off."""
    rules: list[Json] = []
    for rule in program.rules:
        effects = [effect.data for effect in rule.effects if effect.data["type"] in EARNING]
        if effects:
            rules.append(
                {
                    "id": rule.id,
                    "effects": effects,
                    "conditions": [condition.data for condition in rule.conditions],
                    **({} if rule.group is None else {"group": rule.group}),
                    **({} if rule.order is None else {"order": rule.order}),
                    **({"exclusive": rule.exclusive if rule.exclusive == "check" else True} if rule.exclusive else {}),
                }
            )
    tiers: list[Json] = [
        {"code": tier.code, "threshold": tier.threshold, "earn_bp": tier.earn_bp} for tier in program.tiers
    ]
    data = {key: value for key, value in program.data.items() if key != "redemption"}
    return Program.from_dict({**data, "rules": rules, "tiers": tiers})


def _sold_line(sale: Sale, position: int) -> SoldLine:
    line, priced = sale.basket.lines[position], sale.quote.lines[position]
    goods = sale.quote.units(position)
    before = sale.unredeemed.units(position)
    charge = priced.charge if line.is_weighed else line.charge
    by_points = _difference(before, goods)
    return SoldLine(
        id=line_id(line, position),
        line=line,
        nets=tuple(run._replace(price=run.price + charge) for run in goods),
        before=before,
        earned=_split(priced.earned, goods),
        spent=_split(priced.points, by_points),
    )


def _difference(more: Runs, less: Runs) -> Runs:
    """Return, unit by unit, what `more` costs above `less`."""
    out: list[Run] = []
    lower = [[run.price, run.units] for run in less]
    for run in more:
        left = run.units
        while left and lower:
            taken = min(left, lower[0][1])
            out.append(Run(max(0, run.price - lower[0][0]), taken))
            left -= taken
            lower[0][1] -= taken
            if not lower[0][1]:
                lower.pop(0)
    return tuple(out)


def _split(points: int, weights: Runs) -> Runs:
    """Split points over units by largest remainder, equally where all weights are zero."""
    if not points or not weights:
        return tuple(run._replace(price=0) for run in weights)
    out: list[Run] = []
    shares = unit_shares([(run.price, run.units) for run in weights], points)
    for run, (each, extra) in zip(weights, shares, strict=True):
        out += [Run(price, units) for price, units in ((each + 1, extra), (each, run.units - extra)) if units]
    return tuple(out)
