"""Reasons in words: every code of the kernel has a sentence in both languages."""

import ast
import re
from pathlib import Path

import pytest

import loyalty_desk.domain
from loyalty_desk.domain.quote import Hint, Note
from loyalty_desk.language import catalogue
from loyalty_desk.services import explaining
from loyalty_desk.services.explaining import HINTS, SENTENCES, Explainer, Sentence
from loyalty_desk.services.wording import Words

NAMES = {"happy": {"ru": "Счастливые часы", "en": "Happy hour"}}


def explainer(language: str) -> Explainer:
    return Explainer(Words(language), NAMES)


def reasons_of_the_kernel() -> set[str]:
    """Every literal first argument of `Reason(…)`, and both halves where it is chosen between two."""
    found: set[str] = set()
    for source in Path(loyalty_desk.domain.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason":
                constants = [
                    n.value for n in ast.walk(node.args[0] if node.args else node) if isinstance(n, ast.Constant)
                ]
                found |= {value for value in constants if isinstance(value, str)}
    return {code for code in found if re.fullmatch(r"[a-z]+(_[a-z]+)+|manual", code)}


def all_sentences() -> list[Sentence]:
    return [*SENTENCES.values(), *HINTS.values(), explaining.GIVES_POINTS]


def test_every_reason_of_the_kernel_has_a_sentence():
    reasons = reasons_of_the_kernel()
    assert len(reasons) > 30
    missing = sorted(code for code in reasons if code not in SENTENCES and code != "applied")
    assert missing == []


def test_every_message_is_translated_with_the_same_fields():
    russian = catalogue("kernel", "ru")
    fields = re.compile(r"\{(\w+)\}")
    for sentence in all_sentences():
        if not sentence.many:
            translated = russian.gettext(sentence.one)
            assert translated != sentence.one
            assert set(fields.findall(translated)) == set(fields.findall(sentence.one))
            continue
        for n in (1, 2, 5, 11, 21):
            translated = russian.ngettext(sentence.one, sentence.many, n)
            assert translated not in (sentence.one, sentence.many)
            assert set(fields.findall(translated)) == set(fields.findall(sentence.many))
    for text in (*explaining.WEEKDAYS, *explaining.PERIODS.values(), explaining.TAKES_OFF, explaining.APPLIED):
        assert russian.gettext(text) != text


@pytest.mark.parametrize(
    ("code", "facts", "english", "russian"),
    [
        ("money_below", {"of": "check", "needs": 50_000, "has": 42_000, "missing": 8_000},
         "Needs 500.00, this check has 420.00: 80.00 more.", "Нужно 500,00, в чеке 420,00: не хватает 80,00."),
        ("money_below", {"of": "line", "needs": 50_000, "has": 42_000, "missing": 8_000},
         "Needs one line of 500.00, the largest is 420.00: 80.00 more.",
         "Нужна одна позиция на 500,00, самая большая — 420,00: не хватает 80,00."),
        ("units_below", {"of": "check", "needs": 1, "has": 0, "missing": 1},
         "Needs 1 item, this check has 0: 1 more.", "Нужен 1 товар, в чеке 0: ещё 1."),
        ("units_below", {"of": "check", "needs": 3, "has": 1, "missing": 2},
         "Needs 3 items, this check has 1: 2 more.", "Нужно 3 товара, в чеке 1: ещё 2."),
        ("units_below", {"of": "check", "needs": 5, "has": 1, "missing": 4},
         "Needs 5 items, this check has 1: 4 more.", "Нужно 5 товаров, в чеке 1: ещё 4."),
        ("other_hours", {"from": 510, "to": 1440, "days": []}, "Only from 08:30 to 24:00.", "Только с 08:30 до 24:00."),
        ("other_weekday", {"days": [1, 7], "today": 3}, "Only on: Mon, Sun.", "Только по дням: пн, вс."),
        ("not_yet", {"from": "2026-05-01"}, "Begins on 1 May 2026.", "Начнётся 01.05.2026."),
        ("limit_period", {"limit": 1, "used": 1, "period": "day"},
         "Once a day, and it has been used.", "1 раз в день, уже использовано."),
        ("limit_period", {"limit": 2, "used": 2, "period": "week"},
         "2 times a week, and they have been used.", "2 раза в неделю, уже использовано."),
        ("visit_every", {"n": 5, "visit": 3, "missing": 2},
         "On every 5th visit: 2 visits more.", "На каждый 5-й визит: ещё 2 визита."),
        ("other_better", {"rule": "happy"}, "“Happy hour” is better for the guest.",
         "«Счастливые часы» выгоднее гостю."),
        ("unknown_parts", {"effects": ["hologram"], "conditions": ["moon"]},
         "This till is too old for the rule (it does not know: hologram, moon). Update it.",
         "Касса слишком старая для этого правила (не знает: hologram, moon). Обновите её."),
        ("block_unfinished", {"per": 10_000, "has": 9_000, "missing": 1_000},
         "Points come for every full 100.00, this check has 90.00: 10.00 more.",
         "Баллы даются за каждые полные 100,00, в чеке 90,00: не хватает 10,00."),
        ("of_tomorrow", {}, "Does not apply (of_tomorrow).", "Не действует (of_tomorrow)."),
    ],
)  # fmt: skip
def test_reasons_in_words(code, facts, english, russian):
    assert explainer("en").reason(code, facts) == english
    assert explainer("ru").reason(code, facts) == russian


def test_what_applied_says_what_came_of_it():
    note = Note("happy", NAMES["happy"], True, "applied", {}, amount=1_200, points=21)
    assert explainer("en").note(note) == "Takes off 12.00. Gives 21 points."
    assert explainer("ru").note(note) == "Снижает на 12,00. Даёт 21 балл."
    gift = Note("g", {}, True, "applied", {"gifts": [{"product": "muffin", "quantity": 2}], "gift_value": 500})
    assert explainer("en").note(gift) == "A gift: 2 × muffin."
    tier = Note("tier", {}, True, "tier_discount", {"tier": "GOLD", "rate_bp": 1_500}, amount=100)
    assert explainer("ru").note(tier) == "Скидка 15\u00a0% за уровень GOLD."
    assert explainer("en").note(Note("x", {}, True, "applied")) == "Applied."


def test_the_nearest_offer_in_words():
    assert (
        explainer("en").hint(Hint("happy", NAMES["happy"], "money", 8_000)) == "80.00 more, and “Happy hour” applies."
    )
    assert explainer("ru").hint(Hint("happy", NAMES["happy"], "units", 2)) == (
        "Ещё 2 товара — и действует «Счастливые часы»."
    )
    assert explainer("en").hint(Hint("happy", {}, "visits", 1)) == "1 visit more, and “happy” applies."
