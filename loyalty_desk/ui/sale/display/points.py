"""Points to use: the choices, the limit in force, and why it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loyalty_desk.services.redemption import binding_of
from loyalty_desk.services.sentences import limit_reason, sentence_of
from loyalty_desk.ui.sale.state import Chip, FieldMode, Tone

if TYPE_CHECKING:
    from loyalty_desk.services.checkout import GuestCard
    from loyalty_desk.services.wording import Words
    from loyalty_desk.ui.sale.model import SaleModel

ALL_POINTS = -1
_SUGGESTED_POINTS = 100


def _most_points(model: SaleModel) -> int:
    """Return the most points that can be used as far as is known: by the quote, else by guest and limits."""
    if model.quote is not None:
        return model.quote.redemption.max_points
    card, policy = model.guest, model.program.redemption if model.program else None
    most = min(card.points, card.allowance.max_points) if card else 0
    return most if most > 0 and (policy is None or most >= policy.minimum) else 0


def why_no_points(model: SaleModel, words: Words) -> str:
    """Return why no points can be used now, empty where some can: what F4 says instead of taking a number."""
    t, card, program = words.gettext, model.guest, model.program
    if card is None or model.done is not None:
        return t("Points belong to a guest. Scan the guest’s code first.")
    if card.guest_id is None:
        return t("The guest’s data has not arrived yet, so points cannot be used now.")
    if program is None:
        return sentence_of("program_missing", {}, words)
    if program.redemption is None or program.point_value == 0:
        return t("Points cannot be used: {why}").format(why=limit_reason("not_offered", {}, words))
    return "" if _most_points(model) > 0 else point_limit(model, words)[0]


def point_chips(model: SaleModel, words: Words) -> tuple[Chip, ...]:
    """Return the choices; none where the program does not take points."""
    program = model.program
    if program is None or program.redemption is None or program.point_value == 0 or model.guest is None:
        return ()
    t = words.gettext
    most = _most_points(model)
    block = program.redemption.block
    step = _SUGGESTED_POINTS * program.point_unit
    step += -step % block
    asked = model.points_asked
    typing = model.mode is FieldMode.POINTS
    none = Chip("0", 0, chosen=asked == 0 and not typing)
    if most == 0:
        # Nothing to choose, and the limit says why; what was asked before can still be taken back.
        return (none,) if asked else ()
    all_chosen = not typing and asked > 0 and (model.wants_all or asked == most)
    step_chosen = not typing and not all_chosen and asked == step < most
    other = typing or (asked != 0 and not all_chosen and not step_chosen)
    chips = [none]
    if step < most:
        chips.append(Chip(words.number_of_points(step), step, chosen=step_chosen))
    caption = t("max {points}") if most < model.guest.points else t("all {points}")
    chips.append(Chip(caption.format(points=words.number_of_points(most)), ALL_POINTS, chosen=all_chosen))
    label = t("other") if typing or not other else words.number_of_points(asked)
    chips.append(Chip(label, None, chosen=other, tip=t("Type another number of points (F4)")))
    return tuple(chips)


def point_limit(model: SaleModel, words: Words) -> tuple[str, Tone]:
    """Return which limit of points is in force, and why; louder where it cut what was asked."""
    card, quote = model.guest, model.quote
    if card is None or model.program is None or model.program.redemption is None:
        return "", Tone.PLAIN
    if quote is None:
        if card.points == 0:
            return words.gettext("There are no points to use yet."), Tone.PLAIN
        if card.allowance.max_points < card.points:
            return _cap(card, card.allowance.max_points, words), Tone.PLAIN
        least = model.program.redemption.minimum
        if card.points < least:
            return words.gettext("Points can be used from {points} on.").format(points=words.points(least)), Tone.PLAIN
        return "", Tone.PLAIN
    note = quote.redemption
    t = words.gettext
    most = words.points(note.max_points)
    text = ""
    match binding_of(note):
        case "share":
            text = t("At most {share} of the check: {points}.").format(
                share=words.percent(note.max_share_bp), points=most
            )
        case "check":
            text = t("Not more than the check costs: {points}.").format(points=most)
        case "minimum":
            text = t("Points can be used from {points} on.").format(points=words.points(note.minimum))
        case "block":
            text = t("Points are used in steps of {points}.").format(points=words.points(note.block))
        case "cap":
            text = _cap(card, note.max_points, words, note.reason)
        case "available":
            text = t("All points can be used.") if note.max_points else t("There are no points to use yet.")
        case _:
            pass
    if note.asked > note.points:
        cut = t("{asked} asked, {taken} used.").format(
            asked=words.points(note.asked), taken=words.number_of_points(note.points)
        )
        return f"{cut} {text}", Tone.WARN
    return text, Tone.PLAIN


def _cap(card: GuestCard, most: int, words: Words, reason: str = "") -> str:
    code = reason or card.allowance.reason or ""
    why = limit_reason(code, {**card.allowance.facts, "points": most}, words)
    if most == 0:
        return words.gettext("Points cannot be used now: {why}").format(why=why)
    return words.gettext("At most {points} now: {why}").format(points=words.points(most), why=why)
