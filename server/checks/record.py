"""The record that a check of another system is kept as, and what its caller is told from it when it asks again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import msgspec

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.check import check_to_payload
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import ClockConfidence, Credential, Record, RecordKind, Totals
from server.checks.pricing import Priced, told_again
from server.checks.schemas import CommitAnswer, CommitRequest
from server.guests.proof import Proved
from server.systems.service import Asker

_NOWHERE = UUID(int=0)
_REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Paid:
    """A check to be committed; `digest` tells whether the same was asked when its id comes again."""

    asker: Asker
    asked: CommitRequest
    digest: bytes

    @classmethod
    def of(cls, asker: Asker, asked: CommitRequest) -> Paid:
        """Return a check as it was asked."""
        return cls(asker, asked, sha256(msgspec.json.encode(asked, order="sorted")).digest())


def record_of(paid: Paid, priced: Priced, proved: Proved | None, now: datetime) -> Record:
    """Return the sale to be posted; `to_payload` raises `TooLarge` where it does not fit."""
    asker, asked = paid.asker, paid.asked
    check = check_to_payload(priced.basket, priced.facts, priced.choices, priced.quote)
    check[_REQUEST] = bytes_to_text(paid.digest)
    handle = int.from_bytes(proved.handle, "big") if proved is not None and proved.handle else None
    return Record(
        network=asker.network,
        id=asked.id,
        device=asker.id,
        epoch=0,
        seq=1,
        kind=RecordKind.SALE,
        store=asker.store_for(asked.store),
        occurred_at=to_ms(now),
        boot_id=_NOWHERE,
        monotonic_ms=0,
        clock_conf=ClockConfidence.GOOD,
        business_day=now.astimezone(priced.basket.zone).date().isoformat(),
        totals=Totals(),
        guest_id=priced.guest,
        points_earned=priced.quote.earned_points,
        points_redeemed=priced.quote.redeemed_points,
        cashier=asked.cashier or None,
        receipt_no=asked.receipt or None,
        check=check,
        credential=None if proved is None else Credential(CodeKind(proved.kind), handle),
        money_total=priced.quote.total,
    )


def answered_before(paid: Paid, payload: bytes) -> CommitAnswer | None:
    """Return what a record's caller was told, None where another check was asked under its id."""
    record = Record.from_payload(payload)
    check = record.check or {}
    if check.get(_REQUEST) != bytes_to_text(paid.digest):
        return None
    return CommitAnswer(record.id, duplicate=True, check=told_again(check), guest=record.guest_id)
