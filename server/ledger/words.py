"""What a manager wrote beside points given, taken or moved by hand: it comes beside the record and lies sealed.

The words may be about either guest of a transfer, so they go with whichever is erased first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from loyalty_desk.domain.contents import AdjustContents, TransferContents, contents_of
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.private_fields import Private
from loyalty_desk.domain.record import Record
from server.kit.crypto import Vault
from server.kit.db import Connection, write

# No till lets a manager write so much; what is longer is cut.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Words:
    """Words beside the record `tx`, about `guests`."""

    tx: UUID
    guests: tuple[UUID, ...]
    text: str


def words_of(record: Record, private: bytes | None) -> tuple[Words | None, str]:
    """Return what was written beside a record given by hand, or why it cannot be believed; neither where nothing was.

    `private` are the bytes that came beside the record.
    """
    found = contents_of(record)
    assert isinstance(found, AdjustContents | TransferContents)  # noqa: S101 - it has been read as one
    if found.digest is None:
        return None, "" if private is None else "another"
    if private is None:
        return None, "missing"
    try:
        read = Private.from_bytes(private)
    except BadInput:
        return None, "unreadable"
    if read.digest != found.digest:
        return None, "another"
    # Whoever reads them in a terminal is not to be led by what a till made up.
    text = "".join(one if one.isprintable() else " " for one in read.fields.comment)
    text = " ".join(text.split())[:MOST]
    guests = [record.guest_id, found.to if isinstance(found, TransferContents) else None]
    return (Words(record.id, tuple(one for one in guests if one is not None), text) if text else None), ""


async def keep(connection: Connection, network: UUID, vault: Vault, rows: Iterable[Words]) -> None:
    """Keep words sealed, but none about a guest who has been erased; to be called with the guests locked."""
    for one in rows:
        await write(
            connection,
            "insert into words (network_id, tx_id, guests, sealed) select $1, $2, $3::uuid[], $4"
            " where not exists (select 1 from guest_state where network_id = $1 and guest_id = any($3::uuid[])"
            " and deleted)",
            network,
            one.tx,
            list(one.guests),
            vault.seal_secret(network, _name(one.tx), one.text.encode()),
        )


async def forget(connection: Connection, network: UUID, guests: Sequence[UUID]) -> None:
    """Delete all words about any of these guests, also those beside records that are set aside and may name them."""
    await write(connection, "delete from words where network_id = $1 and guests && $2::uuid[]", network, list(guests))
    # Whether it can be read or not: a record spells whom it names in one way.
    await write(
        connection,
        "update quarantine set private_sealed = null where network_id = $1 and private_sealed is not null"
        " and exists (select 1 from unnest($2::uuid[]) as g (id) where position(convert_to(g.id::text, 'UTF8') in raw)"
        " > 0)",
        network,
        list(guests),
    )


async def forget_again(connection: Connection, network: UUID) -> int:
    """Delete words beside records that were set aside after a guest whom they name was erased; return how many."""
    return await write(
        connection,
        "update quarantine q set private_sealed = null where q.network_id = $1 and q.private_sealed is not null"
        " and exists (select 1 from guest_state s where s.network_id = $1 and s.deleted"
        " and position(convert_to(s.guest_id::text, 'UTF8') in q.raw) > 0)",
        network,
    )


def opened(vault: Vault, network: UUID, sealed: Mapping[UUID, bytes]) -> dict[UUID, str]:
    """Return words by the record they stand beside; raises `CannotOpen`."""
    return {tx: vault.open_secret(network, _name(tx), one).decode() for tx, one in sealed.items()}


def _name(tx: UUID) -> str:
    return f"words {tx}"
