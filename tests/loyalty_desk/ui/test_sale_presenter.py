from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from msgspec import structs

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.ui.sale.past_sale import PastSale
from loyalty_desk.ui.sale.ports import ScannerHealth, Sound
from loyalty_desk.ui.sale.state import FieldMode, Phase, Tone

MARIA, PETR, BLOCKED, UNKNOWN = 0x0123456789ABCDEF, 0x1111111111111111, 0x2222222222222222, 0x3333333333333333


def test_one_scan_one_number_one_key_is_a_sale(counter) -> None:
    counter.presenter.start()
    assert counter.screen.phase is Phase.IDLE
    counter.scan(MARIA)
    assert counter.screen.phase is Phase.GUEST
    assert counter.screen.guest.name == "Мария Соколова"
    assert counter.screen.guest.points == "1,137"
    counter.type("1240")
    assert counter.screen.phase is Phase.QUOTE
    # 14:32 in Moscow: happy hours, 10 % off, better than the tier's 5 %.
    assert counter.screen.check.to_pay == "1,116.00\u00a0₽"
    assert counter.screen.button.text == "Record the sale: 1,116.00\u00a0₽"
    assert counter.screen.button.enabled
    counter.presenter.submitted()
    assert counter.screen.phase is Phase.DONE
    assert counter.screen.done.key_in == "124.00"
    assert counter.screen.done.copy_text == "124.00"
    assert [draft.guest.name for draft, _ in counter.desk.sales] == ["Мария Соколова"]
    assert Sound.DONE in counter.sounds


def test_the_quote_follows_every_key(counter) -> None:
    counter.scan(MARIA)
    shown = []
    for text in ("1", "12", "124", "1240"):
        counter.presenter.field_changed(text)
        shown.append(counter.screen.check.to_pay)
    assert shown == ["0.90\u00a0₽", "10.80\u00a0₽", "111.60\u00a0₽", "1,116.00\u00a0₽"]


