"""Holds for which a card was shown: many in one transaction, decided one after another.

Guests whose account somebody else has locked are left out, so that one whose points are being posted keeps nobody else
at the counter waiting; so is who was merged or has no account yet. Who is left out is decided alone, by `service`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldDecision, HoldRefusal, HoldRequest, HoldState
from server.holds import repository
from server.holds.repository import Hold
from server.kit.db import Connection
from server.ledger.own import OwnPosting


@dataclass(frozen=True, slots=True)
class Plain:
    """A hold that nothing has to be remembered for, allowed so far: `guest` is who was named, after merges.

    `most_a_day` is how many points a guest may spend in a day of `zone` without more proof.
    """

    asked: HoldRequest
    guest: UUID
    zone: str
    most_a_day: int
    now: datetime


async def hold_all(connection: Connection, network: UUID, group: Sequence[Plain]) -> list[HoldAnswer | None]:
    """Hold points in the caller's transaction and say so, or why not; None: not decided, ask again alone."""
    now = max(one.now for one in group)
    posting = await OwnPosting.lock_free(connection, network, {one.guest for one in group}, now)
    numbers = [one.account_id for one in posting.accounts.values()]
    if not numbers:
        return [None] * len(group)
    taken = await repository.taken(connection, network, [one.asked.id for one in group])
    held = await repository.pending_all(connection, network, numbers, now)
    spent = {zone: await spent_today(connection, network, numbers, zone, now) for zone in {one.zone for one in group}}
    made: dict[UUID, Hold] = {}
    answers: list[HoldAnswer | None] = []
    for one in group:
        asked = one.asked
        if one.guest not in posting.accounts or asked.id in taken or asked.id in made:
            answers.append(None)
            continue
        account = posting.accounts[one.guest].account_id
        available = posting.holdings(one.guest).available(to_ms(now)) - held[account]
        if asked.amount > available:
            answers.append(HoldAnswer(asked.id, HoldDecision.INSUFFICIENT, available))
        elif spent[one.zone][account] + asked.amount > one.most_a_day:
            answers.append(
                HoldAnswer(asked.id, HoldDecision.REFUSED, available, reason=HoldRefusal.CONFIRMATION_NEEDED)
            )
        else:
            hold = made[asked.id] = pending_hold(asked, account, now)
            held[account] += asked.amount
            for day in spent.values():
                day[account] += asked.amount
            answers.append(answer(HoldDecision.PENDING, hold, available - asked.amount, now))
    stored = await repository.insert_all(connection, network, list(made.values())) if made else set()
    # Another guest's hold may have one of these ids since a moment ago.
    return [None if said is not None and said.id in made.keys() - stored else said for said in answers]


async def spent_today(
    connection: Connection, network: UUID, accounts: Sequence[int], zone: str, now: datetime
) -> dict[int, int]:
    """Return how many points of locked accounts this day of `zone` has spent or holds, asked of the server."""
    today = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return await repository.spent_since(connection, network, accounts, today.astimezone(UTC), now)


def pending_hold(
    asked: HoldRequest, account: int, now: datetime, root: bytes | None = None, step: int | None = None
) -> Hold:
    """Return the hold that is given for a request."""
    ends = now + timedelta(seconds=asked.ttl_s)
    pending = HoldState.PENDING
    return Hold(asked.id, account, asked.guest, asked.amount, asked.device, pending, now, ends, asked.code, root, step)


def answer(decision: HoldDecision, hold: Hold, available: int, now: datetime) -> HoldAnswer:
    """Return what is answered of a hold; one that has run out is `EXPIRED` whether anybody noted it or not."""
    state = HoldState.EXPIRED if hold.state == HoldState.PENDING and hold.expires_at <= now else hold.state
    return HoldAnswer(hold.id, decision, available, to_ms(hold.expires_at), hold.amount, state)
