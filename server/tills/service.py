"""How a till joins a network (ledger-and-sync.md, section 8): a one-time code, eight characters compared, a token.

Of codes and tokens only hashes are kept. Each step is a transaction of its own, so that voiding a code that was used
twice is committed although its user gets an error.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.errors import BadInput, Broken, Refused
from loyalty_desk.wire.v1 import signing
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolledStore, EnrolPending, EnrolStart, Pairing
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import incarnation
from server.kit.db import fetch, fetch_one, fetch_value
from server.kit.ground import Ground
from server.networks import service as networks

CODE_BYTES = 16
CODE_LIVES = timedelta(minutes=15)
_NO_PIN = bytes(32)
_PAIRING = "id, store_id, state, expires_at, device_id, nonce"


@dataclass(frozen=True, slots=True)
class OpenPairing:
    """A pairing that has just been opened; `pairing` is shown to the till once."""

    id: UUID
    pairing: Pairing
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A till that has shown the code; `characters` must be the same on its screen."""

    pairing: UUID
    device: UUID
    name: str
    characters: str


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


async def open_pairing(ground: Ground, network: UUID, store: UUID, address: str) -> OpenPairing:
    """Make a one-time code for a till of `store`; plain http is for the loopback address alone.

    Raises `Refused` `network_unknown` or `store_unknown`, `BadInput` `pairing_insecure`.
    """
    code, pairing_id, expires_at = secrets.token_bytes(CODE_BYTES), uuid4(), datetime.now(UTC) + CODE_LIVES
    async with ground.db.begin(network) as connection:
        known = await networks.get_network(connection, network)
        await networks.get_store(connection, network, store)
        pairing = Pairing(code, network, known.root_pub, _NO_PIN, address)
        Pairing.from_text(pairing.to_text())
        await connection.exec_driver_sql(
            "insert into pairing (network_id, id, store_id, code_hash, expires_at) values ($1, $2, $3, $4, $5)",
            (network, pairing_id, store, _code_hash(network, code), expires_at),
        )
    return OpenPairing(pairing_id, pairing, expires_at)


async def enrol_start(ground: Ground, message: EnrolStart) -> EnrolPending:
    """Answer a till that shows a code: it is pending from now on, and a person compares the characters.

    The same till may ask again (its answer was lost). Anybody else who shows the code again voids it, together with the
    device that is pending. Raises `Refused` `pairing_code` (unknown, expired or used), `till_known` (the key is
    enrolled already), `BadInput` `till_name`.
    """
    name = " ".join(message.name.split())
    if not name or not name.isprintable():
        raise BadInput("till_name", limit=60)
    refused: Refused
    async with ground.db.begin(message.network) as connection:
        found = await _locked(connection, message.network, "code_hash = $2", _code_hash(message.network, message.code))
        now = datetime.now(UTC)
        if found is None or found.expires_at <= now:
            raise Refused("pairing_code")
        if found.state == "open":
            known = await fetch_value(
                connection,
                "select 1 from device where network_id = $1 and pubkey = $2",
                message.network,
                message.pubkey,
            )
            if known is not None:
                raise Refused("till_known")
            device, nonce = uuid4(), secrets.token_bytes(signing.NONCE_BYTES)
            await connection.exec_driver_sql(
                "insert into device (network_id, id, store_id, name, pubkey, state)"
                " values ($1, $2, $3, $4, $5, 'pending')",
                (message.network, device, found.store_id, name, message.pubkey),
            )
            await connection.exec_driver_sql(
                "update pairing set state = 'started', device_id = $3, nonce = $4 where network_id = $1 and id = $2",
                (message.network, found.id, device, nonce),
            )
            return EnrolPending(UUID(str(found.id)), nonce)
        if found.state == "started" and await _pubkey(connection, message.network, found.device_id) == message.pubkey:
            return EnrolPending(UUID(str(found.id)), bytes(found.nonce))
        await _void(connection, message.network, found)
        refused = Refused("pairing_code")
    raise refused


