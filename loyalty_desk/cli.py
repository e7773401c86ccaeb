"""`loyalty-desk`: the window, and the till's services for support staff, scripts and tests."""

from __future__ import annotations

import json
import os
import sys
import time
import zoneinfo
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loyalty_desk import cli_quote
from loyalty_desk.domain.errors import ForPerson, Refused

if TYPE_CHECKING:
    from loyalty_desk.services.checkout import Checkout, SaleDone
    from loyalty_desk.services.wording import Words
    from loyalty_desk.till import Till

BAD_INPUT = 2
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
CONFIRM_EVERY_S = 0.5
CONFIRM_WITHIN_S = 15 * 60

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Loyalty Desk: the till beside the POS. Alone: the window.",
)
till_app = typer.Typer(no_args_is_help=True, help="This till without its window.")
app.add_typer(till_app, name="till")
cli_quote.mount(app)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The till's folder (LOYALTY_TILL_DIR).")]
Lang = Annotated[str, typer.Option("--lang", help="ru or en; absent: that of the system.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line; what a person can act on is one sentence on stderr and exit code 2."""
    # Business days are counted with the pinned zones, never with the system's: both sides must use the same rules.
    zoneinfo.reset_tzpath(to=())
    try:
        app()
    except ForPerson as error:
        _fail(error, "")
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Open the window where nothing else is asked for."""
    if context.invoked_subcommand is None:
        run()


@app.command()
def run(
    data_dir: DataDir = None,
    lang: Lang = "",
    theme: Annotated[str, typer.Option(help="light or dark.")] = "",
    camera: Annotated[str, typer.Option(help="Number, path, simulated, simulated:CODE or none.")] = "",
    serial: Annotated[str, typer.Option(help="Serial port of a scanner.")] = "",
    fullscreen: Annotated[bool, typer.Option("--fullscreen", help="Take the whole screen.")] = False,
    tip: Annotated[str, typer.Option(help="A line of what to try, shown while nothing happens.")] = "",
) -> None:
    """Open the cashier's window."""
    if sys.platform == "linux" and not any(map(os.environ.get, _DISPLAYS)):
        # Qt aborts the process where it finds no display, with nothing for a person to read.
        _fail(Refused("no_display"), lang)
    from loyalty_desk.app import Options
    from loyalty_desk.app import run as run_window

    sys.exit(run_window(Options(data_dir, lang, theme, camera, serial, fullscreen=fullscreen, tip=tip)))


@app.command()
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, videos or folders of them.")], as_json: AsJson = False
) -> None:
    """Print what the till's own decoders read in files."""
    from loyalty_desk.scanning.scan_files import scan_command

    sys.exit(scan_command(paths, as_json=as_json))


@till_app.command()
def enrol(
    pairing: Annotated[str, typer.Argument(help="The pairing text, or - to read it from standard input.")],
    name: Annotated[str, typer.Option(help="What people call this till; absent: Till 1.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask here whether the characters agree.")] = False,
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Join a network with a pairing code made there."""
    with _opened(data_dir, lang) as (till, words):
        text = sys.stdin.read() if pairing == "-" else pairing
        shown = till.enrolment.start(text, name or words.gettext("Till 1"))
        _say(f"Compare with the server's screen: {shown.characters}", as_json)
        if not yes and not typer.confirm("Are they the same there?", err=True):
            typer.echo("Not joined. The code is used up: make a new one.", err=True)
            sys.exit(1)
        _say("Waiting for the server's side to confirm.", as_json)
        end = time.monotonic() + CONFIRM_WITHIN_S
        while (identity := till.enrolment.finish()) is None:
            if time.monotonic() > end:
                raise Refused("pairing_refused", text="nobody has confirmed it there")
            time.sleep(CONFIRM_EVERY_S)
        result = {"device": str(identity.device), "store": identity.store_name, "till": identity.till_name}
        _print(result, f"Joined: {identity.till_name} in {identity.store_name}.", as_json)


@till_app.command()
def status(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Show what this till is, what waits and what somebody should read."""
    with _opened(data_dir, lang) as (till, words):
        found = till.status()
        if found is None:
            _print(
                {"enrolled": False, "folder": str(till.paths.folder)}, "This till has not joined a network.", as_json
            )
            return
        till.wait_until_checked()
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
            "notices": [{"code": one.code, "facts": dict(one.facts), "at": _iso(one.at)} for one in found.notices],
        }
        if as_json:
            _print(shown, "", as_json)
            return
        from loyalty_desk.services.sentences import sentence_of
        from loyalty_desk.services.status_lines import status_lines

        now = datetime.now(UTC)
        for caption, value in status_lines(found, words, now):
            typer.echo(f"{caption:18} {value}")
        for one in found.notices:
            typer.echo(f"! {words.moment(one.at, now)}  {sentence_of(one.code, one.facts, words)}")


@till_app.command()
def sync(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Exchange with the server once; exit code 1 where it did not come to its end."""
    with _opened(data_dir, lang) as (till, _):
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
        text = f"sent {outcome.pushed}, received {outcome.pulled}, waiting {waiting}"
        _print(result, text if outcome.done else f"{text}: {outcome.error}", as_json)
    sys.exit(0 if outcome.done else 1)


@till_app.command()
def sale(
    amount: Annotated[str, typer.Option("--amount", help="What the check costs.")],
    code: Annotated[str, typer.Option("--code", help="The guest's card code or member number; absent: nobody.")] = "",
    points: Annotated[
        int, typer.Option("--points", min=0, help="Points to pay with; parts of a point where the program has them.")
    ] = 0,
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Record a sale of a bare amount, as the window would."""
    with _opened(data_dir, lang) as (till, words):
        till.wait_until_checked()
        if till.checkout is None:
            raise Refused("not_enrolled")
        done = _sell(till.checkout, code, amount, points)
        quote = done.quote
        result: dict[str, object] = {
            "id": str(done.record_id),
            "receipt": done.receipt_no,
            "guest": None if done.guest is None or done.guest.guest_id is None else str(done.guest.guest_id),
            "gross": quote.gross,
            "discount": quote.discount_total,
            "redeemed_points": quote.redeemed_points,
            "total": quote.total,
            "earned_points": quote.earned_points,
            "balance": done.balance_after,
        }
        text = f"{done.receipt_no}: to pay {words.money(quote.total)}, earned {words.points(quote.earned_points)}"
        _print(result, text, as_json)


def _sell(checkout: Checkout, code: str, amount: str, points: int) -> SaleDone:
    from loyalty_desk.domain.money import currency, parse_amount
    from loyalty_desk.services.checkout import CheckDraft

    guest = checkout.identify(code) if code else None
    basket = checkout.basket(parse_amount(amount, currency(checkout.basket(0).currency)))
    draft = CheckDraft(basket, guest, points, at=datetime.now(UTC))
    quote = checkout.price(draft)
    if 0 < quote.redeemed_points < points:
        note = quote.redemption
        reason = note.reason or note.binding
        raise Refused(
            "redemption_refused", reason=reason, points=note.max_points, minimum=note.minimum, block=note.block
        )
    return checkout.confirm(draft, quote)


@contextmanager
def _opened(data_dir: Path | None, lang: str) -> Iterator[tuple[Till, Words]]:
    """Open the till for one command; a refusal inside is said in the language asked for."""
    from loyalty_desk import language
    from loyalty_desk.domain.money import currency
    from loyalty_desk.services.wording import Words
    from loyalty_desk.till import open_till

    chosen = language.choose(lang)
    try:
        with open_till(data_dir, language=chosen) as till:
            found = till.status()
            words = Words(chosen)
            if found is not None:
                words = Words(chosen, of=currency(found.currency), point_decimals=found.point_decimals)
            yield till, words
    except ForPerson as error:
        _fail(error, lang)


def _fail(error: ForPerson, lang: str) -> None:
    from loyalty_desk import language
    from loyalty_desk.services.sentences import sentence_of
    from loyalty_desk.services.wording import Words

    words = Words(language.choose(lang))
    facts = dict(error.facts)
    if "reason" in facts:
        facts["why"] = sentence_of(f"limit_{facts['reason']}", facts, words)
    typer.echo(sentence_of(error.code, facts, words), err=True)
    sys.exit(BAD_INPUT)


def _print(result: Mapping[str, object], text: str, as_json: bool) -> None:
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else text)


def _say(text: str, as_json: bool) -> None:
    """Say something on the way: to people, so never among the JSON."""
    typer.echo(text, err=as_json)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


if __name__ == "__main__":
    main()
