"""Erasing a guest: the key to the personal fields is destroyed, cards lead nowhere, tills are told to forget.

The ledger keeps a random id that names nobody. Who was erased is noted outside the database before anything is done,
so that a backup from before is made to forget again before it serves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.errors import Broken, Refused
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import feed
from server.kit.db import Connection, fetch, write
from server.kit.errors import outage
from server.kit.feed import Change
from server.kit.ground import Ground
from server.ledger import words
from server.ledger.own import OwnPosting

LIST = "erased"


async def erase(ground: Ground, network: UUID, guest: UUID) -> int:
    """Erase a guest and whoever was merged into them; returns how many cards went. Raises `Refused` `guest_unknown`."""
    async with ground.db.begin(network) as connection:
        if not await fetch(
            connection, "select 1 from guest_state where network_id = $1 and guest_id = $2", network, guest
        ):
            raise Refused("guest_unknown")
    _note(ground.witness.beside(LIST), network, guest)
    return await _forget(ground, network, [guest])


async def erase_again(ground: Ground) -> int:
    """Erase those on the list whom the database still knows, as after a restore; returns how many there were."""
    wanted: dict[UUID, list[UUID]] = {}
    for network, guest in _noted(ground.witness.beside(LIST)):
        wanted.setdefault(network, []).append(guest)
    found = 0
    for network in await ground.db.networks():
        async with ground.db.begin(network) as connection:
            rows = await fetch(
                connection,
                "select guest_id from guest_state where network_id = $1 and guest_id = any($2::uuid[]) and not deleted",
                network,
                wanted.get(network, []),
            )
        if rows:
            await _forget(ground, network, [row.guest_id for row in rows])
            found += len(rows)
    return found


async def _forget(ground: Ground, network: UUID, guests: Sequence[UUID]) -> int:
    async with ground.db.begin(network) as connection:
        everybody = await _with_aliases(connection, network, guests)
        # In the order in which pushes lock guests: by account. Whoever was merged meanwhile is waited for.
        posting = await OwnPosting.lock(connection, network, everybody, datetime.now(UTC))
        if set(await _with_aliases(connection, network, guests)) - posting.accounts.keys():
            raise outage()
        await _wipe(connection, network, everybody)
        await words.forget(connection, network, everybody)
        cards = await fetch(
            connection,
            "delete from credential where network_id = $1 and guest_id = any($2::uuid[]) returning handle",
            network,
            everybody,
        )
        handles = sorted(bytes_to_text(bytes(row.handle)) for row in cards)
        changes = [Change(FeedTable.CREDENTIAL, handle, None) for handle in handles]
        changes += [Change(FeedTable.GUEST, str(guest), None) for guest in everybody]
        await feed.record(connection, network, changes)
    return len(cards)


async def _with_aliases(connection: Connection, network: UUID, guests: Sequence[UUID]) -> list[UUID]:
    rows = await fetch(
        connection,
        "select guest_id from guest_state where network_id = $1"
        " and (guest_id = any($2::uuid[]) or merged_into = any($2::uuid[])) order by guest_id",
        network,
        list(guests),
    )
    return [row.guest_id for row in rows]


async def _wipe(connection: Connection, network: UUID, guests: Sequence[UUID]) -> None:
    for statement in (
        "delete from guest_key where network_id = $1 and guest_id = any($2::uuid[])",
        (
            "update guest set name_sealed = null, phone_sealed = null, birthday_sealed = null, phone_hash = null,"
            " phone_last4 = null, member_no = null, more_sealed = null where network_id = $1 and id = any($2::uuid[])"
        ),
        (
            "update guest_state set deleted = true, segments = '{}', tags = '{}', coupons = '{}'"
            " where network_id = $1 and guest_id = any($2::uuid[])"
        ),
    ):
        await write(connection, statement, network, list(guests))


def _note(path: Path, network: UUID, guest: UUID) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A line before that a power cut tore ends without a newline: this one must not be glued to it.
    line = "\n" + json.dumps({"network": str(network), "guest": str(guest)}) + "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _noted(path: Path) -> list[tuple[UUID, UUID]]:
    """Return who is on the list; raises `Broken` where it cannot be read: then nothing may serve."""
    try:
        lines = [line for line in path.read_text(errors="replace").splitlines() if line]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Broken(f"the list of erased guests cannot be read: {path}") from error
    found: list[tuple[UUID, UUID]] = []
    for line in lines:
        try:
            entry = json.loads(line)
            found.append((UUID(entry["network"]), UUID(entry["guest"])))
        except (ValueError, KeyError, TypeError):
            # A line torn by a power cut was never followed by an erasure that anybody was told of.
            continue
    return found