async def waiting(ground: Ground, network: UUID, pairing: UUID) -> Waiting | None:
    """Return the till that has shown this pairing's code and is to be confirmed, None as long as there is none.

    Raises `Refused` `pairing_void` or `pairing_expired` when there will be none.
    """
    async with ground.db.begin(network) as connection:
        row = await fetch_one(
            connection,
            f"select {_PAIRING} from pairing where network_id = $1 and id = $2",  # noqa: S608 - constant columns
            network,
            pairing,
        )
        if row is None or row.state == "void":
            raise Refused("pairing_void")
        if row.state == "open":
            if row.expires_at <= datetime.now(UTC):
                raise Refused("pairing_expired")
            return None
        name, pubkey = await fetch_one(
            connection, "select name, pubkey from device where network_id = $1 and id = $2", network, row.device_id
        )
        characters = signing.fingerprint(bytes(pubkey), bytes(row.nonce), network)
        return Waiting(pairing, UUID(str(row.device_id)), name, characters)


async def confirm(ground: Ground, network: UUID, pairing: UUID) -> UUID:
    """Take the waiting till in: somebody has compared the characters. Returns its id.

    Raises `Refused` `pairing_void`.
    """
    async with ground.db.begin(network) as connection:
        found = await _locked(connection, network, "id = $2", pairing)
        if found is None or found.state not in ("started", "confirmed", "finished"):
            raise Refused("pairing_void")
        if found.state == "started":
            await _set_state(connection, network, found.id, "confirmed")
        return UUID(str(found.device_id))


async def refuse(ground: Ground, network: UUID, pairing: UUID) -> None:
    """Void a pairing: the characters differ, or nobody wants it any more. A till that is in already stays."""
    async with ground.db.begin(network) as connection:
        found = await _locked(connection, network, "id = $2", pairing)
        if found is not None and found.state != "finished":
            await _void(connection, network, found)


async def is_finished(ground: Ground, network: UUID, pairing: UUID) -> bool:
    """Return whether the till has fetched its token."""
    async with ground.db.begin(network) as connection:
        found = await fetch_value(
            connection, "select state = 'finished' from pairing where network_id = $1 and id = $2", network, pairing
        )
        return bool(found)


async def enrol_finish(ground: Ground, message: EnrolFinish) -> EnrolAnswer:
    """Give a confirmed till its token and what it needs to start.

    Asked again (the answer was lost) it gives a new token, and the earlier one ends. Raises `Refused` `pairing_void`,
    `pairing_waits` (nobody has confirmed yet), `enrol_signature` (not the key that started).
    """
    network = message.network
    async with ground.db.begin(network) as connection:
        found = await _locked(connection, network, "id = $2", message.pending)
        if found is None or found.device_id is None:
            raise Refused("pairing_void")
        _check_signature(await _pubkey(connection, network, found.device_id), bytes(found.nonce), message)
        expired = found.expires_at + CODE_LIVES <= datetime.now(UTC)
        if found.state == "void" or expired:
            raise Refused("pairing_void")
        if found.state == "started":
            raise Refused("pairing_waits")
        device, secret = UUID(str(found.device_id)), secrets.token_urlsafe(32)
        name = await fetch_value(
            connection,
            "update device set state = 'active', token_hash = $3 where network_id = $1 and id = $2"
            " and state in ('pending', 'active') returning name",
            network,
            device,
            sha256(secret.encode()).digest(),
        )
        if name is None:
            raise Refused("pairing_void")
        await _set_state(connection, network, found.id, "finished")
        return await _answer(connection, network, device, UUID(str(found.store_id)), secret, name)


async def tills(connection: AsyncConnection, network: UUID) -> list[Till]:
    """Return the network's devices that ever joined, oldest first."""
    found = await fetch(
        connection,
        "select id, name, store_id, state, created_at, last_seen from device"
        " where network_id = $1 and state not in ('pending', 'void') order by created_at, id",
        network,
    )
    return [Till(UUID(str(row[0])), row[1], UUID(str(row[2])), row[3], row[4], row[5]) for row in found]


