"""Guests as a list in a file: CSV with a header, UTF-8, one guest a line."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import HANDLE_BYTES, CodeKind, ld1, parse
from loyalty_desk.domain.ids import derived_id
from loyalty_desk.wire.v1.phones import e164
from server.guests import repository, service
from server.guests.service import MAX_NAME, NewGuest
from server.kit import feed
from server.kit.db import Connection, fetch
from server.kit.errors import reason_of
from server.kit.ground import Ground
from server.kit.turns import take_turn
from server.ledger.opening import Opening, credit_openings
from server.ledger.store import Tools
from server.ledger.taking_up import take_up, turn

COLUMNS = ("name", "phone", "birthday", "member_no", "card", "tier", "points", "spend", "visits")
MAX_LINES = 1_000_000
MAX_BYTES = 256 << 20
_PAGE = 500
# So many points of so many lines are a sum that the ledger can hold.
_DIGITS = {"points": 12, "spend": 15, "visits": 9}
_ELDEST = date(1900, 1, 1)
# A person mends so many lines and looks again.
MOST_NAMED = 20
# As a Russian spreadsheet writes a day, beside 1990-05-17.
_DOTTED = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
# What a spreadsheet would calculate when it opens the list; an apostrophe before it makes it text there, and is no part
# of the name here.
_FORMULA = ("=", "+", "-", "@")
_AS_TEXT = "'"


@dataclass(frozen=True, slots=True)
class Line:
    """A guest of a file and the number of the line it stands in."""

    number: int
    guest: NewGuest
    points: int


class WrongLines(BadInput):
    """Several lines of a list are wrong: `named` are the first of them, each with its line."""

    def __init__(self, wrong: Sequence[BadInput]) -> None:
        self.named = sorted(wrong, key=_number_of)[:MOST_NAMED]
        super().__init__("list_wrong", count=len(wrong), named=len(self.named))


def read(path: Path) -> list[Line]:
    """Return the guests of a file, all of it checked before anything is done.

    Raises `BadInput` `file_unreadable`, `file_too_large`, `file_not_text`, `list_header`, `list_too_long`, and of a
    line `list_row` with the line, `list_line` with line and column; of several lines `WrongLines`.
    """
    text = _text(path)
    header = text.partition("\n")[0]
    # Where the comma stands in prices, spreadsheets put semicolons between fields.
    between = ";" if ";" in header and "," not in header else ","
    lines: list[Line] = []
    wrong: list[BadInput] = []
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=between)
    try:
        names = list(rows.fieldnames or ())
        unknown = set(names) - set(COLUMNS) - {"id"}
        if not names or unknown or len(set(names)) != len(names):
            raise BadInput("list_header", wants=", ".join(COLUMNS), found=", ".join(sorted(unknown))[:200] or "-")
        for row in rows:
            try:
                lines.append(_line(rows.line_num, row))
            except BadInput as error:
                wrong.append(error)
    except csv.Error:
        wrong.append(BadInput("list_row", line=rows.line_num + 1, wants="closed quotes"))
    if len(lines) + len(wrong) > MAX_LINES:
        raise BadInput("list_too_long", limit=MAX_LINES)
    wrong += _twice(lines)
    _require_none(wrong)
    return lines


def _require_none(wrong: Sequence[BadInput]) -> None:
    if wrong:
        raise wrong[0] if len(wrong) == 1 else WrongLines(wrong)


def _number_of(wrong: BadInput) -> int:
    number = wrong.facts.get("line")
    return number if isinstance(number, int) else 0


def _text(path: Path) -> str:
    try:
        # A pipe into which nobody writes would be waited for, for ever; a device may never end.
        if path.stat().st_size > MAX_BYTES:
            raise BadInput("file_too_large", file=str(path), limit=MAX_BYTES)
        if not path.is_file():
            raise BadInput("file_unreadable", file=str(path), reason="it is no file")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise BadInput("file_not_text", file=str(path)) from error
        raise BadInput("file_unreadable", file=str(path), reason=reason_of(error)) from error
    if "\0" in text:
        raise BadInput("file_not_text", file=str(path))
    return text


def _twice(lines: Sequence[Line]) -> Iterator[BadInput]:
    """Yield what is wrong where two lines would be one guest or have one card: nobody knows which of them is right."""
    seen: dict[object, int] = {}
    for one in lines:
        guest = one.guest
        for column, key in (("member_no", guest.member_no), ("card", guest.handles), (_named_by(one), _key(one))):
            if key and seen.setdefault((column, key), one.number) != one.number:
                wants = f"another one than that of line {seen[column, key]}"
                yield BadInput("list_line", line=one.number, column=column, wants=wants)
                break


def _key(line: Line) -> str:
    """Return what tells a guest from others; empty where nothing does."""
    guest = line.guest
    return guest.member_no or guest.phone or (str(guest.handles[0]) if guest.handles else "")


def _named_by(line: Line) -> str:
    return "member_no" if line.guest.member_no else "phone" if line.guest.phone else "card"


async def take_in(
    ground: Ground, tools: Tools, network: UUID, lines: Sequence[Line], name: str, now: datetime
) -> tuple[int, int]:
    """Register guests with their points, 500 a transaction; returns how many are new and how many were here already.

    A line's guest has an id of its own: derived from what identifies it (number, phone, card), else from the list's
    name and line. So a list that was interrupted, or comes twice, adds nobody a second time. Nobody is registered where
    a line has a member number or a card of somebody who is not in the list: raises as `read`, `list_taken`.
    """
    await _require_free(ground, network, lines, name)
    new = 0
    for start in range(0, len(lines), _PAGE):
        page = {_id(network, one, name): one for one in lines[start : start + _PAGE]}
        async with ground.db.begin(network) as connection:
            await take_turn(connection, f"import {network}")
            here = await service.existing(connection, network, list(page))
            fresh = {guest: one for guest, one in page.items() if guest not in here}
            if not fresh:
                continue
            # Given to somebody else since the whole list was looked at.
            _require_none(await _taken(connection, network, list(fresh.values())))
            made = [_with_id(one.guest, guest) for guest, one in fresh.items()]
            registered = await service.register(connection, network, ground.vault, made)
            # Nobody sells to one of these cards meanwhile without this being seen; taken before any account is locked.
            await turn(connection, network, alone=True)
            openings = [Opening(guest, one.points) for guest, one in fresh.items() if one.points]
            await credit_openings(connection, network, openings, now)
            cards = {handle: one.id for one in registered for handle in one.handles}
            await take_up(connection, network, tools, now, list(fresh), cards)
            await feed.record(
                connection, network, await service.changes(connection, network, ground.vault, list(fresh), list(cards))
            )
            new += len(fresh)
    return new, len(lines) - new


async def give_out(ground: Ground, network: UUID) -> list[dict[str, str]]:
    """Return all living guests with their personal fields, as `read` takes them, with the points they can spend."""
    found: list[dict[str, str]] = []
    async with ground.db.snapshot(network) as connection:
        rows = await fetch(
            connection,
            "select s.guest_id, s.tier, s.points, s.spend, s.visits, (select handle from credential c"
            " where c.network_id = $1 and c.guest_id = s.guest_id and c.kind = 'card' and c.state = 'active'"
            " order by c.created_at, c.handle limit 1) as card"
            " from guest_state s where s.network_id = $1 and not s.deleted and s.merged_into is null"
            " order by s.guest_id",
            network,
        )
        for row in rows:
            person = await service.person(connection, network, ground.vault, row.guest_id)
            if person is not None:
                found.append(
                    {
                        "id": str(row.guest_id),
                        "name": _as_text(person.name),
                        "phone": person.phone,
                        "birthday": person.birthday.isoformat() if person.birthday else "",
                        "member_no": person.member_no,
                        "card": ld1(int.from_bytes(bytes(row.card), "big")) if row.card else "",
                        "tier": _as_text(row.tier),
                        "points": str(row.points),
                        "spend": str(row.spend),
                        "visits": str(row.visits),
                    }
                )
    return found


def write(path: Path, guests: Sequence[dict[str, str]]) -> None:
    """Write a list that only its owner can read; raises `BadInput` `file_exists`."""
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            path.chmod(0o600)
            writer = csv.DictWriter(file, ["id", *COLUMNS])
            writer.writeheader()
            writer.writerows(guests)
    except FileExistsError as error:
        raise BadInput("file_exists", file=str(path)) from error
    except OSError as error:
        raise BadInput("file_unwritable", file=str(path), reason=reason_of(error)) from error


async def _require_free(ground: Ground, network: UUID, lines: Sequence[Line], name: str) -> None:
    wrong: list[BadInput] = []
    async with ground.db.snapshot(network) as connection:
        for start in range(0, len(lines), _PAGE):
            page = {_id(network, one, name): one for one in lines[start : start + _PAGE]}
            here = await service.existing(connection, network, list(page))
            wrong += await _taken(connection, network, [one for guest, one in page.items() if guest not in here])
    _require_none(wrong)


async def _taken(connection: Connection, network: UUID, lines: Sequence[Line]) -> list[BadInput]:
    """Return what is wrong with lines of new guests whose number or card is another guest's."""
    numbers = await repository.taken_numbers(
        connection, network, [one.guest.member_no for one in lines if one.guest.member_no]
    )
    cards = {handle: one.number for one in lines for handle in one.guest.handles}
    known = await repository.credentials(
        connection, network, [handle.to_bytes(HANDLE_BYTES, "big") for handle in cards]
    )
    taken = [int.from_bytes(one.handle, "big") for one in known]
    return [
        *(
            BadInput("list_taken", line=one.number, column="member number", value=one.guest.member_no)
            for one in lines
            if one.guest.member_no in numbers
        ),
        *(BadInput("list_taken", line=cards[one], column="card", value=ld1(one)) for one in taken),
    ]