def test_double_enter_commits_once(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.runner.held = True
    counter.presenter.submitted()
    counter.presenter.submitted()
    counter.presenter.submitted()
    assert counter.screen.button.text == "Recording…"
    assert not counter.screen.button.enabled
    assert counter.screen.entry.read_only
    counter.runner.release()
    assert len(counter.desk.sales) == 1
    assert counter.screen.phase is Phase.DONE


def test_enter_after_the_sale_opens_the_next_guest_and_sells_nothing(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.submitted()
    counter.presenter.submitted()
    assert counter.screen.phase is Phase.IDLE
    assert len(counter.desk.sales) == 1
    assert "1,116.00" in counter.screen.check.last


def test_done_gives_way_after_five_seconds(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.submitted()
    assert [seconds for seconds, _ in counter.runner.timers] == [5.0]
    counter.runner.fire()
    assert counter.screen.phase is Phase.IDLE


def test_a_timer_of_an_earlier_sale_does_not_clear_the_next_one(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.submitted()
    counter.scan(PETR)
    assert counter.runner.timers == []
    counter.runner.fire()
    assert counter.screen.guest.name == "Пётр Иванов"


def test_a_scan_in_done_opens_the_next_guest(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.submitted()
    counter.scan(PETR)
    assert counter.screen.phase is Phase.GUEST
    assert counter.screen.guest.name == "Пётр Иванов"
    assert counter.screen.entry.text == ""


def test_typing_in_done_begins_the_next_check(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.submitted()
    counter.presenter.field_changed("3")
    assert counter.screen.phase is Phase.CHECK
    assert counter.screen.check.amount == "3.00"
    assert counter.screen.guest.name == ""


def test_amount_first_then_the_card(counter) -> None:
    counter.type("1240")
    assert counter.screen.phase is Phase.CHECK
    assert counter.screen.button.text == "Check 1,240.00\u00a0₽, then the guest"
    counter.scan(MARIA)
    assert counter.screen.phase is Phase.QUOTE
    assert counter.screen.check.amount == "1,240.00"
    counter.presenter.submitted()
    assert counter.desk.sales[0][1].gross == 124_000


def test_without_a_guest_it_takes_two_keys_so_that_none_is_forgotten(counter) -> None:
    counter.type("350.50")
    counter.presenter.submitted()
    assert counter.desk.sales == []
    assert counter.screen.entry.text == ""
    assert counter.screen.check.amount == "350.50"
    assert counter.screen.button.text.startswith("Record without a guest")
    counter.presenter.submitted()
    assert [draft.guest for draft, _ in counter.desk.sales] == [None]
    assert counter.screen.done.tell == ("Sold without a guest: no points.",)


def test_another_card_on_an_open_check_changes_the_guest_and_says_so(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.points_chosen(100)
    counter.scan(PETR)
    assert counter.screen.guest.name == "Пётр Иванов"
    assert counter.screen.check.amount == "1,240.00"
    assert counter.screen.message.text == "The guest is now Пётр Иванов."
    counter.presenter.submitted()
    assert counter.desk.sales[0][0].points_asked == 0


def test_the_same_card_again_changes_nothing(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.points_chosen(50)
    counter.scan(MARIA)
    assert counter.screen.message.text == ""
    counter.presenter.submitted()
    assert counter.desk.sales[0][0].points_asked == 50


@pytest.mark.parametrize(
    ("scanned", "sentence"),
    [
        ("https://example.com/menu", "This code is not one of ours. Ask the guest to open our card."),
        ("LD104HMASW9NF6YY55", "The code is damaged or was typed with a mistake. Scan it again."),
        ("LD904HMASW9NF6YY55", "This is a newer kind of code (LD9). The till needs an update to read it."),
        (UNKNOWN, "This card is not in our network."),
        (BLOCKED, "This card is blocked. The guest can get a new one."),
        ("\x00", "Nothing could be read. Try again."),
        ("X" * 5000, "This code is too long to be one of ours."),
    ],
)
def test_what_is_not_a_guest_says_so_and_leaves_the_check_alone(counter, scanned, sentence: str) -> None:
    counter.type("1240")
    counter.scan(scanned)
    assert counter.screen.message.text == sentence
    assert counter.screen.message.tone is Tone.WARN
    assert counter.screen.check.amount == "1,240.00"
    assert counter.sounds[-1] is Sound.REFUSED
    assert counter.crashes == []


def test_bytes_that_are_no_text_are_not_ours(counter) -> None:
    from loyalty_desk.services.ports.scan import Scan, ScanSource

    counter.presenter.code_scanned(Scan(b"\xff\xfe\x80", ScanSource.SERIAL))
    assert counter.screen.message.text == "This code is not one of ours."


def test_typed_card_number_finds_the_guest(counter) -> None:
    counter.type("1000000016")
    assert counter.screen.button.text == "Find the guest"
    counter.presenter.submitted()
    assert counter.screen.guest.name == "Мария Соколова"
    assert counter.screen.entry.text == ""


def test_a_number_typed_wrong_stays_to_be_corrected(counter) -> None:
    counter.type("1000000024")
    counter.presenter.submitted()
    assert counter.screen.message.text == "There is no guest with the number 1000000024. Check the digits."
    assert counter.screen.entry.text == "1000000024"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("123456", "This needs the server, which does not answer. Use the card or its number."),
        (
            "9161234567",
            "Nobody known here has the number or phone 9161234567. The server may know them, and it does not answer.",
        ),
    ],
)
def test_what_comes_later_says_so(counter, typed: str, sentence: str) -> None:
    counter.type(typed)
    counter.presenter.submitted()
    assert counter.screen.message.text == sentence


def test_f3_makes_six_digits_an_amount(counter) -> None:
    counter.type("124000")
    counter.presenter.mode_requested(FieldMode.AMOUNT)
    assert counter.screen.check.amount == "124,000.00"
    counter.presenter.mode_requested(FieldMode.AMOUNT)
    assert counter.screen.check.amount == ""
    assert counter.screen.button.text == "Find the guest"


def test_f2_with_an_open_check_takes_a_guest_and_keeps_the_amount(counter) -> None:
    counter.type("1240")
    counter.presenter.submitted()
    counter.presenter.mode_requested(FieldMode.GUEST)
    counter.type("1000000016")
    counter.presenter.submitted()
    assert counter.screen.phase is Phase.QUOTE
    assert counter.screen.check.amount == "1,240.00"
    assert counter.screen.entry.mode is FieldMode.AUTO


def test_enter_does_nothing_while_a_forced_field_is_empty(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    for mode in (FieldMode.POINTS, FieldMode.GUEST):
        counter.presenter.mode_requested(mode)
        assert not counter.screen.button.enabled
        counter.presenter.submitted()
        assert counter.desk.sales == []


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("1,234", "“1,234” can be read in two ways. Type kopecks after the point, or no point at all."),
        ("-5", "An amount cannot be negative. A return is made from the original check."),
        ("1e9", "This is not an amount. Type it like 1240 or 1240.50."),
        ("100000000", "The amount is too large: 99,999,999.99 at most."),
        ("0", "The amount is zero. Type what the check costs."),
    ],
)
def test_a_bad_amount_is_one_sentence_and_no_sale(counter, typed: str, sentence: str) -> None:
    counter.scan(MARIA)
    counter.presenter.field_changed(typed)
    assert counter.screen.message.text == sentence
    assert not counter.screen.button.enabled
    counter.presenter.submitted()
    assert counter.desk.sales == []
    assert counter.screen.entry.text == typed


@pytest.mark.parametrize(("typed", "minor"), [("1,234.56", 123_456), ("1 234,56", 123_456), ("1234.5", 123_450)])
def test_amounts_are_read_as_people_write_them(counter, typed: str, minor: int) -> None:
    counter.scan(MARIA)
    counter.presenter.field_changed(typed)
    counter.presenter.submitted()
    assert counter.desk.sales[0][1].gross == minor


def test_all_points_are_the_most_that_limits_allow(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.points_chosen(-1)
    assert [(chip.label, chip.chosen) for chip in counter.screen.guest.chips] == [
        ("0", False),
        ("max 100", True),
        ("other", False),
    ]
    assert counter.screen.check.to_pay == "1,016.00\u00a0₽"
    assert "At most 100" in counter.screen.guest.limit
    counter.presenter.submitted()
    assert counter.desk.sales[0][1].redeemed_points == 100


def test_all_points_follow_the_amount(counter) -> None:
    counter.scan(MARIA)
    counter.presenter.points_chosen(-1)
    counter.type("100")
    # 30 % of what 100.00 cost after happy hours.
    assert counter.screen.check.to_pay == "63.00\u00a0₽"
    counter.presenter.submitted()
    assert counter.desk.sales[0][0].points_asked == 27


def test_more_points_than_allowed_are_cut_and_the_reason_is_loud(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.mode_requested(FieldMode.POINTS)
    counter.type("300")
    assert counter.screen.guest.limit_tone is Tone.WARN
    assert counter.screen.guest.limit.startswith("300\u00a0points asked, 100 used.")
    assert counter.screen.button.text == "Use 100\u00a0points"
    counter.presenter.submitted()
    assert counter.desk.sales == []
    assert counter.screen.check.amount == "1,240.00"
    counter.presenter.submitted()
    assert counter.desk.sales[0][1].redeemed_points == 100


def test_points_that_cannot_be_used_say_why(counter, card) -> None:
    from loyalty_desk.services.checkout import Allowance

    stale = Allowance(max_points=0, reason="stale_data", facts={"hours": 30, "limit_hours": 24})
    counter.desk.cards[MARIA] = card(allowance=stale)
    counter.scan(MARIA)
    counter.type("1240")
    assert not f4(counter).enabled
    counter.presenter.mode_requested(FieldMode.POINTS)
    said = "Points cannot be used now: the till has not reached the server for 24 hours."
    assert (counter.screen.message.text, f4(counter).tip, counter.screen.guest.limit) == (said,) * 3


def test_what_a_hand_types_on_after_an_f4_that_takes_no_points_is_never_another_amount(counter, card) -> None:
    from loyalty_desk.services.checkout import Allowance

    counter.desk.cards[MARIA] = card(allowance=Allowance(max_points=0, reason="code_limit", facts={"kind": "number"}))
    counter.scan(MARIA)
    counter.type("980")
    counter.presenter.mode_requested(FieldMode.POINTS)
    counter.type("100")
    assert counter.screen.check.amount == "980.00"
    counter.presenter.submitted()
    assert counter.desk.sales == []
    counter.presenter.cancelled()
    assert (counter.screen.entry.mode, counter.screen.check.amount) == (FieldMode.AUTO, "980.00")


def test_points_typed_while_the_limits_shrink_to_nothing_are_not_taken(counter, card, status) -> None:
    from loyalty_desk.services.checkout import Allowance

    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.mode_requested(FieldMode.POINTS)
    counter.type("50")
    stale = card(allowance=Allowance(max_points=0, reason="stale_data", facts={"limit_hours": 24}))
    counter.desk.refresh = lambda _: stale
    counter.presenter.status_changed(status(synced_at=counter.clock.now()))
    assert counter.screen.button.text == "No points here. Esc: go on without them"
    assert "has not reached the server for 24 hours" in counter.screen.guest.limit
    counter.presenter.submitted()
    assert counter.desk.sales == []
    counter.presenter.cancelled()
    assert counter.screen.button.text.startswith("Record the sale")


def test_a_number_of_points_that_is_too_small_asks_for_another(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.mode_requested(FieldMode.POINTS)
    counter.type("5")
    assert counter.screen.button.text == "Type another number. Esc: without points"
    assert "from 10 points on" in counter.screen.guest.limit.replace("\u00a0", " ")


def f4(counter):
    return next(one for one in counter.screen.keys if one.key == "F4")


@pytest.mark.parametrize(
    ("changes", "program", "amount", "said"),
    [
        ({}, {"redemption": None}, "", "Points cannot be used: the program does not pay with points."),
        ({}, {"redemption": None}, "1240", "Points cannot be used: the program does not pay with points."),
        ({}, {"point_value": 0}, "", "Points cannot be used: the program does not pay with points."),
        ({"points": 0}, {}, "", "There are no points to use yet."),
        ({"points": 9}, {}, "", "Points can be used from 10\u00a0points on."),
        ({"guest_id": None}, {}, "", "The guest’s data has not arrived yet, so points cannot be used now."),
        ({}, {}, "20", "Points can be used from 10\u00a0points on."),
        ({}, None, "", "The rules of the program have not arrived yet. They come with the first connection."),
    ],
)
def test_f4_says_why_no_points_can_be_used_and_takes_none(counter, card, changes, program, amount, said) -> None:
    counter.desk.in_force = None if program is None else replace(counter.desk.in_force, **program)
    counter.presenter.start()
    counter.desk.cards[MARIA] = card(**changes)
    counter.scan(MARIA)
    counter.type(amount)
    assert (f4(counter).enabled, f4(counter).tip) == (False, said)
    counter.presenter.mode_requested(FieldMode.POINTS)
    assert counter.screen.message.text == said
    counter.presenter.cancelled()
    counter.presenter.key_refused("F4")
    assert counter.screen.message.text == said


def test_f4_is_lit_where_points_can_be_used(counter) -> None:
    assert not f4(counter).enabled
    counter.scan(MARIA)
    assert (f4(counter).enabled, f4(counter).tip) == (True, "")


def test_points_need_a_guest(counter) -> None:
    counter.type("1240")
    counter.presenter.mode_requested(FieldMode.POINTS)
    assert counter.screen.message.text == "Points belong to a guest. Scan the guest’s code first."
    assert counter.screen.entry.mode is FieldMode.AUTO


def test_a_guest_whose_data_has_not_arrived_earns_and_redeems_nothing(counter, card) -> None:
    nobody = {"guest_id": None, "name": "", "tier_name": "", "points": 0, "member_no": ""}
    first = GuestFacts(tier="BRONZE")
    counter.desk.cards[MARIA] = card(**nobody, facts=first, tier_room=0)
    counter.scan(MARIA)
    counter.type("500")
    assert counter.screen.guest.note.startswith("The guest’s data has not arrived yet. Points are earned as in the fi")
    assert (counter.screen.guest.chips, counter.screen.guest.tier, counter.screen.guest.progress_text) == ((), "", "")
    counter.presenter.submitted()
    assert counter.screen.phase is Phase.DONE
    assert "The points will be on the account after the till has been online." in counter.screen.done.tell
    # A rotating code tells the tier itself: nothing is withheld, so nothing is said of it.
    counter.desk.cards[PETR] = card(**nobody, facts=first)
    counter.scan(PETR)
    assert counter.screen.guest.note.startswith("The guest’s data has not arrived yet. The points of this check reach")


def test_a_code_that_has_given_its_discounts_of_the_day_says_so_beside_the_guest(counter, card) -> None:
    counter.clock.advance(seconds=3600)
    counter.scan(MARIA)
    counter.type("1240")
    assert counter.screen.check.to_pay == "1,178.00\u00a0₽"
    assert counter.screen.guest.note == ""
    counter.presenter.cancelled()
    counter.presenter.cancelled()
    counter.desk.cards[MARIA] = card(tier_room=0)
    counter.scan(MARIA)
    assert counter.screen.guest.note == ""
    counter.type("1240")
    assert counter.screen.check.to_pay == "1,240.00\u00a0₽"
    said = "Today’s discounts of the tier are used up with this card or number: a manager can allow one more."
    assert counter.screen.guest.note == said


def test_a_scan_during_the_commit_opens_the_next_guest_after_it(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.runner.held = True
    counter.presenter.submitted()
    counter.scan(PETR)
    counter.presenter.field_changed("99")
    assert counter.screen.entry.text == "1240"
    counter.runner.release()
    counter.runner.release()
    assert [draft.guest.name for draft, _ in counter.desk.sales] == ["Мария Соколова"]
    assert counter.screen.guest.name == "Пётр Иванов"
    assert counter.screen.phase is Phase.GUEST


def test_a_refused_commit_keeps_the_check_and_lets_the_other_scan_go(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.desk.refuse_confirm = Refused("journal_unavailable")
    counter.runner.held = True
    counter.presenter.submitted()
    counter.scan(PETR)
    counter.runner.release()
    assert counter.screen.phase is Phase.QUOTE
    assert counter.screen.guest.name == "Мария Соколова"
    assert counter.screen.message.tone is Tone.BAD
    assert "was not" not in counter.screen.message.text
    assert "cannot be recorded" in counter.screen.message.text
    counter.desk.refuse_confirm = None
    counter.runner.held = False
    counter.presenter.submitted()
    assert len(counter.desk.sales) == 1


def test_a_redemption_refused_at_the_last_moment_says_which_limit(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.points_chosen(100)
    counter.desk.refuse_confirm = Refused("redemption_refused", reason="upper_consecutive", count=2, limit=2)
    counter.presenter.submitted()
    assert counter.screen.message.text == (
        "Points cannot be used: this guest has used points here 2 times since the last sync; "
        "a manager can allow one more."
    )
    assert counter.screen.phase is Phase.QUOTE


def test_a_stale_quote_is_priced_again_and_the_guest_looked_up_again(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.desk.refuse_confirm = Refused("quote_stale")
    counter.presenter.submitted()
    assert counter.screen.message.text == "The numbers have changed. Look at them and press Enter again."
    assert counter.desk.refreshed == 1


def test_happy_hours_that_end_between_the_price_and_enter_are_shown_first(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    assert counter.screen.check.to_pay == "1,116.00\u00a0₽"
    counter.clock.advance(seconds=28 * 60)
    counter.presenter.submitted()
    assert counter.desk.sales == []
    assert counter.screen.check.to_pay == "1,178.00\u00a0₽"
    assert counter.screen.message.text == "The numbers have changed. Look at them and press Enter again."
    counter.presenter.submitted()
    assert counter.desk.sales[0][1].total == 117_800


def test_an_old_quote_is_priced_again_by_the_clock(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.clock.advance(seconds=28 * 60)
    counter.presenter.tick()
    assert counter.screen.check.to_pay == "1,178.00\u00a0₽"
    assert counter.screen.header.clock == "15:00"


def test_enter_while_the_guest_is_looked_up_does_not_sell_without_the_guest(counter) -> None:
    counter.type("1240")
    counter.presenter.submitted()
    counter.runner.held = True
    counter.scan(MARIA)
    counter.presenter.submitted()
    assert counter.screen.button.text == "Looking up the guest…"
    counter.runner.release()
    assert counter.desk.sales == []
    assert counter.screen.phase is Phase.QUOTE


def test_the_last_of_two_scans_wins(counter) -> None:
    counter.runner.held = True
    counter.scan(MARIA)
    counter.scan(PETR)
    counter.runner.release()
    assert counter.screen.guest.name == "Пётр Иванов"


def test_a_lookup_that_was_cancelled_brings_nobody(counter) -> None:
    counter.runner.held = True
    counter.scan(MARIA)
    counter.presenter.cancelled()
    counter.runner.release()
    assert counter.screen.phase is Phase.IDLE


def test_a_fault_of_ours_is_one_calm_sentence_and_a_report(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.desk.refuse_confirm = ZeroDivisionError("ours")
    counter.presenter.submitted()
    assert [type(error) for error in counter.crashes] == [ZeroDivisionError]
    assert counter.screen.message.text.startswith("Something went wrong in the program")
    assert counter.screen.phase is Phase.QUOTE


def test_escape_takes_back_one_step_at_a_time(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.mode_requested(FieldMode.POINTS)
    counter.type("50")
    counter.presenter.cancelled()
    assert counter.screen.entry.mode is FieldMode.AUTO
    assert counter.screen.check.amount == "1,240.00"
    counter.presenter.cancelled()
    assert counter.screen.phase is Phase.IDLE
    counter.presenter.help_toggled()
    counter.presenter.cancelled()
    assert counter.screen.help is None


def test_a_promo_code_that_the_program_knows_applies(counter) -> None:
    counter.clock.advance(seconds=3600)
    counter.scan(MARIA)
    counter.type("1240")
    before = counter.screen.check.to_pay
    counter.scan("spring")
    assert counter.screen.message.text == "Promo code spring applied."
    assert counter.screen.check.to_pay != before
    counter.presenter.submitted()
    assert counter.desk.sales[0][0].codes == ("spring",)


def test_a_known_promo_code_that_does_not_help_says_so(counter, card) -> None:
    silver = card(tier="SILVER")
    counter.desk.cards[MARIA] = replace(silver, facts=replace(silver.facts, tier="SILVER"))
    counter.clock.advance(seconds=3600)
    counter.scan(MARIA)
    counter.type("1240")
    counter.scan("SPRING")
    # The tier takes 124.00 off, the code would take 100.00.
    assert counter.screen.check.to_pay == "1,116.00\u00a0₽"
    assert counter.screen.message.text.startswith("Promo code SPRING is known, but does not apply to this check.")


def test_without_a_program_nothing_is_priced_and_the_sentence_says_when(counter) -> None:
    counter.desk.in_force = None
    counter.presenter.status_changed(counter_status(counter))
    counter.type("1240")
    assert counter.screen.message.text.startswith("The rules of the program have not arrived yet.")
    assert not counter.screen.button.enabled


def counter_status(counter):
    return counter.presenter._model.status


def test_the_header_says_offline_since_when_and_how_many_wait(counter, status) -> None:
    since = counter.clock.now() - timedelta(minutes=27)
    counter.presenter.status_changed(status(online=False, offline_since=since, waiting=3, oldest_waiting=since))
    header = counter.screen.header
    assert (header.link.text, header.link.tone) == ("offline since 14:05", Tone.WARN)
    assert (header.waiting.text, header.waiting.tone) == ("3 waiting", Tone.WARN)
    assert "14:05" in header.waiting.tip
    counter.presenter.status_changed(status())
    assert (counter.screen.header.link.text, counter.screen.header.waiting.text) == ("online", "0 waiting")


def test_before_the_first_answer_the_badge_says_that_it_is_connecting(counter, status) -> None:
    for error in (None, "server_silent", "till_suspended"):
        counter.presenter.status_changed(status(online=False, tried=False, sync_error=error, synced_at=None))
        assert counter.screen.header.link.text == "connecting…"
        assert counter.screen.notice.text == ""


def test_the_last_sale_is_what_the_journal_has_last(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.submitted()
    counter.runner.fire()
    assert counter.screen.check.last == "Last sale 14:32: to pay 1,116.00, discount 124.00, Мария Соколова"
    sold = counter.presenter.model.last
    own = PastSale(sold.record_id, sold.committed_at, 111_600, 12_400, "A-00001", "Мария Соколова")
    counter.presenter.sold_before(own)
    assert counter.screen.check.last == "Last sale 14:32: to pay 1,116.00, discount 124.00, Мария Соколова"
    counter.presenter.sold_before(replace(own, came_back=111_600))
    assert counter.screen.check.last.endswith("Мария Соколова, receipt A-00001, 1,116.00 came back")
    later = counter.clock.now() + timedelta(minutes=1)
    swap = PastSale(UUID(int=9), later, 5_000, 1_000, "A-00002", "Мария Соколова", is_exchange=True)
    counter.presenter.sold_before(swap)
    said = "Last exchange 14:33: to pay 50.00, discount 10.00, Мария Соколова, receipt A-00002"
    assert counter.screen.check.last == said
    counter.presenter.sold_before(replace(swap, due=-5_000))
    assert counter.screen.check.last.startswith("Last exchange 14:33: 50.00 back, ")
    counter.scan(PETR)
    counter.type("100")
    counter.presenter.submitted()
    counter.runner.fire()
    assert counter.screen.check.last.endswith("Пётр Иванов")


def test_a_journal_that_cannot_be_written_disables_the_sale_and_stays_in_sight(counter, status) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.status_changed(status(journal_ok=False))
    assert counter.screen.notice.tone is Tone.BAD
    assert not counter.screen.button.enabled
    counter.presenter.submitted()
    assert counter.desk.sales == []


def test_a_till_that_no_server_has_told_the_time_does_not_blame_its_clock(counter, status) -> None:
    bad = {"clock_conf": ClockConfidence.BAD, "online": False, "synced_at": None}
    counter.presenter.status_changed(status(**bad, clock_known=False, program_version=None, guests_complete=False))
    assert counter.screen.notice.text == (
        "The rules of the program have not arrived yet. They come with the first connection."
    )
    counter.presenter.status_changed(status(**bad, clock_known=False))
    assert counter.screen.notice.text == ""
    counter.presenter.status_changed(status(**bad))
    assert counter.screen.notice.text.startswith("This computer’s clock is wrong.")


def test_a_notice_is_one_calm_line(counter, status, notice) -> None:
    counter.presenter.status_changed(status(notices=(notice("card_unknown"), notice("card_blocked"))))
    assert counter.screen.notice.text == "This card is not in our network. (1\u00a0more)"


def test_a_guest_on_screen_is_refreshed_after_a_sync(counter, status) -> None:
    counter.scan(MARIA)
    counter.presenter.status_changed(status(synced_at=counter.clock.now()))
    assert counter.desk.refreshed == 1


@pytest.mark.parametrize(
    ("health", "text"),
    [
        (ScannerHealth.READY, "scanner"),
        (ScannerHealth.LOST, "no scanner"),
        (ScannerHealth.STARTING, "scanner…"),
        (ScannerHealth.NONE, "no scanner"),
    ],
)
def test_the_scanner_badge(counter, health: ScannerHealth, text: str) -> None:
    counter.presenter.scanner_changed(health)
    assert counter.screen.header.scanner.text == text
    assert counter.screen.header.scanner.tip


def test_language_changes_in_the_middle_of_a_sale(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.language_chosen("ru")
    assert counter.screen.check.to_pay == "1\u00a0116,00\u00a0₽"
    assert counter.screen.button.text == "Записать продажу: 1\u00a0116,00\u00a0₽"
    assert counter.screen.guest.tier == "Бронза"
    assert counter.screen.guest.points_label == "баллов"


def test_bad_input_at_the_commit_is_a_sentence_too(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.desk.refuse_confirm = BadInput("lines_too_many", lines=1001, limit=1000)
    counter.presenter.submitted()
    assert counter.screen.message.text == "The check has 1001 lines, 1000 at most. Split it in two."


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize(
    "code", ["till_unknown", "till_suspended", "till_revoked", "till_token", "app_too_old", "server_refused"]
)
def test_a_server_that_answers_and_refuses_never_looks_well(make, status, code, language) -> None:
    counter = make(language)
    counter.presenter.status_changed(status(online=False, sync_error=code, waiting=1))
    link, notice = counter.screen.header.link, counter.screen.notice
    assert (link.tone, notice.tone) == (Tone.WARN, Tone.WARN)
    assert link.text not in {"online", "на связи", ""}
    assert code not in notice.text
    assert "14:31" in notice.text
    assert "14:31" in link.tip
    assert counter.screen.header.waiting.tone is Tone.WARN


def test_a_busy_server_is_a_badge_without_a_notice(counter, status) -> None:
    counter.presenter.status_changed(status(online=False, sync_error="server_busy"))
    assert (counter.screen.header.link.text, counter.screen.header.link.tone) == ("server busy", Tone.WARN)
    assert counter.screen.notice.text == ""


def test_a_suspension_that_is_over_is_not_told_any_more(counter, status, notice) -> None:
    kept = (notice("till_suspended"), notice("disk_nearly_full"))
    counter.presenter.status_changed(status(notices=kept))
    assert counter.screen.notice.text == "The disk of this computer is nearly full. Call the manager."


@pytest.mark.parametrize("text", ["0", "0.00", "000", "0,0"])
def test_an_amount_of_nothing_is_never_recorded(counter, text: str) -> None:
    counter.scan(MARIA)
    counter.type("980")
    counter.presenter.mode_requested(FieldMode.POINTS)
    counter.presenter.cancelled()
    counter.type(text)
    counter.presenter.submitted()
    assert counter.desk.sales == []
    assert counter.screen.message.text == "The amount is zero. Type what the check costs."
    assert (counter.screen.button.text, counter.screen.button.enabled) == ("The amount is zero", False)
    counter.presenter.cancelled()
    counter.presenter.submitted()
    assert [quote.gross for _, quote in counter.desk.sales] == [98_000]


def test_f4_twice_takes_points_still_and_the_kept_amount_stays_in_sight(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.mode_requested(FieldMode.POINTS)
    counter.presenter.mode_requested(FieldMode.POINTS)
    counter.type("50")
    counter.presenter.submitted()
    assert counter.screen.check.amount == "1,240.00"
    assert (counter.screen.entry.label, counter.screen.entry.placeholder) == ("Amount of the check", "1,240.00")
    counter.presenter.submitted()
    assert [(quote.gross, quote.redeemed_points) for _, quote in counter.desk.sales] == [(124_000, 50)]
    counter.presenter.submitted()
    counter.scan(MARIA)
    assert counter.screen.entry.placeholder == "0"


@pytest.mark.parametrize("points", [0, 1, 50, 99, 100, 101, 300, -1])
@pytest.mark.parametrize("have", [100, 1137])
def test_no_two_choices_of_points_say_the_same(counter, card, points: int, have: int) -> None:
    counter.desk.cards[MARIA] = card(points=have)
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.points_chosen(points)
    chips = counter.screen.guest.chips
    numbers = [chip.label.removeprefix("all ").removeprefix("max ") for chip in chips]
    assert len(set(numbers)) == len(numbers)
    assert [chip.chosen for chip in chips].count(True) == 1
    assert ("max 100" in [chip.label for chip in chips]) == (have > 100)


@pytest.mark.parametrize(
    ("language", "said"),
    [("ru", "по номеру баллы не списать. Попросите карту."), ("en", "Ask the guest for the card.")],
)
def test_where_no_points_can_be_had_the_reason_stands_instead_of_choices(make, card, language: str, said: str) -> None:
    from loyalty_desk.services.checkout import Allowance

    counter = make(language)
    by_number = Allowance(max_points=0, reason="code_limit", facts={"points": 0, "kind": "number"})
    counter.desk.cards[MARIA] = card(allowance=by_number)
    counter.scan(MARIA)
    for text in ("", "1240"):
        counter.presenter.field_changed(text)
        assert counter.screen.guest.chips == ()
        assert counter.screen.guest.limit.endswith(said)


@pytest.mark.parametrize(
    ("amount", "points", "titles"), [("1240", 0, ["Discounts"]), ("1240", 50, ["Discounts", "Points"])]
)
def test_what_came_off_is_told_after_every_sale_alike(counter, amount: str, points: int, titles: list[str]) -> None:
    counter.scan(MARIA)
    counter.type(amount)
    counter.presenter.points_chosen(points)
    counter.presenter.submitted()
    assert [line.title for line in counter.screen.done.details] == titles


def test_a_notice_is_put_away_when_read_and_the_next_one_shows(counter, status, notice) -> None:
    read: list[int] = []
    counter.presenter._dismiss = read.append
    first, second = notice("card_unknown"), structs.replace(notice("card_blocked"), id=2)
    counter.presenter.status_changed(status(notices=(first, second)))
    assert counter.screen.notice_read_label == "Understood"
    counter.presenter.notice_read()
    assert read == [1]
    assert counter.screen.notice.text.startswith("This card is blocked.")
    counter.presenter.notice_read()
    assert (read, counter.screen.notice.text, counter.screen.notice_read_label) == ([1, 2], "", "")
    counter.presenter.notice_read()
    assert read == [1, 2]


def test_what_lasts_cannot_be_put_away(counter, status, notice) -> None:
    read: list[int] = []
    counter.presenter._dismiss = read.append
    counter.presenter.status_changed(status(notices=(notice("card_unknown"),), journal_ok=False))
    assert counter.screen.notice_read_label == ""
    counter.presenter.notice_read()
    assert read == []


def test_a_card_still_held_is_read_again_where_the_cashier_begins_the_next_sale(counter) -> None:
    rearmed: list[bool] = []
    counter.presenter._rearm = lambda: rearmed.append(True)

    def sell() -> None:
        counter.scan(MARIA)
        counter.type("1240")
        counter.presenter.submitted()
        assert counter.screen.done is not None

    sell()
    counter.presenter.submitted()
    assert len(rearmed) == 1
    sell()
    counter.presenter.field_changed("1")
    assert len(rearmed) == 2
    counter.presenter.cancelled()
    counter.presenter.cancelled()
    sell()
    counter.runner.fire()
    # When the time is up a phone that still lies there must not become the next one's.
    assert counter.screen.done is None
    assert len(rearmed) == 2


def test_points_that_the_server_declines_are_said_and_the_guest_is_read_again(counter) -> None:
    counter.scan(MARIA)
    counter.type("1240")
    counter.presenter.points_chosen(50)
    counter.desk.refuse_confirm = Refused("hold_declined", points=7)
    refreshed = counter.desk.refreshed
    counter.presenter.submitted()
    assert counter.screen.message.text.startswith("The server says that the guest has")
    assert counter.desk.refreshed == refreshed + 1
    assert counter.desk.sales == []
