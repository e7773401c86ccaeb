"""The table has every number once, and the README says what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios import run
from tests.scenarios.planted import DEFECTS, ROOT
from tests.scenarios.readme import README, filled
from tests.scenarios.table import SCENARIOS


def test_every_scenario_is_in_the_table_once() -> None:
    assert [one.number for one in SCENARIOS] == list(range(1, 73))


def test_every_bound_test_exists() -> None:
    for test in {test for one in SCENARIOS for test in one.tests} | {one.test for one in DEFECTS}:
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}(" in text, test


def test_the_readme_has_the_table_as_it_is() -> None:
    text = README.read_text(encoding="utf-8")
    assert filled(text) == text, "make it anew: python tests/scenarios/run.py README"


def test_numbers_are_read() -> None:
    assert run.wanted("17") == [17]
    assert run.wanted("1,4-6") == [1, 4, 5, 6]
    assert len(run.wanted("")) == 72


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("def test_it(): pass", "PASS"),
        ("def test_it(): assert 1 == 2", "FAIL"),
        ("import pytest\n@pytest.mark.skip\ndef test_it(): pass", "FAIL"),
        ("def test_other(): pass", "MISSING"),
    ],
)
def test_a_scenario_passes_only_where_its_test_ran(tmp_path: Path, body: str, word: str) -> None:
    (tmp_path / "test_one.py").write_text(body, encoding="utf-8")
    assert run.run([f"{tmp_path / 'test_one.py'}::test_it"]).word == word


def test_a_scenario_without_tests_is_missing_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run(()).word == "MISSING"
    assert run.main(["N=99"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 1"


@pytest.mark.parametrize("argument", ["--help", "17", "n=17", "NUMBER=3"])
def test_what_it_does_not_know_runs_nothing(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([argument]) == 2
    assert capsys.readouterr().out.startswith("Only N=17")
