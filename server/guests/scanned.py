"""A code that a till scans: who the till is, whose the code is, and the guest as the feed has them, in one statement.

Scanning is what tills ask most. What names a guest without a credential is looked up by `lookups`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.code_proof import Doubt
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import GuestCode, parse
from loyalty_desk.domain.key_set import KeySet
from loyalty_desk.wire.v1.lookup import FoundGuest, GuestLookup, GuestsFound, LookupBy
from server.guests import repository, service
from server.guests.proof import handle_of, prove_card
from server.guests.repository import GuestView
from server.guests.shown import Shown
from server.kit.auth import Signer
from server.kit.crypto import Vault
from server.kit.db import Connection, Database, fetch
from server.kit.together import Together
from server.networks import service as networks


@dataclass(frozen=True, slots=True)
class Scan:
    """What a request names before anybody has proved who sent it: a device, and a code's handle, empty for none."""

    device: UUID
    handle: bytes = b""
    is_signed: bool = False

    @classmethod
    def of(cls, device: UUID, code: GuestCode | None) -> Scan:
        """Return what a device asks that shows this code, None: that asks for something else."""
        return cls(device) if code is None else cls(device, handle_of(code), code.signed is not None)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What there is of a scan, `at` a moment of the feed: None for who never joined, and for what is not there.

    `keys` are those by which a signed code is proved.
    """

    signer: Signer | None
    shown: Shown | None
    view: GuestView | None
    at: int
    keys: KeySet | None


_BY_ANYTHING_ELSE = set(LookupBy) - {LookupBy.CODE}
Scans = Together[Scan, Scanned]


def scans(db: Database) -> Scans:
    """Return what answers scans."""
    return Together(db, _find)


def code_of(asked: GuestLookup) -> GuestCode | None:
    """Return the code with a handle that is looked up by, None where it is something else."""
    if asked.by in _BY_ANYTHING_ELSE:
        return None
    try:
        code = parse(asked.text.strip())
    except BadInput:
        return None
    return None if code.handle is None else code


def whose(network: UUID, vault: Vault, code: GuestCode, found: Scanned, now: datetime) -> GuestsFound:
    """Return whose the code is, nobody for one that was blocked: whoever found it would get its tier's discount."""
    proved = prove_card(network, vault, code, found.shown, found.keys, now)
    guests = []
    if proved.guest is not None and proved.doubt is not Doubt.REVOKED:
        view = found.view
        if view is not None and not view.state.deleted:
            row = service.feed_row(network, vault, view)
            guests.append(FoundGuest(proved.guest, row, proved.kind.value, bytes_to_text(proved.handle)))
    return GuestsFound(guests, found.at)


async def _find(connection: Connection, network: UUID, asked: Sequence[Scan]) -> list[Scanned]:
    keys = await networks.key_set(connection, network) if any(one.is_signed for one in asked) else None
    rows = await fetch(connection, _FIND, network, [one.device for one in asked], [one.handle for one in asked])
    return [
        Scanned(
            Signer.of(network, one.device, row),
            None if row["guest"] is None else Shown.of(row),
            None if row["guest_id"] is None else repository.view_of(row),
            row["feed_length"] or 0,
            keys,
        )
        for one, row in zip(asked, rows, strict=True)
    ]


# A plan by the number of questions would be made anew each time: what is selected is not looked at before. By the
# offsets each row is found by its key: joined, all of a network's guests were read for a group of scans as long as
# PostgreSQL had not looked at its tables, 47 ms of 1 000 guests where this takes half of one.
_FIND = f"""
    select {repository.VIEW},
        d.store_id as device_store, d.state as device_state, d.pubkey, d.token_hash,
        c.guest, c.kind, c.state, c.generation, c.last_root, c.last_step, c.last_counter, f.n as feed_length
    from unnest((select $2::uuid[]), (select $3::bytea[])) with ordinality as asked (device, handle, place)
    left join feed_counter f on f.network_id = $1
    left join lateral (
        select * from device where network_id = $1 and id = asked.device and state not in ('pending', 'void') offset 0
    ) d on true
    left join lateral (
        select coalesce(o.merged_into, o.guest_id) as guest, x.* from credential x cross join lateral (
            select * from guest_state where network_id = $1 and guest_id = x.guest_id and not deleted offset 0
        ) o
        where x.network_id = $1 and x.handle = asked.handle offset 0
    ) c on true
    left join lateral (select * from guest where network_id = $1 and id = c.guest offset 0) g on true
    left join lateral (select * from guest_state where network_id = $1 and guest_id = g.id offset 0) s on true
    left join lateral (select * from guest_key where network_id = $1 and guest_id = s.guest_id offset 0) k on true
    order by asked.place
"""  # noqa: S608 - constants
