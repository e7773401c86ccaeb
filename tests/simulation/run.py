"""Play seeds: `run.py SEEDS=2000 [SEED=17] [FROM=1] [REAL=1] [MUTATION=name] [JOBS=2] [-v]`; the last line says it all.

Signatures are stubbed by keyed hashes, and pricing by points that are drawn; with `REAL=1` both are real, and every
sale that was posted has to come to the same when it is priced again. `STORE=postgres` plays them so on a real
PostgreSQL of its own, some seconds each: for few seeds.

`run.py MUTATIONS=1` puts in one defect after another and says by which seed each was caught.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from loyalty_desk.domain.program import Program  # noqa: E402 - the path comes first
from tests.simulation.faults import PUTS_BACK, Mutation, Plan  # noqa: E402
from tests.simulation.keys import signatures  # noqa: E402
from tests.simulation.mutations import BITES, OF_GIFTS, mutated  # noqa: E402
from tests.simulation.oracle import Verdict, judge  # noqa: E402
from tests.simulation.world import World  # noqa: E402

if TYPE_CHECKING:
    from tests.simulation.postgres_server import Cluster

_program = lru_cache(maxsize=8)(Program.from_bytes)
_SHOWN = 10
_BITE_WITHIN = 60
_WORTH_A_PROCESS = 100
_YOUNG, _OLDER = 100_000, 50


@dataclass(slots=True)
class Totals:
    """What many runs came to."""

    seeds: int = 0
    facts: int = 0
    lost: int = 0
    doubled: int = 0
    invariants: int = 0
    gone: int = 0
    bad: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count a run."""
        self.seeds += 1
        self.facts += verdict.facts
        self.lost += verdict.lost
        self.doubled += verdict.doubled
        self.invariants += len(verdict.invariants)
        self.gone += verdict.gone
        if not verdict.good:
            self.bad.append(verdict)

    def line(self) -> str:
        """Return the last line."""
        return (
            f"seeds {self.seeds}, facts {self.facts}, lost {self.lost}, doubled {self.doubled}, "
            f"invariants {self.invariants}, on no surviving medium {self.gone}"
        )


def play(
    seed: int,
    plan: Plan | None = None,
    *,
    real: bool = False,
    lines: list[str] | None = None,
    cluster: Cluster | None = None,
) -> Verdict:
    """Play one seed to its end and judge it, on a database of `cluster` where one is given.

    Where `real`, as on a database, signatures are real and sales are priced by the kernel; else points are drawn.
    """
    with ExitStack() as stack:
        stack.enter_context(signatures(real=real or cluster is not None))
        # Read ten times in a run, and always one of four.
        stack.enter_context(mock.patch.object(Program, "from_bytes", _program))
        if cluster is None:
            world = World(seed, plan, real_keys=real, priced=real)
        else:
            from tests.simulation.postgres_server import PostgresServer

            keeps = bool((plan or Plan.draw(Random(seed))).faults & PUTS_BACK)
            world = World(seed, plan, real_keys=True, priced=True, make_server=partial(PostgresServer, cluster, keeps))
        stack.callback(world.server.close)
        world.lines = lines
        try:
            world.play()
            world.settle()
        except Exception as error:  # whatever broke is a finding, with a seed to see it again
            place = traceback.extract_tb(error.__traceback__)[-1]
            world.find("FAULT", f"{type(error).__name__} {error} at {Path(place.filename).name}:{place.lineno}")
        return judge(world)


def play_with(
    mutation: Mutation | None, real: bool, lines: list[str] | None, seed: int, cluster: Cluster | None = None
) -> Verdict:
    """Play one seed, with a defect where one is named."""
    with ExitStack() as stack:
        if mutation is not None:
            stack.enter_context(mutated(mutation))
        return play(seed, real=real, lines=lines, cluster=cluster)


def play_all(seeds: range, *, real: bool = False) -> Totals:
    """Play many seeds."""
    totals = Totals()
    for seed in seeds:
        totals.add(play(seed, real=real))
    return totals


