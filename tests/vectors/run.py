"""Plays every numeric case of other systems: `python tests/vectors/run.py [FILE]` (format: FORMAT.md beside this file).

Prints one line for each case that did not pass, then `N passed, N failed, N not expressible`. Exit 0 only with nothing
failed and at most 3 % not expressible, 1 otherwise, 2 for a file that cannot be read. Ids, titles, notes and sources
are printed or passed over, never looked at to decide anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from vector_case import Case, Unordered, read  # noqa: E402
from vector_reading import Inexpressible, decimal_of  # noqa: E402

from loyalty_desk.domain.errors import BadInput, ForPerson  # noqa: E402

MOST_INEXPRESSIBLE = 0.03
FITS = ("default", "option", "conflict")


def main(arguments: list[str]) -> int:
    """Play the file named, or the bundled one; return the exit code."""
    path = Path(arguments[0]) if arguments and arguments[0] else HERE / "open.json"
    try:
        cases = read_cases(path)
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    passed = failed = inexpressible = 0
    for case in cases:
        lines = judge(case)
        if not lines:
            passed += 1
            continue
        for line in lines:
            print(f"{case.get('id', '?')} {line}")
        if lines[0].startswith("fail"):
            failed += 1
        else:
            inexpressible += 1
    print(f"{passed} passed, {failed} failed, {inexpressible} not expressible")
    return 0 if failed == 0 and inexpressible <= MOST_INEXPRESSIBLE * len(cases) else 1


def read_cases(path: Path) -> list[Mapping[str, Any]]:
    """Return the cases of a file; raises `ValueError` or `OSError` for one that is none."""
    data = json.loads(path.read_text(encoding="utf-8"))
    cases = data.get("vectors") if isinstance(data, dict) else None
    if not isinstance(cases, list) or not cases or not all(isinstance(case, dict) for case in cases):
        raise ValueError("no list of cases under `vectors`")
    if data.get("format") != 1:
        raise ValueError(f"format {data.get('format')!r} is not 1")
    return cases


def judge(case: Mapping[str, Any]) -> list[str]:
    """Return nothing for a case that passed, else a line for each thing that did not."""
    try:
        if case.get("fit") not in FITS:
            raise Inexpressible("case.fit", f"unknown fit {case.get('fit')!r}")
        expected = effective(case.get("expected"), conflict=case.get("fit") == "conflict")
        ready = read_case(case, expected)
    except Inexpressible as error:
        return [f"inexpressible {error}"]
    try:
        got = ready.results()
        missing = [key for key in expected if key not in got]
        if missing:
            raise Inexpressible(f"expected.{missing[0]}", "nothing of that name comes out")
    except Inexpressible as error:
        return [f"inexpressible {error}"]
    except ForPerson as error:
        return [f"inexpressible program: {error}"]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, AssertionError) as error:
        return [f"fail case expected=a_result got={type(error).__name__}:{error}"]
    return [
        f"fail {key} expected={shown(wanted)} got={shown(got[key])}"
        for key, wanted in expected.items()
        if not matches(wanted, got[key])
    ]


def read_case(case: Mapping[str, Any], expected: dict[str, Any]) -> Case:
    """Return a case ready to be played; whatever is so odd that it cannot even be read is not expressible."""
    try:
        return read({**case, "expected": expected})
    except BadInput as error:
        raise Inexpressible("program", str(error)) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Inexpressible("case", f"unreadable: {type(error).__name__} {error}") from error


def effective(expected: Any, *, conflict: bool) -> dict[str, Any]:
    """Return the keys to compare: `derived_KEY` in place of KEY; of a conflict without one, the sum of the split."""
    if not isinstance(expected, Mapping):
        raise Inexpressible("case.expected", "not an object")
    plain = {key: value for key, value in expected.items() if not key.startswith("derived_")}
    derived = {key.removeprefix("derived_"): value for key, value in expected.items() if key.startswith("derived_")}
    split = derived.pop("largest_remainder", None)
    if split is not None:
        target = "parts" if "parts" in plain else "per_line"
        derived[target] = split
    if conflict and not derived:
        for key in ("per_line", "parts"):
            if key in plain:
                split = plain.pop(key)
                parts = split.values() if isinstance(split, Mapping) else split
                plain[f"sum_of_{key}"] = str(sum(decimal_of(part, f"expected.{key}") for part in parts))
    return plain | derived


def matches(wanted: Any, got: Any) -> bool:
    """Return whether what came out is what was expected, as numbers, keys and lists."""
    if isinstance(wanted, Mapping):
        return isinstance(got, Mapping) and all(
            key in got and matches(value, got[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(got, list) or len(wanted) != len(got):
            return False
        if isinstance(got, Unordered):
            got = sorted(got, key=lambda item: item.value)
            try:
                wanted = sorted(wanted, key=lambda item: decimal_of(item, "expected"))
            except Inexpressible:
                return False
        return all(matches(one, other) for one, other in zip(wanted, got, strict=True))
    if hasattr(got, "matches"):
        return bool(got.matches(wanted))
    return type(wanted) is type(got) and bool(wanted == got)


def shown(value: Any) -> str:
    """Return a value in one line without spaces that need quoting."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{shown(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(shown(part) for part in value) + "]"
    return str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
