"""Registering guests with sealed personal data, finding them, and their rows in the feed."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID, uuid4

from loyalty_desk.domain.canonical import Json, bytes_to_text, text_to_bytes
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import HANDLE_BYTES, CodeKind, GuestCode, member_number
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import handle_text
from loyalty_desk.domain.tiers import reached
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.phones import e164, phone_hash
from loyalty_desk.wire.v1.sync import FeedTable
from server.guests import repository
from server.guests.repository import Credential, GuestView, SealedGuest, State
from server.kit.crypto import Vault
from server.kit.db import Connection
from server.kit.feed import Change
from server.programs import service as programs

MAX_NAME = 100
BY_TILL = "till"
_NAME, _PHONE, _BIRTHDAY = "name", "phone", "birthday"
_SERIALS = (100_000_000, 900_000_000)


@dataclass(frozen=True, slots=True)
class NewGuest:
    """Somebody to be registered. `handles` are cards (64-bit numbers); without any, one card is made.

    To whom a till has registered, no card is made that it did not hand out. A provisional guest is not found by phone.
    `member_no` empty: a random free one is given. `tier` empty: what the program gives for `spend` and
    `visits`, so that the first check has it. Money in minor units; points come from the ledger, never from here.
    """

    name: str = ""
    phone: str = ""
    birthday: date | None = None
    tier: str = ""
    spend: int = 0
    visits: int = 0
    first_visit: date | None = None
    handles: tuple[int, ...] = ()
    member_no: str = ""
    tags: tuple[str, ...] = ()
    source: str = "server"
    id: UUID = field(default_factory=uuid4)
    is_provisional: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered guest with what goes on the card."""

    id: UUID
    member_no: str
    handles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A guest's personal fields, opened."""

    name: str
    phone: str
    birthday: date | None
    member_no: str

    @property
    def masked(self) -> str:
        """Return what tells a guest from others and nobody who they are: `Anna P., phone …4567, number 1000000016`."""
        first, *more = self.name.split() or ["no name"]
        parts = [" ".join([first, *(f"{one[0]}." for one in more)])]
        if self.phone:
            parts.append(f"phone …{self.phone[-4:]}")
        if self.member_no:
            parts.append(f"number {self.member_no}")
        return ", ".join(parts)


async def register(
    connection: Connection,
    network: UUID,
    vault: Vault,
    guests: Sequence[NewGuest],
    *,
    random_below: Callable[[int], int] = secrets.randbelow,
) -> list[Registered]:
    """Register guests, each with a key of its own, a member number and a card. The caller feeds `changes` at the end.

    Raises `BadInput` `guest_name`, `phone_malformed`; nothing is registered then.
    """
    numbers = await _member_numbers(connection, network, guests, random_below)
    program = await programs.current(connection, network) if any(not guest.tier for guest in guests) else None
    sealed, states, cards, made = [], [], [], []
    for guest, number in zip(guests, numbers, strict=True):
        sealed.append(_sealed(network, vault, guest, number))
        states.append(
            State(
                guest=guest.id,
                tier=guest.tier or _first_tier(program, guest),
                spend=guest.spend,
                visits=guest.visits,
                visits_ever=guest.visits,
                first_visit=guest.first_visit,
                tags=guest.tags,
                offline_limit=0 if guest.is_provisional else None,
            )
        )
        handles = guest.handles or (() if guest.source == BY_TILL else (random_below(1 << 64),))
        cards += [Credential(handle.to_bytes(HANDLE_BYTES, "big"), guest.id, "card") for handle in handles]
        made.append(Registered(guest.id, number, handles))
    await repository.insert_guests(connection, network, sealed)
    await repository.insert_states(connection, network, states)
    await repository.insert_credentials(connection, network, cards)
    return made


def _first_tier(program: Program | None, guest: NewGuest) -> str:
    if program is None:
        return ""
    return reached(program, {"spend": guest.spend, "visits": guest.visits}.get(program.tier_base, 0))


