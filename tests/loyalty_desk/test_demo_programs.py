"""The example programs price three checks each exactly as their expected outputs show, in both languages.

Run as a script it writes the expected outputs anew; look at the difference before keeping it.
"""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from loyalty_desk.cli_quote import app

DEMO = Path(__file__).parents[2] / "resources" / "demo"
CHECKS = sorted(DEMO.glob("*/*.check.toml"))


def priced(check: Path, language: str) -> str:
    stem = check.name.removesuffix(".check.toml")
    guest = check.with_name(f"{stem}.guest.toml")
    arguments = ["quote", "--program", str(check.with_name("program.toml")), "--check", str(check), "--lang", language]
    result = CliRunner().invoke(app, [*arguments, *(["--guest", str(guest)] if guest.exists() else [])])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def expected(check: Path, language: str) -> Path:
    return check.with_name(f"{check.name.removesuffix('.check.toml')}.{language}.txt")


def test_every_program_has_three_checks():
    programs = sorted(path.parent.name for path in DEMO.glob("*/program.toml"))
    assert programs == ["coffee", "kids", "restaurant", "salon"]
    assert [sum(check.parent.name == name for check in CHECKS) for name in programs] == [3, 3, 3, 3]


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.parent.name}/{check.name.split('.')[0]}")
def test_a_check_is_priced_as_expected(check, language):
    assert priced(check, language) == expected(check, language).read_text("utf-8")


if __name__ == "__main__":
    for one in CHECKS:
        for language in ("ru", "en"):
            expected(one, language).write_text(priced(one, language), "utf-8")
