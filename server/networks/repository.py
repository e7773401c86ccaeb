"""SQL of networks, stores, profiles and keys. Every function runs in a transaction of the network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from server.kit.db import Connection, fetch, fetch_one, write
from server.kit.turns import take_turn


@dataclass(frozen=True, slots=True)
class Network:
    """A network's fixed facts; both public keys are 32 bytes."""

    id: UUID
    name: str
    kind: str
    currency: str
    zone: str
    root_pub: bytes
    recovery_pub: bytes


@dataclass(frozen=True, slots=True)
class Store:
    """A store. `zone` is an IANA name."""

    id: UUID
    name: str
    zone: str
    currency: str
    profile: str = "default"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A network's signing key; the private half is sealed by the master key."""

    kid: int
    public: bytes
    private_sealed: bytes
    not_before: datetime
    not_after: datetime | None
    revoked_at: datetime | None


async def insert_network(connection: Connection, network: Network) -> None:
    await write(
        connection,
        "insert into network (network_id, name, kind, currency, zone, root_pub, recovery_pub)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        network.id,
        network.name,
        network.kind,
        network.currency,
        network.zone,
        network.root_pub,
        network.recovery_pub,
    )


async def network(connection: Connection, network_id: UUID) -> Network | None:
    row = await fetch_one(
        connection,
        "select network_id, name, kind, currency, zone, root_pub, recovery_pub from network where network_id = $1",
        network_id,
    )
    if row is None:
        return None
    return Network(UUID(str(row[0])), row[1], row[2], row[3], row[4], bytes(row[5]), bytes(row[6]))


async def insert_stores(connection: Connection, network_id: UUID, stores: Sequence[Store]) -> None:
    await write(
        connection,
        "insert into store (network_id, id, name, zone, currency, profile)"
        " select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])",
        network_id,
        [store.id for store in stores],
        [store.name for store in stores],
        [store.zone for store in stores],
        [store.currency for store in stores],
        [store.profile for store in stores],
    )


async def stores(connection: Connection, network_id: UUID, ids: Sequence[UUID] | None = None) -> list[Store]:
    found = await fetch(
        connection,
        "select id, name, zone, currency, profile from store"
        " where network_id = $1 and ($2::uuid[] is null or id = any($2)) order by name, id",
        network_id,
        None if ids is None else list(ids),
    )
    return [Store(UUID(str(row.id)), row.name, row.zone, row.currency, row.profile) for row in found]


async def zones_and_profiles(
    connection: Connection, network_id: UUID, stores: Iterable[UUID]
) -> dict[UUID, tuple[str, dict[str, Any]]]:
    """Return the zones of those stores that there are, and the settings of their profiles."""
    found = await fetch(
        connection,
        "select s.id, s.zone, p.settings from store s"
        " left join profile p on p.network_id = s.network_id and p.name = s.profile"
        " where s.network_id = $1 and s.id = any($2::uuid[])",
        network_id,
        list(stores),
    )
    return {row.id: (row.zone, row.settings or {}) for row in found}


async def put_profile(
    connection: Connection, network_id: UUID, name: str, settings: dict[str, Any], now: datetime | None = None
) -> None:
    """Write a profile, and keep what held until `now` (the database's own clock where it is None)."""
    await write(
        connection,
        "with past as (insert into profile_past (network_id, name, replaced_at, settings)"
        " select network_id, name, coalesce($4::timestamptz, now()), settings from profile"
        " where network_id = $1 and name = $2 and settings <> $3::text::jsonb)"
        " insert into profile (network_id, name, settings) values ($1, $2, $3::text::jsonb)"
        " on conflict (network_id, name) do update set settings = excluded.settings",
        network_id,
        name,
        json.dumps(settings),
        now,
    )


async def past_profiles(
    connection: Connection, network_id: UUID, store_id: UUID
) -> list[tuple[datetime, dict[str, Any]]]:
    """Return what held before in a store, by the profiles that it had, with when it was replaced, the latest first."""
    found = await fetch(
        connection,
        f"select replaced_at, settings from ({_PRESENT} union all select replaced_at, settings, 1, id from store_past"  # noqa: S608
        " where network_id = $1 and store_id = $2) before order by replaced_at desc, place, id desc",
        network_id,
        store_id,
    )
    return [(row.replaced_at, row.settings) for row in found]


