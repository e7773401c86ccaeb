"""The counter's services over a till in real files and a server that does what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.services.approvals import Approvals
from loyalty_desk.services.online import Online
from loyalty_desk.services.pins import Member
from loyalty_desk.services.registration import Registration
from tests.loyalty_desk.services.fake_requests import FakeRequests
from tests.loyalty_desk.till_parts import IDENTITY, Counter

BOSS = Member("boss", "Boris", "manager", has_pin=True)


@dataclass
class Services:
    """What the counter uses, over one till."""

    counter: Counter
    server: FakeRequests = field(default_factory=FakeRequests)
    chance: Random = field(default_factory=lambda: Random(1))

    def __post_init__(self) -> None:
        c, parts = self.counter, self.counter.parts
        journal, recorder, clock = parts.journal, parts.recorder, parts.trusted
        self.online = Online(
            IDENTITY, journal, c.cache, c.guests, recorder, clock, c.cashier, self.chance, lambda: self.server
        )
        self.approvals = Approvals(journal, c.cache, c.guests, recorder, clock, c.cashier)
        self.registration = Registration(c.cache, c.guests, recorder, clock, c.cashier, self.online)

    def records(self, *kinds: RecordKind) -> Sequence[Record]:
        """Return the till's records of some kinds, in order."""
        journal = self.counter.parts.journal
        found = [
            Record.from_payload(one.payload)
            for epoch in journal.epochs()
            for one in journal.records(epoch.epoch, 1, 10_000)
        ]
        return [one for one in found if not kinds or one.kind in kinds]
