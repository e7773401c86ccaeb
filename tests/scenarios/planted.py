"""Nine defects that such a ledger could have, each with the test that has to fail on it.

    ack before commit              caught   4.1 s  tests/simulation/test_simulation.py::…

`make mutations` runs each test twice: as it stands, when it has to pass, and with the defect put in by `plant`, when it
has to fail. The product's code has no switch for any of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock
from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

PLANTED = "LOYALTY_PLANTED"
_SIM = "tests/simulation/test_simulation.py::test_each_fault_alone_is_survived"
_TOLD = "tests/scenarios/test_simulated.py::"
_POWER = "tests/scenarios/test_power.py::"


@dataclass(frozen=True, slots=True)
class Defect:
    """A name, what puts it in, and the test that catches it."""

    name: str
    put_in: Callable[[], AbstractContextManager[object]]
    test: str


def _simulated(name: str) -> Callable[[], AbstractContextManager[object]]:
    def put_in() -> AbstractContextManager[object]:
        from tests.simulation.faults import Mutation
        from tests.simulation.mutations import mutated

        return mutated(Mutation(name))

    return put_in


def _synchronous_normal() -> AbstractContextManager[object]:
    from tests.scenarios.test_power import not_synced

    made: AbstractContextManager[object] = not_synced()
    return made


def _nothing(disk: object, handle: int) -> None:
    """Do nothing."""


def _witness_unsynced() -> AbstractContextManager[object]:
    from tests.scenarios.power_cut import _Os

    return mock.patch.object(_Os, "fdatasync", _nothing)


def _lots_at_the_till() -> AbstractContextManager[object]:
    """Each till names the lots that its redemption eats, from those it knows: what others took it cannot know."""
    from server.ledger.lots import Holdings, LotUse

    def debit(holdings: Holdings, tx_id: UUID, amount: int, at: int, of: UUID | None = None) -> int:
        for lot in sorted(holdings.lots, key=lambda one: (one.expires_at is None, one.expires_at or 0)):
            taken = min(lot.amount, amount)
            if taken:
                lot.remaining -= taken
                amount -= taken
                holdings.used.append(LotUse(tx_id, lot.id, taken))
                holdings.touched[lot.id] = lot
        holdings.debt += amount
        return amount

    return mock.patch.object(Holdings, "debit", debit)


DEFECTS = (
    Defect(
        "ack before commit",
        _simulated("ack_before_commit"),
        f"{_TOLD}test_a_server_that_dies_before_its_commit_has_acknowledged_nothing",
    ),
    Defect("bare ON CONFLICT DO NOTHING", _simulated("bare_conflict"), f"{_TOLD}test_a_cloned_till_posts_both_lines"),
    Defect(
        "cursor without reconcile",
        _simulated("no_reconcile"),
        f"{_TOLD}test_a_failover_without_the_last_30_batches_gets_them_again",
    ),
    Defect("feed by plain sequence", _simulated("plain_sequence"), f"{_SIM}[lost_answer]"),
    Defect(
        "delete on 4xx",
        _simulated("delete_on_4xx"),
        f"{_TOLD}test_no_refusal_makes_a_till_give_up_a_record[400-BAD_BODY]",
    ),
    Defect(
        "dedupe for 24 h",
        _simulated("ttl_dedupe"),
        f"{_TOLD}test_an_answer_lost_before_25_hours_offline_doubles_nothing",
    ),
    Defect(
        "synchronous=NORMAL",
        _synchronous_normal,
        f"{_POWER}test_a_power_cut_at_any_write_loses_no_sale_and_tears_none",
    ),
    Defect(
        "witness not synced",
        _witness_unsynced,
        f"{_POWER}test_a_journal_put_back_after_a_power_cut_is_named_by_its_witness",
    ),
    Defect(
        "lots allocated at the till",
        _lots_at_the_till,
        f"{_TOLD}test_two_tills_offline_spend_lots_that_neither_has_named",
    ),
)


_NO_FIT = ("TypeError", "AttributeError", "ImportError")


def outcome(test: str, planted: str = "") -> tuple[int, str]:
    """Run a test, with a defect where one is named; return pytest's exit code and the first line of why it failed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "--tb=short", "-p", "no:randomly"),
            *("-p", "no:cacheprovider", "-p", "tests.scenarios.plant", test),
        ],
        cwd=ROOT,
        env={**os.environ, PLANTED: planted},
        capture_output=True,
        text=True,
        check=False,
    )
    why = next((line for line in done.stdout.splitlines() if line.startswith("E  ")), done.stdout[-300:])
    return done.returncode, why[1:].strip()[:160]


def main(_: Sequence[str]) -> int:
    """Print a line for each defect; return the exit code."""
    caught = 0
    for defect in DEFECTS:
        started = time.monotonic()
        sound, why = outcome(defect.test)
        word = "MISSING" if sound in (4, 5) else "BROKEN"
        if sound == 0:
            code, why = outcome(defect.test, defect.name)
            # A defect that no longer fits the code it is put into fails by itself: that shows nothing.
            fits = not any(name in why for name in _NO_FIT)
            word = "caught" if code == 1 and fits else "NOT CAUGHT" if fits else "NO FIT"
            caught += word == "caught"
        seconds = time.monotonic() - started
        print(f"{defect.name:30} {word:10} {seconds:6.1f} s  {defect.test}\n{'':31}{why}", flush=True)
    print(f"{caught} of {len(DEFECTS)}")
    return 0 if caught == len(DEFECTS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
