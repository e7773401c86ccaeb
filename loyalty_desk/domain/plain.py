"""Plain checks priced in one stroke: whole units at a price, lowered by rates and amounts, earning at rates.

A check that sets, free units, gifts and stamps have nothing to do with costs half as much this way; one that turns out
to need the general way costs a tenth more. `pricing` says what is right: a check that is not plain, or meets a rule
that is not, is left to it, and so is all that is asked about a quote later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial, reduce
from operator import or_
from typing import Any

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.conditions.base import Condition, Test
from loyalty_desk.domain.conditions.goods import Categories, Excluded, Products
from loyalty_desk.domain.conditions.size import Amount
from loyalty_desk.domain.earning import multiplier, rounded
from loyalty_desk.domain.effects.earning import BonusMultiplier, EarnRate
from loyalty_desk.domain.effects.fixed_amount import SharedAmount
from loyalty_desk.domain.effects.percentage import LinePercentage
from loyalty_desk.domain.effects.reward import Reward
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.money import BASIS_POINTS, largest_remainder, percent_off
from loyalty_desk.domain.plan import Bits, Plan, PlannedRule, brought_up
from loyalty_desk.domain.program import Program, Tier
from loyalty_desk.domain.quote import NOT_OFFERED, TIER_RULE, Choices, QuoteLine
from loyalty_desk.domain.redemption import paying
from loyalty_desk.domain.tally import Cut, Tally, folded

type Goods = str | tuple[str]
"""A category, or a product in a tuple of its own."""

type Use = tuple[int, tuple[str, int]]
"""A rule's rank, and one use of it as a quote lists it."""

type Lowering = tuple[Bits, int, str, Sequence[Goods], bool, int, int | None, Use | None]
"""A rule that lowers: its bit, the least that the check costs, its id, its goods (none: all), whether it spares
lowered lines, twice the rate that it keeps, or the amount that it shares out, and its use."""

type Earning = tuple[Bits, int, Sequence[Goods], frozenset[str], tuple[str, int] | None, int, int, Use | None]
"""A rule that earns: its bit, the least that the check costs, its goods (none: all), the categories of which it takes
no goods, its id and what it multiplies by, or the points for so many minor units, and its use."""

type Rate = tuple[int, int]
"""Smallest point units for how many minor units."""

NO_RATE: Rate = (0, 1)
_NOTHING: frozenset[str] = frozenset()

type ByGoods = dict[Goods, list[int]]
"""The lines of each category of a check, and of each product where a rule names products."""


class PlainPlan:
    """A plan's rules as a plain check needs them, by their bits' length; `other` are those that are not plain.

    `asked` are rules with conditions on neither goods nor prices, which are asked once, before any rule's turn: so a
    rule that is not plain need not stand in the way of a check. Nor need the `rewards` that nobody claims, nor `dear`
    rules, for checks that cost more. `never`: one does stand in the way of every check.
    """

    __slots__ = ("asked", "dear", "earning", "lowering", "never", "other", "program_hash", "rewards", "tests")

    def __init__(self, plan: Plan, program: Program) -> None:
        counted = program.compiled.counted
        self.program_hash = program.hash_text
        self.lowering: dict[int, Lowering] = {}
        self.earning: dict[int, Earning] = {}
        self.tests: dict[int, list[Test]] = {}
        self.asked: Bits = 0
        self.other: Bits = 0
        self.rewards: Bits = 0
        self.dear: list[tuple[int, Bits]] = []
        for rule in plan.rules:
            place = rule.bit.bit_length()
            use = (rule.rank, counted[rule.rank]) if rule.rank in counted else None
            lowering, earning = _lowering(rule, plan, use), _earning(rule, plan, program, use)
            if lowering is not None:
                self.lowering[place] = lowering
            elif earning is not None:
                self.earning[place] = earning
            else:
                self.other |= rule.bit
                if isinstance(rule.sole_effect, Reward) and not rule.earning:
                    self.rewards |= rule.bit
                least = max([c.low for c in rule.conditions if isinstance(c, Amount) and c.of == "check"], default=0)
                if least:
                    self.dear.append((least, rule.bit))
            tests = [c.test() for c in rule.conditions if _is_asked(c)]
            if tests:
                self.asked |= rule.bit
                self.tests[place] = [test for test in tests if test is not None]
        may_not = reduce(or_, [bit for _, bit in self.dear], self.asked | self.rewards)
        self.never = bool(plan.always & self.other & ~may_not)

    def refused(self, waiting: Bits, tally: Tally) -> Bits:
        """Return those of the waiting rules that are asked and do not hold."""
        waiting &= self.asked
        found = 0
        while waiting:
            place = waiting.bit_length()
            bit = 1 << (place - 1)
            waiting ^= bit
            if not all(test(tally, ()) for test in self.tests[place]):
                found |= bit
        return found

    def out_of_reach(self, total: int, choices: Choices) -> Bits:
        """Return those of the others that a check of this price cannot come to: it only becomes less."""
        found = 0 if choices.rewards else self.rewards
        for least, bit in self.dear:
            if least > total:
                found |= bit
        return found