# What a store's present profile was before, since the store has it.
_PRESENT = """
    select o.replaced_at, o.settings, 0 as place, o.id from store s
    join profile_past o on o.network_id = s.network_id and o.name = s.profile and o.replaced_at > s.profile_since
    where s.network_id = $1 and s.id = $2
"""


async def set_profile(connection: Connection, network_id: UUID, store_id: UUID, name: str, now: datetime) -> None:
    """Give a store another profile, and keep what held there until `now`."""
    # A limit that was lowered at this very moment is past already: the oldest of what is kept comes first.
    await write(
        connection,
        f"""
        insert into store_past (network_id, store_id, replaced_at, settings)
        select $1, $2, replaced_at, settings from ({_PRESENT}) before
        union all select $1, $2, $3::timestamptz, p.settings from store s
        join profile p on p.network_id = s.network_id and p.name = s.profile where s.network_id = $1 and s.id = $2
        order by 3
        """,  # noqa: S608 - a constant
        network_id,
        store_id,
        now,
    )
    await write(
        connection,
        "update store set profile = $3, profile_since = $4 where network_id = $1 and id = $2",
        network_id,
        store_id,
        name,
        now,
    )


async def lock_profiles(connection: Connection, network_id: UUID) -> None:
    """Let whoever changes the limits of a network take turns until the transaction ends."""
    await take_turn(connection, f"profiles {network_id}")


async def profile_names(connection: Connection, network_id: UUID) -> list[str]:
    """Return the profiles that there are."""
    found = await fetch(connection, "select name from profile where network_id = $1 order by name", network_id)
    return [str(row.name) for row in found]


async def profiles(connection: Connection, network_id: UUID, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    found = await fetch(
        connection,
        "select name, settings from profile where network_id = $1 and name = any($2::text[])",
        network_id,
        list(names),
    )
    return {row.name: row.settings for row in found}


async def insert_signing_key(connection: Connection, network_id: UUID, key: SigningKey) -> None:
    await write(
        connection,
        "insert into signing_key (network_id, kid, public, private_sealed, not_before, not_after)"
        " values ($1, $2, $3, $4, $5, $6)",
        network_id,
        key.kid,
        key.public,
        key.private_sealed,
        key.not_before,
        key.not_after,
    )


async def signing_key_in_use(connection: Connection, network_id: UUID, at: datetime) -> SigningKey | None:
    row = await fetch_one(
        connection,
        "select kid, public, private_sealed, not_before, not_after, revoked_at from signing_key"
        " where network_id = $1 and not_before <= $2 and (not_after is null or not_after > $2) and revoked_at is null"
        " order by not_before desc, kid desc limit 1",
        network_id,
        at,
    )
    if row is None:
        return None
    return SigningKey(row[0], bytes(row[1]), bytes(row[2]), row[3], row[4], row[5])


async def lock_keys(connection: Connection, network_id: UUID) -> None:
    """Let whoever changes the keys of a network take turns until the transaction ends."""
    await take_turn(connection, f"keys {network_id}")


async def signing_keys(connection: Connection, network_id: UUID) -> list[SigningKey]:
    """Return all keys that ever were, by id."""
    found = await fetch(
        connection,
        "select kid, public, private_sealed, not_before, not_after, revoked_at from signing_key"
        " where network_id = $1 order by kid",
        network_id,
    )
    return [SigningKey(row[0], bytes(row[1]), bytes(row[2]), row[3], row[4], row[5]) for row in found]


async def revoke_signing_key(connection: Connection, network_id: UUID, kid: int, at: datetime) -> None:
    await write(
        connection,
        "update signing_key set revoked_at = $3 where network_id = $1 and kid = $2 and revoked_at is null",
        network_id,
        kid,
        at,
    )


async def insert_keyset(connection: Connection, network_id: UUID, version: int, document: bytes, sig: bytes) -> None:
    await write(
        connection,
        "insert into keyset (network_id, version, document, sig) values ($1, $2, $3, $4)",
        network_id,
        version,
        document,
        sig,
    )


async def keyset(connection: Connection, network_id: UUID) -> tuple[int, bytes, bytes] | None:
    """Return version, document and signature of the newest key set."""
    row = await fetch_one(
        connection,
        "select version, document, sig from keyset where network_id = $1 order by version desc limit 1",
        network_id,
    )
    return None if row is None else (row[0], bytes(row[1]), bytes(row[2]))
