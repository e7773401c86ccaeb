"""Every command with what is missing, wrong and absurd: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from server import cli
from tests.server.commands import Commands

pytestmark = pytest.mark.postgres

NOBODY = str(uuid4())
HUGE = "99999999999999999999"
WHY = ("--by", "Olga", "--note", "because")
WRONG = [
    ("create-network", ""),
    ("create-network", "x" * 300),
    ("create-network", "A\x01B"),
    ("create-network", "N", "--kind", "bar"),
    ("create-network", "N", "--currency", "XXX"),
    ("create-network", "N", "--zone", "Mars/Base"),
    ("create-network", "N", "--zone", "../../etc/passwd"),
    ("create-network", "N", "--store", ""),
    ("create-network", "Test"),
    ("create-manager", "Olga", "--login", ""),
    ("create-manager", "Olga", "--login", "olga", "--role", "king"),
    ("create-manager", "", "--login", "olga"),
    ("staff", "add", ""),
    ("staff", "add", "Olga", "--role", "king"),
    ("staff", "add", "Olga", "--store", NOBODY),
    ("staff", "pin", ""),
    ("staff", "pin", NOBODY),
    ("staff", "remove", ""),
    ("staff", "remove", "x" * 500, "--yes"),
    ("program", "check", "{folder}/none.toml"),
    ("program", "check", "{folder}"),
    ("program", "check", "/dev/null"),
    ("program", "check", ""),
    ("program", "publish", "{folder}/none.toml"),
    ("program", "publish", "{csv}"),
    ("program", "show", "--version", "99"),
    ("program", "show", "--version", HUGE),
    ("till", "suspend", NOBODY),
    ("till", "resume", NOBODY),
    ("till", "revoke", NOBODY, "--yes"),
    ("till", "revoke", NOBODY),
    ("till", "pair", "--store", NOBODY),
    ("till", "pair", "--address", "ftp://x"),
    ("till", "pair", "--address", "http://example.com"),
    ("till", "pair", "--address", "http://"),
    ("till", "list", "--network", NOBODY),
    ("guests", "import", "{folder}/none.csv"),
    ("guests", "import", "{folder}"),
    ("guests", "import", "{binary}"),
    ("guests", "import", ""),
    ("guests", "export", "{csv}"),
    ("guests", "export", "{folder}/no/out.csv"),
    ("guests", "export", "{folder}"),
    ("guests", "merge", NOBODY, "--into", NOBODY),
    ("guests", "merge", "1000000016", "--into", "1000000016"),
    ("guests", "erase", NOBODY, "--yes"),
    ("guests", "erase", NOBODY),
    ("guests", "erase", "", "--yes"),
    ("guests", "card", "' or 1=1"),
    ("guests", "card", "LD104HMASW9NF6YY55"),
    ("guests", "block", NOBODY, "--yes"),
    ("guests", "block", "zzz", "--yes"),
    ("guests", "unblock", NOBODY, "--yes"),
    ("guests", "unblock", "LD104HMASW9NF6YY54", "--yes"),
    ("guests", "code", "1000000016", "--kind", "ld9"),
    ("guests", "code", "1" * 5_000),
    ("guests", "code", "\udcff"),
    ("keys", "publish"),
    ("keys", "publish", "--root-file", "{folder}/none"),
    ("keys", "publish", "--root-file", "{binary}"),
    ("keys", "revoke", "1"),
    ("quarantine", "show", "1"),
    ("quarantine", "show", HUGE),
    ("quarantine", "release", "1", *WHY),
    ("quarantine", "waive", "1", *WHY),
    ("quarantine", "waive", HUGE, *WHY),
    ("exceptions", "resolve", "1", *WHY),
    ("exceptions", "resolve", HUGE, *WHY),
    ("exceptions", "list", "--kind", "NONSENSE"),
    ("held", "approve", NOBODY, *WHY),
    ("held", "deny", NOBODY, *WHY),
    ("statement", "--guest", NOBODY),
    ("statement", "--guest", ""),
    ("statement", "--guest", "1" * 500),
    ("statement", "--guest", "+7999"),
    ("statement", "--guest", " "),
    ("store", "show", NOBODY),
    ("system", "add", ""),
    ("system", "add", "Shop", "--store", NOBODY),
    ("system", "revoke", NOBODY),
    ("shifts", "--store", NOBODY),
    ("shifts", "--network", NOBODY),
    ("backup", "{csv}"),
    ("backup", "{folder}"),
    ("restore", "{folder}/none", "--yes"),
    ("restore", "{csv}", "--yes"),
    ("restore", "{csv}"),
    ("restore", "{folder}/none"),
    ("restore", "{folder}"),
    ("verify", "--network", NOBODY),
    ("jobs", "run", "--network", NOBODY),
]
UNREADABLE = [
    ("nonsense",),
    ("create-network",),
    ("create-manager", "Olga"),
    ("program", "show", "--version", "0"),
    ("program", "show", "--version", "x"),
    ("till", "suspend", "abc"),
    ("till", "suspend"),
    ("till", "list", "--network", "zz"),
    ("guests", "merge", "1000000016"),
    ("guests", "code", "1000000016", "--kind", "ld4", "--count", "0"),
    ("guests", "code", "1000000016", "--kind", "ld3", "--days", "-1"),
    ("keys", "revoke", "999"),
    ("keys", "revoke", "x"),
    ("quarantine", "show", "-1"),
    ("quarantine", "release", "1"),
    ("held", "approve", "abc", *WHY),
    ("statement",),
    ("shifts", "--limit", "0"),
    ("backup",),
    ("restore",),
    ("jobs", "run", "nonsense"),
    ("demo-data", "--guests", "1"),
]


def said(commands: Commands, *arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a command at which nobody types anything."""
    commands.patch.setattr(sys, "argv", ["loyalty-server", *arguments])
    commands.patch.setattr(sys, "stdin", io.StringIO(""))
    commands.capture.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = commands.capture.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    csv, binary = tmp_path / "list.csv", tmp_path / "binary"
    csv.write_text("name,phone\nAnna,+79161234567\n")
    binary.write_bytes(bytes(range(256)) * 20)
    return {"folder": str(tmp_path), "csv": str(csv), "binary": str(binary)}


