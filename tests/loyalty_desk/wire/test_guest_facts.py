"""The one reading of a guest's row that till and server price with."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.segments import Segmentation
from loyalty_desk.wire.v1.guest_facts import date_of, facts_of
from loyalty_desk.wire.v1.rows import GuestRow

GUEST = UUID(int=7)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_every_field_of_a_row_that_prices_is_read() -> None:
    row = GuestRow(
        tier="GOLD",
        tier_until=1_780_000_000_000,
        points=1,
        spend=688_000,
        visits=7,
        first_visit="2025-02-28",
        birthday="1990-05-17",
        segments=["vip"],
        tags=["staff"],
        coupons=["SPRING:ten-off"],
        stamps={"coffee": 3},
        next_expiries=[(1_790_000_000_000, 40)],
    )
    assert facts_of(GUEST, row, 250, {("happy", "day:2026-03-02"): 2}, NOW, Segmentation()) == GuestFacts(
        guest_id=GUEST,
        tier="GOLD",
        tier_until=datetime.fromtimestamp(1_780_000_000, UTC),
        points=250,
        expiries=((datetime.fromtimestamp(1_790_000_000, UTC), 40),),
        spend=688_000,
        visits=7,
        first_visit=datetime(2025, 2, 28, tzinfo=UTC),
        birthday=date(1990, 5, 17),
        segments=frozenset({"vip", "regular"}),
        tags=frozenset({"staff"}),
        uses={("happy", "day:2026-03-02"): 2},
        coupons=(Coupon("SPRING", "ten-off"),),
        stamps={"coffee": 3},
        as_of=NOW,
    )


@pytest.mark.parametrize("text", [None, "", "1990-02-30", "yesterday"])
def test_a_date_that_is_none_is_not_known(text: str | None) -> None:
    assert date_of(text) is None
    row = GuestRow(birthday=text, first_visit=text)
    facts = facts_of(GUEST, row, 0, {}, None, Segmentation())
    assert facts == GuestFacts(guest_id=GUEST, segments=frozenset({"new"}))
