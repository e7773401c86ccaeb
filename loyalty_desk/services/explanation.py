"""Why a rule applied or did not, and the nearest offer, as a cashier can read them out: notes and hints into sentences.

The kernel gives codes and numbers; the message ids are English and belong to the gettext domain `kernel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from loyalty_desk.domain.conditions.base import MONEY, UNITS
from loyalty_desk.language import catalogue
from loyalty_desk.language import mark as _

if TYPE_CHECKING:
    from loyalty_desk.domain.canonical import Json
    from loyalty_desk.domain.quote import Hint, Note
    from loyalty_desk.services.wording import Words


class Counted(NamedTuple):
    """A sentence in singular and plural, and the fact whose number decides."""

    one: str
    many: str
    by: str


def n_(one: str, many: str, by: str) -> Counted:
    """Mark a counted message id for extraction."""
    return Counted(one, many, by)


SENTENCES: Mapping[str, str | Counted] = {
    # goods
    "no_matching_lines": _("nothing in the check that it is for"),
    "needs_present": n_("needs {quantity} unit of: {names}", "needs {quantity} units of: {names}", "quantity"),
    "nothing_left": _("nothing left to take off"),
    # sizes
    "money_below": _("needs {needs}, this check has {has}: {missing} more"),
    "money_not_over": _("needs more than {needs}, this check has {has}"),
    "money_above": _("only up to {limit}, this check has {has}"),
    "money_below_lines": _("needs {needs} of its goods, there is {has}: {missing} more"),
    "money_not_over_lines": _("needs more than {needs} of its goods, there is {has}"),
    "money_above_lines": _("only up to {limit} of its goods, there is {has}"),
    "units_below": n_(
        "needs {needs} units, the check has {has}: {missing} more unit",
        "needs {needs} units, the check has {has}: {missing} more units",
        "missing",
    ),
    "units_not_over": n_(
        "needs more than {needs} unit, the check has {has}",
        "needs more than {needs} units, the check has {has}",
        "needs",
    ),
    "units_above": n_(
        "only up to {limit} unit, the check has {has}", "only up to {limit} units, the check has {has}", "limit"
    ),
    "step_not_reached": _("the first step has not been reached: {missing} more"),
    "step_units_not_reached": n_(
        "the first step has not been reached: {missing} more unit",
        "the first step has not been reached: {missing} more units",
        "missing",
    ),
    "set_incomplete": n_(
        "the set is not complete: {missing} more unit", "the set is not complete: {missing} more units", "missing"
    ),
    "bundle_dearer": _("the set costs more than its goods"),
    # time
    "not_yet": _("begins on {from}"),
    "no_longer": _("ended on {to}"),
    "other_weekday": _("only on {days}"),
    "other_hours": _("only from {from} to {to}"),
    "birthday_unknown": _("the birthday is not known"),
    "birthday_used": _("already used this year"),
    "not_birthday": _("only around the birthday"),
    # who and where
    "no_guest": _("only for guests of the program"),
    "other_store": _("not in this store"),
    "other_channel": _("not here"),
    "other_tier": _("only for {tiers}"),
    "other_segment": _("for another group of guests"),
    "not_for_this_guest": _("not for this guest"),
    "not_first_visit": _("only on the first visit"),
    "not_referred": _("only for a friend of a guest"),
    "visit_nth": n_("on visit {n}: {missing} visit to go", "on visit {n}: {missing} visits to go", "missing"),
    "visit_every": n_(
        "on every visit number {n}: {missing} to go", "on every visit number {n}: {missing} to go", "missing"
    ),
    "visit_passed": _("was for visit {n}, this is visit {visit}"),
    # keys
    "needs_code": _("needs a promo code"),
    "needs_coupon": _("needs a coupon"),
    "coupon_expired": _("the coupon has expired"),
    "coupon_used": _("the coupon has been used"),
    "code_unknown": _("there is no such promo code"),
    "coupon_unknown": _("this guest has no such coupon"),
    "reward_unknown": _("there is no such reward"),
    # limits
    "limit_total": _("used up at this till: the next sync may bring more"),
    "limit_guest": n_("{limit} time per guest, already used", "{limit} times per guest, all used", "limit"),
    "limit_day": n_("{limit} time a day, already used", "{limit} times a day, all used", "limit"),
    "limit_week": n_("{limit} time a week, already used", "{limit} times a week, all used", "limit"),
    "limit_month": n_("{limit} time a month, already used", "{limit} times a month, all used", "limit"),
    "limit_year": n_("{limit} time a year, already used", "{limit} times a year, all used", "limit"),
    "budget_spent": _("its budget at this till is spent: the next sync may bring more"),
    # against each other
    "other_better": _("another offer of the same group is better"),
    "excluded_by": _("does not combine with another offer"),
    "promotions_better": _("the offers give more than the tier"),
    "tier_better": _("the tier’s discount is more"),
    "tier_gives_nothing": _("this tier gives nothing here"),
    "tier_none": _("the guest has no tier"),
    "tier_withheld": _("this code has given its discounts of the day: a manager can allow more"),
    # points, rewards, gifts, stamps
    "earns_nothing": _("nothing paid that earns points"),
    "zero_divisor": _("earns nothing: the rule divides by zero, tell the manager"),
    "block_unfinished": _("earns for every {per}: {missing} more"),
    "insufficient_points": _("costs {cost} points, the guest has {has}"),
    "not_claimed": _("a reward for {cost} points, only when asked for"),
    "declined": _("declined"),
    # us
    "unknown_parts": _("needs a newer version of this till, because of: {names}"),
}
MONEY_FACTS = frozenset({"needs", "has", "missing", "limit", "per", "budget"})
POINT_FACTS = frozenset({"cost"})
WEEKDAYS = (_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"))
_UNKNOWN = _("does not apply ({code})")


def explain(note: Note, words: Words) -> str:
    """Return why a rule applied (what it gives) or did not, without its name; never empty."""
    return _given(note, words) if note.applied else reason(note.code, note.facts, words)


def reason(code: str, facts: Mapping[str, Json], words: Words) -> str:
    """Return why something did not apply."""
    translations = catalogue("kernel", words.language)
    known = SENTENCES.get(_variant(code, facts))
    if known is None:
        return translations.gettext(_UNKNOWN).format(code=code)
    shown = {name: _shown(code, name, value, words) for name, value in facts.items()}
    if code == "unknown_parts":
        shown["names"] = ", ".join(name for of in ("effects", "conditions", "field") if (name := shown.get(of)))
    if isinstance(known, Counted):
        number = facts.get(known.by)
        count = number if isinstance(number, int) else 0
        return translations.ngettext(known.one, known.many, count).format_map(_Facts(shown))
    return translations.gettext(known).format_map(_Facts(shown))


def explain_hint(hint: Hint, words: Words) -> str:
    """Return the nearest offer: `80.00 more for “Lunch”`. It stands after a caption: no colon of its own."""
    translations = catalogue("kernel", words.language)
    name = words.name_of(hint.name, hint.rule)
    if hint.kind == MONEY:
        return translations.gettext(_("{missing} more for “{name}”")).format(
            missing=words.money(hint.missing), name=name
        )
    if hint.kind == UNITS:
        text = translations.ngettext("{n} more unit for “{name}”", "{n} more units for “{name}”", hint.missing)
    else:
        text = translations.ngettext("{n} more visit for “{name}”", "{n} more visits for “{name}”", hint.missing)
    return text.format(n=words.number(hint.missing), name=name)


class _Facts(dict[str, str]):
    """Facts of a sentence; one that is absent shows as a dash, for a half sentence still says more than none."""

    def __missing__(self, key: str) -> str:
        return "—"


def _variant(code: str, facts: Mapping[str, Json]) -> str:
    if code == "limit_period":
        return f"limit_{facts.get('period')}"
    if code == "tier_gives_nothing" and not facts.get("tier"):
        return "tier_none"
    if facts.get("of") in ("lines", "line") and f"{code}_lines" in SENTENCES:
        return f"{code}_lines"
    return code


def _given(note: Note, words: Words) -> str:
    translations = catalogue("kernel", words.language)
    parts = []
    rate = note.facts.get("rate_bp")
    if isinstance(rate, int):
        parts.append(words.percent(rate))
    if note.amount:
        parts.append(translations.gettext(_("{amount} off")).format(amount=words.money(note.amount)))
    if note.points:
        parts.append(f"+{words.points(note.points)}")
    gifts = note.facts.get("gifts")
    for gift in gifts if isinstance(gifts, Sequence) and not isinstance(gifts, str) else ():
        if isinstance(gift, Mapping):
            text = translations.gettext(_("gift: {product} × {quantity}"))
            parts.append(text.format(product=gift.get("product"), quantity=gift.get("quantity")))
    loads = note.facts.get("loads")
    if isinstance(loads, int):
        parts.append(translations.gettext(_("{amount} onto the card")).format(amount=words.money(loads)))
    factor = note.facts.get("factor_bp")
    if isinstance(factor, int):
        parts.append("×" + words.percent(factor // 100).rstrip("%").rstrip())
    cost = note.facts.get("cost")
    if isinstance(cost, int):
        parts.append(translations.gettext(_("for {points}")).format(points=words.points(cost)))
    stamps = note.facts.get("stamps")
    if isinstance(stamps, int):
        parts.append(translations.ngettext("{n} stamp", "{n} stamps", abs(stamps)).format(n=words.number(stamps)))
    coupons = note.facts.get("coupons")
    if isinstance(coupons, int):
        parts.append(
            translations.ngettext("{n} coupon for next time", "{n} coupons for next time", coupons).format(
                n=words.number(coupons)
            )
        )
    return ", ".join(parts) or translations.gettext(_("applied"))


def _shown(code: str, name: str, value: Json, words: Words) -> str:
    translations = catalogue("kernel", words.language)
    if isinstance(value, int) and not isinstance(value, bool):
        if code == "other_hours":
            return f"{value // 60:02d}:{value % 60:02d}"
        if name in POINT_FACTS or code == "insufficient_points":
            return words.number_of_points(value)
        if name in MONEY_FACTS and code.startswith(("money_", "block_", "budget_", "step_")):
            return words.money(value)
        return words.number(value)
    if name in ("from", "to") and isinstance(value, str):
        return words.day(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if name == "days":
            return ", ".join(translations.gettext(WEEKDAYS[day - 1]) for day in value if isinstance(day, int))
        return ", ".join(str(item) for item in value)
    return str(value)
