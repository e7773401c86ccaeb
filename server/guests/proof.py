"""What a guest has shown, checked by the server again: who it is and what it may spend.

A code names somebody or nobody; whatever else is wrong with it is a doubt, which stops points and not the guest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.code_proof import Doubt, Permit, doubt_of, permit, read_evidence
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import HANDLE_BYTES, CodeKind, GuestCode, parse
from loyalty_desk.domain.hash_chain import SeenChains
from loyalty_desk.domain.key_set import KeySet
from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.domain.signed_codes import RotatingCode
from loyalty_desk.domain.wallet_digits import SECRET_BYTES, accepted_counter
from server.guests import service
from server.guests import shown as stored
from server.guests.shown import ShortCode, Shown
from server.kit.crypto import Vault
from server.kit.db import Connection
from server.kit.lifetimes import holds_at
from server.networks import service as networks

SHORT_LIVES = timedelta(minutes=5)
SHORT_DIGITS = 6
_CARDS = frozenset({"card", "pass", "import"})
_SHORT = re.compile(r"([0-9]{6})(?:[ -]([0-9]{4}))?")


@dataclass(frozen=True, slots=True)
class Proved:
    """Whom a code names (None: nobody) and how sure that is. The rest says what has to be remembered of its use."""

    kind: CodeKind
    guest: UUID | None = None
    handle: bytes = b""
    doubt: Doubt | None = None
    root: bytes | None = None
    step: int | None = None
    counter: int | None = None
    short: bytes | None = None

    @property
    def permit(self) -> Permit:
        """Return what may be done with it, now that the server has looked."""
        if self.guest is None:
            return Permit.NOTHING
        return permit(self.kind, self.doubt, online=True)


async def prove(
    connection: Connection, network: UUID, vault: Vault, text: bytes | str, now: datetime, device: UUID | None
) -> Proved:
    """Return what a scan or typed text proves at `now`; `device` is the till that shows it.

    A short code may be followed by the last four digits of the phone: without them it names the guest and spends
    nothing. Raises `BadInput` as `guest_code.parse` does.
    """
    [found] = await prove_all(connection, network, vault, [(text, device)], now)
    if isinstance(found, BadInput):
        raise found
    return found


async def prove_all(
    connection: Connection,
    network: UUID,
    vault: Vault,
    shown: Sequence[tuple[bytes | str, UUID | None]],
    now: datetime,
) -> list[Proved | BadInput]:
    """Return what each text proves, shown by the device beside it; cards are read together."""
    read = [_typed(text) or _parsed(text) for text, _ in shown]
    cards = await stored.credentials(
        connection, network, {handle_of(one) for one in read if isinstance(one, GuestCode)} - {b""}
    )
    found: list[Proved | BadInput] = []
    for one, (_, device) in zip(read, shown, strict=True):
        match one:
            case GuestCode():
                found.append(await _prove(connection, network, vault, one, cards, now))
            case BadInput():
                found.append(one)
            case _:
                found.append(await _short(connection, network, vault, one[1], one[2] or "", now, device))
    return found


def is_short(text: str) -> bool:
    """Return whether a text is a short code, with the last digits of a phone or without."""
    return _typed(text) is not None


async def prove_evidence(
    connection: Connection, network: UUID, vault: Vault, kind: CodeKind, evidence: bytes, now: datetime,
    device: UUID | None,
) -> Proved:  # fmt: skip
    """Return what the evidence of a request proves: the text as scanned, or the bytes of an LD3 or LD4."""
    try:
        found = await prove(connection, network, vault, evidence, now, device)
    except BadInput:
        signed = read_evidence(kind, evidence)
        if signed is None:
            raise
        return await prove_code(connection, network, vault, GuestCode(kind, signed.handle, signed=signed), now)
    if found.kind is not kind:
        return Proved(kind, found.guest, found.handle, Doubt.MALFORMED)
    return found


async def prove_code(connection: Connection, network: UUID, vault: Vault, code: GuestCode, now: datetime) -> Proved:
    """Return what a code other than a short one proves at `now`."""
    cards = await stored.credentials(connection, network, {handle_of(code)} - {b""})
    return await _prove(connection, network, vault, code, cards, now)


async def remember(connection: Connection, network: UUID, proved: Proved, by: UUID, now: datetime) -> bool:
    """Note, in the transaction that spends points, that what was shown has paid; False where it has paid before.

    An LD4's step stands in the feed: the caller gives the credential's row to it.
    """
    if proved.counter is not None:
        return await stored.put_counter(connection, network, proved.handle, proved.counter)
    if proved.root is not None and proved.step is not None:
        return await stored.put_step(connection, network, proved.handle, proved.root, proved.step)
    if proved.short is not None:
        return await stored.use_short_code(connection, network, proved.short, by, now)
    return True


def wallet_secret(vault: Vault, network: UUID, handle: bytes) -> bytes:
    """Return the 20 bytes from which a wallet's digits are made; they stay here and in the wallet."""
    return vault.own_hash(network, f"ld2 {handle.hex()}")[:SECRET_BYTES]