def _as_text(text: str) -> str:
    return _AS_TEXT + text if text.startswith(_FORMULA) else text


def _plain(text: str) -> str:
    return text[1:] if text.startswith(_AS_TEXT) and text[1:].startswith(_FORMULA) else text


def _word(line: int, values: dict[str, str], name: str) -> str:
    text = unicodedata.normalize("NFC", " ".join(_plain(values.get(name, "")).split()))
    if len(text) > MAX_NAME or not text.isprintable():
        raise BadInput("list_line", line=line, column=name, wants=f"at most {MAX_NAME} printable letters")
    return text


def _line(number: int, row: dict[str, str]) -> Line:
    if None in row:
        raise BadInput("list_row", line=number, wants="as many fields as the header")
    values = {key: (value or "").strip() for key, value in row.items()}
    points, spend, visits = (_whole(number, values, name) for name in ("points", "spend", "visits"))
    handles: tuple[int, ...] = ()
    if values.get("card"):
        handles = (_handle(number, values["card"]),)
    try:
        birthday = _day(values["birthday"]) if values.get("birthday") else None
    except ValueError as error:
        wants = "a day like 1990-05-17 or 17.05.1990"
        raise BadInput("list_line", line=number, column="birthday", wants=wants) from error
    if birthday is not None and not _ELDEST <= birthday <= datetime.now(UTC).date():
        raise BadInput("list_line", line=number, column="birthday", wants="in the past")
    try:
        phone = e164(values["phone"]) if values.get("phone") else ""
    except BadInput as error:
        raise BadInput("list_line", line=number, column="phone", wants="like +79161234567") from error
    guest = NewGuest(
        name=_word(number, values, "name"),
        phone=phone,
        birthday=birthday,
        tier=_word(number, values, "tier"),
        spend=spend,
        visits=visits,
        handles=handles,
        member_no=_number(number, values.get("member_no", "")),
        source="import",
    )
    return Line(number, guest, points)