def plain_fields(
    basket: Basket, guest: GuestFacts | None, program: Program, at: datetime, choices: Choices
) -> dict[str, Any] | Tally | None:
    """Return the fields of the quote of a plain check but its payments and working.

    For any other check return None, or its tally, from which nothing has been taken, where it took one to tell. Raises
    `BadInput` for a basket that cannot be priced.
    """
    compiled = program.compiled
    if not compiled.is_plain or choices.manual_discounts:
        return None
    plans = compiled.plans
    plan = plans.made.get(plans.circumstances(basket, guest, at.astimezone(basket.zone), True))
    if plan is None:
        return None
    if plan.plain is None:
        plan.plain = PlainPlan(plan, program)
    plain = plan.plain
    if plain.never:
        return None
    ids, gross, all_plain = basket.read()
    if not all_plain or not ids or "" in ids:
        return None
    by_goods: ByGoods = {}
    for i, line in enumerate(basket.lines):
        category = line.category
        if category in by_goods:
            by_goods[category].append(i)
        else:
            by_goods[category] = [i]
    excluded = compiled.excluded
    if excluded.categories and not excluded.categories.isdisjoint(by_goods):
        return None
    if excluded.products and not excluded.products.isdisjoint([line.product for line in basket.lines]):
        return None
    # As `Plan.candidates`, with a look at what the rules ask of the check beside goods and prices.
    found, index = plan.always, plan.by_category
    still_open: dict[Goods, Bits] = {}
    for goods in by_goods:
        if goods in index:
            bits = index[goods]
            still_open[goods] = bits
            found |= bits
    if plan.by_product:
        index = plan.by_product
        for i, line in enumerate(basket.lines):
            product = line.product
            if product in index:
                by_goods.setdefault((product,), []).append(i)
                still_open[product,] = bits = index[product]
                found |= bits
    if plan.by_code and choices.codes:
        found |= brought_up(plan.by_code, [folded(code) for code in choices.codes])
    if plan.limits and guest is not None and guest.uses:
        found = plan.not_used_up(found, guest.uses)
    if found & plain.other:
        found &= ~plain.out_of_reach(sum(gross), choices)
        if found & plain.other & ~plain.asked:
            return None
    if found & plain.asked:
        tally = Tally(basket, guest, program, at, choices)
        found ^= plain.refused(found, tally)
        if found & plain.other:
            return tally
    return _priced(plan, plain, found, by_goods, still_open, ids, gross, guest, program, at, choices)


