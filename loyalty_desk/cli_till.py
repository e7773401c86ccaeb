"""What every `loyalty-desk till` command shares: the till opened for it, how it answers, and how a PIN is asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from loyalty_desk.domain.errors import BadInput, ForPerson

if TYPE_CHECKING:
    from loyalty_desk.services.pins import Member
    from loyalty_desk.services.wording import Words
    from loyalty_desk.till import Till

BAD_INPUT = 2
CAPTION_WIDTH = 30

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The till's folder (LOYALTY_TILL_DIR).")]
Lang = Annotated[str, typer.Option("--lang", help="ru or en; absent: that of the system.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Manager = Annotated[str, typer.Option("--manager", help="Id or name of the manager; the PIN is asked for.")]
Guest = Annotated[str, typer.Argument(help="The guest's card, code, number or phone.")]
GuestOption = Annotated[str, typer.Option("--code", help="The same, as `till sale` takes it.")]

till_app = typer.Typer(no_args_is_help=True, help="This till without its window.")


@contextmanager
def opened(data_dir: Path | None, lang: str) -> Iterator[tuple[Till, Words]]:
    """Open the till for one command; a refusal inside is said in the language asked for."""
    from zoneinfo import ZoneInfo

    from loyalty_desk import language
    from loyalty_desk.domain.money import currency
    from loyalty_desk.log_file import logged_in
    from loyalty_desk.paths import till_paths
    from loyalty_desk.services.wording import Words
    from loyalty_desk.till import open_till

    chosen = language.choose(lang)
    words = Words(chosen)
    try:
        till_paths(data_dir).prepare()
        with logged_in(till_paths(data_dir).folder), open_till(data_dir, language=chosen) as till:
            found = till.status()
            if found is not None:
                words = Words(
                    chosen,
                    of=currency(found.currency),
                    point_decimals=found.point_decimals,
                    zone=ZoneInfo(found.zone),
                )
            yield till, words
    except ForPerson as error:
        refuse(error, words)


def words_of(lang: str) -> Words:
    """Return the words of a language for what needs no till."""
    from loyalty_desk import language
    from loyalty_desk.services.wording import Words

    return Words(language.choose(lang))


def fail(error: ForPerson, lang: str) -> NoReturn:
    """Say a refusal in a language and end."""
    refuse(error, words_of(lang))


def refuse(error: ForPerson, words: Words) -> NoReturn:
    """Say a refusal and end with the exit code of one."""
    from loyalty_desk.services.sentences import sentence_of

    facts = dict(error.facts)
    if "reason" in facts:
        # A number at a till without its server is no card that is used up: it never pays.
        by_number = facts["reason"] == "code_limit" and facts.get("kind") == "number"
        reason = "code_limit_number" if by_number else facts["reason"]
        facts["why"] = sentence_of(f"limit_{reason}", facts, words)
    typer.echo(sentence_of(error.code, facts, words), err=True)
    sys.exit(BAD_INPUT)


def show(result: Mapping[str, object], text: str, as_json: bool) -> None:
    """Print a result to people, or as one line of JSON."""
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else text)


def show_lines(result: Mapping[str, object], lines: Sequence[tuple[str, str]], as_json: bool) -> None:
    """Print captions and values to people, or as one line of JSON."""
    text = "\n".join(f"{caption:{CAPTION_WIDTH}} {value}".rstrip() for caption, value in lines)
    show(result, text, as_json)


def named_once(code: str, option: str) -> str:
    """Return the guest named in one of two ways; raises `BadInput` `guest_named_once`."""
    if bool(code) == bool(option):
        raise BadInput("guest_named_once")
    return code or option


def ask_pin(who: str) -> str:
    """Return a PIN typed unseen, or a line of standard input where that is no terminal; never from arguments."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"PIN ({who})", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def approved(till: Till, manager: str) -> Member | None:
    """Return the manager who approves, None where none was named; raises `Refused` as `Pins.manager`."""
    return till.counter.pins.manager(manager, ask_pin(manager)) if manager else None
