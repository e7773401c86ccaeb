"""One sentence for everything that can be said no to: codes and numbers in, words a cashier can read out.

The message ids are English and belong to the gettext domain `till`. A test walks the sources and fails on a code
without a sentence here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from loyalty_desk.domain.errors import ForPerson, Refused
from loyalty_desk.domain.money import MAX_MAJOR
from loyalty_desk.language import mark as _
from loyalty_desk.services.counter_sentences import COUNTER, REASONS
from loyalty_desk.services.wording import Words

SENTENCES: Mapping[str, str] = {
    **COUNTER,
    # what was typed
    "amount_empty": _("Type the amount of the check."),
    "amount_ambiguous": _("“{text}” can be read in two ways. Type kopecks after the point, or no point at all."),
    "amount_negative": _("An amount cannot be negative. A return is made from the original check."),
    "amount_malformed": _("This is not an amount. Type it like 1240 or 1240.50."),
    "amount_too_precise": _("Too many digits after the point: {decimals} at most."),
    "amount_too_large": _("The amount is too large: {limit} at most."),
    "currency_unknown": _("This till does not know the currency {currency}."),
    "points_malformed": _("Type the points as a whole number, or choose one of the buttons."),
    "promo_unknown": _("The program does not know the promo code {promo}."),
    "amount_zero": _("The amount is zero. Type what the check costs."),
    "check_empty": _("The check is empty. Type its amount."),
    "check_too_large": _("This check has too many lines to be recorded as one. Sell it in smaller parts."),
    "lines_too_many": _("The check has {lines} lines, {limit} at most. Split it in two."),
    # what was scanned
    "scan_empty": _("Nothing could be read. Try again."),
    "scan_too_long": _("This code is too long to be one of ours."),
    "scan_not_text": _("This code is not one of ours."),
    "code_foreign": _("This code is not one of ours. Ask the guest to open our card."),
    "code_malformed": _("The code is damaged or was typed with a mistake. Scan it again."),
    "code_kind_unknown": _("This is a newer kind of code ({kind}). The till needs an update to read it."),
    "code_of_goods": _("This is the code of a product, not a card."),
    "code_other_network": _("This is a card of another network."),
    "code_key_unknown": _("The till does not know the key of this code yet. Connect it, or scan the card."),
    "code_key_revoked": _("This code’s key is no longer valid. Ask the guest to open the card again."),
    "code_signature": _("This code is not genuine. Ask the guest to open the card on the phone."),
    "code_revoked": _("This code has been replaced. Ask the guest to open the card again."),
    "code_clock": _("This code cannot be checked while this computer’s clock is wrong."),
    "code_expired": _("This code has expired. Ask the guest to open the card again."),
    "code_stale": _("This code is an old one, or a picture of it. Ask the guest to open the card itself."),
    "code_ahead": _("The clock of the guest’s phone is ahead. The phone’s automatic time sets it right."),
    "code_replayed": _("This code has already paid. The next one appears within half a minute."),
    "card_unknown": _("This card is not in our network."),
    "card_blocked": _("This card is blocked. The guest can get a new one."),
    "card_kind": _("This code is no longer valid on its own. Ask the guest to open the card on the phone."),
    "number_unknown": _("There is no guest with this number. Check the digits."),
    "number_nobody": _("There is no guest with the number {number}. Check the digits."),
    "number_not_found": _("There is no guest with the number or phone {number}. Check the digits, or register them."),
    "number_is_phone": _(
        "Nobody known here has the number or phone {number}. The server may know them, and it does not answer."
    ),
    "guests_loading": _("The list of guests is still loading. Scan the card, or wait a minute."),
    # selling
    "program_missing": _("The rules of the program have not arrived yet. They come with the first connection."),
    "quote_stale": _("The numbers have changed. Look at them and press Enter again."),
    "redemption_refused": _("Points cannot be used: {why}"),
    "redemption_limited": _("At most {points} points can be used now: {why}"),
    "journal_unavailable": _(
        "The sale cannot be recorded: the till’s journal is not available. Nothing was taken. Call the manager."
    ),
    "disk_full": _("The disk is full, nothing was recorded. Call the manager."),
    "till_already_open": _("Loyalty Desk is already open on this computer. Use that window."),
    "data_folder_readonly": _("The data folder cannot be written to: {path}. Nothing has been changed."),
    "data_folder_unusable": _("The data folder cannot be used: {path}. Nothing has been changed."),
    "keys_not_kept": _("The till’s keys could not be kept ({path}). Nothing has been changed."),
    "sheet_kind": _("This is not the network’s recovery sheet. It begins with LDSX."),
    "sheet_malformed": _("The recovery sheet is mistyped. Compare it letter by letter."),
    "recovery_key_wrong": _("This recovery key does not open the journal of this till."),
    "till_file_damaged": _(
        "The file that says which till this is, is damaged: {path}. Sales are safe; call the manager."
    ),
    "no_display": _("There is no screen here to open the window on. Start Loyalty Desk on the till’s desktop."),
    "not_enrolled": _("This till does not belong to a network yet."),
    "journal_key_missing": _("The key of this till’s journal is missing. The sales are still there; call the manager."),
    "journal_unreadable": _("The file {path} is no journal that this key opens, or it is damaged."),
    "usage_option": _("There is no option {name}: {command} --help names them all."),
    "usage_missing": _("{name} is missing: {command} --help says what it is."),
    "usage_value": _("{name} cannot be this: {command} --help says what it is."),
    "usage_other": _("This cannot be understood: {command} --help says what there is."),
    "output_not_written": _(
        "What the command says could not be written: {why}. What it does is done: look before you do it again."
    ),
    "nothing_done": _("Stopped. Nothing has been changed."),
    "exchange_elsewhere": _(
        "{receipt} was not sold at this till. Return it first, then sell the new goods as a sale of their own."
    ),
    "records_wait": _(
        "Records that the server has not: {count}. Sync with it first, or write them into a file with --export."
    ),
    "sheet_unreadable": _("The file {path} cannot be read."),
    "file_missing": _("There is no file {path}."),
    "export_exists": _("The file {path} is there already. Choose another name."),
    "export_not_written": _("The file {path} cannot be written."),
    "export_unreadable": _("The file {path} is no export of a till, or it is damaged."),
    "recovery_needed": _("The file {path} opens with the network’s recovery sheet alone. Have it typed in."),
    "keys_not_lost": _("This till’s keys are there: nothing has to be recovered."),
    "other_network": _("The file belongs to another network."),
    "salvage_refused": _("The server did not take the records: {text}"),
    "journal_newer": _("The journal was written by a newer version. Update Loyalty Desk; nothing has been changed."),
    # why points are limited, each to follow “Points cannot be used now:” or “At most 100 points now:”
    "limit_mode_deny": _("this store does not take points without the server."),
    "limit_guests_loading": _("the list of guests is still loading."),
    "limit_new_epoch": _("the till was restored and must reach the server first."),
    "limit_journal_checking": _("the journal is being checked, which takes a minute."),
    "limit_clock_bad": _("this computer’s clock is wrong."),
    "limit_stale_data": _("the till has not reached the server for {limit_hours} hours."),
    "limit_code_limit": _("that is the limit for this kind of code."),
    "limit_code_limit_number": _("a number is not enough to use points. Ask the guest for the card."),
    "limit_code_needs_server": _("this code is checked by the server, which cannot be reached."),
    "limit_code_key_unknown": _("the till does not know the key of this code yet."),
    "limit_code_key_revoked": _("this code’s key is no longer valid. Ask the guest to open the card again."),
    "limit_code_signature": _("this code is not genuine. Ask the guest to open the card on the phone."),
    "limit_code_revoked": _("this code has been replaced. Ask the guest to open the card again."),
    "limit_code_clock": _("this code cannot be checked while this computer’s clock is wrong."),
    "limit_code_expired": _("this code has expired. Ask the guest to open the card again."),
    "limit_code_stale": _("this code is an old one, or a picture of it. Ask the guest to open the card itself."),
    "limit_code_ahead": _("the clock of the guest’s phone is ahead. The phone’s automatic time sets it right."),
    "limit_code_replayed": _("this code has already paid. The next one appears within half a minute."),
    "limit_upper_consecutive": _(
        "this guest has used points here {count} times since the last sync; a manager can allow one more."
    ),
    "limit_floor_limit": _("that is the limit of one sale."),
    "limit_floor_share": _("that is the allowed share of the check."),
    "limit_split_sale": _("{used} points were used here since the last sync with the server, {limit} are allowed."),
    "limit_device_limit": _("this till has reached its limit of points until the next sync with the server."),
    "limit_guest_limit": _("that is this guest’s own limit."),
    "limit_known_balance": _("that is all the guest has."),
    "limit_guest_unknown": _("the guest’s data has not arrived yet."),
    "limit_available": _("there are not enough points."),
    "limit_share": _("that is the allowed share of the check."),
    "limit_check": _("the check costs no more."),
    "limit_minimum": _("at least {minimum} points are needed."),
    "limit_block": _("points are used in steps of {block}."),
    "limit_not_offered": _("the program does not pay with points."),
    "limit_no_guest": _("points belong to a guest."),
    "limit_unknown": _("the limits do not allow more."),
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
    # why an exchange with the server did not come to its end; the first four mean that it refuses this very till
    "till_unknown": _("The server does not know this till. Sales are kept here and not sent. Call the manager."),
    "till_token": _("The server refuses this till’s key. Sales are kept here and not sent. Call the manager."),
    "till_suspended": _("The server has suspended this till. Call the manager."),
    "till_revoked": _("This till has been taken off the network. Its sales are kept here. Call the manager."),
    "app_too_old": _("This version of Loyalty Desk is too old for the server. Call the manager to update it."),
    "network_too_large": _("The server asks for a first load that this version cannot do. Call the manager."),
    "snapshot_prepared": _("The server is preparing the guests’ data. Sales go on; it is fetched by itself."),
    "snapshot_spoiled": _("The guests’ data arrived damaged and is fetched again. Sales go on."),
    "server_busy": _("The server is busy. Sales are kept on this till and sent later."),
    "server_refused": _(
        "The server answers but does not take this till’s data. Sales are kept here. Call the manager."
    ),
    "server_unsettled": _("The server changes while the till talks to it. Sales are kept here and sent later."),
    "sync_fault": _("The sync with the server failed by a fault of ours. Sales are kept here. Call the manager."),
    "cache_unusable": _("The guests’ data cannot be kept on this computer’s disk. Call the manager."),
    "cache_mismatch": _(
        "The guests’ data differs from the server’s, also when read anew. Sales go on;"
        " it is read again about once an hour. Tell the manager."
    ),
    # what happened to this till
    "till_forked": _("The server knows other sales under this till’s name: was its disk copied? Call the manager."),
    "keyset_refused": _("New keys of the network were refused: they are not signed by it. Call the manager."),
    "program_refused": _("New rules of the program could not be read; the earlier ones stay. Call the manager."),
    "sale_quarantined": _("The server did not post the sale {receipt} ({reason}). Call the manager."),
    "sale_flagged": _("The server asks to look at the sale {receipt} ({kinds}). Tell the manager."),
    "entry_quarantined": _("The server did not post an entry of this till ({reason}). Call the manager."),
    "entry_flagged": _("The server asks to look at an entry of this till ({kinds}). Tell the manager."),
    "sale_recorded_after_all": _(
        "The sale {receipt} was refused, but it is recorded after all. Do not enter it again; tell the manager."
    ),
    "journal_damaged": _("A part of this till’s journal is damaged. Sales can go on; call the manager."),
    "journal_set_aside": _(
        "The till’s journal was damaged; a new one was begun, the old one is kept. Call the manager."
    ),
    "journal_lost": _("The till’s journal was missing; a new one was begun. Call the manager."),
    "journal_behind_server": _(
        "The server has {records} records of this till that are not here any more. Nothing is lost; tell the manager."
    ),
    "journal_chain_broken": _("The till’s journal did not fit together; a new part was begun. Call the manager."),
    "journal_rolled_back": _("The till’s journal is older than it was: was a backup put back? Call the manager."),
    "disk_nearly_full": _("The disk of this computer is nearly full. Call the manager."),
}
# What is said instead where digits were typed: which ones.
_OF_DIGITS = {
    "code_foreign": "number_nobody",
    "number_unknown": "number_nobody",
    "guest_not_found": "number_not_found",
    "needs_server": "number_is_phone",
}
# What is said instead of a record that is no sale: a registration has no receipt.
_OF_NO_SALE = {"sale_quarantined": "entry_quarantined", "sale_flagged": "entry_flagged"}
_GROUPING = re.compile(r"[\s()+-]")
PHONE_DIGITS = (10, 11)
MOST_DIGITS = 20
# Facts that are points in smallest units, whatever the code.
_POINTS = frozenset({"points", "used", "minimum", "block"})
_UNKNOWN_REASON = _("for a reason that this version does not know")
_UNKNOWN = _("This cannot be done now. Tell the manager this word: {code}")


def sentence(error: ForPerson, words: Words) -> str:
    """Return what to say about an error, never a traceback and never a code alone."""
    return sentence_of(error.code, error.facts, words)


def nobody_found(error: ForPerson, typed: str) -> ForPerson:
    """Return the error of what names nobody as it is told: digits are said back, to be compared with the card."""
    digits = _GROUPING.sub("", typed)
    code = _OF_DIGITS.get(error.code) if digits.isascii() and digits.isdecimal() else None
    if code is None or (code == "number_is_phone" and len(digits) not in PHONE_DIGITS):
        return error
    return Refused(code, number=f"{digits[:MOST_DIGITS]}{'…' if len(digits) > MOST_DIGITS else ''}")


def sentence_of(code: str, facts: Mapping[str, object], words: Words) -> str:
    """Return the sentence of a code with its numbers written as this language writes them."""
    shown = {name: _shown(name, value, words) for name, value in facts.items()}
    known = SENTENCES.get(code if facts.get("receipt") != "" else _OF_NO_SALE.get(code, code))
    if known is None:
        return words.gettext(_UNKNOWN).format(code=code)
    return words.gettext(known).format_map(_Gaps(shown))


class _Gaps(dict[str, str]):
    """Facts that a sentence names and nobody gave: what is left still says more than nothing."""

    def __missing__(self, name: str) -> str:
        return "…"


def limit_reason(code: str, facts: Mapping[str, object], words: Words) -> str:
    """Return why no more points can be used, to follow a colon; an unknown code gets the general sentence."""
    # With any digits for a card there is nothing to use, whatever the limit of other codes.
    is_number = code == "code_limit" and facts.get("points") == 0 and facts.get("kind") in ("number", "phone")
    key = "limit_code_limit_number" if is_number else f"limit_{code}"
    return sentence_of(key if key in SENTENCES else "limit_unknown", facts, words)


def _reasons(codes: str, words: Words) -> str:
    """Return the server's codes in words, each once."""
    known = [words.gettext(REASONS.get(code.strip(), _UNKNOWN_REASON)) for code in codes.split(",")]
    return ", ".join(dict.fromkeys(known))


def _shown(name: str, value: object, words: Words) -> str:
    if name in ("reason", "kinds") and isinstance(value, str) and value.isupper():
        return _reasons(value, words)
    if name == "receipt" and value == "":
        return "—"
    if name == "day" and isinstance(value, str):
        return words.day(value)
    if isinstance(value, datetime):
        return words.time(value)
    if name == "limit" and value == MAX_MAJOR:
        return words.money((MAX_MAJOR + 1) * words.currency.unit - 1)
    if name in _POINTS and isinstance(value, int):
        return words.number_of_points(value)
    if isinstance(value, int) and value > 9999:
        return words.number(value)
    return str(value)
