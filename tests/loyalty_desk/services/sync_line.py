"""A till and a ledger in memory that obeys the protocol: what the tests of the sync share."""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.services.sync import SyncEngine, SyncOutcome
from tests.loyalty_desk.services.fake_ledger import ROOT, FakeLedger
from tests.loyalty_desk.till_parts import (
    ANNA_CARD,
    ANNA_ROW,
    CARD,
    GUEST,
    IDENTITY,
    NETWORK,
    STAFF,
    Counter,
    make_counter,
    stored_program,
)  # fmt: skip

IDENTITY_HERE = replace(IDENTITY, root=ROOT.public_key().public_bytes_raw())


@dataclass
class Line:
    """A till and its ledger."""

    counter: Counter
    ledger: FakeLedger
    engine: SyncEngine

    def step(self) -> SyncOutcome:
        return self.engine.step()

    def waiting(self) -> int:
        return self.counter.parts.journal.waiting().count

    def points(self) -> int:
        return self.counter.checkout.identify(CARD).points

    def ids(self) -> list[UUID]:
        journal = self.counter.parts.journal
        return [r.id for e in journal.epochs() for r in journal.records(e.epoch, 1, 100_000)]

    def server_points(self) -> int:
        return self.ledger.rows["guest", str(GUEST)][1]["points"]

    def notices(self) -> list[str]:
        return [notice.code for notice in self.counter.parts.journal.notices()]

    def restarted(self) -> "Line":
        """Be the same till after its process has ended."""
        self.counter.parts.journal.close()
        self.counter.cache.close()
        counter = make_counter(self.counter.parts.folder, clock=self.counter.parts.clock)
        return Line(counter, self.ledger, make_engine(counter, self.ledger))


def make_engine(counter: Counter, ledger: FakeLedger, app: str = "0.1.0") -> SyncEngine:
    parts = counter.parts
    return SyncEngine(
        IDENTITY_HERE, parts.journal, counter.cache, ledger, parts.trusted, parts.recorder, random.Random(5), app=app
    )


def make_line(folder: Path) -> Line:
    ledger = FakeLedger(NETWORK)
    program = stored_program()
    ledger.put(
        "program",
        "current",
        {"version": 3, "hash": bytes_to_text(program.hash), "bytes": bytes_to_text(program.bytes)},
    )
    ledger.put(*STAFF)
    ledger.put("guest", str(GUEST), dict(ANNA_ROW))
    ledger.put(*ANNA_CARD)
    counter = make_counter(folder)
    counter.parts.journal.put("keyset", ledger.keyset(1))
    return Line(counter, ledger, make_engine(counter, ledger))
