"""SQL of guests, their keys, states and credentials. Every function runs in a transaction of the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from loyalty_desk.domain.guest_code import HANDLE_BYTES
from server.kit.db import Connection, fetch, fetch_one, write


@dataclass(frozen=True, slots=True)
class SealedGuest:
    """A guest as stored: personal fields sealed by the guest's own key, which stands beside it wrapped."""

    id: UUID
    wrapped_key: bytes
    name_sealed: bytes | None
    phone_sealed: bytes | None
    birthday_sealed: bytes | None
    phone_hash: bytes | None
    phone_last4: str | None
    member_no: str | None
    source: str


@dataclass(frozen=True, slots=True)
class State:
    """What a till is told of a guest beside the personal fields. Money in minor units, points in smallest units."""

    guest: UUID
    tier: str = ""
    tier_until: datetime | None = None
    points: int = 0
    spend: int = 0
    visits: int = 0
    earned: int = 0
    visits_ever: int = 0
    first_visit: date | None = None
    segments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    coupons: tuple[str, ...] = ()
    stamps: dict[str, int] = field(default_factory=dict)
    next_expiries: tuple[tuple[int, int], ...] = ()
    offline_limit: int | None = None
    flags: int = 0
    deleted: bool = False
    merged_into: UUID | None = None


@dataclass(frozen=True, slots=True)
class GuestView:
    """A guest with state; `wrapped_key` None: erased."""

    state: State
    wrapped_key: bytes | None
    name_sealed: bytes | None
    phone_sealed: bytes | None
    birthday_sealed: bytes | None
    phone_hash: bytes | None
    phone_last4: str | None
    member_no: str | None


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential of a guest; `handle` is 8 bytes."""

    handle: bytes
    guest: UUID
    kind: str
    state: str = "active"
    generation: int = 0
    last_root: bytes = b""
    last_step: int = 0


# What a `GuestView` is made of: of `guest_state s`, with its guest and key.
VIEW = """
    s.guest_id, s.tier, s.tier_until, s.points, s.spend, s.visits, s.earned, s.visits_ever, s.first_visit, s.segments,
    s.tags, s.coupons, s.stamps, s.next_expiries, s.offline_limit, s.flags, s.deleted, s.merged_into,
    k.wrapped, g.name_sealed, g.phone_sealed, g.birthday_sealed, g.phone_hash, g.phone_last4, g.member_no
