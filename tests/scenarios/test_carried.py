"""Tills whose keys are lost, or that shall leave, with records that nobody else has: real processes, from a terminal.

A command is killed half-way before it is let through: bringing records has to be the same done twice.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from loyalty_desk.demo.processes import command, run_json, start
from loyalty_desk.demo.stage import Stage
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.till import open_till
from tests.scenarios.counts import count

pytestmark = pytest.mark.postgres


@pytest.fixture
def stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="ld-carried-"))
    folder.chmod(0o711)
    made = Stage(folder, say=lambda _: None, port=0)
    try:
        made.server.start()
        demo = run_json("loyalty-server", ["demo-data", "--guests", "20"], made.environment)
        (folder / "sheet").write_text(str(demo["recovery_sheet"]), encoding="utf-8")
        made.prepare()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def card(stage: Stage) -> str:
    return max(stage.demo_data(), key=lambda guest: guest.points).card


def till(stage: Stage, *arguments: str, exit_code: int = 0) -> tuple[dict[str, object], str]:
    """Run `loyalty-desk till …` and return its JSON and what it said besides."""
    done = subprocess.run(
        [*command("loyalty-desk"), "till", *arguments, "--json", "--lang", "en"],
        env={"PATH": "/usr/bin:/bin", **stage.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr
    found: Mapping[str, object] = json.loads(done.stdout) if done.stdout else {}
    return dict(found), done.stderr.strip()


def killed(stage: Stage, seconds: float, *arguments: str) -> None:
    """Begin `loyalty-desk till …` and SIGKILL it where it has not ended by then."""
    process = start(
        [*command("loyalty-desk"), "till", *arguments],
        stage.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


def sell(stage: Stage, card: str, times: int) -> None:
    """Sell while nothing is sent."""
    with open_till(stage.till_dir) as opened:
        opened.wait_until_checked()
        for _ in range(times):
            draft = CheckDraft(opened.checkout.basket(90_00), opened.checkout.identify(card), 0, at=datetime.now(UTC))
            opened.checkout.confirm(draft, opened.checkout.price(draft))


def test_an_emptied_keyring_costs_no_sale(stage: Stage, card: str) -> None:
    """20 records wait, the keys go; with the recovery sheet the till joins anew and all of them are posted."""
    random = Random(61)
    till(stage, "sync")
    sell(stage, card, 20)
    sales = stage.sales()
    (stage.till_dir / "keys.json").unlink()
    commands = (["sale", "--amount", "100"], ["status"], ["sync"], ["export", str(stage.folder / "x.ldx")])
    for refused in commands[: count(1, 4)]:
        _, said = till(stage, *refused, exit_code=2)
        assert said == "The key of this till’s journal is missing. The sales are still there; call the manager."
    # Without the sheet: laid aside, nothing overwritten, and the till may sell on under new keys.
    before = (stage.till_dir / "journal.db").read_bytes()
    found, _ = till(stage, "recover")
    [aside] = found["laid_aside"]
    assert not aside["can_open"]
    assert Path(aside["folder"], "journal.db").read_bytes() == before
    stage.enrol()
    till(stage, "sync")
    sell(stage, card, 1)
    _, said = till(stage, "import", exit_code=2)
    assert "recovery sheet" in said
    sheet = str(stage.folder / "sheet")
    found, _ = till(stage, "recover", "--sheet-file", sheet)
    assert [one["can_open"] for one in found["laid_aside"]] == [True]
    for _ in range(count(1, 20)):
        killed(stage, 0.3 + random.random() * 1.5, "import")
    done, _ = till(stage, "import")
    assert done["posted"] + done["known"] == 1 + 20
    assert (done["refused"], done["quarantined"]) == (0, 0)
    again, _ = till(stage, "import")
    assert (again["posted"], again["known"]) == (0, done["posted"] + done["known"])
    till(stage, "sync")
    assert stage.sales() == sales + 21
    assert "0 lost, 0 doubled" in stage.verify()


def test_a_till_with_records_that_wait_does_not_leave_before_they_are_carried(stage: Stage, card: str) -> None:
    random = Random(55)
    till(stage, "sync")
    sales = stage.sales()
    stage.server.stop()
    sell(stage, card, 12)
    _, said = till(stage, "leave", "--yes", exit_code=2)
    assert said.startswith("Records that the server has not: 12.")
    assert till(stage, "status")[0]["waiting"] == 12
    carried = stage.folder / "carried.ldx"
    till(stage, "leave", "--yes", "--export", "/proc/nowhere/till.ldx", exit_code=2)
    left, _ = till(stage, "leave", "--yes", "--export", str(carried))
    assert Path(str(left["folder"]), "journal.db").exists()
    assert not (stage.till_dir / "keys.json").exists()
    assert not (stage.till_dir / "cache.db").exists()
    assert till(stage, "status")[0]["enrolled"] is False
    _, said = till(stage, "sale", "--amount", "100", exit_code=2)
    assert said == "This till does not belong to a network yet."
    stage.server.start()
    stage.enrol()
    sheet = ["--sheet-file", str(stage.folder / "sheet")]
    for _ in range(count(1, 20)):
        killed(stage, 0.3 + random.random() * 1.5, "import", str(carried), *sheet)
    done, _ = till(stage, "import", str(carried), *sheet)
    again, _ = till(stage, "import", str(carried), *sheet)
    assert done["refused"] == done["quarantined"] == 0
    assert (again["posted"], again["known"]) == (0, done["posted"] + done["known"])
    # What was laid aside is the same journal: nothing of it is posted a second time.
    assert till(stage, "import", str(Path(str(left["folder"]), "journal.db")))[0]["posted"] == 0
    till(stage, "sync")
    assert stage.sales() == sales + 12
    assert "0 lost, 0 doubled" in stage.verify()
    # With nothing waiting it simply leaves.
    assert till(stage, "status")[0]["waiting"] == 0
    till(stage, "leave", "--yes")
