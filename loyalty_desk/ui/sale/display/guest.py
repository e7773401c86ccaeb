"""The right panel: who it is, how far the next tier is, which offers did not apply."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from loyalty_desk.domain.quote import TIER_RULE
from loyalty_desk.services.explanation import explain
from loyalty_desk.services.tier_withheld import withheld_line
from loyalty_desk.ui.sale.display.names import guest_name, rule_name, tier_name
from loyalty_desk.ui.sale.display.points import point_chips, point_limit
from loyalty_desk.ui.sale.state import GuestState, Tone

if TYPE_CHECKING:
    from loyalty_desk.domain.program import Program
    from loyalty_desk.services.checkout import GuestCard
    from loyalty_desk.services.wording import Words
    from loyalty_desk.ui.sale.model import SaleModel

_STALE = timedelta(hours=24)
_SHOWN_LEFT_OUT = 30


def guest(model: SaleModel, words: Words, now: datetime) -> GuestState:
    """Return the right panel."""
    t = words.gettext
    card = model.guest
    if model.done is not None:
        return GuestState(title=t("GUEST"))
    if card is None:
        empty = t("No guest yet. Hold the code before the camera, use the scanner, or type a card’s number or phone.")
        return with_left_out(GuestState(title=t("GUEST"), empty=empty), model, words)
    known = card.guest_id is not None
    withheld = withheld_line(model.quote, card, words) if model.quote else ""
    note = withheld if known else not_here_yet(card, words)
    state = GuestState(
        title=t("GUEST"),
        name=guest_name(card, words),
        tier=tier_name(card, model.program, words) if known else "",
        member=t("No. {number}").format(number=card.member_no) if card.member_no else "",
        note=note,
    )
    state = with_left_out(state, model, words)
    if not known:
        return state
    number = words.points(card.points).split("\u00a0")
    progress, progress_text = way_to_next_tier(card, model.program, words)
    stale = card.as_of is not None and now - card.as_of > _STALE
    chips = point_chips(model, words)
    limit, tone = point_limit(model, words)
    return replace(
        state,
        points=words.number_of_points(card.points),
        points_label=number[-1],
        as_of=t("as of {when}").format(when=words.moment(card.as_of, now)) if card.as_of else "",
        as_of_tone=Tone.WARN if stale else Tone.PLAIN,
        progress=progress,
        progress_text=progress_text,
        redeem_label=t("Use points") if chips or limit else "",
        chips=chips,
        limit=limit,
        limit_tone=tone,
    )


def not_here_yet(card: GuestCard, words: Words) -> str:
    """Return what becomes of the points of somebody whose data has not arrived; an LD4 tells the tier itself."""
    t = words.gettext
    if card.tier_room is None and card.tier:
        return t(
            "The guest’s data has not arrived yet. The points of this check reach the account by themselves; paying "
            "with points comes with the data."
        )
    return t(
        "The guest’s data has not arrived yet. Points are earned as in the first tier and reach the account by "
        "themselves; the tier’s discount and paying with points come with the data."
    )


def with_left_out(state: GuestState, model: SaleModel, words: Words) -> GuestState:
    """Return the panel with the offers that did not apply, folded, each with its reason when open."""
    quote = model.quote
    notes = [note for note in quote.explanation if not note.applied and note.rule != TIER_RULE] if quote else []
    if not notes:
        return state
    count = len(notes)
    caption = words.ngettext("Not applied: {n} offer", "Not applied: {n} offers", count).format(n=count)
    texts: tuple[str, ...] = ()
    if model.fold_open:
        shown = [f"{rule_name(note.rule, note, words)}: {explain(note, words)}" for note in notes[:_SHOWN_LEFT_OUT]]
        if count > _SHOWN_LEFT_OUT:
            shown.append(words.gettext("… and {n} more").format(n=count - _SHOWN_LEFT_OUT))
        texts = tuple(shown)
    mark = "▲" if model.fold_open else "▼"
    return replace(state, left_out_label=f"{mark} {caption}", left_out=texts, left_out_open=model.fold_open)


def way_to_next_tier(card: GuestCard, program: Program | None, words: Words) -> tuple[int, str]:
    """Return percent and sentence of the way to the next tier, nothing for who is not known here yet."""
    if program is None or card.facts is None or card.guest_id is None:
        return 0, ""
    have = {"spend": card.facts.spend, "earned": card.facts.earned, "visits": card.facts.visits}[program.tier_base]
    tiers = sorted(program.tiers, key=lambda tier: tier.threshold)
    current = next((tier.threshold for tier in tiers if tier.code == card.tier), 0)
    following = next((tier for tier in tiers if tier.threshold > max(have, current)), None)
    if following is None:
        return 100, words.gettext("The highest tier") if len(tiers) > 1 and card.tier == tiers[-1].code else ""
    missing = following.threshold - have
    name = words.name_of(following.name, following.code)
    if program.tier_base == "visits":
        text = words.ngettext("{n} more visit to {tier}", "{n} more visits to {tier}", missing).format(
            n=missing, tier=name
        )
    else:
        left = words.money(missing) if program.tier_base == "spend" else words.points(missing)
        text = words.gettext("{left} more to {tier}").format(left=left, tier=name)
    return min(99, max(0, have * 100 // following.threshold)), text
