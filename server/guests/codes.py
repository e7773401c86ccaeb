"""Codes that the network signs for a guest: LD3 as it is handed out, LD4 as the guest's phone would show it now."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import HANDLE_BYTES, GuestCode
from loyalty_desk.domain.hash_chain import STEP_SECONDS, VALUE_BYTES, ChainOwner
from loyalty_desk.domain.signed_codes import NO_TIER, begin_chain, chain_values, code_text, issue, shown
from server.guests import repository, service
from server.guests.repository import Credential, State
from server.guests.shown import credentials
from server.kit import feed
from server.kit.db import Connection
from server.kit.ground import Ground
from server.networks import service as networks
from server.programs import service as programs

_CARDS = ("card", "import", "pass")
_PHONES = ("phone",)
_LATEST = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class SignedText:
    """A code as a QR carries it, whose it is, and between which moments a till takes it."""

    text: str
    handle: int
    since: datetime
    until: datetime


async def issued(ground: Ground, network: UUID, guest: UUID, now: datetime, life: timedelta) -> list[SignedText]:
    """Return an LD3 for each of a guest's cards; raises `Refused` `card_missing`."""
    async with ground.db.begin(network) as connection:
        kid, key = await networks.signing_key(connection, network, ground.vault, now)
        cards = await repository.active_credentials(connection, network, guest, _CARDS)
        tier, _ = await _standing(connection, network, guest)
    if not cards:
        raise Refused("card_missing")
    expiry = min(int((now + life).timestamp()), _LATEST)
    made = []
    for card in cards:
        handle = int.from_bytes(card.handle, "big")
        code = issue(network, key, kid, handle=handle, generation=card.generation, expiry=expiry, tier=tier)
        made.append(SignedText(code_text(code), handle, now, datetime.fromtimestamp(expiry, UTC)))
    return made


async def require_good(ground: Ground, network: UUID, guest: UUID, handle: int | None, *, a_card: bool) -> None:
    """Raise `Refused` `card_is_blocked` where the code of this handle is.

    Where it takes `a_card` to go on, also `cards_blocked` where all of the guest's are, `card_missing` where none is.
    """
    async with ground.db.begin(network) as connection:
        known = await repository.states_of_credentials(connection, network, guest)
    if handle is not None and known.get(handle, ("", "active"))[1] != "active":
        raise Refused("card_is_blocked")
    cards = [state for kind, state in known.values() if kind in _CARDS]
    if a_card and "active" not in cards:
        raise Refused("cards_blocked" if cards else "card_missing")


async def new_card(ground: Ground, network: UUID, guest: UUID) -> int:
    """Give a guest one more card and return its handle; tills hear of it at their next pull. `guest` is one that is."""
    async with ground.db.begin(network) as connection:
        made = await _new(connection, network, ground, guest, "card")
    return int.from_bytes(made.handle, "big")


async def block(ground: Ground, network: UUID, guest: UUID, handle: int | None, now: datetime) -> int:
    """Make a card or a phone worth nothing, all of the guest's where `handle` is None; return how many were good.

    Tills hear of it at their next pull. A phone keeps its handle, and what was signed for it before is void.
    """
    async with ground.db.begin(network) as connection:
        await repository.lock_state(connection, network, guest)
        stopped = await repository.block(connection, network, guest, handle, now)
        await _tell(connection, network, ground, stopped)
    return len(stopped)


async def unblock(ground: Ground, network: UUID, guest: UUID, handle: int | None) -> int:
    """Make a blocked card or phone good again, where `handle` is None those blocked together last; return how many.

    Tills hear of it at their next pull. What was signed before it was blocked stays void: whoever found it may have a
    copy.
    """
    async with ground.db.begin(network) as connection:
        await repository.lock_state(connection, network, guest)
        freed = await repository.unblock(connection, network, guest, handle)
        await _tell(connection, network, ground, freed)
    return len(freed)


async def of_code(ground: Ground, network: UUID, code: GuestCode) -> UUID | None:
    """Return whose code it is, a blocked one's guest too; None where nobody's."""
    async with ground.db.begin(network) as connection:
        if code.handle is None:
            return await service.find(connection, network, ground.vault, code)
        handle = code.handle.to_bytes(HANDLE_BYTES, "big")
        found = (await credentials(connection, network, [handle])).get(handle)
    return None if found is None else found.guest


async def rotating(ground: Ground, network: UUID, guest: UUID, now: datetime, count: int) -> list[SignedText]:
    """Return the next `count` codes that a guest's phone shows, the first one now; a new chain for each call.

    A guest without a phone gets the credential of one, which tills hear of at their next pull.
    """
    async with ground.db.begin(network) as connection:
        kid, key = await networks.signing_key(connection, network, ground.vault, now)
        tier, balance = await _standing(connection, network, guest)
        phones = await repository.active_credentials(connection, network, guest, _PHONES)
        phone = phones[0] if phones else await _new(connection, network, ground, guest, "phone")
    handle = int.from_bytes(phone.handle, "big")
    owner = ChainOwner(network, handle, phone.generation)
    values = chain_values(owner, secrets.token_bytes(VALUE_BYTES), count)
    # The first step is the present one: it began half a minute after the chain did.
    start = int(now.timestamp()) - STEP_SECONDS
    begun = begin_chain(
        network, key, kid, handle=handle, generation=phone.generation, start=start, steps=count, root=values[0],
        balance=balance, tier=tier,
    )  # fmt: skip
    made = []
    for step in range(1, count + 1):
        since = datetime.fromtimestamp(start + step * STEP_SECONDS, UTC)
        text = code_text(shown(begun, begun.signature, step, values[step]))
        made.append(SignedText(text, handle, since, since + timedelta(seconds=STEP_SECONDS)))
    return made


async def _standing(connection: Connection, network: UUID, guest: UUID) -> tuple[int, int]:
    """Return the tier's place in the program and the whole points that go into a code."""
    state, program = await _state(connection, network, guest), await programs.current(connection, network)
    if program is None:
        return NO_TIER, 0
    codes = [tier.code for tier in program.tiers]
    place = codes.index(state.tier) if state.tier in codes else NO_TIER
    return min(place, NO_TIER), max(0, state.points) // program.point_unit


async def _state(connection: Connection, network: UUID, guest: UUID) -> State:
    found = await repository.views(connection, network, [guest])
    if not found:
        raise Refused("guest_unknown")
    return found[0].state


async def _new(connection: Connection, network: UUID, ground: Ground, guest: UUID, kind: str) -> Credential:
    made = Credential(secrets.token_bytes(HANDLE_BYTES), guest, kind)
    await repository.lock_state(connection, network, guest)
    await repository.insert_credentials(connection, network, [made])
    await _tell(connection, network, ground, [int.from_bytes(made.handle, "big")])
    return made


async def _tell(connection: Connection, network: UUID, ground: Ground, handles: Sequence[int]) -> None:
    await feed.record(connection, network, await service.changes(connection, network, ground.vault, [], handles))
