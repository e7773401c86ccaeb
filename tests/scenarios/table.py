"""The 72 fault scenarios of the ledger and its sync, each with the tests or harness runs that show it.

`by` is how it is really tried: D the deterministic simulation, H a hypothesis state machine, K kill -9 of real
processes, P a disk that fails or loses its power, T a TCP proxy, F fuzz, B a script against PostgreSQL, A a plain test
of the real till or the real API. A scenario without tests is MISSING, and `make scenarios` fails on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("scenarios.txt")
_HEAD = re.compile(r" ?(\d+) ([A-Z]+) +(\S.*)")
_TEST = re.compile(r" {6}(tests/\S+\.py::\S+)")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A number, what happens, by which harness, and the pytest node ids that show it."""

    number: int
    title: str
    by: str
    tests: tuple[str, ...]


def read(text: str) -> tuple[Scenario, ...]:
    """Return the scenarios of a text; raises `ValueError` naming a line that is neither a scenario nor a test."""
    made: list[Scenario] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if head := _HEAD.fullmatch(line):
            made.append(Scenario(int(head[1]), head[3], head[2], ()))
        elif made and (test := _TEST.fullmatch(line)):
            last = made.pop()
            made.append(Scenario(last.number, last.title, last.by, (*last.tests, test[1])))
        else:
            raise ValueError(f"neither a scenario nor a test: {line!r}")
    return tuple(made)


SCENARIOS = read(_FILE.read_text(encoding="utf-8"))
