"""How a till joins a network: a one-time code, eight characters compared, a token.

Of codes and tokens only hashes are kept. Each step is a transaction of its own, so that voiding a code that was used
twice is committed although its user gets an error.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.errors import BadInput, Broken, Refused
from loyalty_desk.wire.v1 import signing
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolledStore, EnrolPending, EnrolStart, Pairing
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import incarnation
from server.kit.db import Connection
from server.kit.ground import Ground
from server.kit.lifetimes import holds_at
from server.networks import service as networks
from server.tills import repository
from server.tills.repository import EpochHead, PairingRow, Till, heads, tills

__all__ = ["EpochHead", "Till", "heads", "tills"]

CODE_BYTES = 16
CODE_LIVES = timedelta(minutes=15)
_NO_PIN = bytes(32)


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
        hashed = _code_hash(network, code)
        await repository.insert_pairing(connection, network, pairing_id, store, hashed, expires_at)
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
        hashed = _code_hash(message.network, message.code)
        found = await repository.lock_pairing_of(connection, message.network, hashed)
        now = datetime.now(UTC)
        if found is None or not holds_at(now, found.expires_at, CODE_LIVES):
            raise Refused("pairing_code")
        if found.state == "open":
            if await repository.is_known(connection, message.network, message.pubkey):
                raise Refused("till_known")
            device, nonce = uuid4(), secrets.token_bytes(signing.NONCE_BYTES)
            await repository.insert_pending(connection, message.network, device, found.store, name, message.pubkey)
            await repository.start_pairing(connection, message.network, found.id, device, nonce)
            return EnrolPending(found.id, nonce)
        if found.state == "started" and found.device is not None and found.nonce is not None:
            _, pubkey = await repository.named(connection, message.network, found.device)
            if pubkey == message.pubkey:
                return EnrolPending(found.id, found.nonce)
        await _void(connection, message.network, found)
        refused = Refused("pairing_code")
    raise refused


async def waiting(ground: Ground, network: UUID, pairing: UUID) -> Waiting | None:
    """Return the till that has shown this pairing's code and is to be confirmed, None as long as there is none.

    Raises `Refused` `pairing_void` or `pairing_expired` when there will be none.
    """
    async with ground.db.begin(network) as connection:
        found = await repository.pairing(connection, network, pairing)
        if found is None or found.state == "void":
            raise Refused("pairing_void")
        if found.device is None or found.nonce is None:
            if not holds_at(datetime.now(UTC), found.expires_at, CODE_LIVES):
                raise Refused("pairing_expired")
            return None
        name, pubkey = await repository.named(connection, network, found.device)
        return Waiting(pairing, found.device, name, signing.fingerprint(pubkey, found.nonce, network))


async def confirm(ground: Ground, network: UUID, pairing: UUID) -> UUID:
    """Take the waiting till in: somebody has compared the characters. Returns its id.

    Raises `Refused` `pairing_void`.
    """
    async with ground.db.begin(network) as connection:
        found = await repository.lock_pairing(connection, network, pairing)
        if found is None or found.device is None or found.state not in ("started", "confirmed", "finished"):
            raise Refused("pairing_void")
        if found.state == "started":
            await repository.set_pairing(connection, network, found.id, "confirmed")
        return found.device


async def refuse(ground: Ground, network: UUID, pairing: UUID) -> None:
    """Void a pairing: the characters differ, or nobody wants it any more. A till that is in already stays."""
    async with ground.db.begin(network) as connection:
        found = await repository.lock_pairing(connection, network, pairing)
        if found is not None and found.state != "finished":
            await _void(connection, network, found)


async def is_finished(ground: Ground, network: UUID, pairing: UUID) -> bool:
    """Return whether the till has fetched its token."""
    async with ground.db.begin(network) as connection:
        found = await repository.pairing(connection, network, pairing)
        return found is not None and found.state == "finished"


async def enrol_finish(ground: Ground, message: EnrolFinish) -> EnrolAnswer:
    """Give a confirmed till its token and what it needs to start.

    Asked again (the answer was lost) it gives a new token, and the earlier one ends. Raises `Refused` `pairing_void`,
    `pairing_waits` (nobody has confirmed yet), `enrol_signature` (not the key that started).
    """
    network = message.network
    async with ground.db.begin(network) as connection:
        found = await repository.lock_pairing(connection, network, message.pending)
        if found is None or found.device is None or found.nonce is None:
            raise Refused("pairing_void")
        _, pubkey = await repository.named(connection, network, found.device)
        _check_signature(pubkey, found.nonce, message)
        expired = not holds_at(datetime.now(UTC), found.expires_at + CODE_LIVES, 2 * CODE_LIVES)
        if found.state == "void" or expired:
            raise Refused("pairing_void")
        if found.state == "started":
            raise Refused("pairing_waits")
        secret = secrets.token_urlsafe(32)
        name = await repository.admit(connection, network, found.device, sha256(secret.encode()).digest())
        if name is None:
            raise Refused("pairing_void")
        await repository.set_pairing(connection, network, found.id, "finished")
        return await _answer(connection, network, found.device, found.store, secret, name)


async def _answer(
    connection: Connection, network: UUID, device: UUID, store_id: UUID, secret: str, name: str
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
        network_name=known.name,
    )


async def _row(connection: Connection, network: UUID, table: FeedTable, key: str) -> dict[str, Json]:
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


async def _void(connection: Connection, network: UUID, pairing: PairingRow) -> None:
    await repository.set_pairing(connection, network, pairing.id, "void")
    if pairing.device is not None:
        await repository.void_pending(connection, network, pairing.device)


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
        present = await repository.lock_state(connection, network, device)
        if present is None:
            raise Refused("till_unknown", till=str(device))
        if present != state:
            if present not in _STATES[state]:
                raise Refused("till_state", state=present)
            await repository.set_state(connection, network, device, state)
        return next(one for one in await tills(connection, network) if one.id == device)
