"""The pricing kernel beside its peers on the same work in the same run: CPU time, medians over interleaved rounds.

The work: rules by priority, each claims the lines it lowers; 60% percentages, 25% amounts, 15% point multipliers, each
with a least amount, 3 of 10 stores, 1 to 3 of 20 categories, 2 of 5 segments, hours, dates and a usage limit. Peers:
django-oscar's applicator with its SQL removed (offers, ranges, lines and prices in memory), ZEN (a compiled expression
for each rule, our code acting on its answer), and a tight hand-written loop without split, notes or points. The first
two come with `uv sync --group bench`; without them the others are measured.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.compiled import compile_program
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.rubbish import look_seldom

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
TODAY = NOW.date()
STORES = [f"s{n}" for n in range(10)]
CATEGORIES = [f"c{n}" for n in range(20)]
SEGMENTS = [f"g{n}" for n in range(5)]
ROUNDS = 7
BASKETS = 12


@dataclass(frozen=True)
class Spec:
    """One rule of the work."""

    number: int
    kind: str
    value: int
    least: int
    stores: tuple[str, ...]
    categories: tuple[str, ...]
    segments: tuple[str, ...]
    hours: tuple[int, int]
    dates: tuple[date, date]
    limit: int


@dataclass(frozen=True)
class Bought:
    """One check of the work: a store, the guest's segments and uses, and lines of (category, price, quantity)."""

    store: str
    segments: tuple[str, ...]
    uses: dict[int, int]
    lines: tuple[tuple[str, int, int], ...]


def specs(count: int) -> list[Spec]:
    r = Random(count)
    found = []
    for n in range(count):
        kind = r.choices(["percent", "amount", "multiplier"], [60, 25, 15])[0]
        begin = r.randint(0, 14)
        first = r.randint(1, 300)
        found.append(
            Spec(
                number=n,
                kind=kind,
                value=r.randint(1, 30) * 100 if kind == "percent" else r.randint(1, 20) * 1_000,
                least=r.choice([0, 0, 5_000, 20_000, 100_000]),
                stores=tuple(r.sample(STORES, 3)),
                categories=tuple(r.sample(CATEGORIES, r.randint(1, 3))),
                segments=tuple(r.sample(SEGMENTS, 2)),
                hours=(begin, begin + r.randint(4, 10)),
                dates=(date.fromordinal(TODAY.toordinal() - first), date.fromordinal(TODAY.toordinal() + first)),
                limit=r.randint(1, 20),
            )
        )
    return found


def checks(count: int, lines: int, seed: int = 7) -> list[Bought]:
    r = Random(seed * 1_000 + lines)
    return [
        Bought(
            store=r.choice(STORES),
            segments=tuple(r.sample(SEGMENTS, 2)),
            uses={r.randrange(100): r.randint(0, 5) for _ in range(3)},
            lines=tuple((r.choice(CATEGORIES), r.randint(50, 90_000), r.choice([1, 1, 1, 2, 3])) for _ in range(lines)),
        )
        for _ in range(count)
    ]


# ours


def program_of(rules: list[Spec]) -> Program:
    def effect(spec: Spec) -> dict[str, Any]:
        if spec.kind == "percent":
            return {"type": "percentage", "rate_bp": spec.value}
        if spec.kind == "amount":
            return {"type": "fixed_amount", "per": "lines", "amount": spec.value}
        return {"type": "bonus_multiplier", "rate_bp": 10_000 + spec.value}

    data = {
        "network": "bench",
        "version": 1,
        "currency": "RUB",
        "model": "points",
        "rules": [
            {
                "id": f"r{spec.number}",
                "name": {"en": f"Rule {spec.number}"},
                "order": spec.number,
                "skip_discounted_lines": True,
                "effects": [effect(spec)],
                "conditions": [
                    {"type": "amount", "min": spec.least},
                    {"type": "stores", "stores": list(spec.stores)},
                    {"type": "categories", "categories": list(spec.categories)},
                    {"type": "segments", "segments": list(spec.segments)},
                    {"type": "hours", "from": f"{spec.hours[0]:02d}:00", "to": f"{spec.hours[1]:02d}:00"},
                    {"type": "date", "from": spec.dates[0].isoformat(), "to": spec.dates[1].isoformat()},
                    {"type": "usage", "per_guest": spec.limit},
                ],
            }
            for spec in rules
        ]
        + [{"id": "base", "effects": [{"type": "earn_rate", "points": 1, "per": 10_000}]}],
    }
    program = Program.from_dict(data)
    _ = program.compiled, program.hash_text
    return program


