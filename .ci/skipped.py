"""Fails on any skipped test that is not on the allow list, and prints how many ran."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

# "file::test": the reason it may be skipped.
ALLOWED: dict[str, str] = {
    "tests.server.test_other_postgres::test_the_servers_tests_pass_on_debians_postgresql": (
        "only where somebody has installed Debian's own PostgreSQL; the suite brings another one"
    ),
}


def main(report: Path) -> int:
    """Return 0 when every skipped test of a JUnit report is on the allow list."""
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest's own file
    skipped = [f"{case.get('classname')}::{case.get('name')}" for case in cases if case.find("skipped") is not None]
    unseen = [name for name in skipped if name not in ALLOWED]
    for name in unseen:
        print(f"skipped and not on the allow list: {name}")  # noqa: T201
    print(f"{len(cases) - len(skipped)} tests ran, {len(skipped)} skipped")  # noqa: T201
    return 1 if unseen or not cases else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
