"""Rules of a case in the words of a program snapshot: one function a kind, each naming what it cannot say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vector_reading import Inexpressible, Keys, decimal_of, decimals_of, money_of, scaled

from loyalty_desk.domain.effects import EFFECTS

type Part = dict[str, Any]


@dataclass
class Scenario:
    """What the rules of a case add to the program, beside the rules themselves."""

    point_unit: int
    policies: frozenset[str]
    prices: dict[str, int]
    settings: Part = field(default_factory=dict)
    rounding: Part = field(default_factory=dict)
    redemption: Part | None = None
    point_value: int = 100
    payments: list[tuple[str, int]] = field(default_factory=list)
    loads: bool = False
    tiers: list[tuple[str, int]] = field(default_factory=list)
    expire_days: int | None = None
    gift_choices: dict[str, str] = field(default_factory=dict)
    coupons: list[tuple[str, str, int]] = field(default_factory=list)
    limits: list[tuple[str, int]] = field(default_factory=list)
    guest_limits: list[str] = field(default_factory=list)
    rewards: list[str] = field(default_factory=list)
    apportions: list[tuple[int, list[int]]] = field(default_factory=list)
    coupon_worth: int = 0
    codes: dict[str, str] = field(default_factory=dict)

    def points(self, value: Any, name: str) -> int:
        return scaled(value, self.point_unit, name)


class Made:
    """A rule on its way: conditions and effects collected from the fields of a case's rule."""

    def __init__(self, identifier: str, rule: Keys, scenario: Scenario) -> None:
        self.id = identifier
        self.rule = rule
        self.conditions_of = rule.inner("conditions")
        self.scenario = scenario
        self.conditions: list[Part] = []
        self.effects: list[Part] = []
        self.exclusive = False
        self.skip = False
        self.original = False
        self.group: str | None = None

    def effect(self, name: str, **fields: Any) -> None:
        if name not in EFFECTS:
            raise Inexpressible(self.rule.field("kind"), f"no effect {name} yet")
        if self.original:
            if name != "percentage":
                raise Inexpressible(self.rule.field("stacking"), "only percentages count from the original price")
            fields["base"] = "original"
        self.effects.append({"type": name, **{key: value for key, value in fields.items() if value is not None}})

    def condition(self, name: str, **fields: Any) -> None:
        self.conditions.append({"type": name, **fields})

    def cap(self) -> int | None:
        return self.rule.money("max_discount") if "max_discount" in self.rule else None

    def max_units(self) -> int | None:
        return self.rule.whole("max_units") if "max_units" in self.rule else None


def read_rule(made: Made) -> None:
    """Fill a rule in; raises `Inexpressible` for any field or kind that is not understood."""
    rule = made.rule
    kind = rule.text("kind")
    maker = KINDS.get(kind)
    if maker is None:
        raise Inexpressible(rule.field("kind"), f"unknown kind {kind}")
    _stacking(made)
    _targets(made)
    own_minimum = kind == "free_item" or kind.startswith("earn_")
    _minima(made, of_own=own_minimum)
    _keys(made, auto_code=kind == "order_fixed")
    _limits(made)
    maker(made)
    narrowed = made.conditions or made.exclusive or made.skip or made.original or made.group
    if not made.effects and narrowed and kind != "any":
        raise Inexpressible(rule.field("kind"), "no conditions or stacking for this kind")
    made.conditions_of.must_be_read()
    rule.ignore("sequence", "priority")
    rule.must_be_read()


def _stacking(made: Made) -> None:
    stacking = made.rule.get("stacking")
    if stacking is None:
        return
    if stacking == "exclusive":
        made.exclusive = True
    elif stacking == "skip_discounted_lines":
        made.skip = True
    elif stacking == "on_original":
        made.original = True
    elif isinstance(stacking, str) and stacking.startswith("lane:"):
        made.group = stacking
    else:
        raise Inexpressible(made.rule.field("stacking"), f"unknown stacking {stacking!r}")


