"""What guests, tiers and rules are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loyalty_desk.domain.quote import TIER_RULE, Note

if TYPE_CHECKING:
    from loyalty_desk.domain.program import Program
    from loyalty_desk.services.checkout import GuestCard
    from loyalty_desk.services.wording import Words

MINUS = "\u2212"


def as_sentence(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def guest_name(card: GuestCard, words: Words) -> str:
    """Return the name, else the number, else just that it is a guest."""
    if card.name:
        return card.name
    if card.member_no:
        return words.gettext("Guest {number}").format(number=card.member_no)
    return words.gettext("Guest")


def tier_name(card: GuestCard, program: Program | None, words: Words) -> str:
    """Return the tier in the language of the words, which may have changed since the card was looked up."""
    tier = program.tier(card.tier) if program else None
    return words.name_of(tier.name, card.tier_name) if tier else card.tier_name


def rule_name(rule: str, note: Note | None, words: Words) -> str:
    """Return what a rule is called on the check."""
    if rule == TIER_RULE:
        return words.gettext("Tier discount")
    return words.name_of(note.name if note else {}, rule)
