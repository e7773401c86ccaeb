"""The settings: behind a manager's PIN, in force at once, and the way out of the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.ui.counter.state import Group
from loyalty_desk.ui.sale.state import Tone
from tests.loyalty_desk.till_parts import CARD, stocked
from tests.loyalty_desk.ui.pages import Pages


def opened(pages: Pages) -> None:
    """Go the way a manager goes: F12, F8, the PIN."""
    pages.open("F12")
    pages.presenter.pressed("F8")
    pages.type(pin="135790")
    pages.enter()


def group(pages: Pages, key: str) -> Group:
    return next(one for one in pages.screen.groups if one.key == key)


def chosen(pages: Pages, key: str) -> list[str]:
    return [one.title for one in group(pages, key).options if one.chosen]


def test_the_settings_want_a_managers_pin(pages: Pages) -> None:
    pages.open("F12")
    pages.presenter.pressed("F8")
    assert [one.title for one in group(pages, "who").options] == ["Boris B"]
    pages.type(pin="000000")
    pages.enter()
    assert pages.screen.message.text == "The PIN is wrong. Tries left: 4."
    assert [one.key for one in pages.screen.groups] == ["who"]
    pages.type(pin="135790")
    pages.enter()
    assert [one.key for one in pages.screen.groups] == ["language", "theme", "sounds", "camera", "serial"]
    assert pages.screen.fields == ()
    pages.presenter.cancelled()
    assert not pages.presenter.is_open


def test_where_no_manager_is_known_yet_the_camera_can_be_chosen_all_the_same(tmp_path: Path) -> None:
    pages = Pages(stocked(tmp_path))
    pages.open("settings")
    pages.choose("camera", "2")
    assert chosen(pages, "camera") == ["Camera 3"]
    pages.close()


def test_a_choice_holds_at_once(pages: Pages) -> None:
    opened(pages)
    assert (chosen(pages, "language"), chosen(pages, "sounds"), chosen(pages, "serial")) == (
        ["English"],
        ["On"],
        ["No scanner"],
    )
    for of, key in (
        ("language", "ru"),
        ("theme", "dark"),
        ("sounds", "off"),
        ("camera", "none"),
        ("serial", "/dev/ttyUSB0"),
    ):
        pages.choose(of, key)
        assert pages.screen.message.text == "Kept."
    now = pages.settings.now
    assert (now.language, now.theme, now.sounds, now.camera, now.serial) == (
        "ru",
        "dark",
        False,
        "none",
        "/dev/ttyUSB0",
    )


def test_a_scanner_that_is_unplugged_stays_chosen(pages: Pages) -> None:
    pages.settings.there = ()
    pages.settings.choose("serial", "/dev/ttyUSB7")
    opened(pages)
    assert chosen(pages, "serial") == ["/dev/ttyUSB7"]


def test_what_is_scanned_is_shown_and_is_nobodys_sale(pages: Pages) -> None:
    opened(pages)
    assert pages.fact("Scanner") == "ready"
    pages.scan(f"{CARD}\x1d" + "x" * 500)
    assert pages.fact("Last read").startswith(f"{CARD}·xxx")
    assert len(pages.fact("Last read")) == 40
    assert pages.guest is None


def test_leaving_is_told_first_and_can_be_thought_better_of(pages: Pages) -> None:
    pages.till.sell(CARD, 100)
    opened(pages)
    pages.presenter.pressed("F9")
    said = [one.caption for one in pages.screen.facts]
    assert said[0] == "This till will sell no more for Coffee."
    waiting = pages.till.parts.journal.waiting().count
    assert said[-1].startswith(f"{waiting} records still wait: they are written into a file first")
    pages.presenter.cancelled()
    assert (pages.care.left, pages.presenter.is_open) == (0, True)
    pages.presenter.pressed("F9")
    # The PIN is asked for again: the settings may have been left open.
    assert not pages.screen.button.enabled
    pages.type(pin="000000")
    pages.enter()
    assert (pages.care.left, pages.screen.message.text) == (0, "The PIN is wrong. Tries left: 4.")
    pages.type(pin="135790")
    pages.enter()
    assert pages.care.left == 1
    assert pages.fact("What waited lies in") == "journal.ldx"
    # The till is closed: nothing leads back to a sale.
    pages.presenter.cancelled()
    assert (pages.care.closed, pages.presenter.is_open) == (1, True)
    pages.enter()
    assert pages.care.closed == 2


def test_a_till_that_cannot_leave_says_why_and_goes_on(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise Refused("export_not_written", path="journal.ldx")

    opened(pages)
    pages.presenter.pressed("F9")
    monkeypatch.setattr(pages.care, "leave", full)
    pages.type(pin="135790")
    pages.enter()
    assert (pages.screen.message.text, pages.screen.message.tone) == (
        "The file journal.ldx cannot be written.",
        Tone.WARN,
    )
    pages.presenter.cancelled()
    pages.presenter.cancelled()
    assert not pages.presenter.is_open