def _day(text: str) -> date:
    dotted = _DOTTED.fullmatch(text)
    return date(int(dotted[3]), int(dotted[2]), int(dotted[1])) if dotted else date.fromisoformat(text)


def _whole(line: int, values: dict[str, str], name: str) -> int:
    text = values.get(name, "") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS[name]):
        raise BadInput("list_line", line=line, column=name, wants="a whole number, smallest units")
    return int(text)


def _handle(line: int, text: str) -> int:
    try:
        code = parse(text)
    except BadInput as error:
        raise BadInput("list_line", line=line, column="card", wants="a code like LD1…") from error
    if code.handle is None:
        raise BadInput("list_line", line=line, column="card", wants="a code like LD1…")
    return code.handle


def _number(line: int, text: str) -> str:
    if not text:
        return ""
    try:
        code = parse(text)
    except BadInput as error:
        raise BadInput("list_line", line=line, column="member_no", wants="nine digits and their check") from error
    if code.kind is not CodeKind.NUMBER:
        raise BadInput("list_line", line=line, column="member_no", wants="nine digits and their check")
    return code.digits


def _id(network: UUID, line: Line, name: str) -> UUID:
    return derived_id(network, f"import:{_key(line) or f'{name}:{line.number}'}")


def _with_id(guest: NewGuest, guest_id: UUID) -> NewGuest:
    return replace(guest, id=guest_id)
