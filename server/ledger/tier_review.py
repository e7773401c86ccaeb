"""Each night: what counts in a guest's window today, and the tier that follows from it.

Nothing is added up from night to night: a guest's checks are replayed by `loyalty_desk.domain.tiers`, so late facts,
refunds and nights without a review change nothing. What a guest brought along counts as paid on the day it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.days import day_of, end_of
from loyalty_desk.domain.ids import derived_id
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.tiers import (
    GRACE_DAYS,
    ManualTier,
    PaidCheck,
    Returned,
    Standing,
    TierChange,
    higher,
    standing,
    window_start,
)
from server.kit import feed
from server.kit.db import Connection, fetch, write
from server.ledger import repository
from server.ledger.own import Render

KEPT = "kept"


@dataclass(slots=True)
class Review:
    """What the ledger knows of one guest, and what follows."""

    guest: UUID
    tier: str
    until: datetime | None
    figures: tuple[int, int, int]
    opening: tuple[int, int, int]
    opened_at: datetime
    checks: list[PaidCheck] = field(default_factory=list)
    grants: list[ManualTier] = field(default_factory=list)
    recorded_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A guest after the review; `kept_until`: a tier that the program does not explain is kept so long, once."""

    guest: UUID
    tier: str
    until: datetime | None
    is_manual: bool
    spend: int
    visits: int
    earned: int
    changes: tuple[TierChange, ...]
    kept_until: datetime | None = None

    def is_shown(self, review: Review) -> bool:
        """Return whether the guest's tier and figures are those found already."""
        figures = (self.spend, self.visits, self.earned)
        return (self.tier, self.until, figures) == (review.tier, review.until, review.figures)

    def is_noted(self, review: Review) -> bool:
        """Return whether there is nothing to be written of the guest."""
        return self.is_shown(review) and not self.changes and self.kept_until is None


def outcome(program: Program, review: Review, now: datetime) -> Outcome:
    """Return what a review finds; pure, the same for the same ledger."""
    zone = ZoneInfo(program.zone)
    spend, visits, earned = _window(program, review, now, zone)
    found = standing(program, [*_brought(program, review), *review.checks], now, zone, manual=review.grants)
    changes = tuple(one for one in found.history if review.recorded_to is None or one.at > review.recorded_to)
    if _is_unexplained(program, review.tier, found):
        # The program was changed, or the tier came from elsewhere: a guest loses no tier overnight.
        kept_until = end_of(day_of(now, zone) + timedelta(days=GRACE_DAYS), zone)
        return Outcome(review.guest, review.tier, kept_until, True, spend, visits, earned, changes, kept_until)
    is_manual = found.tier != found.automatic
    return Outcome(review.guest, found.tier, found.until or found.falls_at, is_manual, spend, visits, earned, changes)


async def review_tiers(
    connection: Connection, network: UUID, render: Render, program: Program, guests: Sequence[UUID], now: datetime
) -> int:
    """Review guests and write what changed; returns of how many. The last call before the commit.

    On most nights next to nobody changes: who does not is never locked, for a guest at the counter would wait for all.
    """
    seen = await _reviewed(connection, network, program, guests, now)
    due = [one.guest for one, review in seen if not one.is_noted(review)]
    if not due:
        return 0
    # Locked, they are looked at anew: what was posted meanwhile counts.
    await repository.lock_guests(connection, network, due)
    found = await _reviewed(connection, network, program, due, now)
    changed = [one for one, review in found if not one.is_shown(review)]
    await _write(connection, network, [one for one, _ in found], changed, now)
    if changed:
        await feed.record(connection, network, await render(connection, network, [one.guest for one in changed]))
    return len(changed)


async def _reviewed(
    connection: Connection, network: UUID, program: Program, guests: Sequence[UUID], now: datetime
) -> list[tuple[Outcome, Review]]:
    reviews = await _load(connection, network, guests)
    return await asyncio.to_thread(lambda: [(outcome(program, one, now), one) for one in reviews.values()])


