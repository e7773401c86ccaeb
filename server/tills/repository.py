"""SQL of tills and of the codes by which they join. Every function runs in a transaction of the network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from server.kit.db import Connection, fetch, fetch_one, fetch_value, write

_PAIRING = "select id, store_id, state, expires_at, device_id, nonce from pairing where network_id = $1"


@dataclass(frozen=True, slots=True)
class PairingRow:
    """A one-time code as stored; `device` and `nonce` are there from when a till has shown it."""

    id: UUID
    store: UUID
    state: str
    expires_at: datetime
    device: UUID | None
    nonce: bytes | None


@dataclass(frozen=True, slots=True)
class Till:
    """A device of the network."""

    id: UUID
    name: str
    store: UUID
    state: str
    created_at: datetime
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class EpochHead:
    """How far the server has a journal of a till: the last record of an epoch, and its hash."""

    device: UUID
    epoch: int
    branch: int
    seq: int
    hash: bytes


async def enrolled(connection: Connection, network: UUID, device: UUID) -> Any:
    """Return what tells a device that has joined from others, None for one that never did."""
    return await fetch_one(
        connection,
        "select store_id, state, pubkey, token_hash from device"
        " where network_id = $1 and id = $2 and state not in ('pending', 'void')",
        network,
        device,
    )


async def insert_pairing(
    connection: Connection, network: UUID, pairing: UUID, store: UUID, code_hash: bytes, expires_at: datetime
) -> None:
    """Store a new code by its hash."""
    await write(
        connection,
        "insert into pairing (network_id, id, store_id, code_hash, expires_at) values ($1, $2, $3, $4, $5)",
        network,
        pairing,
        store,
        code_hash,
        expires_at,
    )


async def pairing(connection: Connection, network: UUID, number: UUID) -> PairingRow | None:
    """Return a pairing."""
    return _pairing(await fetch_one(connection, f"{_PAIRING} and id = $2", network, number))


async def lock_pairing(connection: Connection, network: UUID, number: UUID) -> PairingRow | None:
    """Lock a pairing and return it."""
    return _pairing(await fetch_one(connection, f"{_PAIRING} and id = $2 for update", network, number))


async def lock_pairing_of(connection: Connection, network: UUID, code_hash: bytes) -> PairingRow | None:
    """Lock the pairing of a code and return it."""
    return _pairing(await fetch_one(connection, f"{_PAIRING} and code_hash = $2 for update", network, code_hash))


async def start_pairing(connection: Connection, network: UUID, number: UUID, device: UUID, nonce: bytes) -> None:
    """Note which till has shown a code."""
    await write(
        connection,
        "update pairing set state = 'started', device_id = $3, nonce = $4 where network_id = $1 and id = $2",
        network,
        number,
        device,
        nonce,
    )


async def set_pairing(connection: Connection, network: UUID, number: UUID, state: str) -> None:
    """Move a pairing on."""
    await write(connection, "update pairing set state = $3 where network_id = $1 and id = $2", network, number, state)


async def insert_pending(
    connection: Connection, network: UUID, device: UUID, store: UUID, name: str, pubkey: bytes
) -> None:
    """Store a till that nobody has confirmed yet."""
    await write(
        connection,
        "insert into device (network_id, id, store_id, name, pubkey, state) values ($1, $2, $3, $4, $5, 'pending')",
        network,
        device,
        store,
        name,
        pubkey,
    )


async def void_pending(connection: Connection, network: UUID, device: UUID) -> None:
    """End a till that nobody has confirmed."""
    await write(
        connection,
        "update device set state = 'void', token_hash = null where network_id = $1 and id = $2 and state = 'pending'",
        network,
        device,
    )


async def admit(connection: Connection, network: UUID, device: UUID, token_hash: bytes) -> str | None:
    """Let a till work with a new token and return its name; None for one that was ended meanwhile."""
    found: str | None = await fetch_value(
        connection,
        "update device set state = 'active', token_hash = $3 where network_id = $1 and id = $2"
        " and state in ('pending', 'active') returning name",
        network,
        device,
        token_hash,
    )
    return found


async def is_known(connection: Connection, network: UUID, pubkey: bytes) -> bool:
    """Return whether a till with this key has ever begun to join."""
    found = await fetch_value(connection, "select 1 from device where network_id = $1 and pubkey = $2", network, pubkey)
    return found is not None


async def named(connection: Connection, network: UUID, device: UUID) -> tuple[str, bytes]:
    """Return the name and the public key of a till."""
    row = await fetch_one(
        connection, "select name, pubkey from device where network_id = $1 and id = $2", network, device
    )
    return row.name, bytes(row.pubkey)


async def tills(connection: Connection, network: UUID) -> list[Till]:
    """Return the network's devices that ever joined, oldest first."""
    found = await fetch(
        connection,
        "select id, name, store_id, state, created_at, last_seen from device"
        " where network_id = $1 and state not in ('pending', 'void') order by created_at, id",
        network,
    )
    return [Till(UUID(str(row[0])), row[1], UUID(str(row[2])), row[3], row[4], row[5]) for row in found]


async def heads(connection: Connection, network: UUID) -> list[EpochHead]:
    """Return the heads of all journals, each till's in the order its epochs were opened."""
    found = await fetch(
        connection,
        "select device_id, epoch, branch, head_seq, head_hash from device_epoch where network_id = $1"
        " order by device_id, opened_at, epoch, branch",
        network,
    )
    return [EpochHead(UUID(str(row[0])), row[1], row[2], row[3], bytes(row[4])) for row in found]


async def lock_state(connection: Connection, network: UUID, device: UUID) -> str | None:
    """Lock a till that has joined and return its state, None where there is none."""
    found: str | None = await fetch_value(
        connection,
        "select state from device where network_id = $1 and id = $2 and state not in ('pending', 'void')"
        " for no key update",
        network,
        device,
    )
    return found


async def set_state(connection: Connection, network: UUID, device: UUID, state: str) -> None:
    """Set a till's state, and when it was revoked."""
    await write(
        connection,
        "update device set state = $3, revoked_at = case when $3 = 'revoked' then now() end"
        " where network_id = $1 and id = $2",
        network,
        device,
        state,
    )


def _pairing(row: Any) -> PairingRow | None:
    if row is None:
        return None
    device = None if row.device_id is None else UUID(str(row.device_id))
    nonce = None if row.nonce is None else bytes(row.nonce)
    return PairingRow(UUID(str(row.id)), UUID(str(row.store_id)), row.state, row.expires_at, device, nonce)
