"""Notes of the kernel as sentences, in both languages."""

import re
from pathlib import Path

import pytest

from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import Hint, Note, quote
from loyalty_desk.domain.quote import NO_CHOICES
from loyalty_desk.language import catalogue
from loyalty_desk.services.explanation import SENTENCES, WEEKDAYS, Counted, explain, explain_hint
from loyalty_desk.services.wording import Words
from tests.loyalty_desk.domain.pricing_parts import AT, basket, off, percent, program, rule

RU, EN = Words("ru"), Words("en")
DOMAIN = Path(__file__).parents[3] / "loyalty_desk" / "domain"
NBSP = "\u00a0"


def said(words, *rules, guest=None, gross=42_000, choices=NO_CHOICES, **more):
    quoted = quote(basket(gross), guest, program(*rules, **more), AT, choices)
    return [explain(note, words).replace(NBSP, " ") for note in quoted.explanation]


def test_what_a_check_lacks_is_said_as_a_cashier_would():
    lacking = rule("x", off(1), when=[{"type": "amount", "min": 50_000}])
    assert said(EN, lacking) == ["needs 500.00, this check has 420.00: 80.00 more"]
    assert said(RU, lacking) == ["нужно 500,00, в чеке 420,00: не хватает 80,00"]


@pytest.mark.parametrize(
    ("missing", "ending"), [(1, "остался 1 визит"), (3, "осталось 3 визита"), (5, "осталось 5 визитов")]
)
def test_russian_counts_as_russians_do(missing, ending):
    visits = rule("x", off(1), when=[{"type": "nth_visit", "n": 11}])
    assert said(RU, visits, guest=GuestFacts(visits=10 - missing)) == [f"на 11-й визит: {ending}"]


def test_what_applied_says_what_it_gives():
    assert said(EN, rule("x", percent(1000))) == ["42.00 off"]
    tiers = [{"code": "GOLD", "discount_bp": 1000, "earn_bp": 1050}]
    gold = GuestFacts(tier="GOLD")
    assert said(RU, guest=gold, tiers=tiers, model="mixed") == ["10 %, скидка 42,00", "10,5 %, +39 баллов"]


def test_a_guest_without_a_tier_is_told_from_a_tier_without_a_discount():
    tiers = [{"code": "PLAIN"}, {"code": "GOLD", "discount_bp": 1000, "threshold": 100}]
    assert said(EN, guest=GuestFacts(), tiers=tiers) == ["the guest has no tier"]
    assert said(RU, guest=GuestFacts(), tiers=tiers) == ["у гостя нет уровня"]
    assert said(EN, guest=GuestFacts(tier="PLAIN"), tiers=tiers) == ["this tier gives nothing here"]


@pytest.mark.parametrize(
    ("when", "english", "russian"),
    [
        ({"type": "weekdays", "days": [6, 7]}, "only on Saturday, Sunday", "действует только: суббота, воскресенье"),
        ({"type": "hours", "from": "08:00", "to": "09:30"}, "only from 08:00 to 09:30", "только с 08:00 до 09:30"),
        ({"type": "date", "from": "2026-04-01"}, "begins on Apr 1, 2026", "начнётся 01.04.2026"),
        ({"type": "tiers", "tiers": ["VIP"]}, "only for VIP", "только для уровней: VIP"),
        (
            {"type": "usage", "times": 2, "period": "week"},
            "2 times a week, all used",
            "2 раза в неделю, все использованы",
        ),
        (
            {"type": "quantity", "min": 6},
            "needs 6 units, the check has 1: 5 more units",
            "нужно единиц: 6, есть 1: не хватает 5 единиц",
        ),
        (
            {"type": "amount", "of": "lines", "products": ["Z"], "min": 100},
            "needs 1.00 of its goods, there is 0.00: 1.00 more",
            "нужно подходящих товаров на 1,00, есть на 0,00: не хватает 1,00",
        ),
    ],
)
def test_conditions_are_explained(when, english, russian):
    guest = GuestFacts(tier="NONE", uses={("x", "week:2026-w10"): 2})
    assert said(EN, rule("x", off(1), when=[when]), guest=guest) == [english]
    assert said(RU, rule("x", off(1), when=[when]), guest=guest) == [russian]


def test_the_nearest_offer_is_said():
    name = {"ru": "Обед", "en": "Lunch"}
    assert explain_hint(Hint("x", name, "money", 8_000), EN) == "80.00 more for “Lunch”"
    assert explain_hint(Hint("x", name, "money", 8_000), RU) == "ещё 80,00 — и «Обед»"
    assert explain_hint(Hint("x", name, "units", 2), RU) == "ещё 2 единицы — и «Обед»"
    assert explain_hint(Hint("x", {}, "visits", 1), EN) == "1 more visit for “x”"


@pytest.mark.parametrize(
    ("stamps", "english", "russian"),
    [
        (1, "1 stamp", "1 штамп"), (-1, "−1 stamp", "−1 штамп"), (-4, "−4 stamps", "−4 штампа"),
        (-6, "−6 stamps", "−6 штампов"), (1_000, "1,000 stamps", "1\u00a0000 штампов"),
    ],
)  # fmt: skip
def test_stamps_that_were_used_are_counted_like_those_that_were_won(stamps, english, russian):
    note = Note("x", {}, applied=True, code="applied", facts={"stamps": stamps})
    assert (explain(note, EN), explain(note, RU)) == (english, russian)


def test_a_code_of_a_newer_kernel_is_still_a_sentence():
    assert explain(Note("x", {}, applied=False, code="moon_phase"), RU) == "не действует (moon_phase)"
    assert explain(Note("x", {}, applied=False, code="money_below"), EN) == "needs —, this check has —: — more"


def test_every_code_of_the_kernel_has_a_sentence():
    sources = "".join(path.read_text(encoding="utf-8") for path in DOMAIN.rglob("*.py"))
    codes = set(re.findall(r'Reason\(\s*"([a-z_]+)"', sources))
    assert len(codes) > 25
    assert codes - {"limit_period"} <= set(SENTENCES)


def test_every_sentence_is_in_russian_and_keeps_its_facts():
    russian = catalogue("kernel", "ru")
    for sentence in [*SENTENCES.values(), *WEEKDAYS]:
        if isinstance(sentence, Counted):
            told = [russian.ngettext(sentence.one, sentence.many, n) for n in (1, 2, 5)]
            assert all(text not in (sentence.one, sentence.many) for text in told)
            english = sentence.many
        else:
            told = [russian.gettext(sentence)]
            english = sentence
            assert told != [sentence]
        for text in told:
            assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", english))
