"""The work that the kernel and its peers are measured with: rules by priority, and checks to price by them.

60% percentages, 25% amounts, 15% point multipliers, each with a least amount, 3 of 10 stores, 1 to 3 of 20 categories,
2 of 5 segments, hours, dates and a usage limit. A rule claims the lines that it lowers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
TODAY = NOW.date()
STORES = [f"s{n}" for n in range(10)]
CATEGORIES = [f"c{n}" for n in range(20)]
SEGMENTS = [f"g{n}" for n in range(5)]


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