async def changes(
    connection: Connection, network: UUID, vault: Vault, guests: Iterable[UUID], handles: Iterable[int] = ()
) -> list[Change]:
    """Return the present rows of guests and credentials as changes for the feed.

    The caller has changed or locked each guest's `guest_state` in this transaction (see `server.kit.feed`).
    """
    guest_keys = [str(guest) for guest in guests]
    handle_keys = [handle_text(handle) for handle in handles]
    found_guests = await feed_rows(connection, network, vault, FeedTable.GUEST, guest_keys)
    found_cards = await feed_rows(connection, network, vault, FeedTable.CREDENTIAL, handle_keys)
    return [Change(FeedTable.GUEST, key, found_guests.get(key)) for key in guest_keys] + [
        Change(FeedTable.CREDENTIAL, key, found_cards.get(key)) for key in handle_keys
    ]


async def feed_rows(
    connection: Connection, network: UUID, vault: Vault, table: FeedTable, keys: Sequence[str]
) -> dict[str, dict[str, Json]]:
    """Return the present rows of `guest` or `credential` by key, names opened; what is deleted is left out."""
    if not keys:
        return {}
    if table is FeedTable.CREDENTIAL:
        cards = await repository.credentials(connection, network, [text_to_bytes(key) for key in keys])
        return {
            bytes_to_text(one.handle): rows.write(
                rows.CredentialRow(
                    str(one.guest), one.kind, one.state, one.generation, bytes_to_text(one.last_root), one.last_step
                )
            )
            for one in cards
        }
    views = await repository.views(connection, network, [UUID(key) for key in keys])
    return {str(view.state.guest): feed_row(network, vault, view) for view in views if not view.state.deleted}


async def find(connection: Connection, network: UUID, vault: Vault, code: GuestCode) -> UUID | None:
    """Return whom a code names, None where nobody or, for a phone, more than one."""
    if code.handle is not None:
        handle = code.handle.to_bytes(HANDLE_BYTES, "big")
        return await repository.guest_of_handle(connection, network, handle)
    if code.kind is CodeKind.NUMBER:
        # A merged guest's number is still printed on a card: it names the survivor.
        return await repository.guest_of_number(connection, network, code.digits)
    if code.kind is CodeKind.PHONE:
        hashed = phone_hash(vault.lookup_key(network), e164(code.digits))
        found = await repository.guests_of_phone(connection, network, hashed)
        return found[0] if len(found) == 1 else None
    return None


async def person(connection: Connection, network: UUID, vault: Vault, guest: UUID) -> Person | None:
    """Return a guest's personal fields, None for an unknown or erased one."""
    found = await repository.views(connection, network, [guest])
    if not found or found[0].wrapped_key is None:
        return None
    view = found[0]
    key = vault.open_guest_key(network, guest, found[0].wrapped_key)
    birthday = key.open(_BIRTHDAY, view.birthday_sealed) if view.birthday_sealed else ""
    return Person(
        name=key.open(_NAME, view.name_sealed) if view.name_sealed else "",
        phone=key.open(_PHONE, view.phone_sealed) if view.phone_sealed else "",
        birthday=date.fromisoformat(birthday) if birthday else None,
        member_no=view.member_no or "",
    )


async def take_over_phone(connection: Connection, network: UUID, vault: Vault, guest: UUID, survivor: UUID) -> None:
    """Move a merged guest's phone to the survivor, who keeps an own one; either way it is found no more at `guest`."""
    by_id = {view.state.guest: view for view in await repository.views(connection, network, [guest, survivor])}
    old, new = by_id[guest], by_id[survivor]
    if old.phone_sealed and old.wrapped_key and new.wrapped_key and not new.phone_sealed:
        phone = vault.open_guest_key(network, guest, old.wrapped_key).open(_PHONE, old.phone_sealed)
        sealed = vault.open_guest_key(network, survivor, new.wrapped_key).seal(_PHONE, phone)
        await repository.set_phone(connection, network, survivor, sealed, old.phone_hash, old.phone_last4)
    if old.phone_sealed:
        await repository.set_phone(connection, network, guest, None, None, None)


