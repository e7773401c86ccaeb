"""Cases made of a seed and sizes: programs, baskets, guests and choices that reach whatever the kernel can do.

A case is a function of its seed alone, so a failing one is repeated by its numbers; hypothesis shrinks the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.pricing import Quote, quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices, ManualDiscount, Payment

PRODUCTS = [f"p{n}" for n in range(6)]
CATEGORIES = ["c0", "c1", "c2"]
ZONES = [UTC, ZoneInfo("Europe/Moscow"), ZoneInfo("America/New_York")]
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ANNA = UUID("01970000-0000-7000-8000-00000000000a")
TIERS = ["BRONZE", "SILVER", "GOLD"]

type Part = dict[str, Json]


@dataclass(frozen=True)
class Case:
    """All that a quote is a function of."""

    program: Program
    basket: Basket
    guest: GuestFacts | None
    at: datetime
    choices: Choices

    def quote(self) -> Quote:
        return quote(self.basket, self.guest, self.program, self.at, self.choices)


def _money(r: Random) -> int:
    return r.choice([0, 1, 5, 33, 99, 100, 250, 999, 1_000, 2_500, r.randint(0, 6_000)])


def _rate(r: Random) -> int:
    return r.choice([0, 1, 500, 1_000, 1_250, 3_333, 5_000, 9_999, 10_000])


def _some(r: Random, names: list[str]) -> list[Json]:
    return list[Json](r.sample(names, r.randint(1, min(3, len(names)))))


def _maybe(r: Random, part: Part, **optional: Json) -> Part:
    return part | {key: value for key, value in optional.items() if r.random() < 0.35}


def _goods(r: Random, quantity: int) -> Part:
    return r.choice(
        [
            {"quantity": quantity},
            {"quantity": quantity, "products": _some(r, PRODUCTS)},
            {"quantity": quantity, "categories": _some(r, CATEGORIES)},
        ]
    )


def _percentage(r: Random) -> Part:
    part: Part = {"type": "percentage", "rate_bp": _rate(r)}
    if r.random() < 0.4:
        return _maybe(
            r, part | {"of": "check"}, cap=_money(r), times=2, base=r.choice(["remaining", "original"]),
            includes_delivery=True,
        )  # fmt: skip
    return _maybe(
        r, part, cap=_money(r), max_units=r.randint(0, 4), group_size=r.randint(1, 3), times=2,
        choose=r.choice(["cheapest", "dearest"]), base=r.choice(["remaining", "original"]), includes_delivery=True,
    )  # fmt: skip


def _fixed_amount(r: Random) -> Part:
    per = r.choice(["check", "lines", "line", "unit"])
    part: Part = {"type": "fixed_amount", "per": per, "amount": _money(r)}
    match per:
        case "unit":
            return _maybe(
                r, part, cap=_money(r), max_units=r.randint(0, 4), max_units_per_line=r.randint(0, 2),
                group_size=r.randint(1, 3), choose=r.choice(["cheapest", "dearest"]),
            )  # fmt: skip
        case "line":
            return _maybe(r, part, cap=_money(r))
        case _:
            return _maybe(r, part, max_units=r.randint(0, 4), includes_delivery=True)


def _stepped(r: Random) -> Part:
    of = r.choice(["lines", "check"])
    by = r.choice(["amount", "quantity"])
    starts = sorted({r.randint(0, 4) if by == "quantity" else _money(r) for _ in range(3)})
    what = r.choice(["rate_bp", "amount"])
    steps: list[Json] = [{"from": start, what: _rate(r) if what == "rate_bp" else _money(r)} for start in starts]
    return {"type": "stepped", "of": of, "by": by, "steps": steps}


def _free_unit(r: Random) -> Part:
    part: Part = {"type": "free_unit"}
    if r.random() < 0.5:
        size = r.randint(2, 4)
        part |= {"set_of": size, "free": r.randint(1, size - 1)}
    else:
        part |= {"buy": _goods(r, r.randint(1, 3)), "get": _goods(r, r.randint(1, 2))}
    return _maybe(r, part, choose=r.choice(["cheapest", "dearest"]), max_repeats=r.randint(1, 2), partial=True)


def _bundle(r: Random) -> Part:
    part: Part = {"type": "bundle", "price": _money(r)}
    if r.random() < 0.5:
        part |= {"items": [_goods(r, r.randint(1, 2)) for _ in range(r.randint(1, 2))]}
    else:
        part |= {"quantity": r.randint(1, 3)}
    return _maybe(r, part, max_repeats=r.randint(1, 2))


def _reward(r: Random) -> Part:
    part: Part = {"type": "reward", "cost": r.choice([0, 1, 10, 50, 500])}
    return part | r.choice([{"amount": _money(r)}, {"rate_bp": _rate(r)}, {"quantity": r.randint(1, 2)}])


EFFECTS = {
    "percentage": _percentage,
    "fixed_amount": _fixed_amount,
    "fixed_price": lambda r: _maybe(
        r, {"type": "fixed_price", "price": _money(r)}, max_units=r.randint(0, 3), cap=_money(r), choose="dearest"
    ),
    "unit_series": lambda r: _maybe(
        r, {"type": "unit_series", "first": _money(r), "further": _money(r)}, first_units=r.randint(1, 2),
        max_units=r.randint(0, 4), cap=_money(r),
    ),
    "stepped": _stepped,
    "bundle": _bundle,
    "free_unit": _free_unit,
    "gift": lambda r: _maybe(
        r, {"type": "gift", "products": _some(r, PRODUCTS)}, price=_money(r), quantity=r.randint(1, 2),
        per_units=r.randint(1, 3), max_repeats=r.randint(1, 2),
    ),
    "stamp": lambda r: _maybe(r, {"type": "stamp", "every": r.randint(2, 5)}, per="visit", expires_days=30),
    "reward": _reward,
    "earn_rate": lambda r: {"type": "earn_rate"}
    | r.choice([{"rate_bp": _rate(r)}, {"points": r.randint(0, 3), "per": r.choice([0, 1, 100, 777])}]),
    "earn_blocks": lambda r: {"type": "earn_blocks", "points": r.randint(0, 5), "per": r.choice([0, 100, 777])},
    "earn_per_unit": lambda r: {"type": "earn_per_unit", "points": r.randint(0, 5)},
    "bonus_multiplier": lambda r: {"type": "bonus_multiplier", "rate_bp": r.choice([0, 10_000, 15_000, 20_000])},
    "bonus_fixed": lambda r: _maybe(r, {"type": "bonus_fixed", "points": r.randint(0, 50)}, expires_days=7),
    "issue_coupon": lambda r: _maybe(r, {"type": "issue_coupon", "opens": "r0"}, count=2, days=14),
    "load_card": lambda r: _maybe(r, {"type": "load_card"}, rate_bp=11_000),
    "exclude": lambda r: {"type": "exclude", "from": _some(r, ["tier_discount", "tier_points"])},
}  # fmt: skip
MONEY_EFFECTS = (
    "percentage", "fixed_amount", "fixed_price", "unit_series", "stepped", "bundle", "free_unit",
)  # fmt: skip


def _size(r: Random, low: int, high: int) -> Part:
    part = _maybe(
        r, {"of": r.choice(["check", "lines", "line"])}, min=r.randint(0, low), over=True, max=r.randint(low, high)
    )
    return part | r.choice([{}, {}, {"categories": _some(r, CATEGORIES)}, {"products": _some(r, PRODUCTS)}])


def _usage(r: Random) -> Part:
    return r.choice(
        [
            {"total": r.randint(1, 3)},
            {"per_guest": r.randint(1, 3)},
            {"per_check": r.randint(1, 2)},
            {"times": r.randint(1, 2), "period": r.choice(["day", "week", "month", "year"])},
        ]
    )


def _of_products(r: Random) -> Part:
    return {"products": _some(r, PRODUCTS)}


def _of_categories(r: Random) -> Part:
    return {"categories": _some(r, CATEGORIES)}


CONDITIONS = {
    "amount": lambda r: _size(r, 2_000, 9_000),
    "quantity": lambda r: _size(r, 3, 12),
    "products": _of_products,
    "categories": _of_categories,
    "excluded": lambda r: r.choice([_of_products(r), _of_categories(r), _of_products(r) | _of_categories(r)]),
    "unit_price": lambda r: _maybe(r, {"min": _money(r)}, over=True, max=r.randint(500, 9_000)),
    "presence": lambda r: _maybe(
        r, {"products": _some(r, PRODUCTS)}, quantity=r.randint(1, 2), all=True, counts_own=True,
        categories=_some(r, CATEGORIES),
    ),
    "stores": lambda r: {"stores": _some(r, ["s0", "s1"])},
    "channels": lambda r: {"channels": _some(r, ["till", "web", "partner"])},
    "guest": lambda r: {},
    "guests": lambda r: {"guests": [str(ANNA)]},
    "tiers": lambda r: {"tiers": _some(r, TIERS)},
    "segments": lambda r: {"segments": _some(r, ["regular", "vip", "own"])},
    "tags": lambda r: {"tags": _some(r, ["nuts", "staff"])},
    "new_guest": lambda r: {},
    "nth_visit": lambda r: r.choice([{"n": r.randint(1, 5)}, {"every": r.randint(1, 4)}]),
    "referral": lambda r: {},
    "date": lambda r: r.choice(
        [{"from": "2026-01-01"}, {"to": "2026-03-02"}, {"from": "2026-03-02", "to": "2026-03-03"}]
    ),
    "weekdays": lambda r: {"days": list[Json](sorted(r.sample(range(1, 8), r.randint(1, 5))))},
    "hours": lambda r: _maybe(
        r, r.choice([{"from": f, "to": t} for f, t in (("08:00", "11:30"), ("22:00", "09:00"), ("00:00", "24:00"))]),
        days=[1, 2, 3],
    ),
    "birthday": lambda r: _maybe(r, {}, before=r.randint(0, 9), after=r.randint(0, 9)),
    "usage": _usage,
    "budget": lambda r: {"amount": r.randint(1, 3_000)},
    "promo_code": lambda r: {"codes": _some(r, ["SPRING", "Весна"])},
    "coupon": lambda r: _maybe(r, {"codes": _some(r, ["K1", "K2"])}, uses=r.randint(0, 2), reusable_after_void=False),
}  # fmt: skip


def effect(r: Random, names: tuple[str, ...] = tuple(EFFECTS)) -> Part:
    return EFFECTS[r.choice(names)](r)


def condition(r: Random, names: tuple[str, ...] = tuple(CONDITIONS)) -> Part:
    name = r.choice(names)
    return {"type": name, **CONDITIONS[name](r)}


def rule(
    r: Random, n: int, effects: tuple[str, ...] = tuple(EFFECTS), conditions: tuple[str, ...] = tuple(CONDITIONS)
) -> Part:
    part: Part = {
        "id": f"r{n}",
        "name": {"en": f"Rule {n}", "ru": f"Правило {n}"},
        "effects": [effect(r, effects) for _ in range(r.choice([1, 1, 1, 2]))],
        "conditions": [condition(r, conditions) for _ in range(r.choice([0, 0, 1, 1, 2]))] if conditions else [],
    }
    if r.random() < 0.4:
        part["group"] = r.randint(0, 2)
    if r.random() < 0.3:
        part["order"] = r.randint(-1, 2)
    if r.random() < 0.15:
        part["exclusive"] = r.choice([True, "check"])
    if r.random() < 0.2:
        part["skip_discounted_lines"] = True
    if r.random() < 0.03:
        part["conditions"] = [{"type": "phase_of_the_moon"}]
    return part


SETTINGS: dict[str, list[Json]] = {
    "earning_base": ["paid", "before_redemption", "net_of_tax"],
    "earn_on_delivery": [True, False],
    "no_points_on_discounted": [True, False],
    "points_usable": ["next_check", "at_once", "after_days"],
    "points_usable_days": [0, 3],
    "max_multiplier_bp": [0, 25_000],
    "exclusive": ["best", "first"],
    "tier_counts_current": [True, False],
    "points_reversal": ["share", "formula"],
    "spent_back": ["share", "full_refund_only"],
    "clamp_to_zero": [True, False],
    "partial_bundle_return": ["reprice", "refuse"],
}
TOP: dict[str, list[Json]] = {
    "model": ["discount", "points", "mixed"],
    "tier_stacking": ["best_of", "stack", "before"],
    "tier_base": ["spend", "earned", "visits"],
    "window": ["rolling_12_months", "calendar_year", "lifetime"],
    "point_decimals": [0, 1, 2],
    "point_value": [100, 1, 0, 33],
}


def snapshot(r: Random, rules: list[Part]) -> Part:
    """Return a program's object around rules; whatever is left to chance falls back to its default half of the time."""
    data: Part = {"network": "n", "version": r.randint(0, 9), "currency": "RUB", "rules": list[Json](rules)}
    data |= {key: r.choice(values) for key, values in TOP.items() if r.random() < 0.5}
    data["settings"] = {key: r.choice(values) for key, values in SETTINGS.items() if r.random() < 0.35}
    if r.random() < 0.3:
        data["rounding"] = {"points": r.choice(["floor", "half_up", "ceil"])}
    if r.random() < 0.6:
        data["tiers"] = [
            {"code": code, "threshold": n * 2_000, "discount_bp": _rate(r), "earn_bp": _rate(r)}
            for n, code in enumerate(TIERS)
        ]
    if r.random() < 0.6:
        data["redemption"] = _maybe(r, {}, min=r.choice([0, 5, 50]), block=r.choice([1, 5, 10]), max_share_bp=_rate(r))
    if r.random() < 0.3:
        names = ("earning", "discounts", "redemption")
        data["exclusions"] = {name: {"categories": _some(r, CATEGORIES)} for name in names if r.random() < 0.5}
    return data


