"""Every test that may be skipped or may fail is listed here with why: another one is written down before it is green.

What is skipped on the machine that checks a change is judged once more, by `.ci/skipped.py`.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent
WAYS = {"skip", "skipif", "xfail", "importorskip", "SkipTest", "skipIf", "skipUnless", "expectedFailure"}
OWNERS = {"pytest", "pytest.mark", "mark", "unittest"}
MAY_BE_SKIPPED = {
    # What only POSIX has.
    ("loyalty_desk/readable/test_document.py", "no named pipes here"): 1,
    ("loyalty_desk/scanning/test_scan_files.py", "Windows has no permission bits to take away"): 1,
    ("loyalty_desk/test_app.py", "signals of POSIX"): 1,
    ("loyalty_desk/test_cli_quote.py", "closes a file descriptor between fork and exec"): 2,
    ("loyalty_desk/test_till.py", "folders of Windows are not closed by mode bits"): 1,
    ("server/kit/test_filelock.py", "there is no fork"): 1,
    # What only Linux has.
    ("loyalty_desk/test_cli.py", "elsewhere there is always a display"): 1,
    ("loyalty_desk/test_cli_accidents.py", "no device that is always full"): 1,
    ("server/test_cli.py", "no device that is always full"): 1,
    # The suite brings a PostgreSQL of its own; one of Debian's is tried where somebody has installed it.
    (
        "server/test_other_postgres.py",
        "no PostgreSQL of Debian's, 15 or newer, is installed here: apt-get install postgresql",
    ): 1,
    ("server/test_other_postgres.py", "these tests run on it already"): 1,
}


def reasons(file: Path) -> list[str]:
    """Return why the tests of a file may be skipped or fail, once for each place; empty where no reason is given."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [_reason(calls.get(id(node))) for node in ast.walk(tree) if _may_skip(node)]


def _may_skip(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in WAYS and ast.unparse(node.value) in OWNERS
    return isinstance(node, ast.Name) and node.id in WAYS


def _reason(call: ast.Call | None) -> str:
    if call is None:
        return ""
    said = [keyword.value for keyword in call.keywords if keyword.arg == "reason"] or call.args
    return next((one.value for one in said if isinstance(one, ast.Constant) and isinstance(one.value, str)), "")


def test_no_test_may_be_skipped_or_fail_that_is_not_listed_here_with_its_reason() -> None:
    found = Counter(
        (file.relative_to(TESTS).as_posix(), reason)
        for file in TESTS.rglob("*.py")
        if any(way in file.read_text(encoding="utf-8") for way in WAYS)
        for reason in reasons(file)
    )
    assert found == MAY_BE_SKIPPED


def test_every_way_to_skip_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_text(
        "@pytest.mark.skip\ndef test_a(): ...\n"
        "@pytest.mark.xfail(strict=False, reason='why')\ndef test_b(): pytest.skip('late')\n"
        "cv2 = pytest.importorskip('cv2')\n"
        "pytestmark = pytest.mark.skipif(True, reason='here')\n"
    )
    assert sorted(reasons(file)) == ["", "cv2", "here", "late", "why"]
