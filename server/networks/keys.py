"""A network's signing keys and the set that names them, signed by the root whose private half is on paper alone.

A new key is published seven days before it is used, so that a till that was offline for a week still knows it; the
first, and one that replaces a stolen key, at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.errors import Refused
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import feed
from server.kit.db import Connection
from server.kit.ground import Ground
from server.networks import repository, service
from server.networks.key_document import signed_document
from server.networks.repository import SigningKey

AHEAD = timedelta(days=7)
_MOST = 256


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The newest set and the keys it names; private halves are sealed."""

    version: int
    keys: Sequence[SigningKey]


async def signing_keys(connection: Connection, network: UUID) -> SigningKeys:
    """Return the network's keys, oldest first."""
    found = await repository.keyset(connection, network)
    return SigningKeys(0 if found is None else found[0], await repository.signing_keys(connection, network))


async def publish(ground: Ground, network: UUID, root: bytes, now: datetime, *, at_once: bool = False) -> SigningKeys:
    """Make a signing key, and a new set with it that tills get by the feed; `root` is the private key of the sheet.

    Raises `Refused` `root_other` and `keys_exhausted` (ids are never used twice).
    """
    made = Ed25519PrivateKey.generate()
    async with ground.db.begin(network) as connection:
        signer = await _root(connection, network, root)
        present = await _locked(connection, network)
        kid = max((one.kid for one in present), default=0) + 1
        if kid >= _MOST:
            raise Refused("keys_exhausted")
        public = made.public_key().public_bytes_raw()
        sealed = ground.vault.seal_secret(network, service.KEY_NAME.format(kid=kid), made.private_bytes_raw())
        key = SigningKey(kid, public, sealed, now if at_once else now + AHEAD, None, None)
        await repository.insert_signing_key(connection, network, key)
        return await _announce(connection, network, signer, now)


async def revoke(ground: Ground, network: UUID, root: bytes, kid: int, now: datetime) -> SigningKeys:
    """Revoke a key: what it has signed is worth no more than the identity in it, once a till has pulled.

    Raises `Refused` `root_other`, `key_unknown`, `key_last` (nothing would sign for the network).
    """
    async with ground.db.begin(network) as connection:
        signer = await _root(connection, network, root)
        present = await _locked(connection, network)
        if kid not in {one.kid for one in present if one.revoked_at is None}:
            raise Refused("key_unknown", kid=kid)
        usable = [one for one in present if one.kid != kid and one.revoked_at is None and one.not_before <= now]
        if not usable:
            raise Refused("key_last", kid=kid)
        await repository.revoke_signing_key(connection, network, kid, now)
        return await _announce(connection, network, signer, now)


async def _root(connection: Connection, network: UUID, private: bytes) -> Ed25519PrivateKey:
    known, key = await service.get_network(connection, network), Ed25519PrivateKey.from_private_bytes(private)
    if key.public_key().public_bytes_raw() != known.root_pub:
        raise Refused("root_other")
    return key


async def _locked(connection: Connection, network: UUID) -> Sequence[SigningKey]:
    await repository.lock_keys(connection, network)
    return await repository.signing_keys(connection, network)


async def _announce(connection: Connection, network: UUID, root: Ed25519PrivateKey, now: datetime) -> SigningKeys:
    keys = await repository.signing_keys(connection, network)
    before = await repository.keyset(connection, network)
    version = 1 if before is None else before[0] + 1
    document, signature = signed_document(network, version, keys, root, now)
    await repository.insert_keyset(connection, network, version, document, signature)
    changes = await service.changes_of(connection, network, FeedTable.KEYSET, [service.CURRENT])
    await feed.record(connection, network, changes)
    return SigningKeys(version, keys)
