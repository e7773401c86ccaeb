"""What a counter does beside selling, page by page: what is shown, what is recorded, what is refused and how."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.domain.contents import AdjustReason
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import ld1, parse
from loyalty_desk.domain.record import RecordKind, handle_text
from loyalty_desk.services.code_picture import modules_of
from loyalty_desk.ui.sale.state import Tone
from loyalty_desk.wire.v1.lookup import FoundGuest
from tests.loyalty_desk.till_parts import ANNA_ROW, CARD, GUEST, NUMBER
from tests.loyalty_desk.ui.pages import Pages, make_pages

PETRS = 0x1111111111111111

# -- shift


def test_a_shift_is_opened_counted_and_closed(pages: Pages) -> None:
    pages.open("F10")
    assert (pages.screen.place, pages.screen.button.enabled) == ("closed", False)
    pages.choose("who", "Anna K")
    pages.type(pin="4711")
    pages.enter()
    # An amount typed next is no PIN.
    assert not pages.presenter.is_open
    assert pages.closed == ["Shift 1 is open."]
    pages.till.sell(CARD, 1240)
    pages.open("F10")
    assert pages.fact("Sales") == "1"
    pages.presenter.pressed("F9")
    assert pages.screen.button.text == "Close shift 1: Z report"
    pages.enter()
    assert pages.screen.message.text.startswith("Shift 1 is closed.")
    assert pages.fact("Z report").startswith("shift 1")
    assert len(pages.records(RecordKind.SHIFT_OPEN, RecordKind.SHIFT_CLOSE)) == 2
    assert pages.changed == 2


def test_a_wrong_pin_is_said_and_typed_anew(pages: Pages) -> None:
    pages.open("F10")
    pages.choose("who", "Anna K")
    pages.type(pin="0000")
    pages.enter()
    assert pages.screen.message.text == "The PIN is wrong. Tries left: 4."
    assert pages.screen.message.tone is Tone.WARN
    assert pages.screen.fields[0].text == ""
    assert not pages.screen.button.enabled
    assert pages.records(RecordKind.SHIFT_OPEN) == []


def test_a_shift_is_handed_over_and_closing_can_be_thought_better_of(pages: Pages) -> None:
    pages.cases.shifts.open("anna.k", "4711")
    pages.open("F10")
    pages.presenter.pressed("F9")
    pages.presenter.cancelled()
    assert pages.presenter.is_open
    pages.choose("who", "Boris B")
    pages.type(pin="135790")
    pages.enter()
    assert pages.till.cashier.name() == "Boris B"
    assert not pages.presenter.is_open
    assert pages.closed == ["Boris B sells from now on."]


def test_a_till_without_staff_says_where_they_come_from(tmp_path: Path) -> None:
    from tests.loyalty_desk.till_parts import stocked

    pages = Pages(stocked(tmp_path))
    pages.open("F10")
    assert "staff come with the first sync" in pages.screen.facts_label
    assert not pages.screen.button.enabled
    pages.close()


# -- sales and returns


def test_the_last_sale_is_cancelled_within_ten_minutes_by_whoever_stands_there(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1240)
    pages.open("F6")
    (sale,) = pages.screen.groups[0].options
    assert done.receipt_no in sale.title
    pages.choose("sale", sale.key)
    pages.presenter.pressed("F9")
    assert pages.screen.button.text.startswith("Cancel the sale")
    assert [one.key for one in pages.screen.fields] == []
    pages.enter()
    assert pages.screen.message.text.startswith("Recorded. Money back")
    (void,) = pages.records(RecordKind.VOID)
    assert void.reverses_id == done.record_id
    assert pages.screen.groups[0].options[0].detail == "Анна; all of it has come back"
    assert pages.screen.facts_label == "Recorded"
    assert next((one.caption, one.strong) for one in pages.screen.facts) == ("Money back", True)


def test_an_older_sale_is_cancelled_with_a_manager_only(pages: Pages) -> None:
    pages.till.sell(CARD, 1240)
    pages.till.sell(None, 100)
    pages.open("F6")
    pages.choose("sale", pages.screen.groups[0].options[1].key)
    pages.presenter.pressed("F9")
    assert not pages.screen.button.enabled
    assert [one.title for one in pages.screen.groups[0].options] == ["Boris B"]
    pages.type(pin="135790")
    pages.enter()
    assert len(pages.records(RecordKind.VOID)) == 1


def test_a_part_of_a_bare_check_comes_back_and_no_more_than_is_left(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.open("F7")
    pages.type(receipt=done.receipt_no)
    pages.enter()
    whole = pages.screen.button.text
    pages.type(amount="100")
    assert pages.screen.button.text != whole
    assert "100" in pages.fact("Money back")
    pages.enter()
    (back,) = pages.records(RecordKind.REFUND)
    assert back.money_total == 10_000
    pages.choose("sale", str(done.record_id))
    pages.type(amount="1000000")
    assert not pages.screen.button.enabled
    assert pages.screen.message.text == "More would come back than is left of this sale."


def test_a_guest_at_the_counter_has_their_own_sales_first(pages: Pages) -> None:
    pages.till.sell(CARD, 1000)
    pages.till.sell(None, 200)
    pages.guest = pages.till.checkout.identify(CARD)
    pages.open("F6")
    assert len(pages.screen.groups[0].options) == 1
    pages.presenter.pressed("F6")
    assert len(pages.screen.groups[0].options) == 2


def test_a_receipt_that_is_none_is_a_sentence_and_so_is_silence_about_another_tills(pages: Pages) -> None:
    pages.open("F7")
    pages.type(receipt="hello")
    pages.enter()
    assert pages.screen.message.text.startswith("This is not a receipt number")
    pages.type(receipt="FF00-000777")
    pages.server.is_away = True
    pages.enter()
    assert pages.screen.message.tone is Tone.WARN
    assert pages.presenter.is_open


# -- registration


def test_a_guest_is_registered_with_consent_and_put_on_the_sale(pages: Pages) -> None:
    pages.server.is_away = True
    pages.open("F8")
    pages.type(phone="8 916 123-45-67", name="Olga", birthday="31.12.1990")
    assert not pages.screen.button.enabled
    pages.choose("consent", "yes")
    pages.enter()
    (record,) = pages.records(RecordKind.REGISTER)
    assert pages.guest is not None
    assert pages.guest.guest_id == record.guest_id
    assert (pages.closed, pages.screen.title, pages.screen.place) == ([], "The guest’s card", "Olga")
    pages.enter()
    assert pages.closed == ["Olga is registered here; the server learns of it with the next sync."]
    assert not pages.presenter.is_open


def registered(pages: Pages, **typed: str) -> str:
    """Register Olga; return the code of her card."""
    pages.server.is_away = True
    pages.open("F8")
    pages.type(name="Olga", **typed)
    pages.choose("consent", "yes")
    pages.enter()
    (record,) = pages.records(RecordKind.REGISTER)
    assert record.credential is not None
    assert record.credential.handle is not None
    return ld1(record.credential.handle)


def test_a_guest_without_a_card_photographs_one_from_the_screen_that_works_at_once(pages: Pages) -> None:
    code = registered(pages)
    assert pages.screen.code is not None
    assert pages.screen.code.modules == modules_of(code)
    assert pages.screen.code.number == ""
    assert any("comes with the next sync" in one.caption for one in pages.screen.facts)
    pages.scan("https://example.com/menu")
    assert pages.screen.message.text == ""
    pages.scan(code)
    assert pages.screen.message.text == "The code can be read."
    sold = pages.till.sell(code, 100)
    assert sold.guest is not None
    assert sold.guest.name == "Olga"
    pages.presenter.cancelled()
    assert pages.closed == ["Olga is registered here; the server learns of it with the next sync."]


def test_the_member_number_stands_under_the_code_once_the_server_has_given_it(pages: Pages) -> None:
    code = registered(pages)
    (record,) = pages.records(RecordKind.REGISTER)
    pages.presenter.tick()
    assert pages.screen.code is not None
    assert pages.screen.code.number == ""
    row = {"name": "Olga", "member_no": "1000000024"}
    handle = handle_text(parse(code).handle or 0)
    pages.till.feed(
        ("guest", str(record.guest_id), row), ("credential", handle, {"guest": str(record.guest_id), "kind": "card"})
    )
    pages.synced_at = pages.till.parts.trusted.now()
    pages.presenter.tick()
    assert pages.screen.code.number == "100\u00a0000\u00a00024"
    assert not any("comes with the next sync" in one.caption for one in pages.screen.facts)


def test_who_is_handed_a_card_needs_no_picture_of_one(pages: Pages) -> None:
    card = ld1(PETRS)
    assert registered(pages, card=card) == card
    assert not pages.presenter.is_open


def test_consent_can_be_taken_back_before_it_counts(pages: Pages) -> None:
    pages.open("F8")
    pages.type(name="Olga")
    pages.choose("consent", "yes")
    pages.choose("consent", "yes")
    assert not pages.screen.button.enabled


def test_enter_on_a_page_that_is_not_ready_says_what_it_waits_for(pages: Pages) -> None:
    pages.open("F10")
    pages.type(pin="4711")
    pages.presenter.submitted()
    assert pages.screen.message.text == "First choose who you are: ↑ ↓ and Enter."
    assert pages.screen.fields[0].text == "4711"
    pages.choose("who", "anna.k")
    pages.type(pin="")
    pages.presenter.submitted()
    assert pages.screen.message.text == "Type the PIN."
    pages.open("F8")
    pages.presenter.submitted()
    assert pages.screen.message.text == "Type a name or a phone."
    pages.type(name="Olga")
    pages.presenter.submitted()
    assert pages.screen.message.text == "Read the text to the guest; “Agrees” is chosen by ↓ and Enter."
    assert pages.records(RecordKind.SHIFT_OPEN) == pages.records(RecordKind.REGISTER) == []


@pytest.mark.parametrize("typed", ["31.02.1990", "yesterday", "1990"])
def test_a_birthday_that_is_none_is_said_and_nothing_is_lost(pages: Pages, typed: str) -> None:
    pages.open("F8")
    pages.type(name="Olga", birthday=typed)
    pages.choose("consent", "yes")
    pages.enter()
    assert pages.screen.message.text == "This cannot be a date of birth. Type it like 31.12.1990."
    assert pages.screen.fields[1].text == "Olga"
    assert pages.records(RecordKind.REGISTER) == []


def test_a_card_scanned_at_registration_is_the_new_card(pages: Pages) -> None:
    pages.open("F8")
    pages.scan(CARD)
    assert pages.screen.fields[3].text == CARD
    pages.type(name="Olga")
    pages.choose("consent", "yes")
    pages.enter()
    assert pages.screen.message.text == "This card belongs to somebody already. Take another one."


# -- by hand


def test_points_are_given_with_a_reason_and_a_managers_pin(pages: Pages) -> None:
    pages.guest = pages.till.checkout.identify(CARD)
    before = pages.guest.points
    pages.open("F9")
    pages.choose("reason", "goodwill")
    pages.type(points="50", pin="135790")
    assert pages.screen.button.text == "Give 50\u00a0points"
    pages.enter()
    (record,) = pages.records(RecordKind.ADJUST)
    assert record.check is not None
    assert record.check["reason"] == AdjustReason.GOODWILL
    assert pages.guest.points == before + 50
    assert "Recorded" in pages.screen.message.text


def test_without_a_guest_nothing_can_be_done_by_hand(pages: Pages) -> None:
    pages.open("F9")
    assert "Find the guest first" in pages.screen.facts_label
    assert not pages.screen.button.enabled
    pages.presenter.submitted()
    assert pages.records(RecordKind.ADJUST) == []


def test_more_than_there_is_cannot_be_taken(pages: Pages) -> None:
    pages.guest = pages.till.checkout.identify(NUMBER)
    pages.open("F9")
    pages.choose("what", "take")
    pages.choose("reason", "mistake")
    pages.type(points="99999999", pin="135790")
    pages.enter()
    assert pages.screen.message.text.startswith("The guest has only")
    pages.choose("what", "lift")
    pages.type(pin="135790")
    pages.enter()
    assert pages.screen.message.text == "This limit does not stand in the way now."


# -- the till


def test_the_till_says_how_it_is_and_proves_its_journal(pages: Pages) -> None:
    pages.open("F12")
    assert pages.fact("Store") == "Pushkin Street"
    assert pages.fact("A guest overdraws") == "500\u00a0points, less what the guest has"
    assert pages.fact("All guests together") == "5,000\u00a0points"
    pages.presenter.pressed("F5")
    assert "in order" in pages.screen.message.text
    pages.care.sound = False
    pages.presenter.pressed("F5")
    assert pages.screen.message.tone is Tone.BAD
    pages.presenter.pressed("F6")
    assert "journal.ldx" in pages.screen.message.text
    pages.presenter.pressed("F7")
    assert pages.care.woken == 1
    pages.enter()
    assert not pages.presenter.is_open


# -- all pages


@pytest.mark.parametrize("key", ["F6", "F7", "F8", "F9", "F10", "F12"])
def test_every_page_opens_in_russian_and_esc_leaves_it(tmp_path: Path, key: str) -> None:
    pages = make_pages(tmp_path, "ru")
    pages.open(key)
    shown = f"{pages.screen.title} {pages.screen.facts_label} {pages.screen.button.text} {pages.screen.close}"
    assert any("а" <= letter <= "я" for letter in shown.lower())
    assert not any("a" <= letter <= "z" for letter in shown.replace("F9", "").lower())
    pages.presenter.cancelled()
    assert not pages.presenter.is_open
    pages.close()


def test_an_answer_for_a_page_that_was_left_changes_nothing(pages: Pages) -> None:
    pages.runner.held = True
    pages.open("F10")
    pages.presenter.cancelled()
    drawn = len(pages.states)
    pages.runner.release()
    assert not pages.presenter.is_open
    assert len(pages.states) == drawn


def test_esc_waits_for_what_is_being_recorded(pages: Pages) -> None:
    pages.guest = pages.till.checkout.identify(CARD)
    pages.open("F9")
    pages.choose("what", "give")
    pages.choose("reason", "goodwill")
    pages.type(points="50", pin="135790")
    pages.runner.held = True
    pages.enter()
    pages.presenter.cancelled()
    assert pages.presenter.is_open
    pages.runner.held = False
    pages.runner.release()
    assert len(pages.records(RecordKind.ADJUST)) == 1
    assert pages.screen.message.tone is Tone.GOOD
    assert pages.changed == 1
    pages.presenter.cancelled()
    assert not pages.presenter.is_open


def test_a_fault_of_ours_is_reported_and_said_calmly(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> list[object]:
        raise RuntimeError("not a person's")

    monkeypatch.setattr(type(pages.cases.pins), "members", broken)
    pages.open("F10")
    assert pages.screen.message.tone is Tone.BAD
    assert "report is saved" in pages.screen.message.text
    assert len(pages.crashes) == 1
    pages.crashes.clear()


# -- exchange


def test_a_check_is_exchanged_for_another_and_the_difference_is_said_before(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.guest = pages.till.checkout.identify(CARD)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    pages.presenter.pressed("F8")
    assert not pages.screen.button.enabled
    pages.type(new="1500")
    assert pages.screen.button.text.startswith("Exchange: ")
    assert pages.screen.button.text.endswith(" to pay")
    pages.type(new="400")
    assert pages.screen.button.text.endswith(" back")
    pages.enter()
    (exchange,) = pages.records(RecordKind.EXCHANGE)
    assert exchange.reverses_id == done.record_id
    assert pages.screen.message.text.startswith("Recorded. ")


def test_cancelling_an_exchange_says_that_what_came_back_stays_returned(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.guest = pages.till.checkout.identify(CARD)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    pages.presenter.pressed("F8")
    pages.type(new="1500")
    pages.enter()
    (exchange,) = pages.records(RecordKind.EXCHANGE)
    newest = pages.screen.groups[0].options[0]
    assert (newest.key, newest.detail) == (str(exchange.id), "exchange")
    pages.choose("sale", str(exchange.id))
    assert pages.fact("Came back in exchange") == pages.words.money(done.quote.total)
    pages.presenter.pressed("F9")
    assert pages.fact("Money back") == pages.words.money(exchange.money_total)
    assert any(
        one.caption.startswith("This was an exchange: only what was sold in it comes back.")
        for one in pages.screen.facts
    )
    pages.enter()
    (void,) = pages.records(RecordKind.VOID)
    assert (void.reverses_id, void.money_total) == (exchange.id, exchange.money_total)
    # Both halves are back now: the goods of the first sale by the exchange, the others by the void.
    assert [one.detail.rpartition("; ")[2] for one in pages.screen.groups[0].options] == ["all of it has come back"] * 2


def test_an_amount_that_cannot_be_read_says_why(pages: Pages) -> None:
    done = pages.till.sell(None, 1000)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    for typed, said in (
        ("-5", "An amount cannot be negative."),
        ("5,5,5", "This is not an amount."),
        ("1e9", "This is"),
    ):
        pages.type(amount=typed)
        assert pages.screen.message.text.startswith(said)
        assert not pages.screen.button.enabled


def test_an_exchange_waits_for_the_guest_of_the_sale_and_takes_nobody_else(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    pages.presenter.pressed("F8")
    assert (pages.screen.button.text, pages.screen.button.enabled) == ("Find the guest", False)
    assert any("scan the code of Анна" in one.caption for one in pages.screen.facts)
    pages.till.feed(
        ("guest", str(UUID(int=77)), {"name": "Пётр"}),
        ("credential", handle_text(PETRS), {"guest": str(UUID(int=77)), "kind": "card"}),
    )
    pages.scan(ld1(PETRS))
    assert pages.screen.message.text.startswith("An exchange stays with the guest of the sale.")
    assert pages.guest is None
    pages.type(guest=CARD)
    pages.enter()
    assert pages.guest is not None
    assert pages.guest.guest_id == pages.records(RecordKind.SALE)[0].guest_id
    assert [one.key for one in pages.screen.fields] == ["new"]
    pages.type(new="1500")
    pages.enter()
    assert len(pages.records(RecordKind.EXCHANGE)) == 1


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("1000000024", "There is no guest with the number 1000000024. Check the digits."),
        ("100 000 0024", "There is no guest with the number 1000000024. Check the digits."),
        ("123", "There is no guest with the number 123. Check the digits."),
        ("9" * 60, f"There is no guest with the number {'9' * 20}…. Check the digits."),
        (
            "1000000017",
            "Nobody known here has the number or phone 1000000017. The server may know them, and it does not answer.",
        ),
        ("hello", "This code is not one of ours. Ask the guest to open our card."),
    ],
)
def test_who_types_a_number_that_names_nobody_is_told_which(pages: Pages, typed: str, said: str) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.server.is_away = True
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    pages.presenter.pressed("F8")
    pages.type(guest=typed)
    pages.enter()
    assert pages.screen.message.text == said
    pages.scan("https://example.com/menu")
    assert pages.screen.message.text == "This code is not one of ours. Ask the guest to open our card."


def test_the_guest_of_an_exchange_is_found_by_phone_too(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.server.found = [FoundGuest(GUEST, {**ANNA_ROW}, "phone", None)]
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    pages.presenter.pressed("F8")
    pages.type(guest="8 916 123-45-67")
    pages.enter()
    assert (pages.screen.message.text, [one.key for one in pages.screen.fields]) == ("", ["new"])


def test_an_exchange_says_that_it_takes_no_points_and_why_the_tier_gave_nothing(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.guest = replace(pages.till.checkout.identify(CARD), tier_room=0)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    withheld = "Today’s discounts of the tier are used up with this card or number: a manager can allow one more."
    pages.presenter.pressed("F8")
    said = [one.caption for one in pages.screen.facts]
    assert said[-1].startswith("Points and promo codes are not used in an exchange.")
    assert withheld not in said
    pages.type(new="1500")
    said = [one.caption for one in pages.screen.facts]
    after = said.index("To pay")
    assert said[after + 1] == withheld
    assert said[after + 3].startswith("Points and promo codes are not used in an exchange.")
    assert said.index("The sale") > after
    pages.guest = replace(pages.guest, tier_room=None)
    pages.type(new="1501")
    assert withheld not in [one.caption for one in pages.screen.facts]


def test_money_is_written_in_one_way_and_read_in_every_one(tmp_path: Path) -> None:
    pages = make_pages(tmp_path, "ru")
    done = pages.till.sell(None, 12_345)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    (field,) = pages.screen.fields
    assert (field.placeholder, field.label) == ("12\u00a0345,00", "Вернуть денег, не больше 12\u00a0345,00")
    for typed in ("1500,00", "1500.00", "1 500,00", "1\u00a0500,00", "1,500.00", "1500"):
        pages.type(amount=typed)
        assert "1\u00a0500,00\u00a0₽" in pages.screen.button.text, typed
    pages.close()


def test_a_sale_without_a_guest_is_exchanged_without_one_whoever_stands_there(pages: Pages) -> None:
    done = pages.till.sell(None, 1000)
    pages.guest = pages.till.checkout.identify(CARD)
    pages.open("F6")
    pages.presenter.pressed("F6")
    pages.choose("sale", str(done.record_id))
    pages.presenter.pressed("F8")
    pages.type(new="1500")
    pages.enter()
    (exchange,) = pages.records(RecordKind.EXCHANGE)
    assert exchange.guest_id is None
    pages.presenter.cancelled()


def test_an_exchange_shows_what_the_new_check_is_made_of_and_what_to_key_in(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.guest = pages.till.checkout.identify(CARD)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    pages.presenter.pressed("F8")
    pages.type(new="10000")
    captions = [one.caption for one in pages.screen.facts]
    assert pages.fact("The new check") == "10,000.00"
    assert captions.index("The new check") < captions.index("The new check, to pay") < captions.index("To pay")
    pages.enter()
    (exchange,) = pages.records(RecordKind.EXCHANGE)
    assert exchange.check is not None
    off = 1_000_000 - (exchange.money_total or 0)
    assert off > 0
    assert pages.fact("Discount to key into the POS") == pages.words.money(off)
    assert [one.caption for one in pages.screen.facts if one.strong] == ["To pay"]


def test_a_sale_of_which_a_part_came_back_says_what_and_who_bought_it(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.open("F6")
    assert pages.screen.groups[0].options[0].detail == "Анна"
    pages.choose("sale", str(done.record_id))
    pages.type(amount="100")
    pages.enter()
    pages.choose("sale", str(done.record_id))
    assert pages.fact("Guest") == "Анна"
    assert pages.fact("Came back so far") == "100.00"
    (back,) = pages.records(RecordKind.REFUND)
    assert back.points_redeemed > 0
    assert pages.fact("Points taken back") == pages.words.points(back.points_redeemed)


def test_a_guest_registered_here_is_named_in_the_list_before_the_server_knows(pages: Pages) -> None:
    pages.server.is_away = True
    pages.open("F8")
    pages.type(name="Olga")
    pages.scan(ld1(0x7777777777777777))
    pages.choose("consent", "yes")
    pages.enter()
    pages.guest = None
    pages.till.sell(ld1(0x7777777777777777), 500)
    pages.till.sell(None, 100)
    pages.open("F6")
    assert [one.detail for one in pages.screen.groups[0].options] == ["without a guest", "Olga"]


def test_a_sale_that_has_come_back_asks_for_no_amount(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1000)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    pages.enter()
    pages.choose("sale", str(done.record_id))
    assert pages.screen.fields == ()
    assert not pages.screen.button.enabled


def test_whoever_left_the_page_too_soon_reads_the_last_z_report_again(pages: Pages) -> None:
    pages.cases.shifts.open("anna.k", "4711")
    pages.till.sell(CARD, 1240)
    paid = pages.cases.shifts.close().totals.whole.money
    pages.open("F10")
    assert pages.screen.place == "closed"
    assert pages.screen.facts_label.startswith("No shift is open.")
    assert pages.fact("Z report").startswith("shift 1 of ")
    assert pages.fact("Left after returns") == pages.words.money(paid)
    pages.choose("who", "Anna K")
    pages.type(pin="4711")
    pages.enter()
    pages.open("F10")
    assert pages.fact("X report").startswith("shift 2 of ")


# -- slips


def test_the_slip_of_a_sale_is_shown_printed_once_and_leads_back(pages: Pages) -> None:
    done = pages.till.sell(CARD, 1240)
    pages.open("F6")
    pages.choose("sale", str(done.record_id))
    pages.presenter.pressed("F5")
    assert pages.screen.title == f"Slip {done.receipt_no}"
    assert max(map(len, pages.screen.paper)) == 32
    assert any(done.receipt_no in line for line in pages.screen.paper)
    assert not any("Анна" in line for line in pages.screen.paper)
    pages.enter()
    ((name, lines),) = pages.paper.printed
    assert (name, max(map(len, lines))) == (done.receipt_no, 42)
    assert pages.screen.message.text == "Sent to the printer Roll."
    assert pages.screen.button.text == "Back to the sale"
    pages.enter()
    assert not pages.presenter.is_open
    assert len(pages.paper.printed) == 1


def test_f5_shows_the_slip_of_the_last_sale_and_says_where_it_is_without_a_printer(pages: Pages) -> None:
    pages.open("F5")
    assert pages.screen.message.text == "Nothing has been sold at this till yet."
    pages.presenter.cancelled()
    assert not pages.presenter.is_open
    pages.till.sell(CARD, 100)
    done = pages.till.sell(None, 200)
    pages.paper.printer = ""
    pages.open("F5")
    assert pages.screen.title == f"Slip {done.receipt_no}"
    pages.enter()
    assert pages.screen.message.text == f"There is no printer here. The slip is written to {done.receipt_no}.txt."
    pages.presenter.cancelled()
    assert not pages.presenter.is_open


def test_a_printer_that_takes_nothing_is_said_and_can_be_tried_again(pages: Pages) -> None:
    pages.till.sell(CARD, 100)
    pages.paper.fault = Refused("slip_not_printed", printer="Roll")
    pages.open("F5")
    pages.enter()
    assert pages.screen.message.text == "The printer Roll did not take the slip. Look whether it is on and has paper."
    pages.paper.fault = None
    pages.enter()
    assert len(pages.paper.printed) == 1


def test_an_x_and_a_z_report_go_onto_paper(pages: Pages) -> None:
    pages.open("F10")
    assert "F5" not in [one.key for one in pages.screen.side]
    pages.cases.shifts.open("anna.k", "4711")
    pages.till.sell(CARD, 1240)
    pages.open("F10")
    pages.presenter.pressed("F5")
    pages.presenter.pressed("F9")
    pages.enter()
    pages.presenter.pressed("F5")
    (x, lines), (z, _) = pages.paper.printed
    assert (x[0], z[0]) == ("X", "Z")
    assert any(line.startswith("X report") for line in lines)