def _targets(made: Made) -> None:
    c = made.conditions_of
    products = c.texts("products") + c.texts("product")
    categories = c.texts("categories") + c.texts("category")
    if products:
        made.condition("products", products=products)
    if categories:
        made.condition("categories", categories=categories)
    if "unit_price_between" in c:
        bounds = c.get("unit_price_between")
        if not isinstance(bounds, list) or len(bounds) != 2:
            raise Inexpressible(c.field("unit_price_between"), "not two prices")
        low, high = (money_of(bound, c.field("unit_price_between")) for bound in bounds)
        made.condition("unit_price", min=low, max=high)
    if "unit_price_equals" in c:
        price = c.money("unit_price_equals")
        made.condition("unit_price", min=price, max=price)
    for key, over in (("unit_price_over", True), ("min_unit_price", False), ("unit_price_min", False)):
        if key in c:
            made.condition("unit_price", min=c.money(key), over=over)
    if "unit_price_max" in c:
        made.condition("unit_price", max=c.money("unit_price_max"))


def _minima(made: Made, *, of_own: bool) -> None:
    c = made.conditions_of
    of = "lines" if of_own else "check"
    if "min_amount" in c:
        made.condition("amount", of=of, min=c.money("min_amount"))
    if "min_discounted_amount" in c:
        made.condition("amount", of="check", min=c.money("min_discounted_amount"))
    if "amount_over" in c:
        made.condition("amount", of="check", min=c.money("amount_over"), over=True)
    if "min_qty" in c:
        made.condition("quantity", of=of, min=c.whole("min_qty"))
    if "min_line_qty" in c:
        made.condition("quantity", of="line", min=c.whole("min_line_qty"))
    if "min_amount_of_products" in c:
        made.condition("amount", of="lines", min=c.money("min_amount_of_products"))
    for key, names in (("category_min_amount", "categories"), ("product_min_amount", "products")):
        if key in c:
            for name, amount in sorted(Keys(c.get(key), c.field(key)).all_items()):
                made.condition("amount", of="lines", min=money_of(amount, c.field(key)), **{names: [name]})
    for key, what, every in (
        ("requires_product", "products", True),
        ("requires_products", "products", True),
        ("requires_any_product", "products", False),
        ("requires_category", "categories", True),
        ("requires_categories", "categories", True),
        ("requires_any_category", "categories", False),
    ):
        if key in c:
            made.condition("presence", **{what: c.texts(key)}, all=every)


def _keys(made: Made, *, auto_code: bool) -> None:
    c = made.conditions_of
    for place in (c, made.rule) if auto_code else (c,):
        if "auto" in place and not place.flag("auto"):
            raise Inexpressible(place.field("auto"), "a rule that is not automatic needs a code")
    if "code" in c:
        code = c.text("code")
        made.condition("promo_code", codes=[code])
        made.scenario.codes[code] = made.id
    if "coupon" in c:
        coupon = c.get("coupon")
        if coupon is not True and not isinstance(coupon, str):
            raise Inexpressible(c.field("coupon"), f"not a coupon: {coupon!r}")
        text = "coupon" if coupon is True else coupon
        limit = made.rule.whole("usage_limit") if "usage_limit" in made.rule else 0
        fields: Part = {"uses": limit}
        if "reusable_after_void" in made.rule:
            fields["reusable_after_void"] = made.rule.flag("reusable_after_void")
        made.condition("coupon", **fields)
        made.scenario.coupons.append((text, made.id, limit))
    if "guest_group" in c:
        made.condition("segments", segments=c.texts("guest_group"))
    if "nth_order" in c:
        made.condition("nth_visit", n=c.whole("nth_order", low=1))
    first, last = c.get("starts") or c.get("valid_from"), c.get("valid_to") or c.get("ends")
    c.ignore("starts", "valid_from", "valid_to", "ends")
    if first or last:
        made.condition("date", **{key: day for key, day in (("from", first), ("to", last)) if day})


def _limits(made: Made) -> None:
    rule = made.rule
    if "usage_limit_per_guest" in rule:
        made.condition("usage", per_guest=rule.whole("usage_limit_per_guest", low=1))
        made.scenario.guest_limits.append(made.id)
    if "usage_limit" in rule and "coupon" not in made.conditions_of:
        limit = rule.whole("usage_limit", low=1)
        made.condition("usage", total=limit)
        made.scenario.limits.append((made.id, limit))