async def cards(connection: Connection, network: UUID, guest: UUID) -> list[int]:
    """Return the handles of a guest's active cards, oldest first."""
    return await repository.cards_of(connection, network, guest)


async def birthdays(connection: Connection, network: UUID, vault: Vault, ids: Sequence[UUID]) -> dict[UUID, date]:
    """Return the birthdays of those of the guests who have told it and are not erased."""
    found: dict[UUID, date] = {}
    for guest, wrapped, sealed in await repository.sealed_birthdays(connection, network, ids):
        found[guest] = date.fromisoformat(vault.open_guest_key(network, guest, wrapped).open(_BIRTHDAY, sealed))
    return found


async def existing(connection: Connection, network: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these guests are registered."""
    return await repository.existing_guests(connection, network, ids)


def _sealed(network: UUID, vault: Vault, guest: NewGuest, number: str) -> SealedGuest:
    key, wrapped = vault.new_guest_key(network, guest.id)
    name = unicodedata.normalize("NFC", " ".join(guest.name.split()))
    if len(name) > MAX_NAME or not name.isprintable():
        raise BadInput("guest_name", limit=MAX_NAME)
    phone = e164(guest.phone) if guest.phone else ""
    return SealedGuest(
        id=guest.id,
        wrapped_key=wrapped,
        name_sealed=key.seal(_NAME, name) if name else None,
        phone_sealed=key.seal(_PHONE, phone) if phone else None,
        birthday_sealed=key.seal(_BIRTHDAY, guest.birthday.isoformat()) if guest.birthday else None,
        phone_hash=phone_hash(vault.lookup_key(network), phone) if phone and not guest.is_provisional else None,
        phone_last4=None if guest.is_provisional else phone[-4:] or None,
        member_no=number,
        source=guest.source,
    )


def feed_row(network: UUID, vault: Vault, view: GuestView) -> dict[str, Json]:
    """Return a guest as the feed has them, names opened."""
    state = view.state
    name = birthday = ""
    if view.wrapped_key is not None and (view.name_sealed or view.birthday_sealed):
        key = vault.open_guest_key(network, state.guest, view.wrapped_key)
        name = key.open(_NAME, view.name_sealed) if view.name_sealed else ""
        birthday = key.open(_BIRTHDAY, view.birthday_sealed) if view.birthday_sealed else ""
    return rows.write(
        rows.GuestRow(
            name=name,
            phone_hash=bytes_to_text(view.phone_hash) if view.phone_hash else "",
            phone_last4=view.phone_last4 or "",
            member_no=view.member_no or "",
            tier=state.tier,
            tier_until=None if state.tier_until is None else to_ms(state.tier_until),
            points=state.points,
            spend=state.spend,
            visits=state.visits,
            first_visit=None if state.first_visit is None else state.first_visit.isoformat(),
            birthday=birthday or None,
            segments=sorted(state.segments),
            tags=sorted(state.tags),
            coupons=sorted(state.coupons),
            stamps={rule: count for rule, count in state.stamps.items() if count},
            next_expiries=list(state.next_expiries),
            offline_limit=state.offline_limit,
            flags=state.flags,
            merged_into=None if state.merged_into is None else str(state.merged_into),
        )
    )


async def _member_numbers(
    connection: Connection, network: UUID, guests: Sequence[NewGuest], random_below: Callable[[int], int]
) -> list[str]:
    """Return a number for each guest. A race for one of 900 million ends at the unique key, and the caller repeats."""
    numbers = [guest.member_no or None for guest in guests]
    used = {number for number in numbers if number}
    while None in numbers:
        drawn = {member_number(_SERIALS[0] + random_below(_SERIALS[1])) for number in numbers if number is None} - used
        free = sorted(drawn - await repository.taken_numbers(connection, network, sorted(drawn)))
        used.update(free)
        for position, number in enumerate(numbers):
            if number is None and free:
                numbers[position] = free.pop()
    return [number for number in numbers if number is not None]
