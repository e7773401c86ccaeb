"""Guests whom tills have registered: the fields come beside the record, and give no right over anybody's points.

A phone that another guest has makes the new one provisional: found by card alone, spending nothing offline, until a
person has looked and merged the two (scenario 70). A card that belongs to somebody stays theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from loyalty_desk.domain import canonical
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import HANDLE_BYTES
from loyalty_desk.domain.private_fields import GuestFields
from loyalty_desk.wire.v1.phones import e164, phone_hash
from server.guests import repository, service
from server.guests.service import MAX_NAME, NewGuest
from server.kit.crypto import Vault
from server.kit.db import Connection

_MORE = "more"


@dataclass(frozen=True, slots=True)
class Admission:
    """A guest to be registered under an id of the till's; `fields` None: nothing is known of them."""

    guest: UUID
    fields: GuestFields | None = None
    handle: int | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of it: `phone_of` and `card_of` are those who have the phone and the card already.

    Where `was_known` somebody was registered under this id before: the card is nobody's.
    """

    guest: UUID
    phone_of: UUID | None = None
    card_of: UUID | None = None
    was_known: bool = False


async def admit(connection: Connection, network: UUID, vault: Vault, admissions: Sequence[Admission]) -> list[Admitted]:
    """Register guests, in the order given; who is registered already stays as they are, and gets no card by it.

    Every till makes ids of its own: one that names a guest whom it knows would hand out a card to their points.
    """
    return [await _admit(connection, network, vault, one) for one in admissions]


async def _admit(connection: Connection, network: UUID, vault: Vault, wanted: Admission) -> Admitted:
    is_new = not await repository.existing_guests(connection, network, [wanted.guest])
    fields = wanted.fields or GuestFields()
    phone = _phone(fields.phone)
    phone_of = await _holder(connection, network, vault, phone) if phone and is_new else None
    card_of = None if wanted.handle is None else await _card_holder(connection, network, wanted.handle)
    handles = () if wanted.handle is None or card_of is not None else (wanted.handle,)
    if is_new:
        guest = NewGuest(
            name=fields.name if fields.name.isprintable() and len(fields.name) <= MAX_NAME else "",
            phone=phone,
            birthday=fields.birthday,
            handles=handles,
            source=service.BY_TILL,
            id=wanted.guest,
            is_provisional=phone_of is not None,
        )
        await service.register(connection, network, vault, [guest])
        await _keep_rest(connection, network, vault, wanted.guest, fields)
    return Admitted(wanted.guest, phone_of, None if card_of == wanted.guest else card_of, not is_new)


def _phone(text: str) -> str:
    try:
        return e164(text) if text else ""
    except BadInput:
        return ""


async def _holder(connection: Connection, network: UUID, vault: Vault, phone: str) -> UUID | None:
    found = await repository.guests_of_phone(connection, network, phone_hash(vault.lookup_key(network), phone))
    return found[0] if found else None


async def _card_holder(connection: Connection, network: UUID, handle: int) -> UUID | None:
    found = await repository.credentials(connection, network, [handle.to_bytes(HANDLE_BYTES, "big")])
    return found[0].guest if found else None


async def _keep_rest(connection: Connection, network: UUID, vault: Vault, guest: UUID, fields: GuestFields) -> None:
    """Keep what no column of its own holds: consents first of all, and a phone that could not be read."""
    rest = replace(fields, name="", phone="" if _phone(fields.phone) else fields.phone, birthday=None).to_dict()
    if not rest:
        return
    (view,) = await repository.views(connection, network, [guest])
    if view.wrapped_key is not None:
        sealed = vault.open_guest_key(network, guest, view.wrapped_key).seal(_MORE, canonical.encode(rest).decode())
        await repository.set_more(connection, network, guest, sealed)