def _line_percent(made: Made) -> None:
    level = made.rule.get("level", "line")
    if level not in ("line", "price_list"):
        raise Inexpressible(made.rule.field("level"), f"unknown level {level!r}")
    made.effect(
        "percentage",
        of="lines",
        rate_bp=made.rule.rate_bp("value"),
        cap=made.cap(),
        max_units=made.max_units(),
        times=made.rule.whole("times", 1, low=1),
        group_size=_group_size(made),
        includes_delivery=_delivery(made),
    )


def _group_size(made: Made) -> int | None:
    for place in (made.conditions_of, made.rule):
        if "group_size" in place:
            return place.whole("group_size", low=1)
    return None


def _delivery(made: Made) -> bool | None:
    c = made.conditions_of
    return c.flag("includes_delivery") if "includes_delivery" in c else None


def _order_percent(made: Made) -> None:
    made.effect(
        "percentage",
        of="check",
        rate_bp=made.rule.rate_bp("value"),
        cap=made.cap(),
        includes_delivery=_delivery(made),
        times=made.rule.whole("times", 1, low=1),
    )
    if "one_global_percent_per_order" in made.scenario.policies and made.group is None:
        made.group = "one percentage a check"


def _order_fixed(made: Made) -> None:
    made.effect(
        "fixed_amount",
        per="check",
        amount=_at_most(made),
        max_units=made.max_units(),
        includes_delivery=_delivery(made),
    )


def _at_most(made: Made) -> int:
    """Return an amount taken off once, which a cap can only lower."""
    value, cap = made.rule.money("value"), made.cap()
    return value if cap is None else min(value, cap)


def _unit_fixed(made: Made) -> None:
    per_line = made.rule.whole("max_units_per_line") if "max_units_per_line" in made.rule else None
    made.effect(
        "fixed_amount",
        per="unit",
        amount=made.rule.money("value"),
        max_units=made.max_units(),
        max_units_per_line=per_line,
        group_size=_group_size(made),
        cap=made.cap(),
    )


def _line_fixed_group(made: Made) -> None:
    made.effect("fixed_amount", per="lines", amount=_at_most(made))


def _flexi_rate(made: Made) -> None:
    c = made.conditions_of
    most = c.get("max_units")
    made.effect(
        "unit_series",
        first=c.money("first"),
        further=c.money("additional"),
        max_units=None if most is None else c.whole("max_units"),
        cap=made.cap(),
    )


def _tiered(made: Made, of: str) -> None:
    c = made.conditions_of
    by_quantity = "qty_tiers" in c
    key = "qty_tiers" if by_quantity else "tiers"
    steps = [
        {
            "from": int(decimal_of(start, c.field(key))) if by_quantity else money_of(start, c.field(key)),
            "rate_bp": scaled(rate, 100, c.field(key)),
        }
        for start, rate in c.inner(key).all_items()
    ]
    made.effect(
        "stepped",
        of=of,
        by="quantity" if by_quantity else "amount",
        steps=sorted(steps, key=lambda step: step["from"]),
        cap=made.cap(),
    )


def _bundle_price(made: Made) -> None:
    made.effect("bundle", price=made.rule.money("value"), quantity=made.conditions_of.whole("qty", low=1))


def _named(c: Keys, prefix: str) -> Part:
    part: Part = {}
    for plural, keys in (("products", ("product", "products")), ("categories", ("category", "categories"))):
        names = [name for key in keys for name in c.texts(f"{prefix}_{key}")]
        if names:
            part[plural] = names
    return part


def _bought(c: Keys) -> Part:
    if "buy_amount" in c:
        return {"amount": c.money("buy_amount")}
    return {"quantity": c.whole("buy_qty", 1, low=1)}


def _buy_x_get_y(made: Made) -> None:
    c = made.conditions_of
    repeats = c.flag("repeats", True)
    dearest = "buyget:dearest_target_first" in made.scenario.policies
    partial = made.rule.flag("partial_reward") or None
    made.effect(
        "free_unit",
        buy={**_bought(c), **_named(c, "buy")},
        get={"quantity": made.rule.whole("value", 1, low=1), **_named(c, "get")},
        max_repeats=None if repeats else 1,
        partial=partial,
        choose="dearest" if dearest else None,
    )


