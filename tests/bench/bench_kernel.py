"""The pricing kernel beside its peers on the same work in the same run: CPU time, medians over interleaved rounds.

The work is `kernel_work`'s. Peers: django-oscar's applicator with its SQL removed, ZEN (compiled expressions, in Rust),
and a tight hand-written loop. The first two come with `uv sync --group bench`; without them the others are measured.
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
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))

from loyalty_desk.domain.compiled import compile_program
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.rubbish import look_seldom
from tests.bench.kernel_oscar import oscar
from tests.bench.kernel_ours import kernel, ours_of, program_of
from tests.bench.kernel_tight import tight
from tests.bench.kernel_work import NOW, Bought, Spec, checks, specs
from tests.bench.kernel_zen import zen

ROUNDS = 7
BASKETS = 12


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