def _priced(
    plan: Plan,
    plain: PlainPlan,
    found: Bits,
    by_goods: ByGoods,
    still_open: dict[Goods, Bits],
    ids: list[str],
    gross: list[int],
    guest: GuestFacts | None,
    program: Program,
    at: datetime,
    choices: Choices,
) -> dict[str, Any] | None:
    """Return the fields of the quote of a check that no rules but plain ones were `found` for, None for a rare one.

    All comes in the order of `pricing._worked_out`.
    """
    whole = total = sum(gross)
    left = gross.copy()
    cuts: list[tuple[Cut, ...]] = [()] * len(left)
    uses: list[Use] = []
    tier = None if guest is None or not program.tiers else program.tier(guest.tier)
    off = 0 if tier is None or program.model == "points" or choices.tier_withheld else tier.discount_bp
    if off and program.tier_stacking == "before":
        total -= _share_out(left, cuts, range(len(left)), TIER_RULE, percent_off(total, off))
    waiting = found & plan.discounts
    if waiting:
        total = _lower(plain, waiting, ~plan.claims, by_goods, still_open, left, cuts, total, uses)
    if off and program.tier_stacking == "stack":
        total -= _share_out(left, cuts, range(len(left)), TIER_RULE, percent_off(total, off))
    elif off and program.tier_stacking == "best_of" and _take_better(gross, left, cuts, off):
        if uses:
            # What a rule gave is not the same any more.
            return None
        total = sum(left)
    note = NOT_OFFERED
    if program.redemption is not None or choices.points_asked:
        own = 0 if guest is None else max(0, guest.points)
        note = paying(
            program, guest, choices, choices.points_asked, own, choices.redemption_cap, costs=total, total=total
        )
    nothing = [0] * len(left)
    paid = spent = by_line = nothing
    if note.money:
        paid = largest_remainder(note.money, left)
        spent = largest_remainder(note.points, paid)
        left = [price - part for price, part in zip(left, paid, strict=True)]
        total -= note.money
    earned = 0
    if guest is not None:
        rate = NO_RATE if tier is None else _tier_rate(tier, program)
        earned, by_line = _earn(plain, found & plan.earning, rate, program, by_goods, left, total, uses)

    fields: dict[str, Any] = {
        "currency": program.currency,
        "program_version": program.version,
        "program_hash": plain.program_hash,
        "at": at,
        "lines": tuple(map(_quote_line, zip(ids, gross, nothing, cuts, paid, left, spent, by_line, strict=True))),
        "gross": whole,
        "discount_total": whole - total - note.money,
        "redeemed_points": note.points,
        "redeemed_money": note.money,
        "total": total,
        "earned_points": earned,
        "earning_base": total,
        "redemption": note,
    }
    if guest is not None:
        fields["tier"] = guest.tier
    if uses:
        uses.sort()
        fields["uses"] = tuple([use for _, use in uses])
    return fields


# `QuoteLine._make` without a Python frame for each line.
_quote_line: Callable[[tuple[object, ...]], QuoteLine] = partial(tuple.__new__, QuoteLine)


