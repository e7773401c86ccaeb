"""What registering asks, answered from tables in memory. A phone is its own lookup key here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.guest_code import HANDLE_BYTES
from loyalty_desk.domain.record import Record, handle_text
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.guests.admission import Admission, Admitted
from server.kit.feed import Change
from server.ledger.posting import AccountKey, AccountKind, Posted
from server.ledger.register_store import Suspended

if TYPE_CHECKING:
    from tests.simulation.memory_ledger import Tables


class MemoryRegisters:
    """A `RegisterStore` over a copy of the tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def admit(self, wanted: Sequence[Admission]) -> list[Admitted]:
        """Register guests."""
        return [self._admit(one) for one in wanted]

    def _admit(self, wanted: Admission) -> Admitted:
        tables, guest = self._tables, wanted.guest
        is_new = guest not in tables.guests
        phone = "" if wanted.fields is None else wanted.fields.phone
        phone_of = tables.phones.get(phone) if phone and is_new else None
        card = None if wanted.handle is None else wanted.handle.to_bytes(HANDLE_BYTES, "big")
        card_of = None if card is None else tables.credentials.get(card)
        if is_new:
            tables.new_guest(guest)
            if phone and phone_of is None:
                tables.phones[phone] = guest
        if is_new and card is not None and card_of is None:
            tables.credentials[card] = guest
            row = rows.write(rows.CredentialRow(str(guest), "card"))
            tables.documents[FeedTable.CREDENTIAL.value, handle_text(wanted.handle or 0)] = row
        return Admitted(guest, phone_of, None if card_of == guest else card_of, not is_new)

    async def suspended(self, guests: Sequence[UUID], handles: Sequence[int], limit: int) -> list[Suspended]:
        """Return what waits in suspense."""
        tables, found = self._tables, []
        claimed = {of for of, *_ in tables.claims.values()}
        suspense = tables.account_ids.get(AccountKey(AccountKind.SUSPENSE))
        cards = {handle_text(one) for one in handles}
        for (kind, tx_id), raised in tables.exceptions.items():
            if kind != "UNKNOWN_GUEST" or tx_id is None or tx_id in claimed:
                continue
            guest, shown = raised.facts.get("guest"), raised.facts.get("credential") or {}
            handle = shown.get("handle")
            if guest not in {str(one) for one in guests} and (guest is not None or handle not in cards):
                continue
            tx = tables.txs[tx_id]
            amounts = tuple(one.amount for one in tables.entries if one.tx == tx_id and one.account == suspense)
            record = Record.from_payload(tx.payload)
            found.append(Suspended(record, tx.effective_at, None if guest is None else UUID(guest), handle, amounts))
        return found[:limit]

    async def insert_claims(self, rows: Sequence[Posted], now: datetime) -> None:
        """Insert the transactions that move what waited."""
        for one in rows:
            assert one.fact.claim is not None
            assert one.fact.guest is not None
            self._tables.claims[one.fact.record.id] = (one.fact.claim.of, one.fact.guest, to_ms(now))

    async def changes(self, guests: Sequence[UUID], handles: Sequence[int]) -> list[Change]:
        """Return guests and cards as tills will get them."""
        keys = [(FeedTable.GUEST, str(one)) for one in guests]
        keys += [(FeedTable.CREDENTIAL, handle_text(one)) for one in handles]
        return [Change(table, key, self._tables.row(table, key)) for table, key in keys]
