"""Redemptions made while points were alive, that came after they had died and their grace was over (section 6).

The points come back first, in a transaction of their own that reverses their expiry, dead but there; the redemption is
then posted as if it had come in time, by the same arithmetic of lots. What is left of them dies again at the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.ids import derived_id
from server.kit.db import fetch
from server.ledger import repository
from server.ledger.expiry import GRACE
from server.ledger.own import OwnPosting, Render
from server.ledger.posting import AccountKey, AccountKind, Fact
from server.ledger.returns import SALES

_GRACE_MS = GRACE // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Expired:
    """What the transaction `expiry` took of a lot; `left` of it nobody has got back. Times are milliseconds UTC."""

    guest: UUID
    expiry: UUID
    earned_at: int
    expires_at: int
    own_expiry: bool
    left: int


@dataclass(frozen=True, slots=True)
class Late:
    """A redemption of `points` that counts as made at `at`, milliseconds UTC."""

    sale: UUID
    guest: UUID
    points: int
    at: int


class Reinstate(Exception):
    """Points have to come back before a batch can be posted: roll back, bring them back, plan again."""

    def __init__(self, wanted: Sequence[Late]) -> None:
        super().__init__(f"{len(wanted)} late redemptions")
        self.wanted = wanted


def late_redemptions(facts: Iterable[Fact], now: int) -> list[Late]:
    """Return the redemptions by guests that are older than any expired points' grace."""
    return [
        Late(fact.record.id, fact.guest, fact.record.points_redeemed, fact.effective_at)
        for fact in facts
        if fact.guest is not None
        and fact.record.kind in SALES
        and fact.record.points_redeemed > 0
        and not fact.is_stores
        and fact.effective_at < now - _GRACE_MS
    ]


def parts_back(late: Late, expired: Sequence[Expired]) -> list[tuple[Expired, int]]:
    """Return what of expired points a redemption would have taken, the earliest to die first."""
    made: list[tuple[Expired, int]] = []
    points = late.points
    for one in sorted(expired, key=lambda lot: (lot.expires_at, lot.earned_at, lot.expiry)):
        part = min(points, one.left)
        if one.guest == late.guest and one.earned_at <= late.at < one.expires_at and part > 0:
            points -= part
            made.append((one, part))
    return made


async def look(connection: AsyncConnection, network: UUID, wanted: Sequence[Late]) -> tuple[list[Late], set[UUID]]:
    """Return the redemptions for which points have to come back, and the sales for which they have."""
    expired, done = await _state(connection, network, wanted)
    return [one for one in wanted if one.sale not in done and parts_back(one, expired)], done


async def reinstate(
    connection: AsyncConnection, network: UUID, wanted: Sequence[Late], render: Render, now: datetime
) -> None:
    """Bring back what late redemptions would have taken. The last call before the commit."""
    posting = await OwnPosting.lock(connection, network, {one.guest for one in wanted}, now)
    expired, done = await _state(connection, network, wanted)
    for one in wanted:
        if one.guest not in posting.accounts or one.sale in done:
            continue
        for lot, points in parts_back(one, expired):
            posting.credit(
                one.guest,
                _name(one.sale, lot.expiry),
                "reinstate",
                points,
                AccountKey(AccountKind.BREAKAGE),
                {"sale": str(one.sale)},
                expires_at=from_ms(lot.expires_at),
                own_expiry=lot.own_expiry,
                reverses=lot.expiry,
            )
            expired[expired.index(lot)] = replace(lot, left=lot.left - points)
    await posting.write(render)


async def _state(connection: AsyncConnection, network: UUID, wanted: Sequence[Late]) -> tuple[list[Expired], set[UUID]]:
    """Return what has expired of these guests, and the sales for which points came back."""
    since: dict[UUID, int] = {}
    for one in wanted:
        since[one.guest] = min(one.at, since.get(one.guest, one.at))
    rows = await fetch(
        connection,
        """
        select t.guest, x.id, l.earned_at, l.expires_at, l.own_expiry, -e.amount - coalesce((
            select sum(b.amount) from ledger_tx r
            join entry b on b.network_id = r.network_id and b.tx_id = r.id and b.amount > 0
            where r.network_id = x.network_id and r.reverses_id = x.id and r.kind = 'reinstate'
        ), 0) as remaining
        from unnest($2::uuid[], $3::timestamptz[]) as t (guest, since)
        join guest_state s on s.network_id = $1 and (s.guest_id = t.guest or s.merged_into = t.guest)
        join ledger_tx x on x.network_id = s.network_id and x.guest_id = s.guest_id and x.kind = 'expire'
        join entry e on e.network_id = x.network_id and e.tx_id = x.id and e.amount < 0
        join lot l on l.network_id = e.network_id and l.id = e.lot_id
        where l.expires_at > t.since
        """,
        network,
        list(since),
        [from_ms(at) for at in since.values()],
    )
    expired = [
        Expired(guest, expiry, to_ms(earned_at), to_ms(expires_at), own, int(left))
        for guest, expiry, earned_at, expires_at, own, left in rows
    ]
    names = {
        derived_id(network, _name(one.sale, lot.expiry)): one.sale
        for one in wanted
        for lot in expired
        if lot.guest == one.guest
    }
    known = await repository.known_ids(connection, network, names) if names else {}
    return expired, {names[tx] for tx in known}


def _name(sale: UUID, expiry: UUID) -> str:
    return f"reinstate:{sale}:{expiry}"