"""


async def insert_guests(connection: Connection, network: UUID, guests: Sequence[SealedGuest]) -> None:
    await write(
        connection,
        "insert into guest (network_id, id, name_sealed, phone_sealed, birthday_sealed, phone_hash, phone_last4,"
        " member_no, source) select $1, * from unnest($2::uuid[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[],"
        " $7::text[], $8::text[], $9::text[])",
        network,
        [one.id for one in guests],
        [one.name_sealed for one in guests],
        [one.phone_sealed for one in guests],
        [one.birthday_sealed for one in guests],
        [one.phone_hash for one in guests],
        [one.phone_last4 for one in guests],
        [one.member_no for one in guests],
        [one.source for one in guests],
    )
    await write(
        connection,
        "insert into guest_key (network_id, guest_id, wrapped) select $1, * from unnest($2::uuid[], $3::bytea[])",
        network,
        [one.id for one in guests],
        [one.wrapped_key for one in guests],
    )


async def insert_states(connection: Connection, network: UUID, states: Sequence[State]) -> None:
    # Lists inside a row travel as JSON: unnest would flatten an array of arrays.
    await write(
        connection,
        "insert into guest_state (network_id, guest_id, tier, tier_until, points, spend, visits, earned, visits_ever,"
        " first_visit, segments, tags, offline_limit, opening_spend, opening_visits, opening_earned)"
        " select $1, id, tier, tier_until, points, spend, visits, earned, visits_ever,"
        " first_visit, array(select jsonb_array_elements_text(segments::jsonb)),"
        " array(select jsonb_array_elements_text(tags::jsonb)), offline_limit, spend, visits, earned"
        " from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::bigint[],"
        " $8::bigint[], $9::bigint[], $10::date[], $11::text[], $12::text[], $13::bigint[]) as t (id, tier, tier_until,"
        " points, spend, visits, earned, visits_ever, first_visit, segments, tags, offline_limit)",
        network,
        [one.guest for one in states],
        [one.tier for one in states],
        [one.tier_until for one in states],
        [one.points for one in states],
        [one.spend for one in states],
        [one.visits for one in states],
        [one.earned for one in states],
        [one.visits_ever for one in states],
        [one.first_visit for one in states],
        [json.dumps(one.segments) for one in states],
        [json.dumps(one.tags) for one in states],
        [one.offline_limit for one in states],
    )


async def insert_credentials(connection: Connection, network: UUID, credentials: Sequence[Credential]) -> None:
    await write(
        connection,
        "insert into credential (network_id, handle, guest_id, kind)"
        " select $1, * from unnest($2::bytea[], $3::uuid[], $4::text[])",
        network,
        [one.handle for one in credentials],
        [one.guest for one in credentials],
        [one.kind for one in credentials],
    )


async def existing_guests(connection: Connection, network: UUID, ids: Sequence[UUID]) -> set[UUID]:
    found = await fetch(
        connection, "select id from guest where network_id = $1 and id = any($2::uuid[])", network, list(ids)
    )
    return {row["id"] for row in found}


async def taken_numbers(connection: Connection, network: UUID, numbers: Sequence[str]) -> set[str]:
    found = await fetch(
        connection,
        "select member_no from guest where network_id = $1 and member_no = any($2::text[])",
        network,
        list(numbers),
    )
    return {row["member_no"] for row in found}


async def views(connection: Connection, network: UUID, ids: Sequence[UUID]) -> list[GuestView]:
    found = await fetch(
        connection,
        f"select {VIEW} from guest_state s"  # noqa: S608 - constants
        " join guest g on g.network_id = s.network_id and g.id = s.guest_id"
        " left join guest_key k on k.network_id = s.network_id and k.guest_id = s.guest_id"
        " where s.network_id = $1 and s.guest_id = any($2::uuid[])",
        network,
        list(ids),
    )
    return [view_of(row) for row in found]


def view_of(row: Mapping[str, Any]) -> GuestView:
    """Return a guest of a row with the columns of `VIEW`."""
    return GuestView(
        State(
            guest=row["guest_id"],
            tier=row["tier"],
            tier_until=row["tier_until"],
            points=row["points"],
            spend=row["spend"],
            visits=row["visits"],
            earned=row["earned"],
            visits_ever=row["visits_ever"],
            first_visit=row["first_visit"],
            segments=tuple(row["segments"]),
            tags=tuple(row["tags"]),
            coupons=tuple(row["coupons"]),
            stamps=row["stamps"],
            next_expiries=tuple((at, points) for at, points in row["next_expiries"]),
            offline_limit=row["offline_limit"],
            flags=row["flags"],
            deleted=row["deleted"],
            merged_into=row["merged_into"],
        ),
        wrapped_key=row["wrapped"],
        name_sealed=row["name_sealed"],
        phone_sealed=row["phone_sealed"],
        birthday_sealed=row["birthday_sealed"],
        phone_hash=row["phone_hash"],
        phone_last4=row["phone_last4"],
        member_no=row["member_no"],
    )


async def cards_of(connection: Connection, network: UUID, guest: UUID) -> list[int]:
    found = await fetch(
        connection,
        "select handle from credential where network_id = $1 and guest_id = $2 and kind in ('card', 'import', 'pass')"
        " and state = 'active' order by created_at, handle",
        network,
        guest,
    )
    return [int.from_bytes(row["handle"], "big") for row in found]


async def set_phone(
    connection: Connection,
    network: UUID,
    guest: UUID,
    sealed: bytes | None,
    phone_hash: bytes | None,
    last4: str | None,
) -> None:
    await write(
        connection,
        "update guest set phone_sealed = $3, phone_hash = $4, phone_last4 = $5 where network_id = $1 and id = $2",
        network,
        guest,
        sealed,
        phone_hash,
        last4,
    )


async def set_more(connection: Connection, network: UUID, guest: UUID, sealed: bytes) -> None:
    await write(
        connection, "update guest set more_sealed = $3 where network_id = $1 and id = $2", network, guest, sealed
    )


async def sealed_birthdays(
    connection: Connection, network: UUID, ids: Sequence[UUID]
) -> list[tuple[UUID, bytes, bytes]]:
    """Return guest, wrapped key and sealed birthday of those who have both."""
    found = await fetch(
        connection,
        "select g.id, k.wrapped, g.birthday_sealed from guest g"
        " join guest_key k on k.network_id = g.network_id and k.guest_id = g.id"
        " where g.network_id = $1 and g.id = any($2::uuid[]) and g.birthday_sealed is not null",
        network,
        list(ids),
    )
    return [(row["id"], row["wrapped"], row["birthday_sealed"]) for row in found]


async def credentials(connection: Connection, network: UUID, handles: Sequence[bytes]) -> list[Credential]:
    found = await fetch(
        connection,
        "select handle, guest_id, kind, state, generation, last_root, last_step from credential"
        " where network_id = $1 and handle = any($2::bytea[])",
        network,
        list(handles),
    )
    return [
        Credential(
            row["handle"],
            row["guest_id"],
            row["kind"],
            row["state"],
            row["generation"],
            row["last_root"] or b"",
            row["last_step"] or 0,
        )
        for row in found
    ]


async def active_credentials(
    connection: Connection, network: UUID, guest: UUID, kinds: Sequence[str]
) -> list[Credential]:
    found = await fetch(
        connection,
        "select handle, guest_id, kind, state, generation from credential"
        " where network_id = $1 and guest_id = $2 and kind = any($3::text[]) and state = 'active'"
        " order by created_at, handle",
        network,
        guest,
        list(kinds),
    )
    return [Credential(row["handle"], row["guest_id"], row["kind"], row["state"], row["generation"]) for row in found]


async def states_of_credentials(connection: Connection, network: UUID, guest: UUID) -> dict[int, tuple[str, str]]:
    """Return kind and state of each of a guest's credentials by its handle."""
    found = await fetch(
        connection,
        "select handle, kind, state from credential where network_id = $1 and guest_id = $2",
        network,
        guest,
    )
    return {int.from_bytes(row["handle"], "big"): (row["kind"], row["state"]) for row in found}