def _is_unexplained(program: Program, present: str, found: Standing) -> bool:
    """Say whether the present tier is above what was found without ever having been lost by the rules."""
    known = any(tier.code == present for tier in program.tiers)
    if not known or present == found.tier or higher(program, present, found.tier) != present:
        return False
    last = next((one for one in reversed(found.history) if present in (one.before, one.after)), None)
    return last is None or last.before != present


def _brought(program: Program, review: Review) -> list[PaidCheck]:
    spend, visits, earned = review.opening
    if not (spend or visits or earned):
        return []
    if program.tier_base == "visits":
        return [PaidCheck(review.opened_at, 0)] * visits
    return [PaidCheck(review.opened_at, spend, earned)]


def _window(program: Program, review: Review, now: datetime, zone: ZoneInfo) -> tuple[int, int, int]:
    start = window_start(program.window, now, zone)
    spend = visits = earned = 0
    if start is None or start <= review.opened_at:
        spend, visits, earned = review.opening
    for check in review.checks:
        if (start is None or start <= check.at) and check.at < now:
            spend += max(0, check.net - sum(one.money for one in check.returned))
            visits += not any(one.is_whole for one in check.returned)
            earned += max(0, check.earned - sum(one.points for one in check.returned))
    return spend, visits, earned


async def _load(connection: Connection, network: UUID, guests: Sequence[UUID]) -> dict[UUID, Review]:
    rows = await fetch(
        connection,
        """
        select s.guest_id, s.tier, s.tier_until, s.spend, s.visits, s.earned, s.opening_spend, s.opening_visits,
            s.opening_earned, g.created_at,
            (select max(c.at) from tier_change c where c.network_id = $1 and c.guest_id = s.guest_id) as recorded_to
        from guest_state s join guest g on g.network_id = s.network_id and g.id = s.guest_id
        where s.network_id = $1 and s.guest_id = any($2::uuid[]) order by s.guest_id
        """,
        network,
        list(guests),
    )
    found = {
        row.guest_id: Review(
            row.guest_id,
            row.tier,
            row.tier_until,
            (row.spend, row.visits, row.earned),
            (row.opening_spend, row.opening_visits, row.opening_earned),
            row.created_at,
            recorded_to=row.recorded_to,
        )
        for row in rows
    }
    for guest, checks in (await _checks(connection, network, list(found))).items():
        found[guest].checks = checks
    for row in await fetch(
        connection,
        "select guest_id, tier, since, until, reason from tier_grant"
        " where network_id = $1 and guest_id = any($2::uuid[]) order by since, id",
        network,
        list(found),
    ):
        found[row.guest_id].grants.append(ManualTier(row.tier, row.since, row.until, row.reason))
    return found


