"""`make scenarios [N=17]`: every fault scenario by its test or harness, a line each; `N=1,4-7` some.

    17  D   3.4 s  PASS     Two tills offline redeem the same 500 of 500 points

A scenario passes when every test bound to it ran and passed: a skipped one has shown nothing, and one whose test does
not exist is MISSING. `README` as the argument writes the generated tables of tests/README.md instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.scenarios.counts import FULL  # noqa: E402 - the path comes first
from tests.scenarios.table import SCENARIOS, Scenario  # noqa: E402

_NOT_FOUND, _NONE_COLLECTED = 4, 5
_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one scenario; `why` are the lines that say so where it did not pass."""

    word: str
    seconds: float
    why: Sequence[str] = ()


def run(tests: Sequence[str]) -> Outcome:
    """Run tests by their node ids, in full."""
    if not tests:
        return Outcome("MISSING", 0.0)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ld-scenario-") as folder:
        report = Path(folder, "report.xml")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:randomly"),
                *("-p", "no:cacheprovider", f"--timeout={_SECONDS}", f"--junitxml={report}", *tests),
            ],
            cwd=ROOT,
            env={**os.environ, FULL: "full"},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
        said = (done.stdout + done.stderr).splitlines()
        if done.returncode in (_NOT_FOUND, _NONE_COLLECTED):
            return Outcome("MISSING", seconds, [line for line in said if line.startswith("ERROR")][:3])
        if done.returncode != 0:
            told = [line for line in said if line.startswith(("E  ", "FAILED", "ERROR"))]
            return Outcome("FAIL", seconds, (told or said)[-6:])
        suites = ET.parse(report).getroot().iter("testsuite")
        skipped = sum(int(suite.get("skipped") or 0) for suite in suites)
    if skipped:
        return Outcome("FAIL", seconds, [f"{skipped} of its tests were skipped"])
    return Outcome("PASS", seconds)


def wanted(text: str) -> list[int]:
    """Return the numbers of `17` or `1,4-7`; all of them for an empty text."""
    if not text:
        return [one.number for one in SCENARIOS]
    made: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        made += range(int(first), int(last or first) + 1)
    return made


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for, print a line each; return the exit code."""
    given = dict(one.split("=", 1) for one in arguments if "=" in one)
    if given.keys() - {"N"} or {one for one in arguments if "=" not in one} - {"README"}:
        print("Only N=17 (or N=1,4-7), or README, is understood; nothing runs all 72 in full.")
        return 2
    if "README" in arguments:
        from tests.scenarios.readme import write

        write()
        return 0
    known = {one.number: one for one in SCENARIOS}
    numbers, passed = wanted(given.get("N", "")), 0
    for number in numbers:
        scenario = known.get(number, Scenario(number, "not in the table", "-", ()))
        outcome = run(scenario.tests)
        passed += outcome.word == "PASS"
        print(
            f"{number:3}  {scenario.by:3} {outcome.seconds:7.1f} s  {outcome.word:8} {scenario.title}",
            *(f"       {line}" for line in outcome.why),
            sep="\n",
            flush=True,
        )
    print(f"{passed} of {len(numbers)}")
    return 0 if passed == len(numbers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
