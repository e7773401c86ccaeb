"""A guest's row of the feed as the kernel takes it: one reading for the till and for the server."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.segments import Segmentation
from loyalty_desk.wire.v1.rows import GuestRow


def facts_of(
    guest: UUID,
    row: GuestRow,
    points: int,
    uses: Mapping[tuple[str, str], int],
    as_of: datetime | None,
    segmentation: Segmentation,
) -> GuestFacts:
    """Return the facts of a guest with `points` to spend now, smallest point units, and `uses` by rule and period.

    Whom a program's segments take in is told by what is known here: nobody by the day of a last visit, which the row
    does not say. A date that is none counts as not known: the sale goes on.
    """
    first = date_of(row.first_visit)
    facts = GuestFacts(
        guest_id=guest,
        tier=row.tier,
        tier_until=None if row.tier_until is None else from_ms(row.tier_until),
        points=points,
        expiries=tuple((from_ms(at), amount) for at, amount in row.next_expiries),
        spend=row.spend,
        visits=row.visits,
        first_visit=None if first is None else datetime(first.year, first.month, first.day, tzinfo=UTC),
        birthday=date_of(row.birthday),
        segments=frozenset(row.segments),
        tags=frozenset(row.tags),
        uses=uses,
        coupons=tuple(Coupon(*code.partition(":")[::2]) for code in row.coupons),
        stamps=dict(row.stamps),
        as_of=as_of,
    )
    return replace(facts, segments=segmentation.of(facts, None, as_of))


def date_of(text: str | None) -> date | None:
    """Return the day that an ISO text names, None where it names none."""
    with suppress(ValueError, TypeError):
        return date.fromisoformat(text or "")
    return None
