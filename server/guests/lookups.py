"""Looking guests up for a till, so that a stolen till cannot read out who they are: what can be guessed is counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.code_proof import Doubt
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import CodeKind, GuestCode, is_member_number, parse
from loyalty_desk.wire.v1.lookup import MAX_FOUND, FoundGuest, GuestLookup, GuestsFound, LookupBy
from loyalty_desk.wire.v1.phones import e164, phone_hash
from loyalty_desk.wire.v1.sync import FeedTable
from server.guests import repository, service, shown
from server.guests.proof import Proved, is_short, prove, prove_code
from server.kit import feed
from server.kit.auth import Signer
from server.kit.db import Connection
from server.kit.ground import Ground
from server.kit.limits import LOOKUP, SHORT_CODE, Limit, forgive, require

_GUESSABLE = {LookupBy.NUMBER, LookupBy.PHONE, LookupBy.LAST4, LookupBy.GUEST}


async def count_try(ground: Ground, signer: Signer, asked: GuestLookup, now: datetime) -> None:
    """Count a look-up by what can be guessed, in a transaction of its own; raises `ApiError` 429."""
    limit = _limit(_by(asked))
    if limit is not None:
        await require(ground.db, signer.network, limit, f"till {signer.device}", now)


async def look_up(
    connection: Connection, ground: Ground, signer: Signer, asked: GuestLookup, now: datetime
) -> GuestsFound:
    """Return whom it may be, nobody where nobody; a short code is this till's from then on.

    Raises `BadInput` where the text is nothing of the kind.
    """
    by = _by(asked)
    found = await _find(connection, ground, signer, by, asked.text.strip(), now)
    if found and _limit(by) is SHORT_CODE:
        await forgive(connection, signer.network, SHORT_CODE, f"till {signer.device}")
    ids = [str(one.guest) for one in found if one.guest is not None]
    rows = await service.feed_rows(connection, signer.network, ground.vault, FeedTable.GUEST, ids)
    at = (await feed.count(connection, signer.network)).n
    return GuestsFound(
        [
            FoundGuest(one.guest, rows[str(one.guest)], one.kind.value, bytes_to_text(one.handle))
            for one in found
            if one.guest is not None and str(one.guest) in rows
        ],
        at,
    )


def _by(asked: GuestLookup) -> LookupBy:
    by = LookupBy(asked.by) if asked.by in set(LookupBy) else LookupBy.CODE
    return _kind_of_typed(asked.text.strip()) if by is LookupBy.CODE else by


def limit_of_evidence(evidence: bytes | None) -> Limit | None:
    """Return how often what was shown may be tried: whatever kind a till says it is, it counts by what it is."""
    if evidence is None:
        return None
    return _limit(_kind_of_typed(evidence.decode("ascii", "replace").strip()))


def _kind_of_typed(text: str) -> LookupBy:
    """Tell by what a scan or typed text looks up: what can be guessed is counted however it is asked for."""
    if is_short(text):
        return LookupBy.SHORT
    digits = "".join(text.split()).replace("-", "")
    if digits.isascii() and digits.isdigit():
        return LookupBy.NUMBER if is_member_number(digits) else LookupBy.PHONE
    if text.startswith("+"):
        return LookupBy.PHONE
    try:
        return LookupBy.PHONE if parse(text).kind is CodeKind.PHONE else LookupBy.CODE
    except BadInput:
        return LookupBy.CODE


def _limit(by: LookupBy) -> Limit | None:
    if by is LookupBy.SHORT:
        return SHORT_CODE
    return LOOKUP if by in _GUESSABLE else None


async def _find(
    connection: Connection, ground: Ground, signer: Signer, by: LookupBy, text: str, now: datetime
) -> Sequence[Proved]:
    network, vault = signer.network, ground.vault
    match by:
        case LookupBy.CODE | LookupBy.SHORT:
            proved = await prove(connection, network, vault, text, now, signer.device)
            if proved.short is not None and not await shown.claim_short_code(
                connection, network, proved.short, signer.device
            ):
                return []
            # A card that was blocked names nobody: whoever found it would get its tier's discount.
            return [proved] if proved.guest is not None and proved.doubt is not Doubt.REVOKED else []
        case LookupBy.NUMBER:
            digits = "".join(text.split()).replace("-", "")
            if not is_member_number(digits):
                raise BadInput("code_foreign")
            proved = await prove_code(connection, network, vault, GuestCode(CodeKind.NUMBER, digits=digits), now)
            return [proved] if proved.guest is not None else []
        case LookupBy.PHONE:
            hashed = phone_hash(vault.lookup_key(network), e164(text))
            return _by_phone(await repository.guests_of_phone(connection, network, hashed))
        case LookupBy.LAST4:
            if not (len(text) == 4 and text.isascii() and text.isdigit()):
                raise BadInput("phone_malformed")
            return _by_phone(await shown.guests_of_last4(connection, network, text, MAX_FOUND))
        case LookupBy.GUEST:
            try:
                found = await shown.survivor(connection, network, UUID(text))
            except ValueError:
                raise BadInput("code_foreign") from None
            return [Proved(CodeKind.NUMBER, found)] if found is not None else []


def _by_phone(found: Sequence[UUID]) -> list[Proved]:
    return [Proved(CodeKind.PHONE, guest) for guest in found[:MAX_FOUND]]
