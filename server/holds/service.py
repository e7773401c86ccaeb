"""Holding points for a check: a request, which may be declined and never takes a guest below what there is (INV-13).

A hold locks its guest's account and nothing else: neither the network's accounts nor the feed, so that a hundred tills
that push do not make a guest wait. What is held ends by the server's clock, whether anybody notes it or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.code_proof import Doubt, Permit
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldDecision, HoldRefusal, HoldRequest, HoldState
from loyalty_desk.wire.v1.rows import ProfileRow
from server.guests import shown
from server.guests.proof import Proved, prove_evidence
from server.holds import repository
from server.holds.plain import Plain, answer, hold_all, pending_hold, spent_today
from server.holds.repository import Asked, Before, Hold
from server.kit.crypto import Vault
from server.kit.db import Connection, Database
from server.kit.together import Together
from server.ledger.own import OwnPosting

_PROVED_BY_EVIDENCE = frozenset({CodeKind.LD2, CodeKind.LD3, CodeKind.LD4, CodeKind.SHORT})
_NOTHING = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the hold that a sale names. `in_time`: its points were still held when the sale was posted.

    `known` is the hold as the server gave it, None where it gave none.
    """

    hold: UUID
    state: str
    in_time: bool
    known: repository.Known | None = None


class Holds:
    """Holds over a pool of their own, `db`: pushes that wait for each other never keep a guest at the counter."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault
        self._before = Together(db, repository.before)
        self._plain = Together(db, hold_all)

    async def close(self) -> None:
        """Answer whoever still waits."""
        await self._before.close()
        await self._plain.close()

    async def before(self, network: UUID, device: UUID, asked: HoldRequest | None) -> Before:
        """Return who a device is, and what there is before the hold that it asks for, None: for nothing readable."""
        named = (_NOTHING, _NOTHING) if asked is None else (asked.id, asked.guest)
        return await self._before.ask(network, Asked(device, *named))

    async def hold(self, before: Before, asked: HoldRequest, now: datetime) -> HoldAnswer:
        """Hold points, or say why not; the same id again says what became of it."""
        try:
            kind = CodeKind(asked.code)
        except ValueError:
            return _refused(asked, HoldRefusal.CODE_INVALID)
        if before.hold is None and before.guest is None:
            return _refused(asked, HoldRefusal.GUEST_UNKNOWN)
        profile = rows.read(ProfileRow, before.profile)
        if before.hold is None and before.guest is not None and asked.evidence is None:
            refusal = _refusal(asked, _unproved(asked, kind), before.guest, profile)
            if refusal is not None:
                return refusal
            plain = Plain(asked, before.guest, before.zone, profile.confirm_points, now)
            said = await self._plain.ask(asked.network, plain)
            if said is not None:
                return said
        async with self._db.begin(asked.network) as connection:
            # Merged or settled since it was looked at before.
            found = await repository.find(connection, asked.network, asked.id)
            if found is not None:
                return await self._as_it_is(connection, asked, found, now)
            guest = await shown.survivor(connection, asked.network, asked.guest)
            if guest is None:
                return _refused(asked, HoldRefusal.GUEST_UNKNOWN)
            try:
                proved = await self._proved(connection, asked, kind, now)
            except BadInput:
                return _refused(asked, HoldRefusal.CODE_INVALID)
            refusal = _refusal(asked, proved, guest, profile)
            if refusal is not None:
                return refusal
            posting = await OwnPosting.lock(connection, asked.network, [guest], now)
            if guest not in posting.accounts:
                return _refused(asked, HoldRefusal.GUEST_UNKNOWN)
            return await self._decide(connection, asked, posting, guest, proved, before.zone, profile.confirm_points)

    async def void(self, network: UUID, device: UUID, hold: UUID, now: datetime) -> HoldAnswer:
        """Give the points of a hold back; one that is not pending any more stays as it is.

        Raises `Refused` `hold_unknown`.
        """
        async with self._db.begin(network) as connection:
            await repository.void(connection, network, hold, device, now)
            found = await repository.find(connection, network, hold)
            if found is None or found.device != device:
                raise Refused("hold_unknown")
            available = await _available(connection, network, found.asked, now)
            return answer(HoldDecision.EXISTS, found, available, now)

    async def state(self, network: UUID, device: UUID, hold: UUID, now: datetime) -> HoldAnswer:
        """Return how a hold stands; raises `Refused` `hold_unknown`."""
        async with self._db.begin(network) as connection:
            found = await repository.find(connection, network, hold)
            if found is None or found.device != device:
                raise Refused("hold_unknown")
            available = await _available(connection, network, found.asked, now)
            return answer(HoldDecision.EXISTS, found, available, now)

    async def _as_it_is(self, connection: Connection, asked: HoldRequest, found: Hold, now: datetime) -> HoldAnswer:
        if (found.asked, found.amount, found.device) != (asked.guest, asked.amount, asked.device):
            return _refused(asked, HoldRefusal.OTHER_REQUEST)
        available = await _available(connection, asked.network, found.asked, now)
        return answer(HoldDecision.EXISTS, found, available, now)

    async def _proved(self, connection: Connection, asked: HoldRequest, kind: CodeKind, now: datetime) -> Proved:
        if asked.evidence is None:
            return _unproved(asked, kind)
        return await prove_evidence(connection, asked.network, self._vault, kind, asked.evidence, now, asked.device)

    async def _decide(
        self,
        connection: Connection,
        asked: HoldRequest,
        posting: OwnPosting,
        guest: UUID,
        proved: Proved,
        zone: str,
        confirm_points: int,
    ) -> HoldAnswer:
        """Decide with the account locked: from here on nobody else holds or posts anything of this guest."""
        network, now = asked.network, posting.now
        account = posting.accounts[guest].account_id
        found = await repository.find(connection, network, asked.id)
        if found is not None:
            return await self._as_it_is(connection, asked, found, now)
        held = await repository.pending(connection, network, account, now)
        available = posting.holdings(guest).available(to_ms(now)) - held
        if asked.amount > available:
            return HoldAnswer(asked.id, HoldDecision.INSUFFICIENT, available)
        if asked.code != CodeKind.SHORT:
            spent = (await spent_today(connection, network, [account], zone, now))[account]
            if spent + asked.amount > confirm_points:
                return replace_available(_refused(asked, HoldRefusal.CONFIRMATION_NEEDED), available)
        if not await _use(connection, network, asked.device, proved, now):
            return replace_available(_refused(asked, HoldRefusal.CODE_INVALID), available)
        made = pending_hold(asked, account, now, proved.root, proved.step)
        if not await repository.insert(connection, network, made):
            # Another guest's hold has this id since a moment ago.
            return replace_available(_refused(asked, HoldRefusal.OTHER_REQUEST), available)
        return answer(HoldDecision.PENDING, made, available - asked.amount, now)


async def post_holds(
    connection: Connection, network: UUID, holds: Mapping[UUID, tuple[UUID, UUID]], now: datetime
) -> dict[UUID, Settled]:
    """End the holds that sales name, in the transaction that posts the sales; `holds` gives each one's sale and till.

    The sale is a fact and is posted either way: where `in_time` is false the hold had run out, was voided, had paid
    for another sale, is another till's or is not known, which is for HOLD_EXPIRED. Call it with the guests' accounts
    locked.
    """
    if not holds:
        return {}
    in_time = await repository.post(connection, network, holds, now)
    found = await repository.known(connection, network, list(holds))
    made: dict[UUID, Settled] = {}
    for hold, (sale, _) in holds.items():
        one = found.get(hold)
        is_posted = one is not None and one.state == HoldState.POSTED and one.tx == sale
        made[hold] = Settled(hold, "unknown" if one is None else one.state, hold in in_time or is_posted, one)
    return made


async def held_all(connection: Connection, network: UUID, accounts: Iterable[int], now: datetime) -> dict[int, int]:
    """Return of each account how many points wait for checks that are being paid."""
    return await repository.pending_all(connection, network, list(accounts), now)


async def is_unspent(connection: Connection, network: UUID, proved: Proved) -> bool:
    """Return whether no hold was given for what an LD4 shows, or for a later step of it."""
    if proved.root is None or proved.step is None:
        return True
    return proved.step > await repository.highest_step(connection, network, proved.root)


async def expire(connection: Connection, network: UUID, now: datetime) -> int:
    """Note of holds that have run out that they did; returns how many."""
    return await repository.expire(connection, network, now)


def _unproved(asked: HoldRequest, kind: CodeKind) -> Proved:
    """Return what is known of who was named by a card's handle alone: what turns over is worth nothing without it."""
    return Proved(kind, asked.guest, doubt=Doubt.MISSING if kind in _PROVED_BY_EVIDENCE else None)


