"""What comments and documents refer to can be opened by whoever reads them: a document of this tree, a number in it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.scenarios.table import SCENARIOS

ROOT = Path(__file__).parents[1]
PARTS = ("loyalty_desk", "server", "tests", "resources")
INVARIANTS = ROOT / "tests" / "invariants.md"
DOCUMENT = re.compile(r"[\w./-]*\w\.md\b")
# `INV-7, 25` is two of them.
NUMBERED = re.compile(r"INV-(\d+(?:(?:,| and| to) \d+)*)")
SECTION = re.compile(r"\b[Ss]ections? \d")


def texts() -> dict[Path, str]:
    """Return every program and document of the tree but this module."""
    found = [file for part in PARTS for kind in ("*.py", "*.md") for file in (ROOT / part).rglob(kind)]
    mine = [file for file in (*found, *ROOT.glob("*.md")) if file != Path(__file__)]
    return {file: file.read_text(encoding="utf-8") for file in mine}


def test_a_document_that_is_named_is_here() -> None:
    known = texts()
    here = {file.name for file in known if file.suffix == ".md"}
    cited = {(file.name, name) for file, text in known.items() for name in DOCUMENT.findall(text)}
    assert len(cited) > 5
    missing = {one for one in cited if Path(one[1]).name not in here}
    assert missing == set(), "say the thing itself: nobody outside can open these"


def test_a_number_that_is_named_is_explained() -> None:
    explained = set(re.findall(r"^\| INV-(\d+) \|", INVARIANTS.read_text(encoding="utf-8"), re.MULTILINE))
    named = {n for text in texts().values() for found in NUMBERED.findall(text) for n in re.findall(r"\d+", found)}
    assert explained == {str(n) for n in range(1, 26)}
    assert named <= explained


def test_no_section_of_a_document_is_referred_to_by_its_number_alone() -> None:
    found = {file.name for file, text in texts().items() if SECTION.search(text)}
    assert found == set(), "say what stands there: a section without its document leads nowhere"


def test_the_scenarios_beside_each_fault_exist() -> None:
    faults = INVARIANTS.read_text(encoding="utf-8").partition("## What happens when")[2]
    beside = {int(n) for found in re.findall(r"\| ([\d, ]+) \|$", faults, re.MULTILINE) for n in found.split(", ")}
    assert len(beside) > 40
    assert beside <= {one.number for one in SCENARIOS}
