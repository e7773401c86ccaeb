"""Mutates the kernel and counts what the tests notice: `python tests/mutation/run.py [FILE]…` (money points refund …).

Every mutant is one small change to one function of a file named in `[tool.mutmut]`; the tests that reach the function
must fail on it. Prints killed and survived for each file, then each survivor with what was changed. A survivor whose
changed line is not in tests/README.md is called new. Exit 0 only where every file has 95 % killed, 2 for a wrong name.
A whole run takes some half an hour on one core; nothing of it is kept but `mutants/`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MUTMUT = (sys.executable, str(Path(__file__).with_name("patient.py")))
LEAST = 0.95
# An endless loop is noticed as well: nobody waits for it.
KILLED = {"killed", "timeout"}
_RESULT = re.compile(r"\s*([\w.ǁ]+): ([\w ]+)")


def main(arguments: Sequence[str]) -> int:
    """Mutate the files named, all by default, and return the exit code."""
    modules = mutated_modules()
    unknown = [name for name in arguments if name not in modules]
    if unknown:
        print(f"{unknown[0]} is not mutated; these are: {', '.join(modules)}", file=sys.stderr)
        return 2
    names = list(arguments) or list(modules)
    # What mutmut keeps of an earlier run it does not judge again, though the tests have changed.
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    done = subprocess.run([*MUTMUT, "run", *(f"{modules[name]}.*" for name in names)], cwd=ROOT, check=False)
    if done.returncode:
        return done.returncode
    found = results()
    table = {name: {k: v for k, v in found.items() if k.startswith(f"{modules[name]}.")} for name in names}
    survivors = [mutant for of in table.values() for mutant, status in of.items() if status not in KILLED]
    known = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    for mutant in survivors:
        before, after = changed(mutant)
        print(f"\n{mutant}{'' if after in known else '  (new: not in tests/README.md)'}\n  - {before}\n  + {after}")
    print(f"\n{'file':16}{'mutants':>9}{'killed':>9}{'by time':>9}{'survived':>10}{'share':>9}")
    for name, of in table.items():
        print(row(name, of))
    return 0 if all(of and share(of) >= LEAST for of in table.values()) else 1


def mutated_modules() -> dict[str, str]:
    """Return the files to mutate by their short names, as dotted names; a package is one."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    paths = [path.removesuffix("/*.py").removesuffix(".py") for path in config["tool"]["mutmut"]["only_mutate"]]
    return {path.rpartition("/")[2]: path.replace("/", ".") for path in paths}


def results() -> Mapping[str, str]:
    """Return what became of each mutant that was tried."""
    said = subprocess.run(
        [*MUTMUT, "results", "--all", "true"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    found = (_RESULT.fullmatch(line) for line in said.splitlines())
    return {match[1]: match[2] for match in found if match}


def changed(mutant: str) -> tuple[str, str]:
    """Return the first line that a mutant changes, and what it makes of it."""
    said = subprocess.run([*MUTMUT, "show", mutant], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = [line for line in said.splitlines() if not line.startswith(("---", "+++"))]
    before = next((line[1:].strip() for line in lines if line.startswith("-")), "")
    after = next((line[1:].strip() for line in lines if line.startswith("+")), "(gone)")
    return before, after


def share(of: Mapping[str, str]) -> float:
    """Return the share of mutants killed."""
    return sum(status in KILLED for status in of.values()) / len(of)


def row(name: str, of: Mapping[str, str]) -> str:
    """Return a file's line of the table."""
    if not of:
        return f"{name:16}{0:9}"
    killed = sum(status in KILLED for status in of.values())
    late = sum(status == "timeout" for status in of.values())
    return f"{name:16}{len(of):9}{killed:9}{late:9}{len(of) - killed:10}{share(of):9.1%}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
