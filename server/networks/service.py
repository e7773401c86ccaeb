"""Making a network with its keys, and what its stores, profiles and key set look like in the feed.

Two private keys leave this program on paper and are nowhere else: the root, which signs every later key set, and the
recovery key, which opens a till's journal when its keyring is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json, bytes_to_text
from loyalty_desk.domain.errors import BadInput, Broken, Refused
from loyalty_desk.domain.key_set import KeySet
from loyalty_desk.domain.money import currency as known_currency
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import feed
from server.kit.crypto import CannotOpen, Vault
from server.kit.db import Connection
from server.kit.feed import Change
from server.kit.ground import Ground
from server.networks import repository
from server.networks.key_document import signed_document
from server.networks.repository import Network, SigningKey, Store
from server.programs import service as programs

__all__ = ["Store"]

KINDS = ("restaurant", "shop")
MAX_NAME = 100
CURRENT = "current"
KEY_NAME = "signing key {kid}"


@dataclass(frozen=True, slots=True)
class NewStore:
    """A store to be made; without a zone it stands in the network's."""

    name: str
    zone: str = ""
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class MadeNetwork:
    """A new network with both private keys (32 bytes each), which are shown once and kept nowhere."""

    network: Network
    stores: tuple[Store, ...]
    root_private: bytes = field(repr=False)
    recovery_private: bytes = field(repr=False)


async def create_network(
    ground: Ground,
    name: str,
    kind: str,
    currency: str,
    zone: str,
    stores: Sequence[NewStore],
    *,
    network_id: UUID | None = None,
    program: dict[str, Json] | None = None,
    now: datetime | None = None,
) -> MadeNetwork:
    """Make a network with its keys, default profile, stores and program version 1, all or nothing.

    Without `program` it gets the default one of its kind. Raises `BadInput` `network_name`, `network_kind`,
    `currency_unknown`, `zone_unknown`, `store_name`, and `Refused` `network_exists`.
    """
    now = now or datetime.now(UTC)
    if kind not in KINDS:
        raise BadInput("network_kind", wants=", ".join(KINDS))
    if not stores:
        raise BadInput("store_missing")
    code = known_currency(currency).code
    root, recovery, signing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    network = Network(
        id=network_id or uuid4(),
        name=_name(name, "network_name"),
        kind=kind,
        currency=code,
        zone=_zone(zone),
        root_pub=root.public_key().public_bytes_raw(),
        recovery_pub=recovery.public_key().public_bytes_raw(),
    )
    made = tuple(Store(one.id, _name(one.name, "store_name"), _zone(one.zone or zone), code) for one in stores)
    sealed = ground.vault.seal_secret(network.id, KEY_NAME.format(kid=1), signing.private_bytes_raw())
    key = SigningKey(1, signing.public_key().public_bytes_raw(), sealed, now, None, None)
    document, signature = signed_document(network.id, 1, [key], root, now)
    async with ground.db.begin(network.id) as connection:
        if await repository.network(connection, network.id) is not None:
            raise Refused("network_exists", network=str(network.id))
        await repository.insert_network(connection, network)
        await feed.begin(connection, network.id)
        await repository.insert_signing_key(connection, network.id, key)
        await repository.insert_keyset(connection, network.id, 1, document, signature)
        # Every limit is written out: a till of another version must not fill in limits of its own.
        await repository.put_profile(connection, network.id, "default", msgspec.structs.asdict(rows.ProfileRow()))
        await repository.insert_stores(connection, network.id, made)
        published = await programs.publish(
            connection, network.id, program or programs.default_program(kind, code), network.zone
        )
        changes = [
            *await changes_of(connection, network.id, FeedTable.KEYSET, [CURRENT]),
            *await changes_of(connection, network.id, FeedTable.PROFILE, ["default"]),
            *await changes_of(connection, network.id, FeedTable.STORE, [str(store.id) for store in made]),
            published.change,
        ]
        await feed.record(connection, network.id, changes)
    return MadeNetwork(network, made, root.private_bytes_raw(), recovery.private_bytes_raw())


async def exists(connection: Connection, network_id: UUID) -> bool:
    """Return whether the network has been made."""
    return await repository.network(connection, network_id) is not None


async def get_network(connection: Connection, network_id: UUID) -> Network:
    """Return the network; raises `Refused` `network_unknown`."""
    found = await repository.network(connection, network_id)
    if found is None:
        raise Refused("network_unknown", network=str(network_id))
    return found


