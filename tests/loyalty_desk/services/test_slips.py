"""Slips: every line fits the paper, every letter is one that a receipt printer has, and the sums are the sale's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from loyalty_desk.domain.refund import Return
from loyalty_desk.services.recording import Recorder
from loyalty_desk.services.returns import Returns
from loyalty_desk.services.slips import CODE_PAGE, Place, report_slip, sale_slip
from loyalty_desk.services.sold_checks import SoldChecks
from loyalty_desk.services.wording import Words
from tests.loyalty_desk.services.test_counter_lines import REPORT
from tests.loyalty_desk.till_parts import CARD, IDENTITY, Counter, stocked

PLACE = Place("Сеть «Полдень» / Noon Café", "Кофейня на Невском проспекте, дом двадцать восемь", "Касса 1")


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    made = stocked(tmp_path)
    yield made
    made.parts.journal.close()
    made.cache.close()


def words(language: str) -> Words:
    return Words(language, zone=ZoneInfo("Europe/Moscow"))


def fits(lines: list[str], width: int) -> None:
    for line in lines:
        assert len(line) <= width
        line.encode(CODE_PAGE)


def value(lines: list[str], caption: str) -> str:
    return next(one.removeprefix(caption).strip() for one in lines if one.startswith(caption))


@pytest.mark.parametrize("width", [24, 32, 42, 48])
def test_a_guests_slip_says_the_money_and_the_points_of_the_sale(counter: Counter, width: int) -> None:
    done = counter.sell(CARD, 10_000, 50)
    quote = done.quote
    books = SoldChecks(counter.parts.journal)
    lines = sale_slip(books.newest(), PLACE, words("ru"), width)
    fits(lines, width)
    assert done.receipt_no in "".join(lines)
    assert value(lines, "Сумма") == "10 000,00"
    off = words("ru").money(quote.discount_total).replace("\u00a0", " ")
    assert value(lines, "Скидки") == f"-{off}"
    assert value(lines, "К оплате") == words("ru").money(quote.total).replace("\u00a0", " ")
    assert value(lines, "Списано баллов") == "50"
    assert value(lines, "Начислено баллов") == str(quote.earned_points)
    assert str(400 - 50 + quote.earned_points) in "".join(lines)
    assert "Анна" not in "".join(lines)


def test_a_sale_without_a_guest_has_no_points_on_it_and_what_came_back_is_said(counter: Counter) -> None:
    counter.sell(None, 100)
    books = SoldChecks(counter.parts.journal)
    sold = books.newest()
    assert not any("oint" in one for one in sale_slip(sold, PLACE, words("en"), 32))
    recorder: Recorder = counter.parts.recorder
    Returns(IDENTITY, books, recorder, counter.checkout, counter.parts.trusted, counter.cashier).refund(sold, (), 2_500)
    assert value(sale_slip(books.newest(), PLACE, words("en"), 32), "Came back so far") == "25.00"


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("width", [24, 32, 48])
def test_a_z_report_fits_any_paper(language: str, width: int) -> None:
    lines = report_slip(REPORT, PLACE, words(language), width)
    fits(lines, width)
    assert any(one.strip().endswith("275,00" if language == "ru" else "275.00") for one in lines)


def test_a_letter_that_no_printer_has_is_a_question_mark_not_a_fault() -> None:
    lines = report_slip(REPORT, Place("咖啡 Café Йогурт и ёж", "", ""), words("en"), 24)
    assert lines[0].strip() == "?? Cafe Йогурт и ёж"


def test_a_name_gives_the_printer_no_commands_and_keeps_letters_of_two_parts() -> None:
    lines = report_slip(REPORT, Place("A\x1b@\x07\x7fB\u202e", "\u0415\u0308лка\tи\x0bи\u0306од", ""), words("en"), 24)
    assert [one.strip() for one in lines[:2]] == ["A?@??B?", "Ёлка и йод"]
    assert all(one.isprintable() for one in lines)


def test_an_exchange_says_what_came_back_and_the_points_as_they_are_after_both_halves(counter: Counter) -> None:
    first = counter.sell(CARD, 1_000)
    books = SoldChecks(counter.parts.journal)
    recorder: Recorder = counter.parts.recorder
    returns = Returns(IDENTITY, books, recorder, counter.checkout, counter.parts.trusted, counter.cashier)
    sold, draft = books.newest(), counter.draft(CARD, 2_000)
    back = [Return(one.line, one.left_milli) for one in sold.lines]
    _, quote = returns.exchange_quote(sold, back, draft)
    done = returns.exchange(sold, back, draft, quote)
    lines = sale_slip(books.newest(), PLACE, words("en"), 48)
    assert value(lines, "Came back in exchange") == f"-{first.quote.total // 100:,}.{first.quote.total % 100:02d}"
    assert done.difference > 0
    assert value(lines, "To pay") == words("en").money(done.difference)
    assert value(lines, "Points on the account") == str(400 + done.sold.quote.earned_points)