def ours_of(bought: Bought) -> tuple[Basket, GuestFacts]:
    lines = tuple(
        Line(id=str(n), product=f"p{n}", category=category, unit_price=price, quantity_milli=quantity * 1_000)
        for n, (category, price, quantity) in enumerate(bought.lines)
    )
    guest = GuestFacts(
        segments=frozenset(bought.segments), uses={(f"r{n}", ""): used for n, used in bought.uses.items()}, points=500
    )
    return Basket("RUB", lines, store=bought.store), guest


def kernel(rules: list[Spec], work: list[Bought], *, explained: bool) -> Callable[[], object]:
    program, made = program_of(rules), [ours_of(one) for one in work]

    def run() -> None:
        for basket, guest in made:
            quoted = quote(basket, guest, program, NOW)
            if explained:
                _ = quoted.explanation

    return run


# the tight loop


def tight(rules: list[Spec], work: list[Bought]) -> Callable[[], object]:
    """Index by store and segment, then category; integers; a rule claims its lines. No split, notes or points."""
    day = TODAY
    index: dict[tuple[str, str], dict[str, list[tuple[int, bool, int, int, int]]]] = {}
    for spec in rules:
        in_time = spec.hours[0] <= NOW.hour < spec.hours[1] and spec.dates[0] <= day <= spec.dates[1]
        if spec.kind == "multiplier" or not in_time:
            continue
        for store in spec.stores:
            for segment in spec.segments:
                by_category = index.setdefault((store, segment), {})
                for category in spec.categories:
                    by_category.setdefault(category, []).append(
                        (spec.number, spec.kind == "percent", spec.value, spec.least, spec.limit)
                    )

    def run() -> None:
        for bought in work:
            total = 0
            for _, price, quantity in bought.lines:
                total += price * quantity
            uses, claimed = bought.uses, {}
            first = index.get((bought.store, bought.segments[0]), {})
            second = index.get((bought.store, bought.segments[1]), {})
            for category, price, quantity in bought.lines:
                best = None
                for rules_of in (first.get(category, ()), second.get(category, ())):
                    for rule in rules_of:
                        if best is not None and rule[0] >= best[0]:
                            break
                        if total >= rule[3] and uses.get(rule[0], 0) < rule[4]:
                            best = rule
                            break
                if best is not None:
                    claimed.setdefault(best, []).append(price * quantity)
            discount = 0
            for rule, amounts in claimed.items():
                if rule[1]:
                    for amount in amounts:
                        discount += amount - (amount * (10_000 - rule[2]) * 2 + 10_000) // 20_000
                else:
                    discount += min(rule[2], sum(amounts))
            _ = total - discount

    return run


# ZEN