def first_bite(mutation: Mutation, told: Callable[[Verdict], bool] = lambda one: not one.good) -> Verdict | None:
    """Return the first run that reports a defect, among runs with the faults it needs; None where all are content."""
    plan = Plan(3, 1, 60, 0.4, BITES[mutation], gifts=mutation in OF_GIFTS)
    with mutated(mutation):
        return next((one for one in (play(seed, plan) for seed in range(1, _BITE_WITHIN + 1)) if told(one)), None)


def show_bites() -> int:
    """Print a line for each defect; return the exit code."""
    caught = 0
    for mutation in Mutation:
        found = first_bite(mutation)
        caught += found is not None
        said = "NOT CAUGHT"
        if found is not None:
            first = found.invariants[0] if found.invariants else ""
            said = f"caught by seed {found.seed}: lost {found.lost}, doubled {found.doubled}. {first}"
        print(f"{mutation.value:26}{said}", flush=True)
    print(f"{caught} of {len(Mutation)}")
    return 0 if caught == len(Mutation) else 1


def settle_in() -> None:
    """Have garbage collected once in some runs, and nothing that was imported looked at: a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _OLDER, _OLDER)


def main(arguments: list[str]) -> int:
    """Read the arguments, play, print; return the exit code."""
    given = dict(one.split("=", 1) for one in arguments if "=" in one)
    if given.get("MUTATIONS"):
        return show_bites()
    if given.get("STORE", "memory") not in ("memory", "postgres"):
        print("STORE is memory or postgres.")
        return 2
    on_postgres = given.get("STORE") == "postgres"
    if on_postgres and given.get("MUTATION"):
        print("The defects are put into the store in memory: leave out STORE or MUTATION.")
        return 2
    real = on_postgres or given.get("REAL", "0") not in ("", "0")
    lines: list[str] | None = [] if "-v" in arguments else None
    mutation = Mutation(given["MUTATION"]) if given.get("MUTATION") else None
    totals, started = Totals(), time.perf_counter()
    with ExitStack() as stack:
        cluster: Cluster | None = None
        if on_postgres:
            from tests.simulation.postgres_server import open_cluster

            cluster = stack.enter_context(open_cluster())
        if given.get("SEED"):
            verdict = play_with(mutation, real, lines, int(given["SEED"]), cluster)
            totals.add(verdict)
            print("\n".join(lines or []))
            print(f"seed {verdict.seed}, trace {verdict.trace}, facts {verdict.facts}")
        else:
            first, count = int(given.get("FROM") or 1), int(given.get("SEEDS") or (20 if on_postgres else 2_000))
            jobs = min(int(given.get("JOBS") or os.cpu_count() or 1), 1 + count // _WORTH_A_PROCESS)
            seeds = range(first, first + count)
            if jobs == 1 or on_postgres:
                for seed in seeds:
                    totals.add(play_with(mutation, real, None, seed, cluster))
            else:
                with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=settle_in) as pool:
                    for verdict in pool.map(partial(play_with, mutation, real, None), seeds, chunksize=20):
                        totals.add(verdict)
    for verdict in totals.bad[:_SHOWN]:
        print(f"SEED={verdict.seed} trace {verdict.trace}: lost {verdict.lost}, doubled {verdict.doubled}")
        for text in verdict.invariants[:_SHOWN]:
            print(f"    {text}")
    spent = time.perf_counter() - started
    kinds = "real signatures and prices" if real else "signatures stubbed by keyed hashes, pricing by drawn points"
    where = "PostgreSQL" if on_postgres else "memory"
    print(f"{totals.seeds / spent:.3g} seeds a second, in {where}, {kinds}; {len(totals.bad)} bad")
    print(totals.line())
    return 1 if totals.bad else 0


if __name__ == "__main__":
    settle_in()
    sys.exit(main(sys.argv[1:]))