def replace_available(said: HoldAnswer, available: int) -> HoldAnswer:
    """Return an answer that also says what the guest could spend."""
    return HoldAnswer(said.id, said.outcome, available, reason=said.reason, limit=said.limit)


def _refusal(asked: HoldRequest, proved: Proved, guest: UUID, profile: ProfileRow) -> HoldAnswer | None:
    if proved.doubt is Doubt.REVOKED:
        return _refused(asked, HoldRefusal.GUEST_BLOCKED)
    named = proved.guest
    if named is None or (named not in (guest, asked.guest)):
        return _refused(asked, HoldRefusal.CODE_INVALID)
    if proved.doubt is not None and proved.kind in _PROVED_BY_EVIDENCE:
        return _refused(asked, HoldRefusal.CODE_INVALID)
    limit = 0 if proved.permit < Permit.LIMITED else profile.online_cvm.get(proved.kind.value, 0)
    if asked.amount > limit:
        return _refused(asked, HoldRefusal.CODE_LIMIT, limit)
    return None


async def _use(connection: Connection, network: UUID, device: UUID, proved: Proved, now: datetime) -> bool:
    """Remember that what was shown has paid; False where it has paid before."""
    if proved.counter is not None and not await shown.put_counter(connection, network, proved.handle, proved.counter):
        return False
    if proved.root is not None:
        return await is_unspent(connection, network, proved)
    if proved.short is not None:
        return await shown.use_short_code(connection, network, proved.short, device, now)
    return True


async def _available(connection: Connection, network: UUID, guest: UUID, now: datetime) -> int:
    found = await shown.survivor(connection, network, guest)
    if found is None:
        return 0
    posting = await OwnPosting.lock(connection, network, [found], now)
    account = posting.accounts[found].account_id
    return posting.holdings(found).available(to_ms(now)) - await repository.pending(connection, network, account, now)


def _refused(asked: HoldRequest, reason: HoldRefusal, limit: int | None = None) -> HoldAnswer:
    return HoldAnswer(asked.id, HoldDecision.REFUSED, 0, reason=reason, limit=limit)