def _lower(
    plain: PlainPlan,
    waiting: Bits,
    others: Bits,
    by_goods: ByGoods,
    still_open: dict[Goods, Bits],
    left: list[int],
    cuts: list[tuple[Cut, ...]],
    total: int,
    uses: list[Use],
) -> int:
    """Let the waiting rules take their turns on what is `left` of the lines, in `total`; return what is left in all.

    Goods are `still_open`, for the rules that name them, while a line of theirs can be lowered by rules that spare
    lowered lines. All but the `others` of the rules wait no longer than for one of these.
    """
    rules = plain.lowering
    closed = 0
    while waiting:
        bit, least, rule, names, spares, kept, amount, use = rules[waiting.bit_length()]
        if bit & closed:
            # Only now does it pay to tell which of the rules have nothing left to lower.
            waiting &= reduce(or_, still_open.values(), others)
            closed = 0
            continue
        waiting ^= bit
        if total < least:
            continue
        before = total
        if amount is None and spares and names:
            # The commonest of all, without a look at goods of which it would spare every line.
            for name in names:
                if name in still_open:
                    is_open = False
                    for i in by_goods[name]:
                        if not cuts[i]:
                            price = left[i]
                            # `money.percent_off`.
                            off = price - (price * kept + BASIS_POINTS) // (2 * BASIS_POINTS)
                            if off:
                                left[i] = price - off
                                cuts[i] = ((rule, off),)
                                total -= off
                            elif price:
                                is_open = True
                    if not is_open:
                        closed |= still_open.pop(name)
        else:
            lines: Sequence[int] = range(len(left))
            if names:
                lines = sorted([i for name in names if name in by_goods for i in by_goods[name]])
            if spares:
                lines = [i for i in lines if not cuts[i]]
            if amount is not None:
                total -= _share_out(left, cuts, lines, rule, amount)
            else:
                total -= _take_rate(left, cuts, lines, rule, kept)
            for name in names:
                if name in still_open:
                    for i in by_goods[name]:
                        if not cuts[i] and left[i]:
                            break
                    else:
                        closed |= still_open.pop(name)
        if use is not None and total != before:
            uses.append(use)
    return total


def _take_rate(left: list[int], cuts: list[tuple[Cut, ...]], lines: Sequence[int], rule: str, kept: int) -> int:
    """Lower each of the lines by a rate, of which twice the rest is `kept`; return what was taken."""
    taken = 0
    for i in lines:
        price = left[i]
        off = price - (price * kept + BASIS_POINTS) // (2 * BASIS_POINTS)
        if off:
            left[i] = price - off
            cuts[i] = (*cuts[i], (rule, off))
            taken += off
    return taken


def _share_out(left: list[int], cuts: list[tuple[Cut, ...]], lines: Sequence[int], rule: str, amount: int) -> int:
    """Split an amount over lines by what each still costs; return what was taken (`Tally.take_split`)."""
    if len(lines) == 1:
        (i,) = lines
        taken = min(amount, left[i])
        if taken:
            left[i] -= taken
            cuts[i] = (*cuts[i], (rule, taken))
        return taken
    weights = [left[i] for i in lines]
    taken = min(amount, sum(weights))
    if taken:
        for i, part in zip(lines, largest_remainder(taken, weights), strict=True):
            if part:
                left[i] -= part
                cuts[i] = (*cuts[i], (rule, part))
    return taken


def _take_better(gross: Sequence[int], left: list[int], cuts: list[tuple[Cut, ...]], rate_bp: int) -> bool:
    """Put the tier's share in the place of what rules took off each line where it is larger (`best_of_tier`)."""
    came = False
    for i, part in enumerate(largest_remainder(percent_off(sum(gross), rate_bp), gross)):
        if part > gross[i] - left[i]:
            left[i] = gross[i] - part
            cuts[i] = ((TIER_RULE, part),)
            came = True
    return came


def _tier_rate(tier: Tier, program: Program) -> Rate:
    """Return what a tier earns."""
    if program.model == "discount" or program.point_value == 0:
        return NO_RATE
    return tier.earn_bp * program.point_unit, BASIS_POINTS * program.point_value


