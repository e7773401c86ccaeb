"""Every kind of record that a till writes, typed at two real tills, is posted at a real server: balances are equal."""

from __future__ import annotations

import json
from typing import cast

import pytest

from loyalty_desk.demo.processes import run_json
from loyalty_desk.demo.stage import DemoGuest, Stage
from loyalty_desk.demo.terminal_till import Answer, TerminalTill
from loyalty_desk.domain.guest_code import ld1

pytestmark = pytest.mark.e2e
MANAGER = ("--manager", "Михаил Сменов")
PIN = "2222"
CARD = ld1(0x0123_4567_89AB_CDEF)


@pytest.fixture
def tills(stage: Stage, guests: list[DemoGuest]) -> tuple[TerminalTill, TerminalTill]:
    """Two tills of the first store, neither with a window."""
    stage.server.start()
    made = [TerminalTill(stage.folder / name, name, "en", stage.environment) for name in ("one", "two")]
    for till in made:
        stage.pair(till.environment, stage.stores[0], name=till.name)
        assert till.sync()
    return made[0], made[1]


def say(till: TerminalTill, *arguments: str, typed: str = "") -> Answer:
    """Type a command and return its answer; it must not be refused."""
    said = till.said(*arguments, "--json", typed=typed)
    assert said.code == 0, (arguments, said.err or said.out)
    return cast("Answer", json.loads(said.out))


def test_every_kind_of_record_is_posted(
    stage: Stage, tills: tuple[TerminalTill, TerminalTill], guests: list[DemoGuest]
) -> None:
    one, two = tills
    anna, boris = [guest for guest in guests if guest.points > 1_000][:2]
    say(one, "shift", "open", "--cashier", "Анна Кассирова", typed="1111")
    # A sale voided, one returned in part, one exchanged, one paid with points and returned.
    say(one, "sale", "--amount", "1000", "--code", anna.card)
    say(one, "void", typed=PIN)
    tea = say(one, "sale", "--line", "tea:300:2", "--line", "cake:250", "--code", anna.card)
    say(one, "refund", str(tea["receipt"]), "--line", "1=1")
    cake = say(one, "sale", "--line", "cake:250", "--code", boris.card)
    say(one, "exchange", str(cake["receipt"]), "--line", "1", "--sell", "pie:400", "--code", boris.card)
    paid = say(one, "sale", "--amount", "2000", "--code", anna.card, "--points", "50", "--offline")
    # The other till, cut off, takes one back that the server has not seen yet.
    elsewhere = say(one, "sale", "--amount", "800", "--code", anna.card)
    stage.server.stop()
    say(two, "refund", str(elsewhere["id"]), "--amount", "800")
    stage.server.start()
    answer = two.sync()
    assert answer["waiting"] == 0, answer
    assert [row["reason"] for row in quarantine(stage)] == ["WAITING_DEP"]
    say(one, "void", str(paid["receipt"]), *MANAGER, typed=PIN)
    # A guest registered at one till buys at both; points are given, taken and moved by hand.
    new = say(one, "register", "--consent", "2026-1", "--name", "Вера", "--phone", "+79165550101", "--card", CARD)
    say(one, "sale", "--amount", "700", "--code", CARD)
    one.sync()
    two.sync()
    say(two, "sale", "--amount", "600", "--code", CARD)
    say(one, "adjust", anna.card, "120", *MANAGER, "--reason", "goodwill", "--comment", "late", typed=PIN)
    say(one, "adjust", anna.card, "20", "--take", *MANAGER, "--reason", "mistake", typed=PIN)
    say(one, "transfer", anna.card, boris.card, "30", *MANAGER, typed=PIN)
    say(one, "shift", "close")
    for till in (one, two, one, two):
        till.sync()
    assert quarantine(stage) == []
    assert "ok" in stage.verify()
    for card in (anna.card, boris.card, CARD):
        assert one.points(card) == two.points(card) == stage.statement(card)["balance"], card
    assert new["guest"]
    for till in tills:
        assert till.status()["waiting"] == 0


def quarantine(stage: Stage) -> list[dict[str, object]]:
    """Return what waits for something or somebody at the server."""
    found = run_json("loyalty-server", ["quarantine", "list"], stage.environment)
    return cast("list[dict[str, object]]", found["quarantine"])
