"""Sales made while points were alive, that came after these had died and their grace was over.

The points come back first, in a transaction of their own that reverses their expiry, dead but there; the sale is then
posted as if it had come in time, by the same arithmetic of lots. What is left of them dies again at the next run. Of a
redemption that is what it would have taken; a check that keeps points alive, as under the inactivity policy, brings
back all that it would have kept, with the life it gives: else a guest's points hung on when a till came (INV-19).

What such a sale has woken stays awake though it is cancelled. By then the points may have been spent by who saw them
alive, or another late sale may keep them too: whether a cancellation found anything to put back to sleep would hang on
what came first, and taking what is spent would leave the guest with a debt for what a till did. It raises LATE_EXPIRY
of its own, which tells a manager to look and to take the points by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.ids import derived_id
from server.kit.db import Connection, fetch
from server.ledger import repository
from server.ledger.expiry import GRACE
from server.ledger.own import OwnPosting, Render
from server.ledger.posting import AccountKey, AccountKind, Fact, TermsOf
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
    """A sale that redeemed `points` and counts as made at `at`; one that `restarts` keeps points alive to `until`.

    Milliseconds UTC; `until` None is for ever.
    """

    sale: UUID
    guest: UUID
    points: int
    at: int
    restarts: bool = False
    until: int | None = None

    def keeps(self, lot: Expired) -> bool:
        """Return whether points would not have died when they did, had this been known: as `Activity.end_of`."""
        return (
            self.restarts
            and not lot.own_expiry
            and self.at < lot.expires_at
            and (self.until is None or self.until > lot.expires_at)
        )


class Reinstate(Exception):
    """Points have to come back before a batch can be posted: roll back, bring them back, plan again."""

    def __init__(self, wanted: Sequence[Late]) -> None:
        super().__init__(f"{len(wanted)} late sales")
        self.wanted = wanted


def late_sales(facts: Iterable[Fact], terms_of: TermsOf, now: int) -> list[Late]:
    """Return the sales to guests that are older than any expired points' grace and could have used or kept them."""
    made: list[Late] = []
    for fact in facts:
        if fact.guest is None or fact.record.kind not in SALES or fact.effective_at >= now - _GRACE_MS:
            continue
        terms = terms_of(fact.record, fact.effective_at)
        points = 0 if fact.is_stores or fact.claim is not None else fact.record.points_redeemed
        if points > 0 or terms.restarts:
            made.append(Late(fact.record.id, fact.guest, points, fact.effective_at, terms.restarts, terms.expires_at))
    return made


def parts_back(late: Late, expired: Sequence[Expired]) -> list[tuple[Expired, int]]:
    """Return what of expired points a sale would have taken or kept, the earliest to die first."""
    made: list[tuple[Expired, int]] = []
    points = late.points
    for one in sorted(expired, key=lambda lot: (lot.expires_at, lot.earned_at, lot.expiry)):
        if one.guest != late.guest or one.left <= 0:
            continue
        taken = min(points, one.left) if one.earned_at <= late.at < one.expires_at else 0
        points -= taken
        part = one.left if late.keeps(one) else taken
        if part:
            made.append((one, part))
    return made


async def look(connection: Connection, network: UUID, wanted: Sequence[Late]) -> tuple[list[Late], set[UUID]]:
    """Return the sales for which points have to come back, and those for which they have."""
    expired, done = await _state(connection, network, wanted)
    return [one for one in wanted if one.sale not in done and parts_back(one, expired)], done


async def reinstate(
    connection: Connection, network: UUID, wanted: Sequence[Late], render: Render, now: datetime
) -> None:
    """Bring back what late sales would have taken or kept. The last call before the commit."""
    posting = await OwnPosting.lock(connection, network, {one.guest for one in wanted}, now)
    expired, done = await _state(connection, network, wanted)
    for one in wanted:
        if one.guest not in posting.accounts or one.sale in done:
            continue
        if one.restarts:
            # Here already: what comes back would be dead again for a job that ran before the sale is posted.
            posting.holdings(one.guest).restart(one.at, one.until)
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
                earned_at=from_ms(lot.earned_at),
            )
            expired[expired.index(lot)] = replace(lot, left=lot.left - points)
    await posting.write(render)


async def _state(connection: Connection, network: UUID, wanted: Sequence[Late]) -> tuple[list[Expired], set[UUID]]:
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
