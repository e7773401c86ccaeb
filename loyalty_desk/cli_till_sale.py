"""`loyalty-desk till enrol | status | sync | sale`: joining, looking, exchanging and selling from a terminal."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from loyalty_desk.cli_till import AsJson, DataDir, Lang, opened, show
from loyalty_desk.domain.errors import ForPerson, Refused

if TYPE_CHECKING:
    from loyalty_desk.domain.basket import Line
    from loyalty_desk.domain.money import Currency
    from loyalty_desk.domain.quote import Note, Quote
    from loyalty_desk.services.checkout import CheckDraft, Checkout, SaleDone
    from loyalty_desk.services.guests import GuestCard
    from loyalty_desk.till import Till

CONFIRM_EVERY_S = 0.5
CONFIRM_WITHIN_S = 15 * 60
_MORE_THAN_ANYBODY_HAS = 10**15


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (enrol, status, sync, sale):
        app.command()(command)


def enrol(
    pairing: Annotated[str, typer.Argument(help="The pairing text, or - to read it from standard input.")],
    name: Annotated[str, typer.Option(help="What people call this till; absent: Till 1.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask here whether the characters agree.")] = False,
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Join a network with a pairing code made there."""
    from loyalty_desk.support_lines import (
        awaited_line,
        compare_line,
        joined_line,
        not_joined_line,
        same_question,
    )

    with opened(data_dir, lang) as (till, words):
        text = sys.stdin.read() if pairing == "-" else pairing
        shown = till.enrolment.start(text, name or words.gettext("Till 1"))
        _say(compare_line(shown.characters, words), as_json)
        if not yes and not typer.confirm(same_question(words), err=True):
            typer.echo(not_joined_line(words), err=True)
            sys.exit(1)
        _say(awaited_line(words), as_json)
        end = time.monotonic() + CONFIRM_WITHIN_S
        while (identity := till.enrolment.finish()) is None:
            if time.monotonic() > end:
                raise Refused("pairing_refused", text="nobody has confirmed it there")
            time.sleep(CONFIRM_EVERY_S)
        result = {"device": str(identity.device), "store": identity.store_name, "till": identity.till_name}
        show(result, joined_line(identity.till_name, identity.store_name, words), as_json)