def _set_of_bought(made: Made) -> Part:
    single = "single_application" in made.scenario.policies
    repeats = made.conditions_of.flag("repeats", True) and not single
    mode = made.rule.get("reward_mode", "one_of_bought_is_free")
    if mode != "one_of_bought_is_free":
        raise Inexpressible(made.rule.field("reward_mode"), f"unknown mode {mode!r}")
    return {"max_repeats": None if repeats else 1}


def _cheapest_free(made: Made) -> None:
    size = made.conditions_of.whole("buy_qty", 1, low=1)
    made.effect("free_unit", set_of=size, free=made.rule.whole("value", 1, low=1), **_set_of_bought(made))


def _cheapest_percent(made: Made) -> None:
    c = made.conditions_of
    if "buy_qty" in c:
        made.condition("quantity", of="lines", min=c.whole("buy_qty", low=1))
    if c.flag("repeats"):
        raise Inexpressible(c.field("repeats"), "a percentage of the cheapest unit of every set")
    made.effect(
        "percentage", of="lines", rate_bp=made.rule.rate_bp("value"), cap=made.cap(), max_units=1, choose="cheapest"
    )


def _free_item(made: Made) -> None:
    c, rule = made.conditions_of, made.rule
    mode = rule.get("reward_mode", "adds_free_unit")
    if mode != "adds_free_unit":
        raise Inexpressible(rule.field("reward_mode"), f"unknown mode {mode!r}")
    choice = rule.texts("reward_choice") or rule.texts("reward_product")
    if not choice:
        raise Inexpressible(rule.field("reward_product"), "no product to give")
    chosen = rule.text("chosen") if "chosen" in rule else choice[0]
    if chosen not in choice:
        raise Inexpressible(rule.field("chosen"), "not one of the choice")
    made.scenario.gift_choices[made.id] = chosen
    price = rule.money("reward_price") if "reward_price" in rule else made.scenario.prices.get(chosen, 0)
    per = c.whole("buy_qty", low=1) if "buy_qty" in c else None
    if c.flag("per_unit"):
        per = 1
    repeats = c.flag("repeats", c.flag("per_unit"))
    if repeats and per is None:
        if "min_qty" not in c:
            raise Inexpressible(c.field("repeats"), "nothing to count the repeats by")
        per = c.whole("min_qty", low=1)
    made.effect(
        "gift",
        products=choice,
        price=price,
        quantity=rule.whole("value", 1, low=1),
        per_units=per,
        max_repeats=None if repeats else 1,
    )


def _earn_per_amount(made: Made) -> None:
    c, rule = made.conditions_of, made.rule
    if "points" in c or "per" in c:
        made.effect("earn_blocks", points=made.scenario.points(c.get("points"), c.field("points")), per=c.money("per"))
        return
    value = decimal_of(rule.get("value"), rule.field("value"))
    scale = 10 ** decimals_of(str(value))
    if value < 0:
        raise Inexpressible(rule.field("value"), "negative")
    made.effect("earn_rate", points=int(value * scale) * made.scenario.point_unit, per=100 * scale)


def _earn_per_unit(made: Made) -> None:
    made.effect("earn_per_unit", points=made.scenario.points(made.rule.get("value"), made.rule.field("value")))


def _earn_fixed(made: Made) -> None:
    made.effect("bonus_fixed", points=made.scenario.points(made.rule.get("value"), made.rule.field("value")))


def _earn_multiplier(made: Made) -> None:
    made.effect("bonus_multiplier", rate_bp=scaled(made.rule.get("value"), 10_000, made.rule.field("value")))


def _earning_base(made: Made) -> None:
    c = made.conditions_of
    basis = c.text("basis")
    if basis not in ("items", "order"):
        raise Inexpressible(c.field("basis"), f"unknown basis {basis!r}")
    made.scenario.settings["earn_on_delivery"] = basis == "order"
    if not c.flag("include_taxes", True):
        made.scenario.settings["earning_base"] = "net_of_tax"