def test_what_is_wrong_gets_one_sentence(commands: Commands, places: dict[str, str]) -> None:
    bad: list[str] = []
    for written in WRONG:
        arguments = [one.format(**places) if "{" in one else one for one in written]
        for more in ((), ("--json",)):
            try:
                code, out, err = said(commands, *arguments, *more)
            except BaseException as error:
                bad.append(f"{written} {more}: {type(error).__name__}: {str(error)[:300]}")
                continue
            lines = [line for line in err.splitlines() if line.strip()]
            asked = "[y/N]" in err or "assword" in err
            if code not in (1, 2) or (out and not asked) or "Traceback" in err or "Not possible" in err:
                bad.append(f"{written} {more}: {code} {out[:200]!r} {err[:300]!r}")
            elif code == 1 and not asked and len(lines) != 1:
                bad.append(f"{written} {more}: {len(lines)} lines {err[:300]!r}")
            elif "Error" in err.replace("─ Error ─", ""):
                bad.append(f"{written} {more}: a class for a reason {err[:300]!r}")
    assert not bad, "\n" + "\n".join(bad)


def test_what_no_command_takes_is_a_wrong_use(commands: Commands) -> None:
    found = {written: said(commands, *written)[0] for written in UNREADABLE}
    assert {written for written, code in found.items() if code != 2} == set()


def test_a_list_of_nothing_is_one_and_json_is_json(commands: Commands) -> None:
    for arguments in (
        ("networks",),
        ("program", "show"),
        ("program", "limits"),
        ("till", "list"),
        ("keys", "show"),
        ("quarantine", "list", "--all"),
        ("exceptions", "list", "--all"),
        ("held", "list"),
        ("staff", "list"),
        ("staff", "list", "--all"),
        ("store", "list"),
        ("store", "show"),
        ("system", "list"),
        ("shifts",),
        ("verify",),
        ("jobs", "run"),
    ):
        code, out, err = said(commands, *arguments)
        assert (code, bool(out), err) == (0, True, ""), arguments
        code, out, err = said(commands, *arguments, "--json")
        assert (code, err) == (0, ""), arguments
        assert isinstance(json.loads(out), dict), arguments