def status(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Show what this till is, what waits and what somebody should read."""
    from loyalty_desk.support_lines import alone_line

    with opened(data_dir, lang) as (till, words):
        found = till.status()
        if found is None:
            show({"enrolled": False, "folder": str(till.paths.folder)}, alone_line(words), as_json)
            return
        till.wait_until_checked()
        limits = till.counter.guests.profile()
        shown: dict[str, object] = {
            "enrolled": True,
            "folder": str(till.paths.folder),
            "network": found.network,
            "store": found.store,
            "till": found.till,
            "cashier": found.cashier,
            "waiting": found.waiting,
            "oldest_waiting": _iso(found.oldest_waiting),
            "synced_at": _iso(found.synced_at),
            "sync_error": found.sync_error,
            "clock": found.clock_conf.value,
            "guests": found.guests_loaded,
            "guests_complete": found.guests_complete,
            "program_version": found.program_version,
            "journal_ok": found.journal_ok,
            "keys_in": found.credential_backend,
            "limits": {
                "mode": limits.mode,
                "a_check": limits.floor_points,
                "a_check_share_bp": limits.floor_share_bp,
                "a_guest": limits.split_sale_points,
                "times_a_guest": limits.upper_consecutive,
                "this_till": limits.device_points,
                "age_hours": limits.max_age_hours,
            },
            "notices": [{"code": one.code, "facts": dict(one.facts), "at": _iso(one.at)} for one in found.notices],
        }
        if as_json:
            show(shown, "", as_json)
            return
        from loyalty_desk.services.sentences import sentence_of
        from loyalty_desk.services.status_lines import status_lines

        now = datetime.now(UTC)
        for caption, value in status_lines(found, words, now):
            typer.echo(f"{caption:18} {value}")
        for one in found.notices:
            typer.echo(f"! {words.moment(one.at, now)}  {sentence_of(one.code, one.facts, words)}")


def sync(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Sync with the server once; exit code 1 where it did not come to its end."""
    from loyalty_desk.support_lines import sync_line

    with opened(data_dir, lang) as (till, words):
        outcome = till.sync_once()
        found = till.status()
        waiting = 0 if found is None else found.waiting
        result: dict[str, object] = {
            "done": outcome.done,
            "online": outcome.online,
            "pushed": outcome.pushed,
            "pulled": outcome.pulled,
            "error": outcome.error,
            "waiting": waiting,
        }
        show(result, sync_line(outcome, waiting, words), as_json)
    sys.exit(0 if outcome.done else 1)


def sale(
    amount: Annotated[str, typer.Option("--amount", help="What the check costs, where it has no lines.")] = "",
    line: Annotated[
        list[str] | None, typer.Option("--line", help="PRODUCT:PRICE[:QUANTITY[:CATEGORY]], one a line.")
    ] = None,
    code: Annotated[str, typer.Option("--code", help="The guest's card, code, number or phone; absent: nobody.")] = "",
    points: Annotated[
        int, typer.Option("--points", min=0, help="Points to pay with; parts of a point where the program has them.")
    ] = 0,
    promo: Annotated[list[str] | None, typer.Option("--promo", help="A promo code.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the server to hold the points.")] = False,
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Record a sale of a bare amount or of lines, as the window would."""
    from loyalty_desk.services.tier_withheld import tier_withheld_line
    from loyalty_desk.support_lines import promo_line, sale_line

    with opened(data_dir, lang) as (till, words):
        till.wait_until_checked()
        draft = make_draft(till, amount, line or [], code, points, promo or [], offline=offline)
        checkout = ready(till)
        told = [promo_line(code, note, words) for code, note in _promos(checkout, draft) if not note.applied]
        quote = _priced(till, draft)
        done = checkout.confirm(draft, quote)
        text = "\n".join([sale_line(done, words), *told])
        if done.tier_withheld:
            text += f"\n{tier_withheld_line(done.guest, words)}"
        show(sold(done), text, as_json)


def ready(till: Till) -> Checkout:
    """Return the till's checkout; raises `Refused` `not_enrolled`."""
    if till.checkout is None:
        raise Refused("not_enrolled")
    return till.checkout


def guest_of(till: Till, text: str, *, offline: bool = False) -> GuestCard:
    """Return the guest of a code, number or phone; what the till cannot judge alone the server is asked."""
    from loyalty_desk.services.sentences import nobody_found

    try:
        return till.counter.online.identified(ready(till).identify, text, answers=not offline)
    except ForPerson as error:
        raise nobody_found(error, text) from error


def make_draft(
    till: Till, amount: str, lines: list[str], code: str, points: int, promo: list[str], *, offline: bool = False
) -> CheckDraft:
    """Return the check of a command line, its points held by the server where one answers."""
    from loyalty_desk.domain.errors import BadInput
    from loyalty_desk.domain.money import currency, parse_amount
    from loyalty_desk.services.checkout import CheckDraft

    checkout = ready(till)
    guest = guest_of(till, code, offline=offline) if code else None
    empty = checkout.basket(0)
    money = currency(empty.currency)
    if not amount and not lines:
        raise BadInput("amount_empty")
    if amount and lines:
        raise BadInput("amount_or_lines")
    if lines:
        basket = replace(empty, lines=tuple(_line(n, text, money) for n, text in enumerate(lines, start=1)))
    else:
        basket = checkout.basket(parse_amount(amount, money))
    draft = CheckDraft(basket, guest, points, tuple(promo), at=datetime.now(UTC))
    if guest is None or points == 0 or offline:
        return draft
    _require_program_takes(checkout, draft, guest)
    return replace(draft, hold=till.counter.online.hold(guest, points))


def _require_program_takes(checkout: Checkout, draft: CheckDraft, guest: GuestCard) -> None:
    """Refuse points that this program takes of nobody on this check: the server would hold them all the same.

    How many the guest has and what the code is worth are the server's to say.
    """
    from loyalty_desk.services.points_held import PointsHeld
    from loyalty_desk.services.redemption import binding_of

    if guest.guest_id is None:
        checkout.price(replace(draft, points_asked=0))
        return
    as_held = PointsHeld(UUID(int=0), guest.guest_id, _MORE_THAN_ANYBODY_HAS, 0, is_online=True)
    quote = checkout.price(replace(draft, hold=as_held))
    if binding_of(quote.redemption) in ("not_offered", "minimum", "block", "share", "check"):
        _require_points(quote, draft)


def _line(number: int, text: str, money: Currency) -> Line:
    from loyalty_desk.domain.basket import MILLI, Line
    from loyalty_desk.domain.errors import BadInput
    from loyalty_desk.domain.money import parse_amount

    product, price, quantity, category = (*text.split(":"), "", "", "")[:4]
    try:
        thousandths = Decimal(quantity or "1") * MILLI
    except ArithmeticError:
        thousandths = Decimal(0)
    if not product or not price or not 0 < thousandths < 10**9 or thousandths % 1:
        raise BadInput("line_malformed", text=text[:40])
    return Line(f"{number}", product, category, int(thousandths), parse_amount(price, money))


def _priced(till: Till, draft: CheckDraft) -> Quote:
    """Return the quote; raises `Refused` where fewer points can be had than were asked for."""
    quote = ready(till).price(draft)
    # Where none can be had `confirm` says why: it knows the guest's own limits.
    if quote.redeemed_points:
        _require_points(quote, draft)
    return quote


def _require_points(quote: Quote, draft: CheckDraft) -> None:
    from loyalty_desk.services.redemption import binding_of

    note = quote.redemption
    if quote.redeemed_points < draft.points_asked:
        binding = binding_of(note)
        reason = note.reason if binding == "cap" and note.reason else binding
        code = "redemption_limited" if quote.redeemed_points else "redemption_refused"
        raise Refused(code, reason=reason, points=note.points, minimum=note.minimum, block=note.block)


def _promos(checkout: Checkout, draft: CheckDraft) -> list[tuple[str, Note]]:
    """Return what came of each promo code typed; raises `Refused` `promo_unknown` for one that changes no verdict."""
    from loyalty_desk.domain.errors import BadInput

    found = []
    for code in draft.codes:
        without = replace(draft, codes=tuple(one for one in draft.codes if one != code))
        before = {(note.rule, note.applied, note.code) for note in checkout.price(without).explanation}
        told = [one for one in checkout.price(draft).explanation if (one.rule, one.applied, one.code) not in before]
        if not told:
            raise BadInput("promo_unknown", promo=code[:40])
        found.append((code, next((note for note in told if note.applied), told[0])))
    return found


def sold(done: SaleDone) -> dict[str, object]:
    """Return a sale as JSON has it."""
    quote = done.quote
    return {
        "id": str(done.record_id),
        "receipt": done.receipt_no,
        "guest": None if done.guest is None or done.guest.guest_id is None else str(done.guest.guest_id),
        "gross": quote.gross,
        "discount": quote.discount_total,
        "redeemed_points": quote.redeemed_points,
        "total": quote.total,
        "earned_points": quote.earned_points,
        "balance": done.balance_after,
        "tier_withheld": done.tier_withheld,
    }


def _say(text: str, as_json: bool) -> None:
    """Say something on the way: to people, so never among the JSON."""
    typer.echo(text, err=as_json)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