def line(r: Random, n: int, *, plain: bool = False) -> Line:
    weighed = r.random() < 0.15
    price = r.choice([0, 1, 5, 100, 333, 999, 1_000, r.randint(0, 4_000)])
    flags: list[str] = []
    extra = r.random() < 0.3 and not plain
    if extra:
        flags = r.sample(["no_discount", "no_points", "no_redeem", "delivery", "gift_card", "reward"], 1)
    return Line(
        id=f"l{n}",
        product=r.choice(PRODUCTS),
        category=r.choice(CATEGORIES),
        quantity_milli=r.choice([350, 1_250, 999]) if weighed else 1_000 * r.choice([1, 1, 1, 2, 3, 5]),
        unit_price=price,
        flags=frozenset(flags),
        tax=price // 6 if r.random() < 0.2 else None,
        charge=r.choice([0, 0, 0, 0, 15]) if not plain else 0,
        floor=r.choice([0, 0, 0, 0, price // 2, price + 1]) if not plain else 0,
        added_at=NOW - timedelta(hours=r.randint(0, 12)) if r.random() < 0.2 else None,
    )


def basket(r: Random, lines: int, *, plain: bool = False) -> Basket:
    if lines == 1 and r.random() < 0.3:
        return Basket.of_amount("RUB", r.randint(0, 9_000), store="s0", zone=r.choice(ZONES))
    return Basket(
        "RUB", tuple(line(r, n, plain=plain) for n in range(lines)), store=r.choice(["", "s0", "s1"]),
        zone=r.choice(ZONES), channel=r.choice(["till", "till", "web"]),
    )  # fmt: skip


def guest(r: Random) -> GuestFacts | None:
    if r.random() < 0.2:
        return None
    return GuestFacts(
        guest_id=ANNA if r.random() < 0.5 else None,
        tier=r.choice(["", *TIERS, "GONE"]),
        points=r.choice([-5, 0, 3, 60, 700, 9_999]),
        spend=r.choice([0, 1_999, 2_000, 9_000]),
        visits=r.choice([0, 1, 2, 5]),
        earned=r.choice([0, 2_500]),
        visits_ever=r.choice([None, 0, 3, 4]),
        birthday=r.choice([None, date(1990, 3, 2), date(1988, 2, 29), date(1990, 3, 8), date(1990, 12, 30)]),
        segments=frozenset(r.sample(["regular", "vip", "own"], r.randint(0, 2))),
        tags=frozenset(r.sample(["nuts", "staff"], r.randint(0, 1))),
        uses={("r0", ""): r.randint(0, 2), ("r1", "day:2026-03-02"): 1, ("r2", "month:2026-03"): 2},
        coupons=(Coupon("K1", "r0", used=r.randint(0, 1)), Coupon("k2", "r1", NOW + timedelta(days=r.choice([-1, 1])))),
        stamps={"r0": r.randint(-1, 5), "r1": 3},
        referred=r.random() < 0.3,
    )


def choices(r: Random, lines: tuple[Line, ...]) -> Choices:
    manual: list[ManualDiscount] = []
    if r.random() < 0.2:
        named = r.choice([None, *(one.id for one in lines)])
        manual.append(
            r.choice([ManualDiscount(amount=_money(r) + 1, line=named), ManualDiscount(rate_bp=777, line=named)])
        )
    return Choices(
        points_asked=r.choice([0, 0, 5, 60, 10_000]),
        codes=tuple(r.sample(["spring", "ВЕСНА", "nothing"], r.randint(0, 2))),
        coupons=tuple(r.sample(["k1", "K2", "none"], r.randint(0, 2))),
        rewards=tuple(r.choices(["r0", "r1", "r2", "gone"], k=r.randint(0, 2))),
        gifts={"r0": r.choice(PRODUCTS)} if r.random() < 0.3 else {},
        declined=frozenset({"r1"} if r.random() < 0.2 else ()),
        manual_discounts=tuple(manual),
        quotas={"r0": r.randint(0, 500), "r1": r.randint(0, 2)} if r.random() < 0.3 else None,
        payments=(Payment("card", r.randint(0, 3_000)),) if r.random() < 0.2 else (),
        redemption_cap=r.choice([0, 20]) if r.random() < 0.15 else None,
        redemption_cap_reason="floor",
        tier_withheld=r.random() < 0.1,
    )


def any_case(seed: int, rules: int, lines: int) -> Case:
    """Return a case of everything."""
    r = Random(seed)
    goods = basket(r, lines)
    program = Program.from_dict(snapshot(r, [rule(r, n) for n in range(rules)]))
    at = NOW + timedelta(hours=r.randint(-30, 30))
    return Case(program, goods, guest(r), at, choices(r, goods.lines))


SEEDS = st.integers(0, 2**32 - 1)


def any_cases() -> st.SearchStrategy[Case]:
    return st.builds(any_case, SEEDS, st.integers(0, 6), st.integers(0, 5))
