"""`quote`, `refund`, `points` and `tier`: what a manager asks the kernel at the command line, from files.

The commands are plain functions that another application mounts with `mount`. Importing this module costs typer alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from loyalty_desk.domain.basket import Line
    from loyalty_desk.domain.program import Program
    from loyalty_desk.domain.refund import Return, Sale
    from loyalty_desk.readable.document import Node
    from loyalty_desk.readable.guests import ReadGuest
    from loyalty_desk.readable.tables import Tables

BAD_INPUT = 2
STDIN = "-"

ProgramFile = Annotated[str, typer.Option("--program", help="Program: TOML, YAML or JSON; - reads standard input.")]
AnyProgram = Annotated[str, typer.Option("--program", help="Program; absent: the restaurant of the examples.")]
At = Annotated[str, typer.Option("--at", help="Time, like 2026-03-02T12:00+03:00; absent: the file's, else now.")]
Lang = Annotated[str, typer.Option("--lang", help="ru or en; absent: that of the system.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def quote(
    program: ProgramFile,
    check: Annotated[str, typer.Option("--check", help="Check: TOML, YAML or JSON.")] = STDIN,
    guest: Annotated[str, typer.Option("--guest", help="Guest; absent: nobody.")] = "",
    at: At = "",
    redeem: Annotated[str, typer.Option("--redeem", help="Points to pay with.")] = "",
    code: Annotated[list[str] | None, typer.Option("--code", help="Promo code; may be repeated.")] = None,
    coupon: Annotated[list[str] | None, typer.Option("--coupon", help="Coupon; may be repeated.")] = None,
    reward: Annotated[list[str] | None, typer.Option("--reward", help="Reward by rule id; may be repeated.")] = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Price a check and explain it."""
    with _speaking(lang) as language:
        from dataclasses import replace

        from loyalty_desk.domain.check import check_to_payload
        from loyalty_desk.domain.clock import to_ms
        from loyalty_desk.domain.pricing import quote as price
        from loyalty_desk.readable.checks import check_of

        _one_stdin(program, check, guest)
        rules, zone = _program(program)
        read = check_of(_document(check), rules.point_decimals, zone)
        facts = None
        moment = _moment(at, zone) or read.at or datetime.now(UTC)
        if guest:
            known = _guest(_document(guest), rules, zone)
            last_visit = max((one.at for one in known.checks if one.at < moment), default=None)
            facts = replace(known.facts, segments=rules.segmentation.of(known.facts, last_visit, moment))
        choices = replace(
            read.choices,
            codes=(*read.choices.codes, *(code or ())),
            coupons=(*read.choices.coupons, *(coupon or ())),
            rewards=(*read.choices.rewards, *(reward or ())),
            points_asked=_points(redeem, rules.point_decimals) if redeem else read.choices.points_asked,
        )
        quoted = price(read.basket, facts, rules, moment, choices)
        if as_json:
            _print_json(
                {
                    "quote": quoted.to_dict(),
                    "check": check_to_payload(read.basket, facts, choices, quoted),
                    "at": to_ms(moment),
                    "program": rules.to_dict(),
                }
            )
        else:
            _print(_tables(rules, language, read.basket.zone).quote(quoted, read.basket))