def zen(rules: list[Spec], work: list[Bought]) -> Callable[[], object]:
    import zen as engine

    def expression(spec: Spec) -> str:
        first, last = (one.toordinal() for one in spec.dates)
        return (
            f"amount >= {spec.least} and store in {list(spec.stores)!r}"
            f" and some(segments, # in {list(spec.segments)!r}) and some(categories, # in {list(spec.categories)!r})"
            f" and hour >= {spec.hours[0]} and hour < {spec.hours[1]} and day >= {first} and day <= {last}"
        )

    compiled = [(spec, engine.compile_expression(expression(spec))) for spec in rules]
    day = TODAY.toordinal()

    def run() -> None:
        for bought in work:
            total = sum(price * quantity for _, price, quantity in bought.lines)
            context = {
                "amount": total,
                "store": bought.store,
                "segments": list(bought.segments),
                "categories": list({category for category, _, _ in bought.lines}),
                "hour": NOW.hour,
                "day": day,
            }
            claimed: set[int] = set()
            discount = 0
            for spec, expression in compiled:
                if not expression.evaluate(context) or bought.uses.get(spec.number, 0) >= spec.limit:
                    continue
                if spec.kind == "multiplier":
                    continue
                mine = [n for n, line in enumerate(bought.lines) if line[0] in spec.categories and n not in claimed]
                claimed.update(mine)
                amounts = [bought.lines[n][1] * bought.lines[n][2] for n in mine]
                if spec.kind == "percent":
                    discount += sum(a - (a * (10_000 - spec.value) * 2 + 10_000) // 20_000 for a in amounts)
                else:
                    discount += min(spec.value, sum(amounts))
            _ = total - discount

    return run


# django-oscar


@cache
def _oscar_parts() -> SimpleNamespace:
    """Return its own applicator, offers, benefits and lines; only what would ask the database is ours."""
    _set_django_up()
    from oscar.apps.basket.models import Line as OscarLine
    from oscar.apps.offer.applicator import Applicator
    from oscar.apps.offer.benefits import AbsoluteDiscountBenefit, PercentageDiscountBenefit
    from oscar.apps.offer.conditions import ValueCondition
    from oscar.apps.offer.models import ConditionalOffer
    from oscar.apps.offer.results import ZERO_DISCOUNT

    class Gate(ValueCondition):
        class Meta:
            app_label = "offer"
            proxy = True

        def proxy(self) -> Any:
            return self

        def is_satisfied(self, offer: Any, basket: Any) -> bool:
            spec = self.spec
            return (
                basket.store in spec.stores
                and any(segment in spec.segments for segment in basket.segments)
                and spec.hours[0] <= NOW.hour < spec.hours[1]
                and spec.dates[0] <= TODAY <= spec.dates[1]
                and basket.uses.get(spec.number, 0) < spec.limit
                and super().is_satisfied(offer, basket)
            )

    class Nothing(PercentageDiscountBenefit):
        class Meta:
            app_label = "offer"
            proxy = True

        def proxy(self) -> Any:
            return self

        def apply(self, basket: Any, condition: Any, offer: Any, **_: Any) -> Any:
            return ZERO_DISCOUNT

    ConditionalOffer.combinations = SimpleNamespace(count=lambda: 0)
    benefits = {"percent": PercentageDiscountBenefit, "amount": AbsoluteDiscountBenefit, "multiplier": Nothing}
    return SimpleNamespace(
        line=OscarLine, applicator=Applicator(), benefits=benefits, offer=ConditionalOffer, gate=Gate
    )


class Range:
    """A range of products in memory."""

    def __init__(self, categories: tuple[str, ...]) -> None:
        self.categories = frozenset(categories)

    def contains_product(self, product: Any) -> bool:
        """Return whether the product's category is in the range."""
        return product.category in self.categories


def oscar(rules: list[Spec], work: list[Bought]) -> Callable[[], object]:
    parts = _oscar_parts()
    offers = []
    for spec in rules:
        gate = parts.gate(type="Value", value=Decimal(spec.least) / 100)
        gate.spec = spec
        gate._state.fields_cache["range"] = Range(spec.categories)
        benefit = parts.benefits[spec.kind](type="Percentage", value=Decimal(spec.value) / 100)
        benefit._state.fields_cache["range"] = gate._state.fields_cache["range"]
        offer = parts.offer(pk=spec.number + 1, name=str(spec.number), priority=-spec.number, exclusive=True)
        offer._state.fields_cache |= {"condition": gate, "benefit": benefit}
        offer.max_basket_applications = 1
        offers.append(offer)
    baskets = []
    for bought in work:
        lines = []
        for category, price, quantity in bought.lines:
            line = parts.line(quantity=quantity, stockrecord_id=1)
            line._state.fields_cache |= {
                "product": SimpleNamespace(category=category, is_discountable=True),
                "stockrecord": SimpleNamespace(id=1),
            }
            exact = Decimal(price) / 100
            line._info = SimpleNamespace(price=SimpleNamespace(effective_price=exact, excl_tax=exact, incl_tax=exact))
            lines.append(line)
        baskets.append(
            SimpleNamespace(
                all_lines=lambda lines=lines: lines, lines_=lines, owner=None, currency="RUB", store=bought.store,
                segments=bought.segments, uses=bought.uses,
            )
        )  # fmt: skip
    applicator = parts.applicator

    def run() -> None:
        for basket in baskets:
            for line in basket.lines_:
                line.clear_discount()
            applicator.apply_offers(basket, offers)

    return run


def _set_django_up() -> None:
    import django
    from django.conf import settings

    if settings.configured:
        return
    from oscar import defaults

    options = {name: getattr(defaults, name) for name in dir(defaults) if name.startswith("OSCAR_")}
    options["OSCAR_DEFAULT_CURRENCY"] = "RUB"
    settings.configure(
        INSTALLED_APPS=[
            "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.sites",
            "django.contrib.flatpages", "oscar.apps.analytics.apps.AnalyticsConfig",
            "oscar.apps.checkout.apps.CheckoutConfig", "oscar.apps.address.apps.AddressConfig",
            "oscar.apps.shipping.apps.ShippingConfig", "oscar.apps.catalogue.apps.CatalogueConfig",
            "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
            "oscar.apps.communication.apps.CommunicationConfig", "oscar.apps.partner.apps.PartnerConfig",
            "oscar.apps.basket.apps.BasketConfig", "oscar.apps.payment.apps.PaymentConfig",
            "oscar.apps.offer.apps.OfferConfig", "oscar.apps.order.apps.OrderConfig",
            "oscar.apps.customer.apps.CustomerConfig", "oscar.apps.search.apps.SearchConfig",
            "oscar.apps.voucher.apps.VoucherConfig", "oscar.apps.wishlists.apps.WishlistsConfig", "treebeard",
            "django_tables2", "widget_tweaks", "haystack",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
        SITE_ID=1, USE_TZ=True, SECRET_KEY="bench", DEFAULT_AUTO_FIELD="django.db.models.AutoField", **options,
    )  # fmt: skip
    django.setup()


# measuring


def microseconds(run: Callable[[], object], quotes: int, least: float = 0.02) -> float:
    """Return CPU microseconds a quote of one stretch of at least `least` seconds."""
    times, begun = 0, time.process_time()
    while True:
        run()
        times += 1
        spent = time.process_time() - begun
        if spent >= least:
            return spent / times / quotes * 1e6


def table() -> dict[tuple[str, int, int], float]:
    engines: dict[str, Callable[[list[Spec], list[Bought]], Callable[[], object]]] = {
        "tight": tight,
        "kernel": lambda rules, work: kernel(rules, work, explained=False),
        "kernel + notes": lambda rules, work: kernel(rules, work, explained=True),
    }
    for name, engine, module in (("ZEN", zen, "zen"), ("oscar", oscar, "oscar")):
        try:
            __import__(module)
        except ImportError:
            print(f"{name} is not installed (uv sync --group bench): left out")
        else:
            engines[name] = engine
    found: dict[tuple[str, int, int], float] = {}
    for count in (10, 100, 1_000):
        rules = specs(count)
        for lines in (1, 10, 50):
            work = checks(BASKETS, lines)
            runs = {name: make(rules, work) for name, make in engines.items()}
            samples: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(ROUNDS):
                for name, run in runs.items():
                    samples[name].append(microseconds(run, len(work)))
            for name, values in samples.items():
                found[name, count, lines] = statistics.median(values)
    columns = [(count, lines) for count in (10, 100, 1_000) for lines in (1, 10, 50)]
    print("CPU microseconds a quote, rules × lines")
    print(f"{'':16}" + "".join(f"{f'{count}×{lines}':>10}" for count, lines in columns))
    for name in engines:
        print(f"{name:16}" + "".join(f"{found[name, count, lines]:10.1f}" for count, lines in columns))
    return found


def ratios(found: dict[tuple[str, int, int], float]) -> None:
    ours = found["kernel", 100, 10]
    rows: list[tuple[str, float, str]] = []
    if ("oscar", 100, 10) in found:
        rows.append(("django-oscar ÷ kernel, 10 lines × 100 rules", found["oscar", 100, 10] / ours, "≥ 80"))
    if ("ZEN", 100, 10) in found:
        rows.append(("ZEN ÷ kernel, 10 lines × 100 rules", found["ZEN", 100, 10] / ours, "≥ 10"))
    rows += [
        ("kernel ÷ tight loop, 10 lines × 100 rules", ours / found["tight", 100, 10], "≤ 4"),
        ("1 000 rules ÷ 100 rules, 10 lines", found["kernel", 1_000, 10] / ours, "≤ 1.3"),
        ("50 lines ÷ 10 lines, 100 rules", found["kernel", 100, 50] / ours, "≤ 5"),
        ("with the explanation read ÷ without", found["kernel + notes", 100, 10] / ours, ""),
    ]
    for name, ratio, reach in rows:
        print(f"{name:48} {ratio:8.2f}   {reach}")


def compiling() -> None:
    """Print what a new program costs: strictly, as publishing reads all of it; and as a till takes it into use."""
    bought = ours_of(checks(1, 10)[0])
    for count in (100, 1_000):
        data = program_of(specs(count)).to_bytes()
        spent: dict[str, list[float]] = {}
        for _ in range(9):
            times = [time.process_time()]
            fresh = Program.from_bytes(data)
            times.append(time.process_time())
            _ = fresh.compiled
            times.append(time.process_time())
            quote(*bought, fresh, NOW)
            times.append(time.process_time())
            quote(*bought, fresh, NOW)
            times.append(time.process_time())
            compile_program(Program.from_bytes(data))
            times.append(time.process_time())
            names = ("read", "compiled", "first", "second", "strictly")
            for name, begun, ended in zip(names, times, times[1:], strict=False):
                spent.setdefault(name, []).append((ended - begun) * 1e3)
        found = {name: statistics.median(values) for name, values in spent.items()}
        reach = " (≤ 10)" if count == 1_000 else ""
        print(
            f"a program of {count} rules, milliseconds: compiled at the till {found['compiled']:.1f}{reach},"
            f" its first quote {found['first']:.1f}, the next {found['second']:.2f}; its bytes read before"
            f" {found['read']:.1f}; read and compiled strictly, to publish {found['strictly']:.1f}"
        )


PAST = 10_000


def replay() -> tuple[float, str]:
    """Price 10 000 past checks made from a fixed seed; return checks a second of CPU and the digest of all quotes.

    No quote is kept while the time is taken, and rubbish is looked for as seldom as the server's pricer does it: who
    prices again compares a quote and goes on.
    """
    program = program_of(specs(100))
    r = Random(11)
    made = [ours_of(one) for n in range(20) for one in checks(PAST // 20, r.randint(1, 15), seed=n + 100)]
    look_seldom()
    begun = time.process_time()
    for basket, guest in made:
        quote(basket, guest, program, NOW)
    spent = time.process_time() - begun
    digest = hashlib.sha256()
    for basket, guest in made:
        digest.update(quote(basket, guest, program, NOW).to_bytes())
    return len(made) / spent, digest.hexdigest()


def replays() -> bool:
    found = []
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        answer = subprocess.run(
            [sys.executable, __file__, "--replay"], env=environment, capture_output=True, text=True, check=True
        )
        rate, digest = answer.stdout.split()
        found.append(digest)
        print(
            f"replay of {PAST} past checks, PYTHONHASHSEED={seed}: {float(rate):,.0f} checks/s  ≥ 20,000  {digest[:16]}"
        )
    print("digests are equal" if found[0] == found[1] else "DIGESTS DIFFER")
    return found[0] == found[1]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replay", action="store_true", help="replay alone: checks a second and the digest")
    if parser.parse_args().replay:
        rate, digest = replay()
        print(rate, digest)
        return 0
    ratios(table())
    compiling()
    return 0 if replays() else 1


if __name__ == "__main__":
    sys.exit(main())
