"""One case of another system: put into the product's own words, played, and what came out by the file's own keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vector_ledger import Play, decimals_in, is_ledger
from vector_reading import Inexpressible, Keys, decimals_of, money_of, scaled
from vector_rules import Made, Scenario, read_rule

from loyalty_desk.domain.basket import WHOLE_CHECK, Basket, Line
from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.money import allocate, divide_half_up
from loyalty_desk.domain.pricing import Choices, ManualDiscount, Payment, Quote, quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.refund import NOTHING_YET, Return, Sale, refund, refund_amount
from loyalty_desk.domain.tiers import reached

AT = "2025-02-01T12:00:00Z"
CURRENCY = "USD"
REMARKS = frozenset({"id", "area", "source", "title", "note"})
POINT_KEYS = frozenset({"points_earned", "points_spent", "balance_after", "points_reversed"})
POINT_FIELDS = frozenset({"cost_points", "block_points", "points_per_block", "min_points", "points"})
POINT_KINDS = frozenset({"earn_fixed", "earn_per_unit"})
# What a case may ask for by policy: a setting of the program, or what the product does without one.
SETTINGS: dict[str, dict[str, Any]] = {
    "clawback_clamp_to_zero": {"clamp_to_zero": True},
    "current_check_counts_for_tier": {"tier_counts_current": True},
    "earn_after_redemption_part": {},
    "refund_floor_of_refunded_amount": {"points_reversal": "formula"},
    "earn_before_redemption_part": {"earning_base": "before_redemption"},
    "exclusive_by_priority_not_by_value": {"exclusive": "first"},
    "same_order_points_spendable": {"points_usable": "at_once"},
    "spent_returned_only_on_full_refund": {"spent_back": "full_refund_only", "points_reversal": "formula"},
}
ROUNDING = {
    "points_rounding:ceil": "ceil",
    "points_rounding:round_half_up": "half_up",
    "points_rounding:half_up": "half_up",
    "points_rounding:floor": "floor",
}
# Read where the rules are made, or what happens anyway.
IN_RULES = frozenset(
    {
        "buyget:dearest_target_first",
        "fifo_lots",
        "one_global_percent_per_order",
        "one_of_bought_is_free",
        "partial_reward_allowed",
        "percent_on_original",
        "round_after_multiplier",
        "server_recomputes",
        "single_application",
        "skip_discounted_lines",
    }
)


def read(data: Mapping[str, Any]) -> Case:
    """Return a case ready to be played; raises `Inexpressible` naming what has no word here."""
    case = Keys(data, "case")
    case.ignore(*REMARKS)
    expected = case.get("expected")
    if not isinstance(expected, Mapping) or not expected:
        raise Inexpressible("case.expected", "nothing is expected")
    told = Case(case, dict(expected))
    case.must_be_read()
    return told


class Case:
    """A case read: program, basket, guest and choices, and the steps to play."""

    def __init__(self, case: Keys, expected: dict[str, Any]) -> None:
        self.expected = expected
        self.fit = case.text("fit")
        policies = frozenset(case.texts("policy")) if self.fit == "option" else frozenset[str]()
        case.ignore("policy")
        for policy in sorted(policies):
            if policy not in SETTINGS and policy not in ROUNDING and policy not in IN_RULES:
                raise Inexpressible("case.policy", f"unknown policy {policy}")
        self.policies = policies
        self.at = _moment(case.get("at", AT))
        self.steps = list(case.get("steps") or [])
        if not all(isinstance(step, str) for step in self.steps):
            raise Inexpressible("case.steps", "not texts")
        lines = _objects(case, "basket")
        rules = _objects(case, "rules")
        self.point_unit = 10 ** _point_decimals(case, expected, rules, self.steps)
        self.manual: list[ManualDiscount] = []
        self.loads_cards = any(rule.get("kind") == "gift_card_topup" for rule in rules)
        self.lines = [
            line for position, item in enumerate(lines, 1) if (line := self._line(item, position)) is not None
        ]
        prices = {line.product: line.unit_price for line in reversed(self.lines)}
        self.scenario = Scenario(self.point_unit, policies, prices)
        for policy in policies:
            self.scenario.settings |= SETTINGS.get(policy, {})
            if policy in ROUNDING:
                self.scenario.rounding["points"] = ROUNDING[policy]
        self.made: list[Made] = []
        self.names: dict[str, str] = {}
        for position, item in enumerate(rules, 1):
            keys = Keys(item, f"rules[{position}]")
            made = Made(f"r{position:03d}", keys, self.scenario)
            read_rule(made)
            self.made.append(made)
            self.names[made.id] = str(item.get("name", ""))
        self.ranks = _ranks(rules)
        self.program = self._program()
        self.guest = self._guest(case.get("guest"))
        self.choices = self._choices()

    def _line(self, item: Mapping[str, Any], position: int) -> Line | None:
        keys = Keys(item, f"basket[{position}]")
        identifier = keys.text("line")
        kind = keys.get("kind")
        flags: set[str] = set()
        if keys.flag("voided"):
            keys.ignore(*keys.keys())
            return None
        if kind == "manual_discount":
            self.manual.append(ManualDiscount(amount=-keys.money("unit_price") * keys.whole("qty", 1)))
            keys.must_be_read()
            return None
        if kind in ("delivery", "reward"):
            flags.add(kind)
        elif kind is not None:
            raise Inexpressible(keys.field("kind"), f"unknown kind of line {kind!r}")
        if keys.flag("non_discountable"):
            flags.add("no_discount")
        product = keys.text("product") if "product" in keys else identifier
        if self.loads_cards and product == "gift_card":
            flags.add("gift_card")
        line = Line(
            id=identifier,
            product=product,
            category=keys.text("category") if "category" in keys else "",
            quantity_milli=scaled(keys.get("qty", 1), 1000, keys.field("qty")),
            unit_price=keys.money("unit_price"),
            flags=frozenset(flags),
            tax=keys.money("tax") if "tax" in keys else None,
            charge=keys.money("non_discountable_charge"),
            floor=keys.money("min_unit_price"),
        )
        keys.must_be_read()
        return line

    def _program(self) -> Program:
        scenario = self.scenario
        groups: dict[str, int] = {}
        explicit = any("sequence" in made.rule or "priority" in made.rule for made in self.made)
        rules: list[dict[str, Any]] = []
        order = sorted(range(len(self.made)), key=lambda k: self.ranks[k])
        lanes = any(made.group is not None for made in self.made)
        for rank, k in enumerate(order, 1):
            made = self.made[k]
            rule: dict[str, Any] = {
                "id": made.id,
                "name": {},
                "effects": made.effects,
                "conditions": made.conditions,
            }
            if made.group is not None:
                rule["group"] = groups.setdefault(made.group, len(groups) + 1 if not explicit else rank)
                rule["order"] = rank
            elif explicit or lanes:
                rule["order"] = rank
            if made.exclusive:
                rule["exclusive"] = "check"
            if made.skip:
                rule["skip_discounted_lines"] = True
            rules.append(rule)
        data: dict[str, Any] = {
            "v": 1,
            "version": 1,
            "network": "vectors",
            "currency": CURRENCY,
            "model": "points",
            "point_decimals": len(str(self.point_unit)) - 1,
            "point_value": scenario.point_value,
            "rules": [rule for rule in rules if rule["effects"] or self.expected.keys() & {"order"}],
            "settings": scenario.settings,
            "rounding": scenario.rounding,
        }
        if scenario.tiers:
            data["tiers"] = [{"code": code, "threshold": start} for code, start in scenario.tiers]
        if scenario.redemption is not None:
            data["redemption"] = scenario.redemption
        return Program.from_dict(data)

    def _guest(self, data: Any) -> GuestFacts:
        keys = Keys(data or {}, "guest")
        scenario = self.scenario
        used, voided = keys.whole("coupon_uses"), keys.whole("coupon_uses_voided")
        rule_uses = keys.whole("rule_uses")
        uses = {(rule, ""): used + rule_uses for rule in scenario.guest_limits}
        self.quotas = {rule: limit - rule_uses for rule, limit in scenario.limits} if scenario.limits else None
        group = keys.texts("group")
        before, cancelled = keys.whole("orders_before"), keys.whole("orders_cancelled")
        facts = GuestFacts(
            tier=reached(self.program, keys.money("total_spent")) if scenario.tiers else "",
            points=scaled(keys.get("points", 0), self.point_unit, "guest.points"),
            spend=keys.money("total_spent"),
            visits=before - cancelled,
            segments=frozenset(group),
            uses=uses,
            coupons=tuple(Coupon(code, rule, used=used, voided=voided) for code, rule, _ in scenario.coupons),
        )
        if (used or voided) and not (scenario.coupons or scenario.guest_limits):
            raise Inexpressible("guest.coupon_uses", "no coupon in the rules")
        if rule_uses and not (scenario.limits or scenario.guest_limits):
            raise Inexpressible("guest.rule_uses", "no limit in the rules")
        keys.must_be_read()
        return facts

    def _choices(self) -> Choices:
        asked, codes, rewards, declined = 0, [], (), frozenset[str]()
        self.play_steps: list[str] = []
        paid: list[str] = []
        for step in self.steps:
            verb, _, what = step.partition(":")
            if verb == "enter_code" and what:
                codes.append(what)
            elif verb == "request_points":
                asked = scaled(what, self.point_unit, "steps")
            elif step == "claim:all":
                rewards = tuple(self.scenario.rewards)
            elif step == "remove_reward":
                declined = frozenset(made.id for made in self.made)
            elif step == "order" and "order" not in paid:
                paid.append(step)
            elif step not in ("scan_unknown_code", "park", "reopen"):
                self.play_steps.append(step)
        return Choices(
            points_asked=asked,
            codes=tuple(codes),
            coupons=tuple(code for code, _, _ in self.scenario.coupons),
            rewards=rewards,
            gifts=self.scenario.gift_choices,
            declined=declined,
            manual_discounts=tuple(self.manual),
            quotas=self.quotas,
            payments=tuple(Payment(name, amount) for name, amount in self.scenario.payments),
        )

    def results(self) -> dict[str, Any]:
        """Return what came out, by the keys of the case."""
        if any(is_ledger(step) for step in self.play_steps):
            return self._ledger_results()
        if self.scenario.apportions:
            return self._apportioned()
        if "order" in self.expected:
            return {"order": [self.names[rule.rule.id] for rule in self.program.compiled.rules]}
        basket = Basket(CURRENCY, tuple(self.lines))
        quoted = quote(basket, self.guest, self.program, self.at, self.choices)
        if {"park", "reopen"} & set(self.steps):
            again = quote(basket, self.guest, self.program, self.at, self.choices)
            if again.to_bytes() != quoted.to_bytes():
                raise AssertionError("a reopened check is priced otherwise")
        return self._quoted(basket, quoted) | self._refunded(basket, quoted)

    def _refunded(self, basket: Basket, quoted: Quote) -> dict[str, Any]:
        """Return what came back, all returns together."""
        sale = Sale(basket, self.guest, self.program, self.choices, quoted)
        so_far, cards = NOTHING_YET, sum(amount for _, amount in quoted.loads)
        found: dict[str, Any] = {"gift_card_balance": Money(cards)}
        for step in self.play_steps:
            by_line = re.fullmatch(r"refund:([^:]+):([0-9.]+)", step)
            by_amount = re.fullmatch(r"refund_amount:([0-9.]+)", step)
            if by_line:
                quantity = scaled(by_line[2], 1000, "steps")
                back = refund(sale, [Return(by_line[1], quantity)], so_far)
            elif by_amount and len(basket.lines) == 1 and basket.lines[0].units == 1:
                whole = replace(basket, lines=(replace(basket.lines[0], id=WHOLE_CHECK),))
                sale = Sale.priced(whole, self.guest, self.program, self.at, self.choices)
                back = refund_amount(sale, money_of(by_amount[1], "steps"), so_far)
            else:
                raise Inexpressible("case.steps", f"unknown step {step!r}")
            so_far = back.after
            cards -= sum(amount for _, amount in back.cards)
        if self.play_steps:
            earned, spent = so_far.earned_reversed, so_far.spent_returned
            balance = self.guest.points - quoted.redeemed_points + quoted.earned_points - earned + spent
            found["points_reversed"] = PointNumber(earned, self.point_unit)
            found["after_refund"] = {
                "money_back": Money(so_far.money),
                "points_delta": PointNumber(spent - earned, self.point_unit),
                "earned_reversed": PointNumber(earned, self.point_unit),
                "spent_returned": PointNumber(spent, self.point_unit),
                "balance_after": PointNumber(balance, self.point_unit),
                "gift_card_balance": Money(cards),
            }
        return found

    def _ledger_results(self) -> dict[str, Any]:
        clamp = "clawback_clamp_to_zero" in self.policies
        played = Play(self.at, self.point_unit, self.scenario.expire_days, may_claw_below_zero=not clamp)
        if self.guest.points:
            played.ledger.credit("opening", self.guest.points, self.at)
        for step in self.play_steps:
            played.step(step)
        return {
            key: self._points(value) for key, value in played.results(self.expected).items() if "_rows" not in key
        } | {key: value for key, value in played.outcome.items() if "_rows" in key}

    def _points(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._points(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self._points(part) for part in value]
        return PointNumber(value, self.point_unit)

    def _apportioned(self) -> dict[str, Any]:
        if len(self.scenario.apportions) != 1 or self.lines:
            raise Inexpressible("case.rules", "more than one split")
        amount, weights = self.scenario.apportions[0]
        parts = allocate(amount, weights)
        return {"parts": [Whole(part) for part in parts], "sum_of_parts": Whole(sum(parts))}

    def _quoted(self, basket: Basket, quoted: Quote) -> dict[str, Any]:
        order = {made.id: position for position, made in enumerate(self.made, 1)}
        notes = {note.rule: note for note in quoted.explanation}
        manual = sum(note.amount for note in quoted.explanation if note.rule == "manual")
        line_off = {
            line.id: sum(amount for rule, amount in line.discounts if rule != "manual") + line.points_money
            for line in quoted.lines
        }
        rules = [notes[made.id] for made in self.made if made.id in notes]
        after, applied_amounts = quoted.gross - manual, []
        for rule in quoted.explanation:
            if rule.rule in order and rule.amount:
                after -= rule.amount
                applied_amounts.append(Money(after))
        by_rule = {note.rule: note for note in rules}
        free = sum(gift.quantity for gift in quoted.gifts) + quoted.free_units
        points_spent = quoted.redeemed_points
        balance = self.guest.points - points_spent + quoted.earned_points
        found: dict[str, Any] = {
            "discount_total": Money(quoted.discount_total - manual + quoted.redeemed_money),
            "total": Money(quoted.due),
            "per_line": {line: Money(amount) for line, amount in line_off.items()},
            "per_line_multiset": Unordered(Money(amount) for amount in line_off.values()),
            "per_line_sum": Money(sum(line_off.values())),
            "sum_of_per_line": Money(sum(line_off.values())),
            "per_rule": [Money(note.amount) for note in rules],
            "per_rule_per_line": [{line: Money(amount) for line, amount in note.per_line} for note in rules],
            "applied": [order[note.rule] for note in quoted.explanation if note.rule in order and note.applied],
            "after_rule": applied_amounts,
            "points_earned": PointNumber(quoted.earned_points, self.point_unit),
            "points_spent": PointNumber(points_spent, self.point_unit),
            "balance_after": PointNumber(balance, self.point_unit),
            "points_forecast_balance": PointNumber(balance, self.point_unit),
            "free_qty": Whole(free),
            "item_total": Money(quoted.gross + quoted.gift_value),
            "earning_base": Money(quoted.earning_base),
            "units_consumed": Whole(quoted.units_consumed),
            "gift_card_used": Money(sum(amount for _, amount in quoted.payments)),
            "gift_card_balance_after": Money(
                sum(p.amount for p in self.choices.payments) - (quoted.total - quoted.due)
            ),
            "coupons_issued": Whole(sum(count for _, count in quoted.coupons_issued)),
            "coupon_points_before_confirm": Whole(0),
            "coupon_points_after_confirm": Whole(
                sum(count for _, count in quoted.coupons_issued) * self.scenario.coupon_worth
            ),
            "rejected": self._rejected(quoted),
            "tier_for_this_check": quoted.tier,
        }
        if len(quoted.lines) == 1:
            found["unit_price_after"] = _unit_price(basket.lines[0], quoted.lines[0].net)
        wanted = self.expected.get("unit_price_after")
        if isinstance(wanted, Mapping):
            nets = {line.id: line.net for line in quoted.lines}
            found["unit_price_after"] = {line.id: _unit_price(line, nets[line.id]) for line in basket.lines}
        if "per_unit" in self.expected:
            found["per_unit"] = {
                line.id: [
                    Money(line.unit_price - run.price) for run in quoted.units(position) for _ in range(run.units)
                ]
                for position, line in enumerate(basket.lines)
                if line.id in self.expected["per_unit"]
            }
        for key in self.expected:
            named = re.fullmatch(r"discount_line_(.+)", key)
            if named and named[1] in line_off:
                found[key] = Money(line_off[named[1]])
        refused = [note.code for note in by_rule.values() if not note.applied and note.rule in self.choices.rewards]
        if refused:
            found["reason"] = refused[0]
        return found

    def _rejected(self, quoted: Quote) -> list[str]:
        names = {key.casefold(): key for key in (*self.choices.codes, *self.choices.coupons)}
        return [
            "reward" if key in self.choices.rewards else names.get(key.casefold(), key) for key, _ in quoted.rejected
        ]


class Whole:
    """A number that must be equal as a number."""

    def __init__(self, value: int) -> None:
        self.value = value

    def matches(self, expected: Any) -> bool:
        try:
            return scaled(expected, 1, "expected") == self.value
        except Inexpressible:
            return False

    def __str__(self) -> str:
        return str(self.value)


class Money(Whole):
    """Minor units against an amount with two decimals."""

    def matches(self, expected: Any) -> bool:
        try:
            return money_of(expected, "expected") == self.value
        except Inexpressible:
            return False

    def __str__(self) -> str:
        return f"{'-' if self.value < 0 else ''}{abs(self.value) // 100}.{abs(self.value) % 100:02d}"


class PointNumber(Whole):
    """Smallest point units against a number of points."""

    def __init__(self, value: int, unit: int) -> None:
        super().__init__(value)
        self.unit = unit

    def matches(self, expected: Any) -> bool:
        try:
            return scaled(expected, self.unit, "expected") == self.value
        except Inexpressible:
            return False

    def __str__(self) -> str:
        whole, part = divmod(abs(self.value), self.unit)
        decimals = len(str(self.unit)) - 1
        return f"{'-' if self.value < 0 else ''}{whole}" + (f".{part:0{decimals}d}" if decimals else "")


class Unordered(list[Any]):
    """Values whose order does not count."""


def _unit_price(line: Line, net: int) -> Money:
    return Money(divide_half_up(net * 1000, line.quantity_milli))


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Inexpressible("case.at", f"not a time: {text!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _objects(case: Keys, key: str) -> list[Mapping[str, Any]]:
    found = case.get(key)
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise Inexpressible(case.field(key), "not a list of objects")
    return found


def _ranks(rules: list[Mapping[str, Any]]) -> list[tuple[float, float, int]]:
    """Return the order of the file: sequence up (absent: the place in the list), priority down, then the list."""
    return [
        (rule.get("sequence", position), -rule.get("priority", 0), position)
        if "sequence" in rule or not any("priority" in other for other in rules)
        else (0, -rule.get("priority", 0), position)
        for position, rule in enumerate(rules, 1)
    ]


def _point_decimals(case: Keys, expected: Mapping[str, Any], rules: list[Any], steps: list[str]) -> int:
    """Return the most decimals of any point number in the case."""
    guest = case.get("guest")
    numbers = [guest.get("points", 0)] if isinstance(guest, Mapping) else []
    numbers += [expected[key] for key in POINT_KEYS if key in expected]
    for rule in rules:
        conditions = rule.get("conditions")
        if isinstance(conditions, Mapping):
            numbers += [conditions[key] for key in POINT_FIELDS if key in conditions]
        if rule.get("kind") in POINT_KINDS:
            numbers.append(rule.get("value", 0))
    found = max((decimals_of(number) for number in numbers), default=0)
    found = max([found, *(decimals_in(step) for step in steps)])
    asked = [step.partition(":")[2] for step in steps if step.startswith("request_points:")]
    found = max([found, *(decimals_of(number) for number in asked)])
    if found > 2:
        raise Inexpressible("case", "points finer than hundredths")
    return found
