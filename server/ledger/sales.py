"""A sale of any till found again: what was sold, what came back of it anywhere, and what can still be returned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.check import CheckContents, check_from_payload
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.record import BadRecord, Record, RecordKind
from loyalty_desk.domain.refund.left import LineLeft, lines_left
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, ReturnContents
from server.kit.db import Connection, fetch

MOST_ALIKE = 2
_SALES = ("sale", "exchange")


@dataclass(frozen=True, slots=True)
class SaleLeft:
    """A sale and what is left of it; `guest` is who has its points today, `money_left` minor units can be paid back."""

    record: Record
    contents: CheckContents
    at: datetime
    guest: UUID | None
    lines: tuple[LineLeft, ...]
    money_left: int
    is_voided: bool

    @property
    def at_ms(self) -> int:
        """Return when it was, milliseconds UTC."""
        return to_ms(self.at)


async def find_sale(
    connection: Connection, network: UUID, *, sale: UUID | None = None, receipt: str = "", store: UUID
) -> SaleLeft:
    """Return a sale by its id, or by its receipt: of several with that number the one of `store`.

    Raises `Refused` `sale_unknown`, `sale_unclear` (two stores gave the number, none of them this one), `not_a_sale`.
    """
    rows = await fetch(
        connection,
        # Points that waited in suspense are whoever's they were moved to. By their keys, as `repository.originals`.
        "select x.payload, x.effective_at, x.kind, x.store_id, coalesce(s.merged_into, s.guest_id) as guest"
        " from ledger_tx x left join lateral ("
        " select guest_id from ledger_tx where network_id = $1 and natural_key = 'claim:' || x.id offset 0) c on true"
        " left join guest_state s on s.network_id = x.network_id"
        " and s.guest_id = case when x.guest_id is null then c.guest_id else x.guest_id end"
        " where x.network_id = $1 and x.payload is not null and x.origin in ('till', 'online')"
        " and case when $2::uuid is not null then x.id = $2 else x.receipt_no = $3 end"
        " order by x.store_id = $4 desc, x.recorded_at desc limit $5",
        network,
        sale,
        receipt,
        store,
        MOST_ALIKE,
    )
    if not rows:
        raise Refused("sale_unknown", receipt=receipt or str(sale))
    row = rows[0]
    if len(rows) > 1 and row.store_id != store:
        raise Refused("sale_unclear", receipt=receipt)
    record = Record.from_payload(bytes(row.payload))
    if record.kind.value not in _SALES or record.check is None:
        raise Refused("not_a_sale", receipt=receipt or str(sale))
    returns = await fetch(
        connection,
        "select payload from ledger_tx where network_id = $1 and reverses_id = $2 and payload is not null"
        " and kind in ('void', 'refund', 'exchange')",
        network,
        record.id,
    )
    return _left(record, row.effective_at, row.guest, [bytes(one.payload) for one in returns])


def _left(record: Record, at: datetime, guest: UUID | None, returns: Sequence[bytes]) -> SaleLeft:
    contents = check_from_payload(record.check or {})
    back: Counter[str] = Counter()
    money = 0
    is_voided = False
    for payload in returns:
        lines, paid, voided = _returned(payload)
        money, is_voided = money + paid, is_voided or voided
        for name, quantity in lines:
            back[name] += quantity
    left = lines_left(contents, back)
    if is_voided:
        left = tuple(replace(one, left_milli=0) for one in left)
    money_left = 0 if is_voided else max(0, contents.claimed.total - money)
    return SaleLeft(record, contents, at, guest, left, money_left, is_voided)


def _returned(payload: bytes) -> tuple[list[tuple[str, int]], int, bool]:
    """Return the lines with quantities, the money and whether all of it is void, of one record that came back."""
    try:
        record = Record.from_payload(payload)
        check = record.check
        if record.kind is RecordKind.REFUND and check is not None and check.get("follow") is True:
            followed = FollowContents.from_check(check)
            return [(one.line, one.quantity_milli) for one in followed.lines], followed.money, False
        returned = (
            ExchangeContents.from_check(check).returned
            if record.kind is RecordKind.EXCHANGE
            else ReturnContents.from_check(check).returned
        )
    except (BadRecord, BadInput):
        return [], 0, False
    lines = [(one.line, one.quantity_milli) for one in returned.lines]
    return lines, returned.money, record.kind is RecordKind.VOID
