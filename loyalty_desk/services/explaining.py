"""The explanation of a quote in words: why each rule applied or did not, and what the nearest offer lacks.

Codes and numbers come from the kernel (`domain.explain`); the message ids are English, gettext domain `kernel`. A test
walks the kernel's sources and fails on a reason without a sentence here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from loyalty_desk.domain.quote import Gift, Hint, Note
from loyalty_desk.language import catalogue
from loyalty_desk.services.wording import Words

MINUTES = 60


def _(sentence: str) -> str:
    """Mark a message id for extraction; the translation happens where the language is known."""
    return sentence


@dataclass(frozen=True, slots=True)
class Sentence:
    """A message id, its plural by the fact `count` where it has one, and which facts are `money` or `points`."""

    one: str
    many: str = ""
    count: str = ""
    money: frozenset[str] = frozenset()
    points: frozenset[str] = frozenset()


_SIZES = frozenset({"needs", "has", "missing", "limit"})

SENTENCES: Mapping[str, Sentence] = {
    # amounts and quantities
    "money_below": Sentence(_("Needs {needs}, this check has {has}: {missing} more."), money=_SIZES),
    "money_below_lines": Sentence(
        _("Needs {needs} of the goods it is for, this check has {has}: {missing} more."), money=_SIZES
    ),
    "money_below_line": Sentence(_("Needs one line of {needs}, the largest is {has}: {missing} more."), money=_SIZES),
    "money_not_over": Sentence(_("Needs more than {needs}, this check has {has}."), money=_SIZES),
    "money_above": Sentence(_("Only up to {limit}, this check has {has}."), money=_SIZES),
    "units_below": Sentence(
        _("Needs {needs} item, this check has {has}: {missing} more."),
        _("Needs {needs} items, this check has {has}: {missing} more."),
        "needs",
    ),
    "units_not_over": Sentence(
        _("Needs more than {needs} item, this check has {has}."),
        _("Needs more than {needs} items, this check has {has}."),
        "needs",
    ),
    "units_above": Sentence(
        _("Only up to {limit} item, this check has {has}."),
        _("Only up to {limit} items, this check has {has}."),
        "limit",
    ),
    "needs_present": Sentence(
        _("Needs {quantity} item of: {names}."), _("Needs {quantity} items of: {names}."), "quantity"
    ),
    "no_matching_lines": Sentence(_("Nothing in this check is what it is for.")),
    # when
    "not_yet": Sentence(_("Begins on {from}.")),
    "no_longer": Sentence(_("Ended on {to}.")),
    "other_weekday": Sentence(_("Only on: {days}.")),
    "other_hours": Sentence(_("Only from {from} to {to}.")),
    "not_birthday": Sentence(_("Only around the guest’s birthday.")),
    "birthday_unknown": Sentence(_("The guest’s birthday is not known.")),
    # who and where
    "no_guest": Sentence(_("Only for guests of the program: ask for the card.")),
    "other_store": Sentence(_("Not in this store.")),
    "other_channel": Sentence(_("Not for checks made here.")),
    "other_tier": Sentence(_("Only for these levels: {tiers}.")),
    "other_segment": Sentence(_("Not for this guest’s group.")),
    "not_for_this_guest": Sentence(_("Not for this guest.")),
    "not_first_visit": Sentence(_("Only for the first visit.")),
    "not_referred": Sentence(_("Only for guests brought by a friend.")),
    "visit_nth": Sentence(
        _("On visit {n}, this is visit {visit}: {missing} visit more."),
        _("On visit {n}, this is visit {visit}: {missing} visits more."),
        "missing",
    ),
    "visit_every": Sentence(
        _("On every {n}th visit: {missing} visit more."), _("On every {n}th visit: {missing} visits more."), "missing"
    ),
    "visit_passed": Sentence(_("Was for visit {n}, this is visit {visit}.")),
    # keys and limits
    "needs_code": Sentence(_("Needs a promo code.")),
    "needs_coupon": Sentence(_("Needs a coupon.")),
    "coupon_expired": Sentence(_("The coupon has expired.")),
    "coupon_used": Sentence(_("The coupon has been used already.")),
    "code_unknown": Sentence(_("No offer has this code.")),
    "coupon_unknown": Sentence(_("No offer has this coupon.")),
    "reward_unknown": Sentence(_("There is no such reward.")),
    "limit_total": Sentence(_("This till has none of it left.")),
    "limit_guest": Sentence(
        _("Once a guest, and it has been used."), _("{limit} times a guest, and they have been used."), "limit"
    ),
    "limit_period": Sentence(
        _("Once a {period}, and it has been used."), _("{limit} times a {period}, and they have been used."), "limit"
    ),
    "budget_spent": Sentence(_("Its budget is spent.")),
    # what became of it
    "nothing_left": Sentence(_("There was nothing left to take off.")),
    "earns_nothing": Sentence(_("Nothing in this check earns points by it.")),
    "zero_divisor": Sentence(_("The rule divides by zero: tell the manager.")),
    "block_unfinished": Sentence(
        _("Points come for every full {per}, this check has {has}: {missing} more."),
        money=frozenset({"per", "has", "missing"}),
    ),
    "other_better": Sentence(_("“{rule}” is better for the guest.")),
    "excluded_by": Sentence(_("“{rule}” cannot be combined with others.")),
    "tier_better": Sentence(_("The discount of the guest’s level is larger.")),
    "promotions_better": Sentence(_("Other offers take off more.")),
    "tier_gives_nothing": Sentence(_("The guest’s level gives nothing here.")),
    "unknown_parts": Sentence(_("This till is too old for the rule (it does not know: {parts}). Update it.")),
    # applied
    "manual": Sentence(_("Taken off by hand.")),
    "tier_discount": Sentence(_("{rate} off for the level {tier}.")),
    "tier_points": Sentence(_("{rate} in points for the level {tier}.")),
}
TAKES_OFF = _("Takes off {amount}.")
GIVES_POINTS = Sentence(_("Gives {points} point."), _("Gives {points} points."))
GIVES_GIFT = _("A gift: {gifts}.")
APPLIED = _("Applied.")
REFUSED = _("Does not apply ({code}).")
HINTS: Mapping[str, Sentence] = {
    "money": Sentence(_("{missing} more, and “{rule}” applies.")),
    "units": Sentence(
        _("{missing} item more, and “{rule}” applies."), _("{missing} items more, and “{rule}” applies."), "missing"
    ),
    "visits": Sentence(
        _("{missing} visit more, and “{rule}” applies."), _("{missing} visits more, and “{rule}” applies."), "missing"
    ),
}
WEEKDAYS = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
PERIODS = {"day": _("day"), "week": _("week"), "month": _("month"), "year": _("year")}


class Explainer:
    """Says notes and hints of one program in one language. `names` are the rules' names by id and language."""

    def __init__(self, words: Words, names: Mapping[str, Mapping[str, str]]) -> None:
        self.words = words
        self._names = names
        translations = catalogue("kernel", words.language)
        self._gettext, self._ngettext = translations.gettext, translations.ngettext

    def rule(self, identifier: str) -> str:
        """Return what a rule is called."""
        return self.words.name_of(self._names.get(identifier, {}), identifier)

    def note(self, note: Note) -> str:
        """Return why a rule applied, or did not, in a sentence that a cashier can read out."""
        if note.applied and note.code not in SENTENCES:
            return self._applied(note)
        return self.reason(note.code, note.facts)

    def reason(self, code: str, facts: Mapping[str, object]) -> str:
        """Return the sentence of a reason; a code of a newer kernel is named rather than hidden."""
        of = facts.get("of")
        found = SENTENCES.get(f"{code}_{of}") or SENTENCES.get(code)
        if found is None:
            return self._gettext(REFUSED).format(code=code)
        return self._said(found, facts)

    def hint(self, hint: Hint) -> str:
        """Return what is missing until the nearest offer applies."""
        found = HINTS[hint.kind]
        missing = self.words.money(hint.missing) if hint.kind == "money" else str(hint.missing)
        template = self._ngettext(found.one, found.many, hint.missing) if found.many else self._gettext(found.one)
        return template.format(missing=missing, rule=self.words.name_of(hint.name, hint.rule))

    def gifts(self, gifts: Sequence[Gift]) -> str:
        """Return gifts as `2 × muffin, latte`."""
        return ", ".join(f"{gift.quantity} × {gift.product}" if gift.quantity > 1 else gift.product for gift in gifts)

    def _applied(self, note: Note) -> str:
        said = []
        if note.amount:
            said.append(self._gettext(TAKES_OFF).format(amount=self.words.money(note.amount)))
        gifts = note.facts.get("gifts")
        if isinstance(gifts, Sequence) and not isinstance(gifts, str):
            given = [
                Gift(note.rule, str(g["product"]), _int(g["quantity"]), 0) for g in gifts if isinstance(g, Mapping)
            ]
            said.append(self._gettext(GIVES_GIFT).format(gifts=self.gifts(given)))
        if note.points:
            whole = note.points // 10**self.words.point_decimals
            template = self._ngettext(GIVES_POINTS.one, GIVES_POINTS.many, whole)
            said.append(template.format(points=self.words.number_of_points(note.points)))
        return " ".join(said) or self._gettext(APPLIED)

    def _said(self, sentence: Sentence, facts: Mapping[str, object]) -> str:
        shown = {name: self._shown(sentence, name, value) for name, value in facts.items()}
        if "effects" in facts:
            shown["parts"] = ", ".join(filter(None, (shown.get("effects", ""), shown.get("conditions", ""))))
        if "rate_bp" in facts:
            shown["rate"] = self.words.percent(_int(facts["rate_bp"]))
        count = _int(facts.get(sentence.count, 0))
        template = self._ngettext(sentence.one, sentence.many, count) if sentence.many else self._gettext(sentence.one)
        return template.format_map(shown)

    def _shown(self, sentence: Sentence, name: str, value: object) -> str:
        if name == "rule":
            return self.rule(str(value))
        if name == "period":
            return self._gettext(PERIODS.get(str(value), str(value)))
        if isinstance(value, int):
            if name in sentence.money:
                return self.words.money(value)
            if name in sentence.points:
                return self.words.number_of_points(value)
            if name in {"from", "to"}:
                return f"{value // MINUTES:02d}:{value % MINUTES:02d}"
            return str(value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            if name == "days":
                return ", ".join(self._gettext(WEEKDAYS[_int(day) - 1]) for day in value)
            return ", ".join(str(item) for item in value)
        return self._day(value) if name in {"from", "to"} and isinstance(value, str) else str(value)

    def _day(self, text: str) -> str:
        day = date.fromisoformat(text)
        return f"{day:%d.%m.%Y}" if self.words.language == "ru" else f"{day.day} {day:%b %Y}"


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
