"""Our own cases: one at least for every effect and condition, each said in both languages."""

import importlib.util
import json
from pathlib import Path

import pytest

from loyalty_desk.domain.conditions import CONDITIONS
from loyalty_desk.domain.effects import EFFECTS

HERE = Path(__file__).parent
CASES = json.loads((HERE / "own.json").read_text(encoding="utf-8"))["cases"]


@pytest.fixture(scope="module")
def own():
    spec = importlib.util.spec_from_file_location("own_cases", HERE / "own_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['covers'][0]}: {case['title']}")
def test_a_case_of_our_own(own, case):
    assert own.priced(case) == case["expect"]


def test_every_effect_and_condition_has_a_case():
    covered = {what for case in CASES for what in case["covers"]}
    wanted = {f"effect {name}" for name in EFFECTS} | {f"condition {name}" for name in CONDITIONS}
    assert sorted(wanted - covered) == []


def test_each_case_really_holds_what_it_covers():
    for case in CASES:
        kinds = {"effect": set(), "condition": set()}
        for rule in case["program"]["rules"]:
            kinds["effect"] |= {effect["type"] for effect in rule["effects"]}
            kinds["condition"] |= {condition["type"] for condition in rule["conditions"]}
        for kind, name in (what.split(" ", 1) for what in case["covers"] if " " in what):
            if kind in kinds:
                assert name in kinds[kind], case["title"]
        assert case["expect"]["en"]
        assert len(case["expect"]["ru"]) == len(case["expect"]["en"])
