"""A sale of this till found again: what was sold, what came back so far, and what can still be returned."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from uuid import UUID

from loyalty_desk.domain.basket import WHOLE_CHECK
from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.check import CheckContents, check_from_payload, drift, priced_at
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Record, RecordKind, SealedRecord
from loyalty_desk.domain.refund import NOTHING_YET, Refunded, Sale
from loyalty_desk.domain.refund.left import LineLeft, lines_left
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, ReturnContents
from loyalty_desk.services.ports.journal import Archive

_LOG = logging.getLogger(__name__)
SHOWN = 10
_SALES = frozenset({RecordKind.SALE, RecordKind.EXCHANGE})


@dataclass(frozen=True, slots=True)
class SoldCheck:
    """A sale of this till and what came back of it so far. `sale` is None where it cannot be priced again here.

    `money_left` minor units can still be paid back; `is_bare` says that it has no lines but its total.
    """

    record: Record
    contents: CheckContents
    sale: Sale | None
    before: Refunded
    lines: tuple[LineLeft, ...]
    money_left: int
    is_newest: bool

    @property
    def is_bare(self) -> bool:
        """Return whether the check has no lines but its total."""
        lines = self.contents.basket.lines
        return len(lines) == 1 and lines[0].id == WHOLE_CHECK


class SoldChecks:
    """The till's own sales, looked up in its journal. For the db thread."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def find(self, text: str) -> SoldCheck:
        """Return a sale of this till by its receipt number or its id.

        Raises `BadInput` `receipt_malformed` and `Refused` `sale_unknown` (`receipt`).
        """
        wanted = text.strip().upper()
        found = self._by_id(wanted) if len(wanted) in (32, 36) else self._by_receipt(wanted)
        if found is None:
            raise Refused("sale_unknown", receipt=wanted[:40])
        return self.of(found)

    def newest(self) -> SoldCheck:
        """Return the last sale; raises `Refused` `no_sale_yet`."""
        found = self._archive.newest(1)
        if not found:
            raise Refused("no_sale_yet")
        return self.of(record_of(found[0]))

    def recent(self) -> list[SoldCheck]:
        """Return the newest sales of this till, newest first."""
        records = [record_of(one) for one in self._archive.newest(5 * SHOWN)]
        return [self.of(one) for one in records if one.kind in _SALES][:SHOWN]

    def of_guest(self, guest: UUID) -> list[SoldCheck]:
        """Return a guest's newest sales at this till, newest first."""
        records = [record_of(one) for one in self._archive.of_guest(guest, 5 * SHOWN)]
        return [self.of(one) for one in records if one.kind in _SALES][:SHOWN]

    def is_here(self, sale: UUID) -> bool:
        """Return whether a sale is in this till's journal."""
        return self._archive.find(sale) is not None

    def money_back(self, sale: UUID) -> int:
        """Return the minor units that this till has paid back of any sale."""
        return sum(record_of(one).money_total or 0 for one in self._archive.returns_of(sale))

    def of(self, record: Record) -> SoldCheck:
        """Return what is left of a sale of this till; raises `Refused` `not_a_sale` (`receipt`)."""
        if record.kind not in _SALES or record.check is None:
            raise Refused("not_a_sale", receipt=record.receipt_no or "")
        contents = check_from_payload(record.check)
        before, untold = self._before(record.id)
        sale = None if untold else self._sale(contents, record)
        newest = self._archive.newest(1)
        return SoldCheck(
            record,
            contents,
            sale,
            before,
            lines_left(contents, before.quantities),
            max(0, contents.claimed.total - before.money),
            bool(newest) and newest[0].id == record.id,
        )

    def _before(self, sale: UUID) -> tuple[Refunded, bool]:
        """Return what came back so far, and whether points of some of it are only known to the server."""
        before, untold = NOTHING_YET, False
        for sealed in self._archive.returns_of(sale):
            back = record_of(sealed)
            if back.kind is RecordKind.EXCHANGE:
                before = ExchangeContents.from_check(back.check).returned.after(before)
            elif back.check is not None and back.check.get("follow") is True:
                found = FollowContents.from_check(back.check)
                quantities = dict(before.quantities)
                for line in found.lines:
                    quantities[line.line] = quantities.get(line.line, 0) + line.quantity_milli
                before, untold = replace(before, money=before.money + found.money, quantities=quantities), True
            else:
                before = ReturnContents.from_check(back.check).returned.after(before)
        return before, untold

    def _sale(self, contents: CheckContents, record: Record) -> Sale | None:
        """Return the sale priced again with its own program, None where that is gone or gives other figures now."""
        wanted = contents.claimed.program_hash
        stored = next((one for one in self._archive.programs() if bytes_to_text(one.hash) == wanted), None)
        if stored is None:
            _LOG.warning("the program of the sale %s is not here any more", record.id)
            return None
        moment = priced_at(record.check or {}, record.occurred_at)
        program = Program.from_bytes(stored.bytes)
        sale = Sale.priced(contents.basket, contents.guest, program, moment, contents.choices)
        if drift(contents.claimed, sale.quote):
            _LOG.warning("the sale %s is priced otherwise now", record.id)
            return None
        return sale

    def _by_id(self, text: str) -> Record | None:
        try:
            found = self._archive.find(UUID(text))
        except ValueError as error:
            raise BadInput("receipt_malformed") from error
        return None if found is None else record_of(found)

    def _by_receipt(self, text: str) -> Record | None:
        number = text.rpartition("-")[2]
        if not (number.isascii() and number.isdigit() and len(number) <= 12):
            raise BadInput("receipt_malformed")
        found = [record_of(one) for one in self._archive.numbered(int(number))]
        if "-" in text:
            found = [one for one in found if one.receipt_no == text]
        # A bare number means the newest that has it: series of earlier epochs have their letters printed before it.
        return max(found, key=lambda one: one.occurred_at, default=None)


def record_of(sealed: SealedRecord) -> Record:
    """Return a record of the journal, read."""
    return Record.from_payload(sealed.payload)
