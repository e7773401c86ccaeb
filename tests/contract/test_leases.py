"""Two real tills and a real server share a rule that may be given a limited number of times, online and cut off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from loyalty_desk.demo.processes import ask, run, run_json
from loyalty_desk.demo.stage import Stage
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.till import Till, open_till

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]
RULE, TOTAL = "first-guests", 7
WITHIN_S = 60.0


@contextmanager
def sharing(stage: Stage, rule: str, total: int) -> Iterator[list[Till]]:
    """Put a rule that gives so often into the program, and open two tills."""
    program = run_json("loyalty-server", ["program", "show"], stage.environment)["program"]
    assert isinstance(program, dict)
    gift = {
        "id": rule,
        "name": {"en": "First guests", "ru": "Первым гостям"},
        "effects": [{"type": "fixed_amount", "amount": 100_00}],
        "conditions": [{"type": "usage", "total": total}],
    }
    content = {key: value for key, value in program.items() if key not in ("v", "network", "version", "zone")}
    others = [one for one in content["rules"] if "First guests" not in one["name"].values()]
    file = stage.folder / "program.json"
    file.write_text(json.dumps({**content, "rules": [*others, gift]}))
    run_json("loyalty-server", ["program", "publish", str(file)], stage.environment)
    folder = stage.folder / "second"
    if not folder.exists():
        stage.pair({**stage.environment, "LOYALTY_TILL_DIR": str(folder)}, stage.stores[1], name="Second")
    with open_till(stage.till_dir) as one, open_till(folder) as other:
        for till in (one, other):
            till.wait_until_checked()
            assert till.sync_once().done
        yield [one, other]


def gave(till: Till, of: str = RULE) -> int:
    return sum(n for (_, rule, _), n in till._selling.journal.given().items() if rule == of)


def sell(till: Till, of: str = RULE) -> bool:
    """Sell something to nobody; return whether the rule gave."""
    before = gave(till, of)
    draft = CheckDraft(till.checkout.basket(1_000_00), None, at=datetime.now(UTC))
    till.checkout.confirm(draft, till.checkout.price(draft))
    return gave(till, of) > before


def level(till: Till) -> None:
    """Sync until nothing waits; a new life of the server may take a second attempt."""
    for _ in range(3):
        if till.sync_once().done and not till.status().waiting:
            return
    raise AssertionError("the till does not get level")


def limits(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = run_json("loyalty-server", ["program", "limits"], stage.environment)
    (one,) = found["limits"]
    return {**one, "awaited": found["awaited"]}


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


def test_two_tills_give_the_total_and_not_one_more(stage: Stage) -> None:
    with sharing(stage, RULE, TOTAL) as tills:
        # Cut off: what it holds and no more, with the reason in words.
        before = limits(stage)
        assert before["used"] == 0
        assert before["leased"] + before["left"] == TOTAL
        held = before["tills"][str(tills[0]._selling.config.identity.device)]
        assert 0 < held < TOTAL
        assert [sell(tills[0]) for _ in range(held + 2)] == [True] * held + [False] * 2
        draft = CheckDraft(tills[0].checkout.basket(1_000_00), None, at=datetime.now(UTC))
        said = {note.rule: note.code for note in tills[0].checkout.price(draft).explanation}
        assert said[RULE] == "limit_total"
        for _ in range(TOTAL):
            for till in tills:
                assert till.sync_once().done
                sell(till)
        for till in tills:
            assert till.sync_once().done
        assert sum(gave(till) for till in tills) == TOTAL
        # Counted when they are priced again, after they were taken in.
        until(lambda: limits(stage)["used"] == TOTAL)
        after = limits(stage)
        assert (after["leased"], after["left"]) == (0, 0)
        assert stage.verify().startswith("verify: ok")


def test_a_backup_put_back_while_tills_hold_leases_gives_no_use_twice(stage: Stage) -> None:
    """What tills gave since, pushed or not, the database has forgotten: nobody gets more before they have told."""
    rule, total = "after-the-backup", 24
    file = stage.folder / "leased.backup"
    with sharing(stage, rule, total) as (one, other):
        assert sell(one, rule)
        assert sell(other, rule)
        level(one)
        level(other)
        until(lambda: limits(stage)["used"] == 2)
        run("loyalty-server", ["backup", str(file)], stage.environment)
        # Since then: some posted and the leases renewed, some in the journals alone.
        for _ in range(2):
            for till in (one, other):
                assert sell(till, rule)
                level(till)
        assert sell(one, rule)
        while sell(other, rule):
            pass
        given = gave(one, rule) + gave(other, rule)
        assert 8 <= given < total
        stage.server.stop()
        run("loyalty-server", ["restore", str(file), "--yes"], stage.environment)
        stage.server.start()
        assert limits(stage)["used"] == 2
        level(one)
        # The other may hold anything for all the server knows: until it is heard of, nobody gets more.
        assert not sell(one, rule)
        found = limits(stage)
        assert found["awaited"] == [str(other._selling.config.identity.device)]
        assert "has not said what it gave" in ask("loyalty-server", ["program", "limits"], stage.environment).err
        level(other)
        for _ in range(total):
            for till in (one, other):
                level(till)
                sell(till, rule)
        for till in (one, other):
            level(till)
        assert gave(one, rule) + gave(other, rule) == total
        until(lambda: limits(stage)["used"] == total)
        found = limits(stage)
        assert (found["leased"], found["left"], found["awaited"]) == (0, 0, [])
        assert stage.verify().startswith("verify: ok")
        assert not run_json("loyalty-server", ["exceptions", "list"], stage.environment)["exceptions"]
