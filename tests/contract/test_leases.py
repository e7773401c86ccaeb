"""Two real tills and a real server share a rule that may be given a limited number of times, online and cut off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loyalty_desk.demo.processes import run_json
from loyalty_desk.demo.stage import Stage
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.till import Till, open_till
from tests.contract.test_till_and_server import stage  # noqa: F401 - a fixture

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]
TOTAL = 7
WITHIN_S = 60.0


@pytest.fixture
def tills(stage: Stage, tmp_path: Path) -> Iterator[list[Till]]:  # noqa: F811
    program = run_json("loyalty-server", ["program", "show"], stage.environment)["program"]
    assert isinstance(program, dict)
    gift = {
        "id": "first-guests",
        "name": {"en": "First guests", "ru": "Первым гостям"},
        "effects": [{"type": "fixed_amount", "amount": 100_00}],
        "conditions": [{"type": "usage", "total": TOTAL}],
    }
    content = {key: value for key, value in program.items() if key not in ("v", "network", "version", "zone")}
    file = tmp_path / "program.json"
    file.write_text(json.dumps({**content, "rules": [*content["rules"], gift]}))
    run_json("loyalty-server", ["program", "publish", str(file)], stage.environment)
    folder = stage.folder / "second"
    stage.pair({**stage.environment, "LOYALTY_TILL_DIR": str(folder)}, stage.stores[1], name="Second")
    with open_till(stage.till_dir) as one, open_till(folder) as other:
        yield [one, other]


def gave(till: Till) -> int:
    return sum(n for (_, rule, _), n in till._selling.journal.given().items() if rule == "first-guests")


def sell(till: Till) -> bool:
    """Sell something to nobody; return whether the rule gave."""
    before = gave(till)
    draft = CheckDraft(till.checkout.basket(1_000_00), None, at=datetime.now(UTC))
    till.checkout.confirm(draft, till.checkout.price(draft))
    return gave(till) > before


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


def test_two_tills_give_the_total_and_not_one_more(stage: Stage, tills: list[Till]) -> None:  # noqa: F811
    def limits() -> dict[str, Any]:
        found = run_json("loyalty-server", ["program", "limits"], stage.environment)["limits"]
        assert isinstance(found, list)
        return dict(found[0])

    for till in tills:
        till.wait_until_checked()
        assert till.sync_once().done
    # Cut off: what it holds and no more, with the reason in words.
    before = limits()
    assert before["used"] == 0
    assert before["leased"] + before["left"] == TOTAL
    held = before["tills"][str(tills[0]._selling.config.identity.device)]
    assert 0 < held < TOTAL
    assert [sell(tills[0]) for _ in range(held + 2)] == [True] * held + [False] * 2
    draft = CheckDraft(tills[0].checkout.basket(1_000_00), None, at=datetime.now(UTC))
    said = {note.rule: note.code for note in tills[0].checkout.price(draft).explanation}
    assert said["first-guests"] == "limit_total"
    for _ in range(TOTAL):
        for till in tills:
            assert till.sync_once().done
            sell(till)
    for till in tills:
        assert till.sync_once().done
    assert sum(gave(till) for till in tills) == TOTAL
    # Counted when they are priced again, after they were taken in.
    until(lambda: limits()["used"] == TOTAL)
    assert (limits()["leased"], limits()["left"]) == (0, 0)
    assert stage.verify().startswith("verify: ok")
