"""What machines become after an accident: a database put back, moved or copied, a till killed after its commit."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loyalty_desk.demo.processes import run, run_json
from loyalty_desk.demo.stage import Stage
from loyalty_desk.remote.client import HttpLedgerClient
from loyalty_desk.services.checkout import CheckDraft, SaleDone
from loyalty_desk.services.ports.server import ServerSaid
from loyalty_desk.till import Till, open_till
from loyalty_desk.wire.v1.sync import cursor_text
from tests.scenarios.counts import count

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[2]


@pytest.fixture
def till(stage: Stage) -> Iterator[Till]:
    stage.server.start()
    with open_till(stage.till_dir) as opened:
        opened.wait_until_checked()
        assert opened.sync_once().done
        yield opened


def sell(till: Till, code: str, times: int = 1) -> SaleDone:
    for _ in range(times):
        draft = CheckDraft(till.checkout.basket(1_000_00), till.checkout.identify(code), 0, at=datetime.now(UTC))
        done = till.checkout.confirm(draft, till.checkout.price(draft))
    return done


def incarnation(till: Till) -> str:
    return str(till._selling.journal.get("incarnation"))


def copy(folder: Path, to: Path) -> None:
    """Copy a folder with its owners: PostgreSQL's user is not ours."""
    subprocess.run(["cp", "-a", str(folder), str(to)], check=True)


def put_back(folder: Path, kept: Path) -> None:
    shutil.rmtree(folder)
    kept.rename(folder)


def level(till: Till) -> None:
    """Sync until nothing waits; a new life of the server may take a second attempt."""
    for _ in range(3):
        if till.sync_once().done and not till.status().waiting:
            return
    raise AssertionError("the till does not get level")


@pytest.mark.parametrize("silently", [False, True], ids=["its witness tells", "silently"])
def test_a_database_put_back_loses_nothing_that_a_till_still_has(
    stage: Stage, till: Till, card: str, silently: bool
) -> None:
    """With the witness of the server put back as well, nothing on its machine can tell: the next hello does."""
    sell(till, card, 5)
    level(till)
    stage.server.stop()
    kept = {name: stage.folder / f"{name}.kept" for name in ("server", "witness")}
    for name, to in kept.items():
        copy(stage.folder / name, to)
    stage.server.start()
    sell(till, card, 7)
    level(till)
    before, sales = incarnation(till), stage.sales()
    state = till._selling.cache.state()
    assert state.cursor is not None
    assert state.incarnation is not None
    old_cursor = cursor_text(state.incarnation, state.cursor)
    stage.server.stop()
    put_back(stage.folder / "server", kept["server"])
    if silently:
        put_back(stage.folder / "witness", kept["witness"])
    else:
        shutil.rmtree(kept["witness"])
    stage.server.start()
    done = sell(till, card, 2)
    level(till)
    assert incarnation(till) != before
    assert stage.sales() == sales + 2
    client = HttpLedgerClient(till._selling.config.identity, till._selling.key, till._selling.token)
    with pytest.raises(ServerSaid) as said:
        client.pull(old_cursor, 10)
    client.close()
    assert (said.value.status, said.value.code) == (410, "MUST_BOOTSTRAP")
    shown = till.checkout.identify(card)
    assert done.quote.earned_points
    assert shown.points == done.balance_after
    assert till._selling.cache.state().complete
    # What the server does by itself is named after what it is about: run again, it does nothing a second time.
    run_json("loyalty-server", ["jobs", "run"], stage.environment)
    (again,) = run_json("loyalty-server", ["jobs", "run"], stage.environment)["networks"]
    assert not [name for name, made in again.items() if isinstance(made, int) and made], again
    level(till)
    assert "0 lost, 0 doubled" in stage.verify()


def test_a_backup_restored_into_another_postgresql_is_another_life_with_the_same_facts(
    stage: Stage, till: Till, card: str
) -> None:
    sell(till, card, 3)
    level(till)
    before, sales = incarnation(till), stage.sales()
    file = stage.folder / "moved.backup"
    run("loyalty-server", ["backup", str(file)], stage.environment)
    sell(till, card, 4)
    level(till)
    points = till.checkout.identify(card).points
    stage.server.stop()
    old = stage.folder / "server.old"
    (stage.folder / "server").rename(old)
    (stage.folder / "server").mkdir(mode=0o711)
    shutil.copy2(old / "master.key", stage.folder / "server" / "master.key")
    run("loyalty-server", ["restore", str(file), "--yes"], stage.environment)
    stage.server.start()
    level(till)
    assert incarnation(till) != before
    assert stage.sales() == sales + 4
    assert till.checkout.identify(card).points == points
    # Heads and digests: the till's last page agreed with the server's, and the ledger is whole.
    assert till._selling.cache.state().complete
    assert "0 lost, 0 doubled" in stage.verify()
    shutil.rmtree(old)


KILLED_AFTER_COMMIT = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.till import open_till
real = SqliteJournal.append
def append(journal, build, **more):
    sealed = real(journal, build, **more)
    if int(sys.argv[3]) == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return sealed
SqliteJournal.append = append
till = open_till(Path(sys.argv[1]))
draft = CheckDraft(till.checkout.basket(50_00), till.checkout.identify(sys.argv[2]), 0, at=datetime.now(UTC))
till.checkout.confirm(draft, till.checkout.price(draft))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_till_killed_between_commit_and_receipt_has_sold_exactly_once(stage: Stage, till: Till, card: str) -> None:
    """By turns right after the commit, before the witness and all else, and right before the receipt."""
    sales, times = stage.sales(), count(4, 200)
    till.close()
    stage.server.stop()
    for number in range(times):
        done = subprocess.run(
            [sys.executable, "-c", KILLED_AFTER_COMMIT, str(stage.till_dir), card, str(number % 2)],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", **stage.environment},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-800:]
        if number % 10 == 0 or number == times - 1:
            with open_till(stage.till_dir) as opened:
                opened.wait_until_checked()
                assert opened.status().waiting == number + 1
                assert [one.code for one in opened.status().notices if one.code.startswith("journal")] == []
    stage.server.start()
    with open_till(stage.till_dir) as opened:
        opened.wait_until_checked()
        level(opened)
    assert stage.sales() == sales + times
    assert "0 lost, 0 doubled" in stage.verify()
