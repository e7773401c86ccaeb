"""What a report, a return and a sale of the past say to people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import Credential
from loyalty_desk.domain.shift_totals import ShiftTotals, Sums
from loyalty_desk.services.counter_lines import guest_lines, report_lines, strong_caption
from loyalty_desk.services.guests import GuestCard
from loyalty_desk.services.redemption import PROVISIONAL, Allowance
from loyalty_desk.services.shifts import OpenShift, ShiftReport
from loyalty_desk.services.wording import Words

MOSCOW = ZoneInfo("Europe/Moscow")
SUMS = Sums(sales=3, gross=30_000, discounts=2_000, money=28_000, refunds=1, returned=500, points_earned=9)
REPORT = ShiftReport(
    OpenShift(UUID(int=1), 4, "2026-11-21", "anna.k", datetime(2026, 11, 21, 6, 2, tzinfo=UTC), 1, 1),
    datetime(2026, 11, 21, 21, 30, tzinfo=UTC),
    ShiftTotals(SUMS, {"anna.k": SUMS}, "DE71-000001", "DE71-000013"),
    waiting=1200,
    notices=2,
    names={"anna.k": "Анна К"},
    is_final=True,
)


def lines(report: ShiftReport, language: str) -> list[tuple[str, str]]:
    found = report_lines(report, Words(language, zone=MOSCOW))
    return [(caption, value.replace("\u00a0", " ")) for caption, value in found]


def test_a_report_says_its_days_and_what_is_left_in_russian() -> None:
    said = lines(REPORT, "ru")
    assert said[:4] == [
        ("Z-отчёт", "смена № 4 за 21.11.2026"),
        ("Открыта", "21.11.2026, 09:02"),
        ("Закрыта", "22.11.2026, 00:30"),
        ("Чеки", "DE71-000001 – 000013"),
    ]
    whole = dict(said[: said.index(("Кассир", "Анна К"))])
    assert (whole["Оплачено"], whole["Возвращено денег"]) == ("280,00", "5,00")
    assert whole["Осталось после возвратов"] == "275,00"
    assert (whole["Записей ждут отправки"], whole["Новых сообщений (F12)"]) == ("1 200", "2")


def test_a_report_says_its_days_and_what_is_left_in_english() -> None:
    said = lines(replace(REPORT, is_final=False), "en")
    assert said[:3] == [
        ("X report", "shift 4 of Nov 21, 2026"),
        ("Opened", "Nov 21, 2026, 09:02"),
        ("Counted", "Nov 22, 2026, 00:30"),
    ]
    assert said.count((strong_caption(Words("en")), "275.00")) == 2, "of the shift, and of its one cashier"
    assert ("New notices (F12)", "2") in said


def test_a_report_of_another_series_names_both_receipts_and_of_nobody_says_so() -> None:
    totals = ShiftTotals(SUMS, {"": SUMS}, "DE71-000001", "DF02-000002")
    said = lines(replace(REPORT, totals=totals, names={"": ""}), "en")
    assert ("Receipts", "DE71-000001 – DF02-000002") in said
    assert ("Cashier", "nobody: no shift was open") in said
    one = lines(replace(REPORT, totals=replace(totals, last_receipt="DE71-000001")), "en")
    assert ("Receipts", "DE71-000001") in one


def test_a_shift_in_which_more_came_back_than_was_sold_is_below_nothing() -> None:
    back = replace(SUMS, returned=30_000)
    said = dict(lines(replace(REPORT, totals=ShiftTotals(back)), "ru"))
    assert said["Осталось после возвратов"] == "−20,00"


def test_a_guest_who_may_use_less_than_they_have_is_told_why() -> None:
    card = GuestCard(
        UUID(int=1), Credential(CodeKind.NUMBER, None), "Anna", "", "", 50, None, "", None,
        Allowance(0, "code_limit", {"points": 0, "kind": "number"}),
    )  # fmt: skip
    said = "Can be used without the server"
    words = Words("en")
    assert dict(guest_lines(card, words))[said] == (
        "0: a number is not enough to use points. Ask the guest for the card."
    )
    limited = replace(card, allowance=Allowance(20, "code_limit", {"points": 20, "kind": "ld1"}))
    assert dict(guest_lines(limited, words))[said] == "20: that is the limit for this kind of code."
    assert dict(guest_lines(replace(card, points=0, allowance=PROVISIONAL), words))[said].startswith("0: the guest has")
    everything = replace(card, allowance=Allowance(50, "known_balance"))
    assert dict(guest_lines(everything, words))[said] == "50"