def _redeem_per_point(made: Made) -> None:
    c, rule, scenario = made.conditions_of, made.rule, made.scenario
    if scenario.redemption is not None:
        raise Inexpressible(rule.field("kind"), "two ways to redeem")
    policy: Part = {}
    block = 1
    if "points_per_block" in c or "amount_per_block" in c:
        block = scenario.points(c.get("points_per_block"), c.field("points_per_block"))
        money = c.money("amount_per_block")
        value, rest = divmod(money * scenario.point_unit, block)
        if rest:
            raise Inexpressible(c.field("amount_per_block"), "a point is worth part of a kopeck")
        scenario.point_value = value
    else:
        scenario.point_value = rule.money("value")
    if "block_points" in c:
        block = scenario.points(c.get("block_points"), c.field("block_points"))
    policy["block"] = block
    if "min_points" in c:
        policy["min"] = scenario.points(c.get("min_points"), c.field("min_points"))
    if "max_percent_of_check" in c:
        policy["max_share_bp"] = c.rate_bp("max_percent_of_check")
    scenario.redemption = policy


def _reward(made: Made, **what: Any) -> None:
    c = made.conditions_of
    cost = made.scenario.points(c.get("cost_points"), c.field("cost_points"))
    made.effect("reward", cost=cost, **what)
    made.scenario.rewards.append(made.id)


def _next_order_coupon(made: Made) -> None:
    worth = made.rule.whole("value", low=1)
    made.scenario.coupon_worth = worth
    made.effect("issue_coupon", worth=worth)


def _gift_card(made: Made) -> None:
    made.scenario.payments.append((made.id, made.rule.money("value")))


def _gift_card_topup(made: Made) -> None:
    made.scenario.loads = True
    made.effect("load_card", rate_bp=scaled(made.rule.get("value"), 10_000, made.rule.field("value")))


def _expire_after_days(made: Made) -> None:
    made.scenario.expire_days = made.rule.whole("value", low=0)


def _tier_by_spend(made: Made) -> None:
    c = made.conditions_of
    made.scenario.tiers = [(code, money_of(start, c.field("tiers"))) for code, start in c.inner("tiers").all_items()]


def _apportion(made: Made) -> None:
    rule, weights = made.rule, made.conditions_of.get("weights")
    if not isinstance(weights, list) or not all(isinstance(w, int) and w >= 0 for w in weights):
        raise Inexpressible(made.conditions_of.field("weights"), f"not weights: {weights!r}")
    made.scenario.apportions.append((int(decimal_of(rule.get("value"), rule.field("value"))), weights))


def _any(made: Made) -> None:
    made.rule.text("name")


KINDS: dict[str, Callable[[Made], None]] = {
    "any": _any,
    "apportion": _apportion,
    "bundle_price": _bundle_price,
    "buy_x_get_y": _buy_x_get_y,
    "cheapest_free": _cheapest_free,
    "cheapest_percent": _cheapest_percent,
    "earn_fixed": _earn_fixed,
    "earn_multiplier": _earn_multiplier,
    "earn_per_amount": _earn_per_amount,
    "earn_per_unit": _earn_per_unit,
    "earning_base": _earning_base,
    "expire_after_days": _expire_after_days,
    "flexi_rate": _flexi_rate,
    "free_item": _free_item,
    "gift_card": _gift_card,
    "gift_card_topup": _gift_card_topup,
    "line_fixed_group": _line_fixed_group,
    "line_percent": _line_percent,
    "next_order_coupon": _next_order_coupon,
    "order_fixed": _order_fixed,
    "order_percent": _order_percent,
    "redeem_per_point": _redeem_per_point,
    "reward_fixed": lambda made: _reward(made, amount=made.rule.money("value")),
    "reward_item": lambda made: _reward(made, quantity=made.rule.whole("value", 1, low=1)),
    "reward_percent": lambda made: _reward(made, rate_bp=made.rule.rate_bp("value")),
    "tier_by_spend": _tier_by_spend,
    "tiered_line_percent": lambda made: _tiered(made, "lines"),
    "tiered_order_percent": lambda made: _tiered(made, "check"),
    "unit_fixed": _unit_fixed,
}
