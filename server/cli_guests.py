"""`guests import | export | merge | erase | card | block | unblock | code`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.guest_code import ld1, parse
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground, zone_of
from server.cli_terminal import Terminal, agreed, counted
from server.kit.ground import Ground
from server.sentences import sentence

app = typer.Typer(no_args_is_help=True, help="Guests: lists of them, two that are one, one that wants to be forgotten.")
Guest = Annotated[str, typer.Argument(help="A card's code, a phone, a member number or the guest's id.")]


@app.command("import")
def guests_import(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV whose first line names its columns, any of: name, phone, birthday, member_no, card, tier, "
            "points, spend, visits."
        ),
    ],
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Register the guests of a list with their points; again it adds nobody twice. Amounts are smallest units."""
    from server.guests import lists
    from server.ledger.shelf import ProgramShelf
    from server.services import ledger_tools

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> tuple[int, int]:
        chosen, tools = await chosen_network(opened, network), ledger_tools(opened, ProgramShelf())
        return await lists.take_in(opened, tools, chosen, lines, file.name, datetime.now(UTC))

    try:
        lines = lists.read(file)
        new, known = with_ground(settings_of(data_dir), terminal, work)
    except lists.WrongLines as wrong:
        for one in wrong.named:
            terminal.say(sentence(one))
        raise
    terminal.line(f"{counted(new, 'new guest')}, {known} here already.")
    terminal.result(new=new, known=known)


@app.command("export")
def guests_export(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write all guests with their personal data to a file that only you can read."""
    from server.guests import lists

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[dict[str, str]]:
        return await lists.give_out(opened, await chosen_network(opened, network))

    found = with_ground(settings_of(data_dir), terminal, work)
    lists.write(file, found)
    terminal.line(f"{file} has {counted(len(found), 'guest')}. It holds personal data: keep it safe.")
    terminal.result(guests=len(found), file=file)


@app.command("merge")
def guests_merge(
    guest: Guest,
    into: Annotated[str, typer.Option("--into", help="Who stays: a code, a number or an id.")],
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make two guests one: points, cards and visits go to the one who stays. It cannot be undone."""
    from server.guests.merging import merge

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> tuple[UUID, UUID]:
        chosen = await chosen_network(opened, network)
        first, second = await _named(opened, chosen, guest), await _named(opened, chosen, into)
        return first, await merge(opened, chosen, first, second, datetime.now(UTC))

    first, survivor = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"Guest {first} is now {survivor}.")
    terminal.result(guest=first, survivor=survivor)


