"""What happens to a till at work: killed before or after the commit of each command, a clock a year back, a full disk.

The state is that of `test_cli_counter`: one guest, two of the staff, nobody answering on the other side.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import apsw
import pytest
from typer.testing import Result

from loyalty_desk.clock import SystemClock
from loyalty_desk.store import journal_care, portable
from loyalty_desk.till import open_till
from tests.loyalty_desk.test_cli_counter import CARD, FREE_CARD, done, folder, inside, said, till

__all__ = ["done", "folder", "till"]

KILLED = """
import os, signal, sys
from loyalty_desk.store.journal import SqliteJournal
real, moment = SqliteJournal.append, sys.argv[1]
def append(journal, build, **more):
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    sealed = real(journal, build, **more)
    os.kill(os.getpid(), signal.SIGKILL)
SqliteJournal.append = append
sys.argv = ["loyalty-desk", "till", *sys.argv[2:]]
from loyalty_desk.cli import main
main()
"""
SALE = ["sale", "--amount", "500", "--code", CARD]


def killed(folder: Path, moment: str, arguments: list[str], pin: str) -> None:
    """Run a command that is killed around its commit."""
    process = subprocess.run(
        [sys.executable, "-c", KILLED, moment, *arguments],
        env={**os.environ, "LOYALTY_TILL_DIR": str(folder), "LOYALTY_KEYRING": "file"},
        input=f"{pin}\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert process.stdout == "", "nothing is said to be done before its commit"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_sale_whose_output_cannot_be_written_is_done_and_that_is_said(
    done: Callable[..., dict[str, Any]], folder: Path
) -> None:
    done("shift", "open", "--cashier", "Anna K", pin="4711")
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-c", "from loyalty_desk.cli import main; main()", "till", *SALE],
            env={**os.environ, "LOYALTY_TILL_DIR": str(folder), "LOYALTY_KEYRING": "file"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert (process.returncode, process.stderr.count("\n")) == (2, 1), process.stderr
    assert "No space left" in process.stderr
    assert done("x")["totals"]["sales"] == 1


@pytest.mark.parametrize(
    ("arguments", "pin"),
    [
        (SALE, ""),
        (["refund", "RECEIPT", "--amount", "100"], ""),
        (["void", "RECEIPT", "--manager", "boss"], "135790"),
        (["exchange", "LINES", "--line", "1", "--sell", "tea:300", "--code", CARD], ""),
        (["register", "--name", "Ирина", "--consent", "v1", "--card", FREE_CARD], ""),
        (["adjust", CARD, "50", "--manager", "boss", "--reason", "goodwill"], "135790"),
        (["transfer", CARD, "1000000024", "5", "--manager", "boss"], "135790"),
        (["shift", "close"], ""),
    ],
    ids=["sale", "refund", "void", "exchange", "register", "adjust", "transfer", "shift close"],
)
def test_a_command_killed_around_its_commit_has_happened_once_or_not_at_all(
    done: Callable[..., dict[str, Any]], till: Callable[..., Result], folder: Path, arguments: list[str], pin: str
) -> None:
    done("shift", "open", "--cashier", "Anna K", pin="4711")
    receipts = {
        "RECEIPT": done(*SALE)["receipt"],
        "LINES": done("sale", "--line", "cake:150", "--code", CARD)["receipt"],
    }
    command = [receipts.get(one, one) for one in arguments]
    waiting = done("status")["waiting"]
    killed(folder, "before", command, pin)
    assert done("status")["waiting"] == waiting
    killed(folder, "after", command, pin)
    found = done("status")
    assert found["waiting"] == waiting + 1
    assert found["notices"] == []
    assert till("verify").exit_code == 0
    # The next one goes on behind it: what happened once is known, and cannot silently happen twice.
    again = till(*command, pin=pin)
    if arguments[0] in ("void", "exchange", "register", "shift"):
        assert again.exit_code == 2, again.output
        assert done("status")["waiting"] == waiting + 1
    else:
        assert again.exit_code == 0, again.output
        assert done("status")["waiting"] == waiting + 2
    with inside(folder) as opened:
        assert opened.prove().bad is None


def test_a_clock_a_year_back_sells_on_and_says_why_points_wait(
    done: Callable[..., dict[str, Any]],
    till: Callable[..., Result],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class YearBack(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) - timedelta(days=365)

    first = done(*SALE)
    real = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: real(self) - timedelta(days=365))
    monkeypatch.setattr("loyalty_desk.cli_till_sale.datetime", YearBack)
    second = done(*SALE)
    assert second["earned_points"] > 0
    assert int(second["receipt"][-6:]) == int(first["receipt"][-6:]) + 1
    assert said(till(*SALE, "--points", "10", "--offline")).endswith("this computer’s clock is wrong.")
    assert done("status")["clock"] == "bad"
    assert "wrong" in till("status").stdout
    monkeypatch.setattr(SystemClock, "now", real)
    monkeypatch.setattr("loyalty_desk.cli_till_sale.datetime", datetime)
    assert done(*SALE)["earned_points"] > 0
    with open_till(folder) as opened:
        assert opened.prove().bad is None


def test_a_clock_that_jumps_while_the_till_runs_is_noticed_at_the_next_sale(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loyalty_desk.domain.record import ClockConfidence

    with inside(folder) as opened:
        opened.wait_until_checked()
        assert opened._selling.clock.confidence() is ClockConfidence.GOOD
        real = SystemClock.now
        monkeypatch.setattr(SystemClock, "now", lambda self: real(self) - timedelta(days=365))
        assert opened._selling.clock.confidence() is ClockConfidence.BAD
        assert opened.checkout.identify(CARD).allowance.reason == "clock_bad"


@pytest.mark.parametrize("fault", [apsw.FullError, OSError])
def test_an_export_that_finds_no_room_is_one_sentence(
    till: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    def full(*_: object) -> None:
        raise fault("no room")

    target = tmp_path / "till.ldx"
    monkeypatch.setattr(portable, "backup", full)
    assert said(till("export", str(target))) == f"The file {target} cannot be written."
    assert not target.exists()
    assert journal_care.backup is not full
