"""Shifts: who stands at the till, since when, and what the shift has come to.

A shift is a Z-session: its business day is the day it was opened on, whatever midnight says meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.contents import ShiftCloseContents, ShiftOpenContents
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.domain.shift_totals import ShiftTotals, totals_of
from loyalty_desk.services.pins import Member, Pins
from loyalty_desk.services.ports.journal import Journal
from loyalty_desk.services.recording import SHIFT, Fact, Recorder
from loyalty_desk.services.staff import CASHIER_NOW
from loyalty_desk.services.trusted_clock import TrustedClock

_NUMBER = "shift_number"
# The shift closed last and where its record is: its Z report is read there again, whoever has left the page too soon.
_LAST = "last_shift"
# Who has had the shift, by id: whoever has left since is no more in the cache, and stays named in its reports.
_NAMES = "shift_names"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class OpenShift:
    """The shift under way; `day` is its business day, `cashier` the staff id of who opened it."""

    id: UUID
    number: int
    day: str
    cashier: str
    opened_at: datetime
    epoch: int
    seq: int

    def to_setting(self) -> dict[str, Json]:
        """Return the form it is kept in."""
        return {
            "id": str(self.id),
            "number": self.number,
            "day": self.day,
            "cashier": self.cashier,
            "opened_at": to_ms(self.opened_at),
            "epoch": self.epoch,
            "seq": self.seq,
        }

    @classmethod
    def from_setting(cls, kept: Json) -> OpenShift | None:
        """Return the shift of a setting, None where none is open."""
        if not isinstance(kept, Mapping) or not kept:
            return None
        numbers = [kept.get(name) for name in ("number", "opened_at", "epoch", "seq")]
        number, opened_at, epoch, seq = (one if isinstance(one, int) else 0 for one in numbers)
        return cls(
            UUID(str(kept["id"])), number, str(kept["day"]), str(kept["cashier"]), from_ms(opened_at), epoch, seq
        )


@dataclass(frozen=True, slots=True)
class ShiftReport:
    """An X or Z report. `names` are those of the cashiers in it; `waiting` records and `notices` are as of `at`."""

    shift: OpenShift
    at: datetime
    totals: ShiftTotals
    waiting: int
    notices: int
    names: Mapping[str, str]
    is_final: bool


class Shifts:
    """Opening, handing over, counting and closing; nothing here waits for the network. For the db thread."""

    def __init__(self, journal: Journal, recorder: Recorder, clock: TrustedClock, pins: Pins) -> None:
        self._journal = journal
        self._recorder = recorder
        self._clock = clock
        self._pins = pins

    def current(self) -> OpenShift | None:
        """Return the open shift, None where none is."""
        return OpenShift.from_setting(self._journal.get(SHIFT))

    def open(self, who: str, pin: str) -> OpenShift:
        """Open a shift for somebody; raises `Refused` `shift_is_open`, as `Pins.cashier` and as `Recorder.record`."""
        current = self.current()
        if current is not None:
            raise Refused("shift_is_open", number=current.number, day=current.day, at=current.opened_at)
        member = self._pins.cashier(who, pin)
        last = self._journal.get(_NUMBER)
        shift_id, number = self._recorder.new_id(), (last if isinstance(last, int) else 0) + 1
        head = self._journal.head()
        shift = OpenShift(
            shift_id,
            number,
            self._recorder.business_day().isoformat(),
            member.id,
            self._clock.now(),
            head.epoch,
            head.seq + 1,
        )
        self._recorder.record(
            Fact(
                RecordKind.SHIFT_OPEN,
                cashier=member.id,
                check=ShiftOpenContents(shift_id, number).to_check(),
                settings={
                    SHIFT: shift.to_setting(),
                    _NUMBER: number,
                    CASHIER_NOW: _cashier(member),
                    _NAMES: [_cashier(member)],
                },
            )
        )
        return shift

    def hand_over(self, who: str, pin: str) -> Member:
        """Let somebody else sell in the open shift; raises `Refused` `shift_is_closed`, and as `Pins.cashier`."""
        self._required()
        member = self._pins.cashier(who, pin)
        names = _names(self._journal.get(_NAMES)) | {member.id: member.name}
        self._journal.put(_NAMES, [[who, name] for who, name in names.items()])
        self._journal.put(CASHIER_NOW, _cashier(member))
        return member

    def report(self) -> ShiftReport:
        """Return the X report of the open shift; raises `Refused` `shift_is_closed`."""
        shift = self._required()
        return self._report(shift, totals_of(self._records(shift)), self._journal.get(_NAMES), is_final=False)

    def close(self) -> ShiftReport:
        """Close the shift and return its Z report; raises `Refused` `shift_is_closed` and as `Recorder.record`."""
        shift = self._required()
        totals = totals_of(self._records(shift))
        cashier, head, names = self._journal.get(CASHIER_NOW), self._journal.head(), self._journal.get(_NAMES)
        closed: dict[str, Json] = {"closed_epoch": head.epoch, "closed_seq": head.seq + 1, "names": names or []}
        self._recorder.record(
            Fact(
                RecordKind.SHIFT_CLOSE,
                cashier=str(cashier[0]) if isinstance(cashier, list) and cashier else shift.cashier,
                check=ShiftCloseContents(shift.id, shift.number, totals).to_check(),
                settings={SHIFT: None, CASHIER_NOW: None, _LAST: shift.to_setting() | closed},
            )
        )
        return self._report(shift, totals, names, is_final=True)

    def last(self) -> ShiftReport | None:
        """Return the Z report of the shift that was closed last, None where none was or its record is pruned."""
        kept = self._journal.get(_LAST)
        shift = OpenShift.from_setting(kept)
        if shift is None or not isinstance(kept, Mapping):
            return None
        epoch, seq = kept.get("closed_epoch"), kept.get("closed_seq")
        if not isinstance(epoch, int) or not isinstance(seq, int):
            return None
        for one in self._journal.records(epoch, seq, 1):
            record = Record.from_payload(one.payload)
            if record.kind is RecordKind.SHIFT_CLOSE and record.seq == seq:
                contents = ShiftCloseContents.from_check(record.check)
                report = self._report(shift, contents.totals, kept.get("names"), is_final=True)
                return replace(report, at=from_ms(record.occurred_at)) if contents.shift == shift.id else None
        return None

    def _required(self) -> OpenShift:
        shift = self.current()
        if shift is None:
            raise Refused("shift_is_closed")
        return shift

    def _records(self, shift: OpenShift) -> Iterator[Record]:
        """Yield the shift's records in their order, across epochs opened meanwhile."""
        epochs = [one.epoch for one in self._journal.epochs()]
        begun = epochs.index(shift.epoch) if shift.epoch in epochs else len(epochs) - 1
        for epoch in epochs[begun:]:
            seq = shift.seq + 1 if epoch == shift.epoch else 1
            while page := self._journal.records(epoch, seq, _PAGE):
                yield from (Record.from_payload(one.payload) for one in page)
                seq = page[-1].seq + 1

    def _report(self, shift: OpenShift, totals: ShiftTotals, kept: Json, *, is_final: bool) -> ShiftReport:
        names = _names(kept) | {one.id: one.name for one in self._pins.members()}
        return ShiftReport(
            shift,
            self._clock.now(),
            totals,
            self._journal.waiting().count,
            len(self._journal.notices()),
            {who: names.get(who, who) for who in totals.by_cashier},
            is_final,
        )


def _cashier(member: Member) -> list[Json]:
    return [member.id, member.name]


def _names(kept: Json) -> dict[str, str]:
    pairs = [one for one in kept if isinstance(one, list) and len(one) == 2] if isinstance(kept, list) else []
    return {str(who): str(name) for who, name in pairs}
