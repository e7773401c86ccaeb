"""Guests as a list in a file: CSV with a header, UTF-8, one guest a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.guest_code import CodeKind, ld1, parse
from loyalty_desk.domain.ids import derived_id
from server.guests import repository, service
from server.guests.phones import e164
from server.guests.service import NewGuest
from server.kit import feed
from server.kit.db import fetch
from server.kit.ground import Ground
from server.ledger.opening import Opening, credit_openings
from server.ledger.store import Tools
from server.ledger.taking_up import take_up, turn

COLUMNS = ("name", "phone", "birthday", "member_no", "card", "tier", "points", "spend", "visits")
MAX_LINES = 1_000_000
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Line:
    """A guest of a file and the number of the line it stands in."""

    number: int
    guest: NewGuest
    points: int


def read(path: Path) -> list[Line]:
    """Return the guests of a file, all of it checked before anything is done.

    Raises `BadInput` `file_missing`, `list_header` and `list_line` with line and column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("file_missing", file=str(path), reason=type(error).__name__) from error
    rows = csv.DictReader(io.StringIO(text))
    unknown = set(rows.fieldnames or ()) - set(COLUMNS) - {"id"}
    if not rows.fieldnames or unknown or len(set(rows.fieldnames)) != len(rows.fieldnames):
        raise BadInput("list_header", wants=", ".join(COLUMNS), found=", ".join(sorted(unknown)) or "-")
    return [_line(number, row) for number, row in enumerate(rows, start=2)]


async def take_in(
    ground: Ground, tools: Tools, network: UUID, lines: Sequence[Line], name: str, now: datetime
) -> tuple[int, int]:
    """Register guests with their points, 500 a transaction; returns how many are new and how many were here already.

    A line's guest has an id of its own: derived from what identifies it (number, phone, card), else from the list's
    name and line. So a list that was interrupted, or comes twice, adds nobody a second time.
    """
    new = 0
    for start in range(0, len(lines), _PAGE):
        page = {_id(network, one, name): one for one in lines[start : start + _PAGE]}
        async with ground.db.begin(network) as connection:
            await connection.exec_driver_sql(
                "select pg_advisory_xact_lock(hashtextextended($1, 0))", (f"import {network}",)
            )
            here = await service.existing(connection, network, list(page))
            fresh = {guest: one for guest, one in page.items() if guest not in here}
            if not fresh:
                continue
            made = [_with_id(one.guest, guest) for guest, one in fresh.items()]
            await _require_free(connection, network, made)
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
                        "name": person.name,
                        "phone": person.phone,
                        "birthday": person.birthday.isoformat() if person.birthday else "",
                        "member_no": person.member_no,
                        "card": ld1(int.from_bytes(bytes(row.card), "big")) if row.card else "",
                        "tier": row.tier,
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
        raise BadInput("file_missing", file=str(path), reason=type(error).__name__) from error


async def _require_free(connection: AsyncConnection, network: UUID, guests: Sequence[NewGuest]) -> None:
    numbers = [one.member_no for one in guests if one.member_no]
    taken = await repository.taken_numbers(connection, network, numbers)
    if taken:
        raise Refused("member_no_taken", number=min(taken))


def _line(number: int, row: dict[str, str]) -> Line:
    if number > MAX_LINES or None in row:
        raise BadInput("list_line", line=number, column="", wants=f"as many fields as the header, {MAX_LINES} lines")
    values = {key: (value or "").strip() for key, value in row.items()}
    points, spend, visits = (_whole(number, values, name) for name in ("points", "spend", "visits"))
    handles: tuple[int, ...] = ()
    if values.get("card"):
        handles = (_handle(number, values["card"]),)
    try:
        birthday = date.fromisoformat(values["birthday"]) if values.get("birthday") else None
    except ValueError as error:
        raise BadInput("list_line", line=number, column="birthday", wants="like 1990-05-17") from error
    try:
        phone = e164(values["phone"]) if values.get("phone") else ""
    except BadInput as error:
        raise BadInput("list_line", line=number, column="phone", wants="like +79161234567") from error
    guest = NewGuest(
        name=values.get("name", ""),
        phone=phone,
        birthday=birthday,
        tier=values.get("tier", ""),
        spend=spend,
        visits=visits,
        handles=handles,
        member_no=_number(number, values.get("member_no", "")),
        source="import",
    )
    return Line(number, guest, points)


def _whole(line: int, values: dict[str, str], name: str) -> int:
    text = values.get(name, "") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
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
    guest = line.guest
    known = guest.member_no or guest.phone or (str(guest.handles[0]) if guest.handles else f"{name}:{line.number}")
    return derived_id(network, f"import:{known}")


def _with_id(guest: NewGuest, guest_id: UUID) -> NewGuest:
    return replace(guest, id=guest_id)
