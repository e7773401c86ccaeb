"""ZEN at the bench's work: a compiled expression for each rule, our code acting on its answer."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.kernel_work import NOW, TODAY, Bought, Spec


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
