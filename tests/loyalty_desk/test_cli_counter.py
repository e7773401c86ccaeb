"""A day at the counter typed into a terminal, with nobody answering on the other side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner, Result

from loyalty_desk import cli
from loyalty_desk.cli import app
from loyalty_desk.domain.guest_code import ld1
from loyalty_desk.log_file import NAME as LOG
from loyalty_desk.till import Till, open_till
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer
from tests.loyalty_desk.test_till import enrolled
from tests.loyalty_desk.till_parts import ANNA, ANNA_CARD, CARD, INCARNATION, STORE, stored_program

FREE_CARD = ld1(0x0123456789ABCDEF)
HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
STAFF = [
    ("staff", "anna", {"name": "Anna K", "role": "cashier", "stores": [str(STORE)], "pin": HASHER.hash("4711")}),
    ("staff", "boss", {"name": "Boris B", "role": "manager", "pin": HASHER.hash("135790")}),
]
PROFILE = ("profile", "default", {"cvm": {"ld1": 100}, "random_online_bp": 0, "tier_codes": ["ld1"]})
OLGA = ("guest", "66666666-6666-4666-8666-666666666666", {"name": "Olga", "member_no": "1000000024", "points": 10})


@contextmanager
def inside(folder: Path) -> Iterator[Till]:
    with open_till(folder) as till:
        yield till


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOYALTY_KEYRING", "file")
    monkeypatch.setenv("LOYALTY_TILL_DIR", str(tmp_path))
    monkeypatch.delenv("LOYALTY_TILL_WITNESS", raising=False)
    monkeypatch.setattr("loyalty_desk.store.reserve.Reserve.__init__.__defaults__", (4096,))
    enrolled(tmp_path)
    with inside(tmp_path) as till:
        parts = till._selling
        parts.journal.remember_program(stored_program())
        rows = [FeedRow(n, *row) for n, row in enumerate([ANNA, ANNA_CARD, OLGA, PROFILE, *STAFF], start=1)]
        parts.cache.apply(PullAnswer(INCARNATION, rows, len(rows), False))
        clock = parts.clock
        parts.cache.completed(clock.now_ms(), clock.boot_id, clock.monotonic_ms())
        clock.learn(clock.now_ms(), clock.monotonic_ms(), clock.monotonic_ms())
        parts.journal.clear_redemption_hold()
    return tmp_path


@pytest.fixture
def till(folder: Path) -> Callable[..., Result]:
    def run(*arguments: str, pin: str = "") -> Result:
        return CliRunner().invoke(app, ["till", *arguments, "--lang", "en"], input=f"{pin}\n")

    return run


@pytest.fixture
def done(till: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    def run(*arguments: str, pin: str = "") -> dict[str, Any]:
        result = till(*arguments, "--json", pin=pin)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


def said(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.output
    return result.stderr.strip()


def test_a_day_from_the_first_pin_to_the_z_report(done: Callable[..., dict[str, Any]]) -> None:
    assert done("shift", "open", "--cashier", "Anna K", pin="4711")["number"] == 1
    first = done("sale", "--line", "latte:200:2:coffee", "--line", "cake:150.50", "--code", CARD)
    assert (first["gross"], first["discount"]) == (55_050, 5_505)
    paid = done("sale", "--amount", "500", "--code", CARD, "--points", "60", "--offline")
    assert paid["redeemed_points"] == 60
    back = done("refund", first["receipt"], "--line", "1=1")
    assert back["money"] == 18_000
    again = done("exchange", first["receipt"], "--line", "1", "--sell", "tea:300", "--code", CARD)
    assert again["difference"] == 27_000 - 18_000
    old = done("void", paid["receipt"], "--manager", "boss", pin="135790")
    assert old["receipt"] == paid["receipt"]
    assert (old["money"], old["points_back"], old["is_whole"]) == (paid["total"], 60, True)
    assert [one["receipt"] for one in done("history", CARD)["sales"]] == [
        again["receipt"],
        paid["receipt"],
        first["receipt"],
    ]
    assert done("shift", "login", "--cashier", "boss", pin="135790")["name"] == "Boris B"
    assert done("adjust", CARD, "50", "--manager", "boss", "--reason", "goodwill", pin="135790")["balance"]
    moved = done("transfer", CARD, "1000000024", "5", "--manager", "boss", pin="135790")
    assert moved["balance"] == done("find", CARD)["points"]
    registered = done(
        "register", "--name", "Ирина", "--phone", "8 916 123-45-67", "--consent", "v1", "--card", FREE_CARD
    )
    assert not registered["was_asked"]
    assert done("find", FREE_CARD)["provisional"]
    x = done("x")
    z = done("shift", "close")
    assert x["totals"] == z["totals"]
    assert (z["totals"]["sales"], z["totals"]["money"]) == (2, first["total"] + paid["total"])
    assert z["totals"]["points_money"] == 60 * 100
    assert (z["totals"]["exchange_money"], z["totals"]["exchange_returned"]) == (27_000, 18_000)
    assert (z["totals"]["voids"], z["totals"]["refunds"], z["totals"]["exchanges"]) == (1, 1, 1)
    assert {one["cashier"] for one in z["totals"]["by_cashier"]} == {"anna", "boss"}
    assert z["waiting"] == done("status")["waiting"]


def test_points_wait_for_no_server_that_is_not_there_and_the_outcome_is_kept(
    done: Callable[..., dict[str, Any]],
) -> None:
    before = done("status")["waiting"]
    sold = done("sale", "--amount", "500", "--code", CARD, "--points", "60")
    assert sold["redeemed_points"] == 60
    assert done("status")["waiting"] == before + 2


def test_a_line_is_named_by_its_id_or_its_place_and_all_are_listed(
    till: Callable[..., Result], done: Callable[..., dict[str, Any]]
) -> None:
    sold = done("sale", "--line", "latte:200:2:coffee", "--line", "cake:150.50", "--code", CARD)
    bare = done("sale", "--amount", "500", "--code", CARD)
    listed = till("history", CARD).stdout.splitlines()
    assert listed[0].startswith(bare["receipt"])
    assert listed[2:] == ["  1  latte: 2 of 2 can come back", "  2  cake: 1 of 1 can come back"]
    unknown = said(till("refund", sold["receipt"], "--line", "3"))
    assert unknown == "There is no line “3” in this sale. It has: 1 latte, 2 cake."
    unnamed = said(till("refund", sold["receipt"]))
    assert unnamed == "This sale has lines: name with --line those that come back. It has: 1 latte, 2 cake."
    assert done("refund", sold["receipt"], "--line", "2")["receipt"] == sold["receipt"]
    assert "2  cake: 0 of 1 can come back" in till("history", CARD).stdout
    assert said(till("refund", sold["receipt"], "--line", "2")).startswith("This quantity cannot come back")


def test_the_history_takes_the_code_as_a_sale_does(
    till: Callable[..., Result], done: Callable[..., dict[str, Any]]
) -> None:
    sold = done("sale", "--amount", "500", "--code", CARD)
    for named in ((CARD,), ("--code", CARD)):
        assert [one["receipt"] for one in done("history", *named)["sales"]] == [sold["receipt"]]
        assert done("find", *named)["points"]
    for wrong in ((), (CARD, "--code", CARD)):
        found = said(till("history", *wrong))
        assert found == "Name the guest once: by the card’s code, the number or the phone."


def test_a_void_says_what_it_has_voided(till: Callable[..., Result], done: Callable[..., dict[str, Any]]) -> None:
    done("shift", "open", "--cashier", "Anna K", pin="4711")
    sold = done("sale", "--line", "latte:200:2:coffee", "--line", "cake:150.50", "--code", CARD)
    told = till("void").stdout.splitlines()
    assert told[0].startswith("Cancelled  ")
    assert f"{sold['receipt']}, " in told[0]
    assert told[0].endswith(": 495.45 (latte × 2, cake)")
    assert told[1].startswith("Money back ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["shift", "close"], "No shift is open. Open one first."),
        (["x"], "No shift is open. Open one first."),
        (["void"], "Nothing has been sold at this till yet."),
        (["refund", "DE71-000009"], "A sale of another till is found by the server"),
        (["refund", "zzz"], "This is not a receipt number."),
        (["find", "+7 916 123-45-67"], "Nobody known here has the number"),
        (["find", "123456"], "This needs the server, which does not answer."),
        (["find", "garbage"], "This code is not one of ours."),
        (
            ["sale", "--amount", "100", "--code", "+7 916 123-45-67"],
            "Nobody known here has the number",
        ),
        (["sale", "--amount", "100", "--code", CARD[:-1]], "The code is damaged"),
        (["exchange", "ABCD-000009", "--line", "1"], "ABCD-000009 was not sold at this till. Return it first"),
        (["void", ""], "This is not a receipt number. Type it as it is printed, like DE71-000123."),
        (["void", "ABCD-000009"], "There is no sale ABCD-000009 here. Check the number."),
        (["import", "nothing.ldx"], "There is no file nothing.ldx."),
        (["import", "nothing.ldx", "--sheet-file", "nowhere"], "The file nowhere cannot be read."),
        (["export", "/proc/nowhere/till.ldx"], "The file /proc/nowhere/till.ldx cannot be written."),
        (["recover"], "This till’s keys are there: nothing has to be recovered."),
        (["leave", "--yes"], "Records that the server has not: 1. Sync with it first"),
        (["enrol", "LDP1"], "This till already belongs to a network."),
        (["shift", "open", "--cashier", "nobody"], "Nobody called “nobody” works in this store."),
        (["adjust", CARD, "999999", "--take", "--manager", "boss", "--reason", "fraud"], "The PIN is wrong."),
        (["sale"], "Type the amount of the check."),
        (["sale", "--amount", "10", "--line", "latte:10"], "Give the amount of the check or its lines, not both."),
        (["sale", "--amount", "10", "--code", "12345"], "There is no guest with the number 12345. Check the digits."),
        (["find", "+7916"], "There is no guest with the number 7916. Check the digits."),
        (["sale", "--line", "latte"], "“latte” is not a line."),
        (["sale", "--line", "latte:x"], "This is not an amount."),
        (["sale", "--line", "latte:100:0"], "“latte:100:0” is not a line."),
        (["register", "--consent", ""], "The guest has to agree to the rules"),
        (["register", "--consent", "v1"], "Type a name or a phone."),
        (["register", "--consent", "v1", "--name", "A", "--birthday", "31.02.1990"], "This cannot be a date of birth."),
        (["adjust", CARD, "5", "--manager", "boss", "--reason", "because"], "Choose a reason: goodwill"),
        (["adjust", CARD, "5", "--manager", "anna", "--reason", "other"], "Anna K is not a manager."),
        (["adjust", CARD, "5", "--manager", "zed", "--reason", "other"], "Nobody called “zed” works in this store."),
        (["override", CARD, "--manager", "boss"], "The PIN is wrong. Tries left: 4."),
    ],
)
def test_what_is_refused_is_one_sentence(till: Callable[..., Result], arguments: list[str], sentence: str) -> None:
    found = said(till(*arguments, pin="0000"))
    assert found.startswith(sentence)
    assert "\n" not in found


def test_a_fault_of_the_machine_is_told_in_a_sentence_and_logged_with_its_traceback(
    till: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    import apsw

    from loyalty_desk.store.journal import SqliteJournal

    expect_log("the journal")

    def fail(*_: object) -> None:
        raise apsw.IOError("the disk is gone")

    monkeypatch.setattr(SqliteJournal, "_insert", fail)
    assert said(till("sale", "--amount", "100")).startswith("The sale cannot be recorded")
    assert "Traceback" in (folder / LOG).read_text(encoding="utf-8")
    assert (folder / LOG).stat().st_mode & 0o077 == 0


def test_a_pin_is_no_argument(till: Callable[..., Result]) -> None:
    for command in (["shift", "open"], ["adjust"], ["override"], ["void"], ["transfer"]):
        assert "--pin" not in till(*command, "--help").stdout


def refused_redemption(till: Callable[..., Result], *arguments: str) -> str:
    return said(till("sale", "--amount", "500", "--offline", *arguments))


def test_each_limit_of_a_redemption_without_the_server_says_why(
    till: Callable[..., Result], done: Callable[..., dict[str, Any]]
) -> None:
    """All of them, in the order in which a counter meets them; earning is never refused."""
    assert refused_redemption(till, "--code", "1000000016", "--points", "10").endswith(
        "a number is not enough to use points. Ask the guest for the card."
    )
    assert refused_redemption(till, "--code", CARD, "--points", "101").startswith(
        "At most 100 points can be used now: that is the limit for this kind of code."
    )
    for _ in range(2):
        assert done("sale", "--amount", "500", "--offline", "--code", CARD, "--points", "10")["redeemed_points"] == 10
    third = refused_redemption(till, "--code", CARD, "--points", "10")
    assert third.endswith("this guest has used points here 2 times since the last sync; a manager can allow one more.")
    allowed = done("override", CARD, "--manager", "boss", pin="135790")
    assert allowed["id"]
    assert done("sale", "--amount", "500", "--offline", "--code", CARD, "--points", "10")["redeemed_points"] == 10
    again = said(till("override", CARD, "--manager", "boss", pin="135790"))
    assert again.startswith("This was allowed once already.")
    assert done("sale", "--amount", "500", "--offline", "--code", CARD)["redeemed_points"] == 0


@pytest.mark.parametrize("offline", [(), ("--offline",)], ids=["server asked", "offline"])
@pytest.mark.parametrize(
    ("redemption", "points", "sentence"),
    [
        (None, "10", "Points cannot be used: the program does not pay with points."),
        ({"min": 50, "block": 1, "max_share_bp": 5_000}, "20", "Points cannot be used: at least 50 points are needed."),
        ({"min": 1, "block": 50, "max_share_bp": 5_000}, "20", "Points cannot be used: points are used in steps of 50"),
        ({"min": 1, "block": 50, "max_share_bp": 5_000}, "70", "At most 50 points can be used now: points are used in"),
        ({"min": 1, "block": 1, "max_share_bp": 1_000}, "60", "At most 45 points can be used now: that is the allowed"),
    ],
)
def test_what_the_program_refuses_is_not_blamed_on_the_code_and_asked_of_no_server(
    till: Callable[..., Result],
    done: Callable[..., dict[str, Any]],
    folder: Path,
    redemption: dict[str, Any] | None,
    points: str,
    sentence: str,
    offline: tuple[str, ...],
) -> None:
    with inside(folder) as opened:
        opened._selling.journal.remember_program(stored_program(version=4, redemption=redemption))
    before = done("status")["waiting"]
    assert said(till("sale", "--amount", "500", "--code", CARD, "--points", points, *offline)).startswith(sentence)
    assert done("status")["waiting"] == before


def test_points_of_nobody_are_refused_for_that(till: Callable[..., Result]) -> None:
    found = said(till("sale", "--amount", "500", "--points", "10"))
    assert found == "Points cannot be used: points belong to a guest."


def test_a_guest_registered_here_earns_at_once_and_spends_when_the_server_knows(
    till: Callable[..., Result], done: Callable[..., dict[str, Any]]
) -> None:
    done("register", "--name", "Ирина", "--consent", "v1", "--card", FREE_CARD)
    assert done("sale", "--amount", "500", "--code", FREE_CARD)["earned_points"] > 0
    found = refused_redemption(till, "--code", FREE_CARD, "--points", "5")
    assert found.endswith("the guest has just been registered: points can be used once the server knows them.")


def test_a_guest_registered_without_a_card_is_told_the_code_of_one(
    till: Callable[..., Result], done: Callable[..., dict[str, Any]]
) -> None:
    told = till("register", "--name", "Ирина", "--birthday", "04.03.1990", "--consent", "v1").stdout.splitlines()
    assert told[1].startswith("Their card, to print or to send: LD1")
    code = told[1].rpartition(" ")[2]
    sold = done("sale", "--amount", "400", "--code", code)
    assert sold["guest"] is not None
    assert till("history", code).stdout.startswith(sold["receipt"])
    done("void", sold["receipt"])
    assert till("history", code).stdout.strip().endswith("380.00, all of it has come back")


def test_old_data_redeem_nothing_and_sell_all_the_same(
    till: Callable[..., Result], done: Callable[..., dict[str, Any]], folder: Path
) -> None:
    with inside(folder) as opened:
        parts = opened._selling
        now = parts.clock.now_ms() - 25 * 3_600_000
        parts.cache.completed(now, parts.clock.boot_id, parts.clock.monotonic_ms() - 25 * 3_600_000)
    found = refused_redemption(till, "--code", CARD, "--points", "10")
    assert found.endswith("the till has not reached the server for 24 hours."), found
    assert done("sale", "--amount", "500", "--code", CARD)["earned_points"] > 0


def test_a_promo_code_is_applied_or_said_why_not_or_refused(
    till: Callable[..., Result], done: Callable[..., dict[str, Any]], folder: Path
) -> None:
    rule: dict[str, Any] = {
        "id": "spring",
        "name": {"en": "Spring"},
        "effects": [{"type": "percentage", "rate_bp": 1_000}],
        "conditions": [{"type": "promo_code", "codes": ["SPRING"]}, {"type": "amount", "min": 300_00}],
    }
    with inside(folder) as opened:
        opened._selling.journal.remember_program(stored_program(version=4, rules=[rule]))
    before = done("status")["waiting"]
    unknown = said(till("sale", "--amount", "500", "--promo", "SPRING", "--promo", "AUTUMN"))
    assert unknown == "The program does not know the promo code AUTUMN."
    assert done("status")["waiting"] == before
    assert done("sale", "--amount", "500", "--promo", "spring")["total"] == 450_00
    small = till("sale", "--amount", "100", "--promo", "SPRING")
    assert small.exit_code == 0
    assert "Promo code SPRING is known, but does not apply to this check." in small.stdout


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", ["find", "sale --amount 5 --code", "register --consent 1 --name"])
def test_bytes_that_are_no_text_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    monkeypatch.setattr("loyalty_desk.log_file.hush", lambda: None)
    monkeypatch.setattr(sys, "argv", ["loyalty-desk", "till", *line.split(), "\udcff\udcfe", "--lang", "en"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "This cannot be understood: loyalty-desk --help says what there is.\n"


def test_slips_are_printed_of_a_sale_of_the_open_shift_and_of_the_one_before(till: Callable[..., Result]) -> None:
    assert till("slip").output.strip() == "Nothing has been sold at this till yet."
    assert till("slip", "--z").output.strip() == "No shift has been closed at this till yet."
    assert till("shift", "open", "--cashier", "anna", pin="4711").exit_code == 0
    assert till("sale", "--amount", "1240", "--code", CARD).exit_code == 0
    assert till("slip", "--x").output.count("X report") == 1
    sale = till("slip", "--width", "42").output
    assert "1,240.00" in sale
    assert max(map(len, sale.splitlines())) == 42
    assert till("shift", "close").exit_code == 0
    assert till("slip", "--z").output.count("Z report") == 1
    assert till("slip", "--x").exit_code == 2
    for two in (("--x", "--z"), ("1", "--x"), ("1", "--z")):
        refused = till("slip", *two)
        assert (refused.exit_code, "--help" in refused.output) == (2, True)