async def block(connection: Connection, network: UUID, guest: UUID, handle: int | None, now: datetime) -> list[int]:
    """Block a guest's active credentials, or the one with this handle, and return their handles."""
    found = await fetch(
        connection,
        "update credential set state = 'blocked', generation = generation + 1, stopped_at = $4"
        " where network_id = $1 and guest_id = $2 and state = 'active' and ($3::bytea is null or handle = $3)"
        " returning handle",
        network,
        guest,
        None if handle is None else handle.to_bytes(HANDLE_BYTES, "big"),
        now,
    )
    return [int.from_bytes(row["handle"], "big") for row in found]


async def unblock(connection: Connection, network: UUID, guest: UUID, handle: int | None) -> list[int]:
    """Let a guest's blocked credential be good again, or those blocked together last; return their handles.

    When it was blocked stays: what is signed for a generation from before is told by it from what is signed since.
    """
    found = await fetch(
        connection,
        "update credential set state = 'active' where network_id = $1 and guest_id = $2 and state = 'blocked'"
        " and case when $3::bytea is not null then handle = $3 else stopped_at is not distinct from"
        " (select max(stopped_at) from credential where network_id = $1 and guest_id = $2 and state = 'blocked') end"
        " returning handle",
        network,
        guest,
        None if handle is None else handle.to_bytes(HANDLE_BYTES, "big"),
    )
    return [int.from_bytes(row["handle"], "big") for row in found]


async def lock_state(connection: Connection, network: UUID, guest: UUID) -> None:
    """Let nobody else change or merge a guest until this transaction ends."""
    await fetch(
        connection, "select 1 from guest_state where network_id = $1 and guest_id = $2 for update", network, guest
    )


async def guest_of_handle(connection: Connection, network: UUID, handle: bytes) -> UUID | None:
    row = await fetch_one(
        connection,
        "select guest_id from credential where network_id = $1 and handle = $2 and state = 'active'",
        network,
        handle,
    )
    return None if row is None else row["guest_id"]


async def guest_of_number(connection: Connection, network: UUID, number: str) -> UUID | None:
    row = await fetch_one(
        connection,
        "select coalesce(s.merged_into, s.guest_id) as id from guest g"
        " join guest_state s on s.network_id = g.network_id and s.guest_id = g.id"
        " where g.network_id = $1 and g.member_no = $2",
        network,
        number,
    )
    return None if row is None else row["id"]


async def guests_of_phone(connection: Connection, network: UUID, phone_hash: bytes) -> list[UUID]:
    found = await fetch(
        connection,
        "select id from guest where network_id = $1 and phone_hash = $2 order by created_at, id",
        network,
        phone_hash,
    )
    return [row["id"] for row in found]
