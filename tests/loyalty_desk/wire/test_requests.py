"""Requests of one guest, one hold, one sale: their bytes are read back the same, and no field is taken on trust."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from loyalty_desk.domain.contents import HoldOutcome
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.holds import MAX_HOLD_TTL_S, HoldAnswer, HoldDecision, HoldRequest, HoldVoid
from loyalty_desk.wire.v1.lookup import (
    FoundGuest,
    GuestLookup,
    GuestsFound,
    LookupBy,
    SaleFound,
    SaleLookup,
    SoldLine,
)

ONE = UUID(int=1)
HOLD = HoldRequest(ONE, ONE, ONE, ONE, 100, "ld4", evidence=b"LD4...")
MESSAGES = [
    HOLD,
    HoldVoid(ONE, ONE, ONE),
    HoldAnswer(ONE, HoldDecision.PENDING, 400, expires_at=5, amount=100, state="pending"),
    GuestLookup(ONE, ONE, LookupBy.PHONE, "+79161234567"),
    GuestsFound([FoundGuest(ONE, {"points": 5}, "phone", provisional=True)], 7),
    SaleLookup(ONE, ONE, receipt="A1B2-000001"),
    SaleFound(ONE, "A1B2-000001", 5, "2026-03-02", "RUB", 100, 100, [SoldLine("check", 1000, 1000, 100)], ONE),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_is_read_back(message: Any) -> None:
    assert codec.decode(type(message), codec.encode(message)) == message


@pytest.mark.parametrize("changes", [{"amount": 0}, {"amount": -1}, {"ttl_s": 0}, {"ttl_s": MAX_HOLD_TTL_S + 1}])
def test_a_hold_is_of_something_and_for_a_while(changes: dict[str, int]) -> None:
    wrong = msgspec.structs.replace(HOLD, **changes)
    with pytest.raises(codec.BadBody):
        codec.decode(HoldRequest, codec.encode(wrong))


def test_every_decision_has_an_outcome_that_a_record_can_carry() -> None:
    assert {one.value for one in HoldDecision} | {"timed_out"} == {one.value for one in HoldOutcome}
