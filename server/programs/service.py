"""Publishing a version of a network's program, and reading the one in force or an older one.

A version is immutable: its canonical bytes and their hash are what tills price with and what the server prices again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from loyalty_desk.domain.canonical import Json, bytes_to_text
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.program import SCHEMA, Program
from loyalty_desk.domain.publishing import Finding, findings
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit.db import Connection
from server.kit.feed import Change
from server.programs import defaults, repository

CURRENT = "current"
# Every till is told of each at every pull: far more than anybody runs, and a tenth of what an answer holds.
MAX_LIMITS = 1_000


@dataclass(frozen=True, slots=True)
class Published:
    """A published program and what the feed says of it."""

    program: Program
    change: Change


async def publish(
    connection: Connection, network: UUID, content: Mapping[str, Json], zone: str, by: UUID | None = None
) -> Published:
    """Publish `content` as the next version and return it; the caller gives its change to the feed.

    Network, version and zone of the content are replaced by the real ones. Content that is what is in force already
    makes no version. Raises `BadInput` naming the rule and the field that is wrong, and what `publishing` refuses.
    """
    await repository.lock(connection, network)
    present = await current(connection, network)
    version = 1 if present is None else present.version + 1
    own: dict[str, Json] = {"v": SCHEMA, "network": str(network), "zone": zone}
    program = Program.from_dict({**content, **own, "version": version})
    if present is not None and {**present.to_dict(), "version": version} == program.to_dict():
        return Published(present, _change(present))
    checked(program)
    await repository.insert(connection, network, version, program.to_bytes(), program.hash, by)
    return Published(program, _change(program))


def checked(program: Program) -> tuple[Finding, ...]:
    """Return what is to be warned of in a program that may be published; raises `BadInput` where it may not.

    `also` counts further findings that refuse it.
    """
    if len(program.limits) > MAX_LIMITS:
        raise BadInput("limits_too_many", limits=len(program.limits), limit=MAX_LIMITS)
    found = findings(program.to_dict())
    refusing = [one for one in found if one.refuses]
    if refusing:
        first = refusing[0]
        raise BadInput(first.code, **{"place": first.place, **first.facts, "also": len(refusing) - 1})
    return tuple(found)


async def current(connection: Connection, network: UUID) -> Program | None:
    """Return the program in force, None where nothing was published yet."""
    found = await repository.newest(connection, network)
    return None if found is None else Program.from_bytes(found)


async def version(connection: Connection, network: UUID, number: int) -> Program:
    """Return one version; raises `Refused` `program_version_unknown`."""
    found = await repository.content(connection, network, number)
    if found is None:
        raise Refused("program_version_unknown", version=number)
    return Program.from_bytes(found)


async def feed_rows(connection: Connection, network: UUID, keys: Sequence[str]) -> dict[str, dict[str, Json]]:
    """Return the program's feed row; its one key is `current`."""
    present = await current(connection, network) if CURRENT in keys else None
    return {} if present is None else {CURRENT: _row(present)}


def default_program(kind: str, currency: str) -> dict[str, Json]:
    """Return the content that a new network of this kind starts with."""
    return defaults.restaurant(currency) if kind == "restaurant" else defaults.shop(currency)


def _row(program: Program) -> dict[str, Json]:
    return rows.write(rows.ProgramRow(program.version, program.hash_text, bytes_to_text(program.to_bytes())))


def _change(program: Program) -> Change:
    return Change(FeedTable.PROGRAM, CURRENT, _row(program))