async def _checks(connection: Connection, network: UUID, guests: Sequence[UUID]) -> dict[UUID, list[PaidCheck]]:
    """Return guests' paid checks with what came back of each; those of guests merged into them are theirs."""
    sales: Sequence[Any] = await fetch(
        connection,
        """
        with mine as (
            select s.guest_id, coalesce(s.merged_into, s.guest_id) as owner from guest_state s
            where s.network_id = $1 and (s.guest_id = any($2::uuid[]) or s.merged_into = any($2::uuid[]))
        ), sale as (
            select m.owner, x.id, x.effective_at, convert_from(x.payload, 'UTF8')::jsonb as said
            from mine m join ledger_tx x on x.network_id = $1 and x.guest_id = m.guest_id
            where x.kind in ('sale', 'exchange') and x.payload is not null
            union all
            -- What was posted before anybody knew whose it was.
            select m.owner, x.id, x.effective_at, convert_from(x.payload, 'UTF8')::jsonb
            from mine m join ledger_tx c on c.network_id = $1 and c.guest_id = m.guest_id
                and c.natural_key like 'claim:%'
            join ledger_tx x on x.network_id = $1 and x.id = c.reverses_id
            where x.kind in ('sale', 'exchange') and x.payload is not null
        )
        select owner, id, effective_at, coalesce((said ->> 'money_total')::bigint, 0) as net,
            coalesce((said #>> '{points,earned}')::bigint, 0) as earned
        from sale order by owner, effective_at, id
        """,
        network,
        list(guests),
    )
    returns: dict[UUID, list[Any]] = {}
    for row in await fetch(
        connection,
        """
        select reverses_id, kind, effective_at,
            coalesce((case kind when 'exchange' then said #>> '{check,returned,money}' else said ->> 'money_total' end)
                ::bigint, 0) as money,
            -- What was taken back as it was posted: of a sale of another till the return itself does not say it.
            coalesce((select sum(e.amount) from entry e
                join account a on a.network_id = e.network_id and a.id = e.account_id and a.kind = 'promo_cost'
                where e.network_id = $1 and e.tx_id = r.id and e.amount > 0), 0)::bigint as points
        from (
            select reverses_id, kind, effective_at, id, convert_from(payload, 'UTF8')::jsonb as said from ledger_tx
            where network_id = $1 and reverses_id = any($2::uuid[]) and kind in ('refund', 'void', 'exchange')
        ) r order by effective_at, id
        """,
        network,
        [row.id for row in sales],
    ):
        returns.setdefault(row.reverses_id, []).append(row)
    found: dict[UUID, list[PaidCheck]] = {}
    for sale in sales:
        back = _returned(sale, returns.get(sale.id, []))
        found.setdefault(sale.owner, []).append(PaidCheck(sale.effective_at, sale.net, sale.earned, back))
    return found


def _returned(sale: Any, rows: Sequence[Any]) -> tuple[Returned, ...]:
    made: list[Returned] = []
    left = sale.net
    for row in rows:
        voided = row.kind == "void"
        money = left if voided else min(left, row.money)
        left -= money
        made.append(Returned(row.effective_at, money, sale.earned if voided else row.points, voided or not left))
    return tuple(made)


async def _write(
    connection: Connection, network: UUID, outcomes: Sequence[Outcome], changed: Sequence[Outcome], now: datetime
) -> None:
    kept = [one for one in outcomes if one.kept_until is not None]
    if kept:
        await write(
            connection,
            "insert into tier_grant (network_id, id, guest_id, tier, since, until, reason)"
            " select $1, id, guest, tier, $2, until, $3"
            " from unnest($4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[]) as t (id, guest, tier, until)"
            " on conflict (network_id, id) do nothing",
            network,
            now,
            KEPT,
            [derived_id(network, f"kept:{one.guest}:{one.tier}:{one.kept_until:%Y-%m-%d}") for one in kept],
            [one.guest for one in kept],
            [one.tier for one in kept],
            [one.kept_until for one in kept],
        )
    rows = [(one.guest, row) for one in outcomes for row in one.changes]
    if rows:
        await write(
            connection,
            "insert into tier_change (network_id, guest_id, at, before, after, cause, measured) select $1, * from"
            " unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::bigint[])"
            " on conflict (network_id, guest_id, at, after) do nothing",
            network,
            [guest for guest, _ in rows],
            [row.at for _, row in rows],
            [row.before for _, row in rows],
            [row.after for _, row in rows],
            [row.cause for _, row in rows],
            [row.measured for _, row in rows],
        )
    if changed:
        await write(
            connection,
            "update guest_state s set tier = t.tier, tier_until = t.until, tier_manual = t.manual, spend = t.spend,"
            " visits = t.visits, earned = t.earned"
            " from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::boolean[], $6::bigint[], $7::bigint[],"
            " $8::bigint[]) as t (guest, tier, until, manual, spend, visits, earned)"
            " where s.network_id = $1 and s.guest_id = t.guest",
            network,
            [one.guest for one in changed],
            [one.tier for one in changed],
            [one.until for one in changed],
            [one.is_manual for one in changed],
            [one.spend for one in changed],
            [one.visits for one in changed],
            [one.earned for one in changed],
        )