async def heads(connection: AsyncConnection, network: UUID) -> list[EpochHead]:
    """Return the heads of all journals, each till's in the order its epochs were opened."""
    found = await fetch(
        connection,
        "select device_id, epoch, branch, head_seq, head_hash from device_epoch where network_id = $1"
        " order by device_id, opened_at, epoch, branch",
        network,
    )
    return [EpochHead(UUID(str(row[0])), row[1], row[2], row[3], bytes(row[4])) for row in found]


async def _answer(
    connection: AsyncConnection, network: UUID, device: UUID, store_id: UUID, secret: str, name: str
) -> EnrolAnswer:
    known = await networks.get_network(connection, network)
    store = await networks.get_store(connection, network, store_id)
    keyset = await _row(connection, network, FeedTable.KEYSET, networks.CURRENT)
    profile = await _row(connection, network, FeedTable.PROFILE, store.profile)
    life = await incarnation.current(connection)
    if life is None:
        raise Broken("the server has not been started on this database yet")
    return EnrolAnswer(
        device=device,
        token=f"ldt.{network}.{device}.{secret}",
        store=EnrolledStore(store.id, store.name, store.zone, store.currency),
        keyset=keyset,
        recovery_pub=known.recovery_pub,
        profile=profile,
        incarnation=UUID(str(life.id)),
        name=name,
    )


async def _row(connection: AsyncConnection, network: UUID, table: FeedTable, key: str) -> dict[str, Json]:
    found = await networks.feed_rows(connection, network, table, [key])
    if key not in found:
        raise Broken(f"network {network} has no {table.value} {key}")
    return found[key]


def _check_signature(pubkey: bytes, nonce: bytes, message: EnrolFinish) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(pubkey).verify(
            message.sig, signing.enrol_message(message.network, message.pending, nonce)
        )
    except (InvalidSignature, ValueError) as error:
        raise Refused("enrol_signature") from error


async def _locked(connection: AsyncConnection, network: UUID, where: str, value: object) -> Any:
    return await fetch_one(
        connection,
        f"select {_PAIRING} from pairing where network_id = $1 and {where} for update",  # noqa: S608 - constants
        network,
        value,
    )


async def _pubkey(connection: AsyncConnection, network: UUID, device: UUID) -> bytes:
    sql = "select pubkey from device where network_id = $1 and id = $2"
    return bytes(await fetch_value(connection, sql, network, device))


async def _void(connection: AsyncConnection, network: UUID, pairing: Any) -> None:
    await _set_state(connection, network, pairing.id, "void")
    if pairing.device_id is not None:
        await connection.exec_driver_sql(
            "update device set state = 'void', token_hash = null where network_id = $1 and id = $2"
            " and state = 'pending'",
            (network, pairing.device_id),
        )


async def _set_state(connection: AsyncConnection, network: UUID, pairing: UUID, state: str) -> None:
    await connection.exec_driver_sql(
        "update pairing set state = $3 where network_id = $1 and id = $2", (network, pairing, state)
    )


def _code_hash(network: UUID, code: bytes) -> bytes:
    return sha256(b"pairing" + network.bytes + code).digest()


_STATES = {
    "suspended": ("active", "cloned"),
    "active": ("suspended",),
    "revoked": ("active", "suspended", "cloned"),
}


async def set_state(ground: Ground, network: UUID, device: UUID, state: str) -> Till:
    """Suspend, resume or revoke a till and return it; the same again changes nothing.

    A suspended till's sales are still taken in. What a revoked one sends that was not seen before is set aside until a
    manager releases it; it gets no data and no way back. Raises `Refused` `till_unknown`, `till_state`.
    """
    async with ground.db.begin(network) as connection:
        row = await fetch_one(
            connection,
            "select state from device where network_id = $1 and id = $2 and state not in ('pending', 'void')"
            " for no key update",
            network,
            device,
        )
        if row is None:
            raise Refused("till_unknown", till=str(device))
        if row.state != state:
            if row.state not in _STATES[state]:
                raise Refused("till_state", state=row.state)
            await connection.exec_driver_sql(
                "update device set state = $3, revoked_at = case when $3 = 'revoked' then now() end"
                " where network_id = $1 and id = $2",
                (network, device, state),
            )
        return next(one for one in await tills(connection, network) if one.id == device)
