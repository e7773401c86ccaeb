"""One sentence for everything that can be said no to: codes and numbers in, words a cashier can read out.

The message ids are English and belong to the gettext domain `till`. A test walks the sources and fails on a code
without a sentence here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.services.wording import Words


def _(sentence: str) -> str:
    """Mark a message id for extraction; the translation happens where the language is known."""
    return sentence


SENTENCES: Mapping[str, str] = {
    # what was typed
    "amount_empty": _("Type the amount of the check."),
    "amount_ambiguous": _("“{text}” can be read in two ways. Type kopecks after the point, or no point at all."),
    "amount_negative": _("An amount cannot be negative. A return is made from the original check."),
    "amount_malformed": _("This is not an amount. Type it like 1240 or 1240.50."),
    "amount_too_precise": _("Too many digits after the point: {decimals} at most."),
    "amount_too_large": _("The amount is too large: {limit} at most."),
    "currency_unknown": _("This till does not know the currency {currency}."),
    "points_malformed": _("Type the points as a whole number, or choose one of the buttons."),
    "check_empty": _("The check is empty. Type its amount."),
    "check_too_large": _("This check has too many lines to be recorded as one. Split it in two."),
    "lines_too_many": _("The check has {lines} lines, {limit} at most. Split it in two."),
    # what was scanned
    "scan_empty": _("Nothing could be read. Try again."),
    "scan_too_long": _("This code is too long to be one of ours."),
    "scan_not_text": _("This code is not one of ours."),
    "code_foreign": _("This code is not one of ours. Ask the guest to open our card."),
    "code_malformed": _("The code is damaged or was typed with a mistake. Scan it again."),
    "code_kind_unknown": _("This is a newer kind of code ({kind}). The till needs an update to read it."),
    "card_unknown": _("This card is not in our network."),
    "card_blocked": _("This card is blocked. The guest can get a new one."),
    "card_kind": _("This code is no longer valid on its own. Ask the guest to open the card on the phone."),
    "number_unknown": _("There is no guest with this number. Check the digits."),
    "guests_loading": _("The list of guests is still loading. Scan the card, or wait a minute."),
    "short_code_needs_network": _(
        "A 6-digit code is checked by the server and cannot be used yet. Scan the card or type its number."
    ),
    "phone_later": _("Search by phone is not available yet. Scan the card or type its number."),
    # selling
    "program_missing": _("The rules of the program have not arrived yet. They come with the first connection."),
    "quote_stale": _("The numbers have changed. Look at them and press Enter again."),
    "redemption_refused": _("Points cannot be used: {why}"),
    "journal_unavailable": _(
        "The sale cannot be recorded: the till’s journal is not available. Nothing was taken. Call the manager."
    ),
    "disk_full": _("The disk is full, the sale was not recorded. Call the manager."),
    "manager_pin_later": _("This needs a manager’s PIN, which this version does not have yet."),
    # joining a network
    "already_enrolled": _("This till already belongs to a network."),
    "pairing_malformed": _("This is not a pairing code. Copy all of it, from LDP1 to the end."),
    "pairing_insecure": _(
        "This pairing code names an address without encryption, which is only allowed on this very computer."
    ),
    "pairing_refused": _("The server refused the pairing code: {text}"),
    "pairing_not_started": _("Paste the pairing code first."),
    "server_silent": _("The server does not answer. Check the network and try again."),
    "server_foreign": _("Something else answers in place of our server. Check the network: it may ask for a sign-in."),
}
_UNKNOWN = _("This cannot be done now. Tell the manager this word: {code}")


def sentence(error: ForPerson, words: Words) -> str:
    """Return what to say about an error, never a traceback and never a code alone."""
    return sentence_of(error.code, error.facts, words)


def sentence_of(code: str, facts: Mapping[str, object], words: Words) -> str:
    """Return the sentence of a code with its numbers written as this language writes them."""
    shown = {name: _shown(name, value, words) for name, value in facts.items()}
    known = SENTENCES.get(code)
    if known is None:
        return words.gettext(_UNKNOWN).format(code=code)
    try:
        return words.gettext(known).format(**shown)
    except (KeyError, IndexError):
        # A fact that the sentence names is absent: the sentence without it still says more than nothing.
        return words.gettext(known).partition(":")[0].partition("{")[0].strip(" (“") + "."


def _shown(name: str, value: object, words: Words) -> str:
    if isinstance(value, datetime):
        return words.time(value)
    if name == "limit" and isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    return str(value)
