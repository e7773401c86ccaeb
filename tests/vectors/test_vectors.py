"""The cases of other systems: they pass, by what they say and not by their names, and the runner can fail."""

import copy
import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RUN = HERE / "run.py"
CASES = json.loads((HERE / "open.json").read_text(encoding="utf-8"))["vectors"]
FIRST_SALE_AREAS = {"rounding", "apportion", "cap", "discount", "points_redeem"}
FIRST_SALE_KINDS = {
    "apportion",
    "earn_per_amount",
    "line_percent",
    "order_fixed",
    "order_percent",
    "redeem_per_point",
    "unit_fixed",
}


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("run_vectors", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runner(path):
    return subprocess.run([sys.executable, RUN, path], capture_output=True, text=True, check=False)


def test_the_bundled_cases_pass():
    answer = subprocess.run([sys.executable, RUN], capture_output=True, text=True, check=False)
    assert answer.stdout == f"{len(CASES)} passed, 0 failed, 0 not expressible\n"
    assert (answer.returncode, answer.stderr) == (0, "")


def test_every_case_of_a_first_sale_passes(run):
    cases = [c for c in CASES if c["area"] in FIRST_SALE_AREAS and {r["kind"] for r in c["rules"]} <= FIRST_SALE_KINDS]
    assert len(cases) == 59
    assert {case["id"]: run.judge(case) for case in cases if run.judge(case)} == {}


def test_names_and_order_decide_nothing(run):
    renamed = copy.deepcopy(CASES)
    random.Random(7).shuffle(renamed)
    for n, case in enumerate(renamed):
        case |= {"id": f"X{n}", "title": "", "note": "", "source": ""}
    before = sorted(len(run.judge(case)) for case in CASES)
    assert sorted(len(run.judge(case)) for case in renamed) == before


def falsified(value):
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, dict):
        return {key: falsified(part) for key, part in value.items()} if value else {"x": 1}
    if isinstance(value, list):
        return [falsified(value[0]), *value[1:]] if value else ["x"]
    if isinstance(value, int | float):
        return value + 1
    try:
        return f"{float(value) + 1:.2f}"
    except ValueError:
        return value + "x"


def test_one_false_expectation_is_always_seen(run):
    passing = [case for case in CASES if not run.judge(case)]
    assert len(passing) > 100
    for case in passing:
        compared = run.effective(case["expected"], conflict=case["fit"] == "conflict")
        for key in compared:
            lie = {**case, "fit": "default" if case["fit"] == "conflict" else case["fit"]}
            lie["expected"] = {**compared, key: falsified(compared[key])}
            assert run.judge(lie), f"{case['id']} passes whatever {key} is"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mood": "good"}, "case.mood"),
        ({"steps": ["dance"]}, "case.steps"),
        ({"guest": {"points": 1, "height": 180}}, "guest.height"),
        ({"fit": "option", "policy": ["magic"]}, "case.policy"),
        ({"fit": "perhaps"}, "case.fit"),
        ({"expected": {"joy": 1}}, "expected.joy"),
        ({"expected": {}}, "case.expected"),
        ({"at": "soon"}, "case.at"),
        ({"basket": [{"line": "a", "unit_price": "1.00", "colour": "red"}]}, "basket[1].colour"),
        ({"basket": [{"line": "a", "unit_price": "1.00", "kind": "dream"}]}, "basket[1].kind"),
        ({"basket": [{"line": "a", "unit_price": "1.001"}]}, "basket[1].unit_price"),
        ({"rules": [{"kind": "teleport"}]}, "rules[1].kind"),
        ({"rules": [{"kind": "order_fixed", "value": "1.00", "size": 3}]}, "rules[1].size"),
        ({"rules": [{"kind": "order_fixed", "value": "1.00", "conditions": {"moon": 1}}]}, "rules[1].conditions.moon"),
        ({"rules": [{"kind": "order_fixed", "value": "1.00", "stacking": "sometimes"}]}, "rules[1].stacking"),
        ({"rules": [{"kind": "order_percent", "value": "1.234"}]}, "rules[1].value"),
    ],
)
def test_what_is_not_understood_is_named_and_never_passed_over(run, change, field):
    plain = {
        "fit": "default",
        "basket": [{"line": "a", "qty": 1, "unit_price": "10.00"}],
        "rules": [],
        "guest": None,
        "expected": {"total": "10.00"},
    }
    assert run.judge(plain) == []
    (line,) = run.judge(plain | change)
    assert line.startswith(f"inexpressible {field}: ")


def test_a_failure_is_printed_with_both_values(run):
    case = {
        "fit": "default",
        "basket": [{"line": "a", "qty": 1, "unit_price": "10.00"}],
        "rules": [{"kind": "order_percent", "value": "10"}],
        "guest": None,
        "expected": {"total": "9.50"},
    }
    assert run.judge(case) == ["fail total expected=9.50 got=9.00"]


def test_exit_codes(tmp_path):
    case = CASES[0]
    good, bad, broken = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "broken.json"
    good.write_text(json.dumps({"format": 1, "vectors": [case]}))
    bad.write_text(json.dumps({"format": 1, "vectors": [{**case, "expected": {"total": "0.01"}}]}))
    broken.write_text("{")
    answer = runner(good)
    assert (answer.returncode, answer.stdout) == (0, "1 passed, 0 failed, 0 not expressible\n")
    answer = runner(bad)
    assert answer.returncode == 1
    assert answer.stdout.splitlines() == [
        f"{case['id']} fail total expected=0.01 got=75.60",
        "0 passed, 1 failed, 0 not expressible",
    ]
    for path in (broken, tmp_path / "absent.json", tmp_path):
        answer = runner(path)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert "Traceback" not in answer.stderr