def short_hash(vault: Vault, network: UUID, digits: str) -> bytes:
    """Return what is kept of a short code."""
    return vault.own_hash(network, f"short {digits}")


def _typed(text: bytes | str) -> re.Match[str] | None:
    return _SHORT.fullmatch((text.decode("ascii", "replace") if isinstance(text, bytes) else text).strip())


def _parsed(text: bytes | str) -> GuestCode | BadInput:
    try:
        return parse(text)
    except BadInput as error:
        return error


def handle_of(code: GuestCode) -> bytes:
    """Return the credential's handle as stored, empty for a code that names none."""
    return b"" if code.handle is None else code.handle.to_bytes(HANDLE_BYTES, "big")


async def _prove(
    connection: Connection,
    network: UUID,
    vault: Vault,
    code: GuestCode,
    cards: Mapping[bytes, Shown],
    now: datetime,
) -> Proved:
    if code.handle is None:
        return Proved(code.kind, await service.find(connection, network, vault, code))
    keys = None if code.signed is None else await networks.key_set(connection, network)
    return prove_card(network, vault, code, cards.get(handle_of(code)), keys, now)


def prove_card(
    network: UUID, vault: Vault, code: GuestCode, shown: Shown | None, keys: KeySet | None, now: datetime
) -> Proved:
    """Return what a code with a handle proves at `now`.

    `shown` is its credential, None where there is none; `keys` are the network's, where it is signed.
    """
    handle = handle_of(code)
    if shown is None:
        return Proved(code.kind, handle=handle)
    if shown.state != "active":
        return Proved(code.kind, shown.guest, handle, Doubt.REVOKED)
    if code.kind is CodeKind.LD1:
        return Proved(code.kind, shown.guest, handle, None if shown.kind in _CARDS else Doubt.SIGNATURE)
    if code.kind is CodeKind.LD2:
        return _wallet(network, vault, code, handle, shown, now)
    return _signed(network, code, handle, shown, keys, now)


def _wallet(network: UUID, vault: Vault, code: GuestCode, handle: bytes, shown: Shown, now: datetime) -> Proved:
    secret = wallet_secret(vault, network, handle)
    last = -1 if shown.counter is None else shown.counter
    seconds = int(now.timestamp())
    counter = accepted_counter(secret, code.digits, seconds, last)
    doubt = None
    if counter is None:
        was_right = accepted_counter(secret, code.digits, seconds, -1) is not None
        doubt = Doubt.REPLAYED if was_right else Doubt.SIGNATURE
    return Proved(code.kind, shown.guest, handle, doubt, counter=counter)


def _signed(network: UUID, code: GuestCode, handle: bytes, shown: Shown, keys: KeySet | None, now: datetime) -> Proved:
    signed = code.signed
    assert signed is not None  # noqa: S101 - LD3 and LD4 alone come here
    assert keys is not None  # noqa: S101 - read for every signed code
    doubt = doubt_of(signed, network, keys, to_ms(now), ClockConfidence.GOOD, SeenChains(), shown.generation)
    if not isinstance(signed, RotatingCode):
        return Proved(code.kind, shown.guest, handle, doubt)
    if doubt is None and shown.root == signed.root and shown.step is not None and signed.step <= shown.step:
        doubt = Doubt.REPLAYED
    return Proved(code.kind, shown.guest, handle, doubt, root=signed.root, step=signed.step)


async def _short(
    connection: Connection, network: UUID, vault: Vault, digits: str, last4: str, now: datetime,
    device: UUID | None,
) -> Proved:  # fmt: skip
    hashed = short_hash(vault, network, digits)
    found = await stored.short_code(connection, network, hashed)
    if not _is_open(found, now, device):
        return Proved(CodeKind.SHORT)
    assert found is not None  # noqa: S101 - nobody's code is not open
    # Without a phone there is nothing more to ask for.
    doubt = None if last4 == found.phone_last4 or not found.phone_last4 else Doubt.MISSING
    if last4 and doubt is not None:
        return Proved(CodeKind.SHORT)
    return Proved(CodeKind.SHORT, found.guest, doubt=doubt, short=hashed)


def _is_open(found: ShortCode | None, now: datetime, device: UUID | None) -> bool:
    if found is None or found.used_at is not None or not holds_at(now, found.expires_at, SHORT_LIVES):
        return False
    return found.used_by is None or found.used_by == device