def _earn(
    plain: PlainPlan,
    waiting: Bits,
    rate: Rate,
    program: Program,
    by_goods: ByGoods,
    left: list[int],
    total: int,
    uses: list[Use],
) -> tuple[int, list[int]]:
    """Return what the waiting rules, and a rate on everything, earn of what is paid; and each line's share of it."""
    points, per = rate
    some: list[tuple[list[int], int, int]] = []
    multipliers: list[tuple[str, int]] = []
    while waiting:
        bit, least, names, but, factor, for_each, money, use = plain.earning[waiting.bit_length()]
        waiting ^= bit
        if total < least:
            continue
        if factor is not None:
            multipliers.append(factor)
        elif names or but:
            lines = [i for name in names or but if name in by_goods for i in by_goods[name]]
            if but:
                left_out = set(lines)
                lines = [i for i in range(len(left)) if i not in left_out]
            if not (for_each and any(left[i] for i in lines)):
                continue
            some.append((lines, for_each, money))
        elif for_each and total:
            points, per = points * money + for_each * per, per * money
        else:
            continue
        if use is not None:
            uses.append(use)
    weights, exact = left, points * total
    if some:
        weights = [paid * points for paid in left]
        for lines, for_each, money in some:
            weights = [weight * money for weight in weights]
            for i in lines:
                weights[i] += left[i] * for_each * per
            per *= money
        exact = sum(weights)
    if multipliers:
        for part, of in multiplier(multipliers, program):
            exact, per = exact * part, per * of
    earned = rounded(exact, per, program.settings.points_rounding)
    return earned, largest_remainder(earned, weights) if earned else [0] * len(left)


def _lowering(rule: PlannedRule, plan: Plan, use: Use | None) -> Lowering | None:
    """Return what a rule lowers, None where it is not plain."""
    effect, least, goods = rule.sole_effect, _least(rule), _goods(rule, plan)
    if rule.earning or least is None or goods is None or not _goes_alone(rule):
        return None
    kept, amount = 0, None
    if isinstance(effect, LinePercentage) and effect.is_bare:
        kept = 2 * (BASIS_POINTS - effect.rate_bp)
    elif isinstance(effect, SharedAmount) and effect.max_units is None and not effect.delivery:
        amount = effect.amount
    else:
        return None
    return rule.bit, least, rule.id, goods, rule.acting.skip_discounted, kept, amount, use


def _earning(rule: PlannedRule, plan: Plan, program: Program, use: Use | None) -> Earning | None:
    """Return what a rule earns, None where it is not plain."""
    least, goods, but = _least(rule), _goods(rule, plan), _NOTHING
    if rule.effects or len(rule.earning) != 1 or least is None or not _goes_alone(rule):
        return None
    effect = rule.earning[0]
    if isinstance(effect, EarnRate):
        if isinstance(rule.chooser, Excluded) and not rule.chooser.products:
            goods, but = (), rule.chooser.categories
        points, per = effect.rate(program)
        return None if goods is None else (rule.bit, least, goods, but, None, points if per else 0, per, use)
    if isinstance(effect, BonusMultiplier) and goods is not None:
        return rule.bit, least, goods, but, (rule.id, effect.rate_bp), 0, 1, use
    return None


def _goods(rule: PlannedRule, plan: Plan) -> tuple[Goods, ...] | None:
    """Return the goods that a rule is for and found by, none for all goods, None where it takes more to tell."""
    chooser = rule.chooser
    if isinstance(chooser, Categories):
        goods: tuple[Goods, ...] = tuple(chooser.categories)
        index, names = plan.by_category, chooser.categories
    elif isinstance(chooser, Products):
        goods = tuple([(product,) for product in chooser.products])
        index, names = plan.by_product, chooser.products
    else:
        return None if rule.has_choosers else ()
    # Found by a code, it may be for goods that the check has not; and so it is where it names none.
    return goods if names and all(rule.bit & index.get(name, 0) for name in names) else None


def _goes_alone(rule: PlannedRule) -> bool:
    return rule.is_alone and rule.exclusive != "check"


def _least(rule: PlannedRule) -> int | None:
    """Return what the check costs at least where that alone is left to be asked at the rule's turn, else None."""
    least = 0
    for condition in rule.conditions:
        if isinstance(condition, Amount) and condition.of == "check" and condition.high is None and not condition.over:
            least = max(least, condition.low)
        elif not _is_asked(condition):
            return None
    return least


def _is_asked(condition: Condition) -> bool:
    """Return whether a condition is the same before any rule's turn and at the rule's own, whatever its lines are."""
    return not (condition.moving or condition.of_lines)
