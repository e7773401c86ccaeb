"""The tables of tests/README.md that are made from what is run: scenarios, and defects that have to be caught."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.scenarios.planted import DEFECTS
from tests.scenarios.table import SCENARIOS

README = Path(__file__).resolve().parents[1] / "README.md"


def tables() -> dict[str, str]:
    """Return each generated part by the name in its markers."""
    return {
        "scenarios": _table(
            ("#", "What happens", "By", "Shown by"),
            ((str(one.number), one.title, one.by, _names(one.tests)) for one in SCENARIOS),
        ),
        "mutations": _table(("Defect", "Caught by"), ((one.name, _names([one.test])) for one in DEFECTS)),
    }


def filled(text: str) -> str:
    """Return a text with the parts between its markers made anew; raises `ValueError` where a marker is missing."""
    for name, table in tables().items():
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"no markers for {name}")
        text = before + begin + table + end + after
    return text


def write() -> None:
    """Write the tables into the file."""
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["--"] * len(head), *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _names(tests: Sequence[str]) -> str:
    if not tests:
        return "MISSING"
    shown = (one.removeprefix("tests/").partition("::") for one in tests)
    return "<br>".join(f"`{path}` {name.replace('_', ' ').removeprefix('test ')}" for path, _, name in shown)
