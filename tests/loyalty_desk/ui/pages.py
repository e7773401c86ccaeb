"""The counter's pages over a till in real files, an inline second thread, and a server that does what it is told."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher

from loyalty_desk.counter import Counter as UseCases
from loyalty_desk.domain.record import ClockConfidence, Record, RecordKind
from loyalty_desk.preferences import Preferences
from loyalty_desk.services.checkout import GuestCard
from loyalty_desk.services.ports.scan import Scan, ScanSource
from loyalty_desk.services.status import TillStatus
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.counter.ports import Device, Left
from loyalty_desk.ui.counter.presenter import CounterPresenter
from loyalty_desk.ui.counter.state import CounterState
from loyalty_desk.ui.sale.ports import ScannerHealth
from tests.loyalty_desk.services.fake_requests import FakeRequests
from tests.loyalty_desk.till_parts import IDENTITY, STORE, Counter, stocked
from tests.loyalty_desk.ui.inline_runner import InlineRunner

HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
BOSS = ("staff", "boss", {"name": "Boris B", "role": "manager", "pin": HASHER.hash("135790")})
CASHIER = (
    "staff",
    "anna.k",
    {"name": "Anna K", "role": "cashier", "stores": [str(STORE)], "pin": HASHER.hash("4711")},
)


@dataclass
class FakeCare:
    """Says of the journal what it is told."""

    sound: bool = True
    woken: int = 0
    left: int = 0
    closed: int = 0

    def sync_now(self) -> None:
        self.woken += 1

    def is_sound(self) -> bool:
        return self.sound

    def export(self) -> tuple[Path, int]:
        return Path("journal.ldx"), 3

    def leave(self) -> Left:
        self.left += 1
        return Left(Path("aside"), Path("journal.ldx"))

    def close_window(self) -> None:
        self.closed += 1


@dataclass
class FakePaper:
    """Prints on a roll of so many columns; without a printer it writes into a file."""

    printer: str = "Roll"
    columns: int = 42
    printed: list[tuple[str, list[str]]] = field(default_factory=list)
    fault: Exception | None = None

    def put(self, name: str, lines_of: Callable[[int], Sequence[str]]) -> tuple[str, Path | None]:
        if self.fault is not None:
            raise self.fault
        self.printed.append((name, list(lines_of(self.columns))))
        return self.printer, None if self.printer else Path(f"{name}.txt")


@dataclass
class FakeSettings:
    """Keeps what is chosen; `there` is plugged in."""

    now: Preferences = field(default_factory=lambda: Preferences("en", "light"))
    there: tuple[Device, ...] = (Device("/dev/ttyUSB0", "/dev/ttyUSB0  Scanner"),)

    def chosen(self) -> Preferences:
        return self.now

    def choose(self, what: str, key: str) -> bool:
        before = self.now
        self.now = replace(before, **{what: key == "on" if what == "sounds" else key})
        return self.now != before

    def cameras(self) -> tuple[Device, ...]:
        return (Device("0", "1"), Device("2", "3"))

    def serial_ports(self) -> tuple[Device, ...]:
        return self.there

    def scanner_health(self) -> ScannerHealth:
        return ScannerHealth.READY


@dataclass
class Pages:
    """A presenter with everything around it; `screen` is what the cashier sees now."""

    till: Counter
    language: str = "en"
    server: FakeRequests = field(default_factory=FakeRequests)
    runner: InlineRunner = field(default_factory=InlineRunner)
    care: FakeCare = field(default_factory=FakeCare)
    paper: FakePaper = field(default_factory=FakePaper)
    settings: FakeSettings = field(default_factory=FakeSettings)
    states: list[CounterState] = field(default_factory=list)
    guest: GuestCard | None = None
    changed: int = 0
    synced_at: datetime | None = None
    closed: list[str] = field(default_factory=list)
    crashes: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        till, parts = self.till, self.till.parts
        self.cases = UseCases(
            IDENTITY, parts.journal, till.cache, parts.trusted, parts.recorder, till.guests, till.checkout,
            till.cashier, lambda: self.server,
        )  # fmt: skip
        self.cases.online._random = random.Random(1)
        self.words = Words(self.language, zone=ZoneInfo("Europe/Moscow"))
        self.presenter = CounterPresenter(
            cases=self.cases,
            care=self.care,
            settings=self.settings,
            paper=self.paper,
            printing=self.runner,
            runner=self.runner,
            clock=parts.trusted,
            render=self.states.append,
            words=lambda: self.words,
            status=self.status,
            guest=lambda: self.guest,
            basket=till.checkout.basket,
            found=self._found,
            changed=self._count,
            closed=self.closed.append,
            crashed=self.crashes.append,
        )

    def _found(self, card: GuestCard) -> None:
        self.guest = card

    def _count(self) -> None:
        self.changed += 1

    def status(self) -> TillStatus:
        waiting = self.till.parts.journal.waiting()
        return TillStatus(
            network="Coffee", store="Pushkin Street", till="Till 1", cashier="Anna K", online=False,
            offline_since=None, waiting=waiting.count, oldest_waiting=None, clock_conf=ClockConfidence.GOOD,
            guests_loaded=1, guests_complete=True, program_version=1, notices=(), journal_ok=True,
            credential_backend="file", synced_at=self.synced_at, zone="Europe/Moscow",
        )  # fmt: skip

    @property
    def screen(self) -> CounterState:
        return self.states[-1]

    def open(self, key: str) -> None:
        self.presenter.open(key)

    def type(self, **texts: str) -> None:
        for key, text in texts.items():
            assert key in [one.key for one in self.screen.fields], f"no field {key}"
            self.presenter.typed(key, text)

    def choose(self, group: str, key: str) -> None:
        shown = next(one for one in self.screen.groups if one.key == group)
        option = next(one for one in shown.options if key in (one.key, one.title))
        assert option.enabled
        self.presenter.chosen(group, option.key)

    def enter(self) -> None:
        """Press Enter where the big button can be pressed."""
        assert self.screen.button.enabled, self.screen.button.text
        self.presenter.submitted()

    def scan(self, text: str) -> None:
        self.presenter.scanned(Scan(text.encode(), ScanSource.CAMERA))

    def fact(self, caption: str) -> str:
        return next(one.value for one in self.screen.facts if one.caption == caption)

    def records(self, *kinds: RecordKind) -> list[Record]:
        journal = self.till.parts.journal
        found = [
            Record.from_payload(one.payload)
            for epoch in journal.epochs()
            for one in journal.records(epoch.epoch, 1, 10_000)
        ]
        return [one for one in found if one.kind in kinds]

    def close(self) -> None:
        self.till.parts.journal.close()
        self.till.cache.close()


def make_pages(folder: Path, language: str = "en") -> Pages:
    till = stocked(folder)
    till.feed(BOSS, CASHIER)
    return Pages(till, language)