def refund(
    sale: Annotated[str, typer.Option("--sale", help="What quote --json printed.")] = STDIN,
    returned: Annotated[
        list[str] | None,
        typer.Option("--return", help="LINE (its id or place) or LINE:QUANTITY, repeatable.", metavar="LINE[:QTY]"),
    ] = None,
    amount: Annotated[str, typer.Option("--amount", help="Amount of a check without lines.")] = "",
    void: Annotated[bool, typer.Option("--void", help="Take the whole sale back.")] = False,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Say what a return gives back: money, points, counters."""
    with _speaking(lang) as language:
        from loyalty_desk.domain import refund as kernel
        from loyalty_desk.domain.errors import BadInput
        from loyalty_desk.domain.money import currency, parse_amount

        if [bool(returned), bool(amount), void].count(True) != 1:
            raise BadInput("return_choose_one")
        sold = _sale(_document(sale))
        if void:
            back = kernel.void(sold)
        elif amount:
            back = kernel.refund_amount(sold, parse_amount(amount, currency(sold.basket.currency)))
        else:
            back = kernel.refund(sold, [_return(text, sold) for text in returned or ()])
        if as_json:
            _print_json(back.to_dict())
        else:
            named = {name: line.product or name for name, line in _lines(sold).items()}
            _print(_tables(sold.program, language, sold.basket.zone).refund(back, named))


def points(
    ledger: Annotated[str, typer.Option("--ledger", help="Moves of points: TOML, YAML or JSON.")] = STDIN,
    at: At = "",
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Show the lots of points, what can be spent, and what expires next."""
    with _speaking(lang) as language:
        from loyalty_desk.domain.clock import to_ms
        from loyalty_desk.readable.ledgers import ledger_of
        from loyalty_desk.readable.tables import Tables
        from loyalty_desk.services.wording import Words

        document = _document(ledger)
        moment = _moment(at, document.zone()) or datetime.now(UTC)
        read = ledger_of(document, moment)
        held = read.ledger
        if as_json:
            _print_json(
                {
                    "at": to_ms(moment),
                    "available": max(0, held.available(moment)),
                    "balance": held.balance,
                    "debt": held.debt,
                    "expiries": [{"at": to_ms(when), "points": n} for when, n in held.next_expiries(moment)],
                    "lots": [
                        {
                            "id": lot.id,
                            "amount": lot.amount,
                            "remaining": lot.remaining,
                            "held": lot.held,
                            "earned_at": to_ms(lot.earned_at),
                            "expires_at": to_ms(lot.expires_at) if lot.expires_at else None,
                        }
                        for lot in held.open_lots
                    ],
                }
            )
        else:
            _print(Tables(Words(language, point_decimals=read.point_decimals, zone=read.zone)).points(held, moment))


def tier(
    guest: Annotated[str, typer.Option("--guest", help="Guest with paid checks: TOML, YAML or JSON.")] = STDIN,
    at: At = "",
    program: AnyProgram = "",
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Say which tier a guest has at a time, and why."""
    with _speaking(lang) as language:
        from loyalty_desk.domain.clock import to_ms
        from loyalty_desk.domain.tiers import standing

        _one_stdin(guest, program)
        rules, zone = _program(program or _default_program())
        read = _guest(_document(guest), rules, zone)
        moment = _moment(at, zone) or datetime.now(UTC)
        found = standing(rules, read.checks, moment, zone, manual=read.manual)
        if as_json:
            _print_json(
                {
                    "at": to_ms(moment),
                    "tier": found.tier,
                    "stated": read.facts.tier or None,
                    "automatic": found.automatic,
                    "measured": found.measured,
                    "until": to_ms(found.until) if found.until else None,
                    "falls_at": to_ms(found.falls_at) if found.falls_at else None,
                    "falls_to": found.falls_to,
                    "next_tier": found.next_tier,
                    "missing": found.missing,
                    "history": [
                        {
                            "at": to_ms(c.at),
                            "before": c.before,
                            "after": c.after,
                            "cause": c.cause,
                            "measured": c.measured,
                        }
                        for c in found.history
                    ],
                }
            )
            return
        tables = _tables(rules, language, zone)
        names = {one.code: tables.words.name_of(one.name, one.code) for one in rules.tiers}
        _print(tables.tier(found, rules.tier_base, lambda name: names.get(name, name), read.facts.tier))


COMMANDS: tuple[Callable[..., None], ...] = (quote, refund, points, tier)


def mount(app: typer.Typer) -> None:
    """Add the commands to an application."""
    for command in COMMANDS:
        app.command()(command)


@contextmanager
def _speaking(lang: str) -> Iterator[str]:
    """Yield the language; whatever a person can mend ends in one sentence on standard error and exit 2."""
    from loyalty_desk.domain.errors import BadInput, ForPerson
    from loyalty_desk.language import LANGUAGES, choose

    language = lang if lang in LANGUAGES else choose(lang or None)
    try:
        if lang and lang[:2].lower() not in LANGUAGES:
            raise BadInput("language_unknown", text=lang[:20])
        yield language
    except ForPerson as error:
        from loyalty_desk.readable.complaints import complaint

        _fail(complaint(error, language))


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(sentence + "\n")
    raise typer.Exit(BAD_INPUT)


def _one_stdin(*paths: str) -> None:
    from loyalty_desk.domain.errors import BadInput

    if paths.count(STDIN) > 1:
        raise BadInput("stdin_twice")


def _document(path: str) -> Node:
    from loyalty_desk.readable.document import read_document

    return read_document(path)


def _default_program() -> str:
    from loyalty_desk import assets

    return str(assets.path("demo", "restaurant", "program.toml"))


def _program(path: str) -> tuple[Program, tzinfo]:
    from loyalty_desk.readable.programs import program_of

    document = _document(path)
    return program_of(document), document.zone()


def _guest(document: Node, rules: Program, zone: tzinfo) -> ReadGuest:
    """Return a guest; a mistyped tier would cost the guest the discount without a word."""
    from loyalty_desk.domain.money import currency
    from loyalty_desk.readable.guests import guest_of

    read = guest_of(document, currency(rules.currency), rules.point_decimals, zone)
    for place, tier in [(document, read.facts.tier), *((node, node.text("tier")) for node in document.nodes("manual"))]:
        if tier and rules.tiers and rules.tier(tier) is None:
            raise place.wrong("tier", "one_of:" + ",".join(tier.code for tier in rules.tiers))
    return read


def _tables(program: Program, language: str, zone: tzinfo) -> Tables:
    from loyalty_desk.domain.money import currency
    from loyalty_desk.readable.tables import Tables
    from loyalty_desk.services.wording import Words

    words = Words(language, of=currency(program.currency), point_decimals=program.point_decimals, zone=zone)
    return Tables(words, {rule.id: rule.name for rule in program.rules})


def _moment(text: str, zone: tzinfo) -> datetime | None:
    from loyalty_desk.domain.errors import BadInput
    from loyalty_desk.readable.document import moment_of

    if not text:
        return None
    found = moment_of(text, zone)
    if found is None:
        raise BadInput("moment_malformed", text=text[:40])
    return found


def _points(text: str, decimals: int) -> int:
    from loyalty_desk.domain.errors import BadInput

    found = re.fullmatch(r"([0-9]{1,12})(?:[.,]([0-9]{1,2}))?", text.strip())
    if not found or len(found[2] or "") > decimals:
        raise BadInput("points_malformed", text=text[:40])
    return int(found[1] + (found[2] or "").ljust(decimals, "0"))


def _lines(sold: Sale) -> dict[str, Line]:
    """Return the lines of a sale by what a return calls them."""
    from loyalty_desk.domain.refund.sale import line_id

    return {line_id(line, position): line for position, line in enumerate(sold.basket.lines)}


def _return(text: str, sold: Sale) -> Return:
    """Return what of a line comes back; it is named by its id, else by its place as a person counts them."""
    from loyalty_desk.domain.errors import BadInput
    from loyalty_desk.domain.refund import Return

    line, _, quantity = text.rpartition(":") if ":" in text else (text, "", "1")
    found = re.fullmatch(r"([0-9]{1,6})(?:[.,]([0-9]{1,3}))?", quantity.strip())
    if not found or not line:
        raise BadInput("return_malformed", text=text[:40])
    lines = _lines(sold)
    if line not in lines:
        places = {f"{place}": name for place, name in enumerate(lines, start=1)}
        if line not in places:
            listed = ", ".join(f"{place} {lines[name].product}".strip() for place, name in places.items())
            raise BadInput("return_line_none", line=line[:40], lines=listed)
        line = places[line]
    return Return(line, int(found[1] + (found[2] or "").ljust(3, "0")))


def _sale(document: Node) -> Sale:
    """Return the sale that a quote's JSON describes, priced again: nothing in it is taken on trust."""
    from loyalty_desk.domain.canonical import NotCanonical, encode
    from loyalty_desk.domain.check import check_from_payload, drift
    from loyalty_desk.domain.clock import from_ms
    from loyalty_desk.domain.errors import BadInput
    from loyalty_desk.domain.program import Program
    from loyalty_desk.domain.refund import Sale

    parts = [document.data.get(name) for name in ("check", "program", "quote")]
    if not all(isinstance(part, dict) for part in parts):
        raise BadInput("check_not_sale", file=document.file)
    check, rules, quoted = (part for part in parts if isinstance(part, dict))
    try:
        for part in (check, rules):
            encode(part)
        program = Program.from_dict(rules)
        contents = check_from_payload(check)
        at = from_ms(document.integer("at", None, high=253_402_300_799_999))
    except NotCanonical as error:
        raise BadInput("check_not_sale", file=document.file) from error
    except BadInput as error:
        raise BadInput(error.code, **{"file": document.file, **error.facts}) from error
    if quoted.get("program_hash") != program.hash_text:
        raise BadInput("program_hash_differs", file=document.file)
    sale = Sale.priced(contents.basket, contents.guest, program, at, contents.choices)
    differences = drift(contents.claimed, sale.quote)
    if differences:
        raise BadInput("sale_differs", file=document.file, field=differences[0].field)
    return sale


def _print(shown: RenderableType) -> None:
    from loyalty_desk.readable.tables import printed

    # Who closed the standard output is told nothing; there may be none to ask for its width.
    typer.echo(printed(shown, width=None if sys.stdout and sys.stdout.isatty() else 100), nl=False)


def _print_json(data: object) -> None:
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True))


app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
mount(app)

if __name__ == "__main__":
    app()