async def get_store(connection: Connection, network_id: UUID, store_id: UUID) -> Store:
    """Return a store; raises `Refused` `store_unknown`."""
    found = await repository.stores(connection, network_id, [store_id])
    if not found:
        raise Refused("store_unknown", store=str(store_id))
    return found[0]


async def list_stores(connection: Connection, network_id: UUID) -> list[Store]:
    """Return the network's stores by name."""
    return await repository.stores(connection, network_id)


async def signing_key(
    connection: Connection, network_id: UUID, vault: Vault, at: datetime
) -> tuple[int, Ed25519PrivateKey]:
    """Return the key id and private key that the network signs with at `at`; raises `Broken` where it has none."""
    found = await repository.signing_key_in_use(connection, network_id, at)
    if found is None:
        raise Broken(f"network {network_id} has no signing key in use")
    private = vault.open_secret(network_id, KEY_NAME.format(kid=found.kid), found.private_sealed)
    return found.kid, Ed25519PrivateKey.from_private_bytes(private)


async def require_master_key(ground: Ground) -> None:
    """Raise `Refused` `master_key_other` where this master key does not open what the database holds."""
    for network_id in (await ground.db.networks())[:1]:
        async with ground.db.begin(network_id) as connection:
            try:
                await signing_key(connection, network_id, ground.vault, datetime.now(UTC))
            except CannotOpen as error:
                raise Refused("master_key_other", data=str(ground.settings.data_dir)) from error


async def keyset_version(connection: Connection, network_id: UUID) -> int:
    """Return the version of the newest key set, 0 where there is none."""
    found = await repository.keyset(connection, network_id)
    return 0 if found is None else found[0]


async def feed_rows(
    connection: Connection, network_id: UUID, table: FeedTable, keys: Sequence[str]
) -> dict[str, dict[str, Json]]:
    """Return the present rows of `keyset`, `profile` or `store` by key; what does not exist is left out."""
    if table is FeedTable.KEYSET:
        found = await repository.keyset(connection, network_id)
        if found is None or CURRENT not in keys:
            return {}
        document = canonical.decode_object(found[1])
        return {CURRENT: rows.write(rows.KeysetRow(document=document, sig=bytes_to_text(found[2])))}
    if table is FeedTable.PROFILE:
        return dict(await repository.profiles(connection, network_id, keys))
    found_stores = await repository.stores(connection, network_id, [UUID(key) for key in keys])
    return {
        str(one.id): rows.write(rows.StoreRow(one.name, one.zone, one.currency, one.profile)) for one in found_stores
    }


async def key_set(connection: Connection, network_id: UUID) -> KeySet:
    """Return the public keys of a network, as its newest set names them."""
    found = await repository.keyset(connection, network_id)
    return KeySet(network_id) if found is None else KeySet.from_document(canonical.decode_object(found[1]))


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """A store's calendar and the limits that hold in it. `zone` is an IANA name."""

    store: UUID
    zone: str
    profile: rows.ProfileRow


async def limits_of(connection: Connection, network_id: UUID, stores: Iterable[UUID]) -> dict[UUID, StoreLimits]:
    """Return what holds in those of these stores that there are."""
    found = await repository.zones_and_profiles(connection, network_id, stores)
    return {
        store: StoreLimits(store, zone, rows.read(rows.ProfileRow, settings))
        for store, (zone, settings) in found.items()
    }


async def profile_of(connection: Connection, network_id: UUID, store: UUID) -> rows.ProfileRow:
    """Return the limits that hold in a store; raises `Refused` `store_unknown`."""
    found = await limits_of(connection, network_id, [store])
    if store not in found:
        raise Refused("store_unknown", store=str(store))
    return found[store].profile


async def past_profiles_of(
    connection: Connection, network_id: UUID, store: UUID
) -> list[tuple[datetime, rows.ProfileRow]]:
    """Return the limits that held before in a store, with when they were replaced, the latest first."""
    found = await repository.past_profiles(connection, network_id, store)
    return [(replaced_at, rows.read(rows.ProfileRow, settings)) for replaced_at, settings in found]


async def changes_of(connection: Connection, network_id: UUID, table: FeedTable, keys: Sequence[str]) -> list[Change]:
    """Return the present rows as changes, in the order of the keys."""
    found = await feed_rows(connection, network_id, table, keys)
    return [Change(table, key, found.get(key)) for key in keys]


def _name(text: str, code: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise BadInput(code, limit=MAX_NAME)
    return name


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput("zone_unknown", zone=name[:60]) from error
    return name