@app.command("erase")
def guests_erase(
    guest: Guest,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Forget a guest for good: name, phone, birthday, cards. The ledger keeps a number that names nobody."""
    from server.guests.leaving import erase

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> tuple[UUID, int]:
        chosen = await chosen_network(opened, network)
        who = await _named(opened, chosen, guest)
        if not yes:
            await agreed(f"Erase {await _masked(opened, chosen, who)}? Nobody can bring the guest back.")
        return who, await erase(opened, chosen, who)

    who, cards = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"Guest {who} is erased, and {counted(cards, 'card')} with it.")
    terminal.result(guest=who, cards=cards)


@app.command("card")
def guests_card(guest: Guest, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Make one more card for a guest, to print or to send; those they have stay good."""
    from server.guests import codes

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> str:
        chosen = await chosen_network(opened, network)
        return ld1(await codes.new_card(opened, chosen, await _named(opened, chosen, guest)))

    code = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(code)
    terminal.code(code, "m")
    terminal.line("Tills take it from their next sync on.")
    terminal.result(code=code)


_Code = Annotated[
    str, typer.Argument(help="The code of the card; a phone, a member number or an id for all of a guest's.")
]


@app.command("block")
def guests_block(
    guest: _Code,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a lost card worth nothing; the points stay the guest's. `guests unblock` is the way back."""
    from server.guests import codes

    async def block(opened: Ground, chosen: UUID, who: UUID, handle: int | None) -> int:
        return await codes.block(opened, chosen, who, handle, datetime.now(UTC))

    terminal = Terminal(as_json)
    blocked = _changed(guest, block, None if yes else ("Block", "all codes"), network, data_dir, terminal)
    if not blocked:
        raise Refused("card_missing" if _handle(guest) is None else "card_blocked")
    said = (
        "From their next sync on tills refuse what is blocked; `exceptions list` names what it was used for until then."
    )
    terminal.line(f"{counted(blocked, 'code')} blocked. {said}")
    terminal.result(blocked=blocked)


@app.command("unblock")
def guests_unblock(
    guest: Annotated[
        str, typer.Argument(help="The code of the card; a phone, a member number or an id for what was blocked last.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let a card that was found again, or blocked by mistake, be good; signed codes are to be made anew."""
    from server.guests import codes

    terminal = Terminal(as_json)
    asked = None if yes else ("Unblock", "what was blocked last")
    freed = _changed(guest, codes.unblock, asked, network, data_dir, terminal)
    if not freed:
        raise Refused("card_not_blocked")
    said = "From their next sync on tills take it. What was signed for it before stays void: make it anew."
    terminal.line(f"{counted(freed, 'code')} unblocked. {said}")
    terminal.result(unblocked=freed)


@app.command("code")
def guests_code(
    guest: Guest,
    kind: Annotated[
        str, typer.Option(help="ld1: the card's code. ld3: the same, signed. ld4: what the guest's phone shows now.")
    ] = "ld1",
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How long an ld3 is valid.")] = 365,
    count: Annotated[int, typer.Option(min=1, max=120, help="How many ld4 in a row, one for each half minute.")] = 1,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print a guest's codes as text and, on a terminal, as QR codes."""
    from server.guests import codes, service

    terminal = Terminal(as_json)
    if kind not in ("ld1", "ld3", "ld4"):
        raise BadInput("code_kind", kind=kind)

    async def work(opened: Ground) -> tuple[list[tuple[str, datetime | None]], ZoneInfo]:
        chosen, now = await chosen_network(opened, network), datetime.now(UTC)
        handle, who = await _holder(opened, chosen, guest)
        await codes.require_good(opened, chosen, who, handle, a_card=kind != "ld4")
        async with opened.db.begin(chosen) as connection:
            zone = await zone_of(connection, chosen)
        if kind == "ld3":
            made = await codes.issued(opened, chosen, who, now, timedelta(days=days))
            return [(one.text, one.until) for one in made], zone
        if kind == "ld4":
            made = await codes.rotating(opened, chosen, who, now, count)
            return [(one.text, one.until) for one in made], zone
        async with opened.db.begin(chosen) as connection:
            return [(ld1(handle), None) for handle in await service.cards(connection, chosen, who)], zone

    found, zone = with_ground(settings_of(data_dir), terminal, work)
    for text, until in found:
        terminal.line(text if until is None else f"{text}  until {until.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}")
        # On a screen the size of a module counts for more than error correction.
        terminal.code(text, "m" if kind == "ld1" else "l")
    terminal.result(codes=[text for text, _ in found], until=[until for _, until in found if until is not None])


def _changed(
    guest: str,
    change: Callable[[Ground, UUID, UUID, int | None], Awaitable[int]],
    asked: tuple[str, str] | None,
    network: UUID | None,
    data_dir: Path | None,
    terminal: Terminal,
) -> int:
    """Block or unblock one card of a guest, or those that a phone, number or id stands for; return how many.

    `asked` is the verb of the question and what all of them are called; None asks nothing.
    """

    async def work(opened: Ground) -> int:
        chosen = await chosen_network(opened, network)
        handle, who = await _holder(opened, chosen, guest)
        if asked is not None:
            verb, several = asked
            what = several if handle is None else "this card"
            await agreed(f"{verb} {what} of {await _masked(opened, chosen, who)}?")
        return await change(opened, chosen, who, handle)

    return with_ground(settings_of(data_dir), terminal, work)


async def _named(opened: Ground, network: UUID, text: str) -> UUID:
    from server.guests import service

    async with opened.db.begin(network) as connection:
        if _is_id(text):
            found: UUID | None = UUID(text)
        else:
            found = await service.find(connection, network, opened.vault, parse(text))
        if found is None or not await service.existing(connection, network, [found]):
            raise Refused("guest_unknown")
    return found


async def _holder(opened: Ground, network: UUID, text: str) -> tuple[int | None, UUID]:
    """Return the handle of a code, None for what names a guest, and the guest: a blocked card names one too."""
    from server.guests import codes

    handle = _handle(text)
    if handle is None:
        return None, await _named(opened, network, text)
    found = await codes.of_code(opened, network, parse(text))
    if found is None:
        raise Refused("guest_unknown")
    return handle, found


def _handle(text: str) -> int | None:
    return None if _is_id(text) else parse(text).handle


async def _masked(opened: Ground, network: UUID, guest: UUID) -> str:
    from server.guests import service

    async with opened.db.begin(network) as connection:
        found = await service.person(connection, network, opened.vault, guest)
    return f"guest {guest}" if found is None else found.masked


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
