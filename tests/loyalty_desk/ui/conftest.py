"""A counter for tests of the window: a checkout in memory over the real kernel, an inline runner, and a presenter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.guest_code import CodeKind, ld1, parse
from loyalty_desk.domain.pricing import quote as price_check
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices, Quote
from loyalty_desk.domain.record import ClockConfidence, Credential
from loyalty_desk.services.checkout import Allowance, CheckDraft, GuestCard, SaleDone
from loyalty_desk.services.ports.journal import Notice
from loyalty_desk.services.ports.scan import Scan, ScanSource
from loyalty_desk.services.status import TillStatus
from loyalty_desk.ui.sale.ports import ScannerHealth, Sound
from loyalty_desk.ui.sale.presenter import SalePresenter
from loyalty_desk.ui.sale.state import SaleState
from tests.fake_clock import FakeClock
from tests.loyalty_desk.ui.inline_runner import InlineRunner
from tests.loyalty_desk.ui.pages import Pages, make_pages

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 2, 11, 32, tzinfo=UTC)
MARIA, PETR, BLOCKED = 0x0123456789ABCDEF, 0x1111111111111111, 0x2222222222222222
MARIA_NUMBER = "1000000016"
PROGRAM = Program.from_dict(
    {
        "schema": 1, "network": "n", "version": 3, "currency": "RUB", "zone": "Europe/Moscow", "point_decimals": 0,
        "point_value": 100, "model": "mixed",
        "tiers": [
            {"code": "BRONZE", "threshold": 0, "discount_bp": 500, "earn_bp": 300,
             "name": {"ru": "Бронза", "en": "Bronze"}},
            {"code": "SILVER", "threshold": 1_000_000, "discount_bp": 1000, "earn_bp": 300,
             "name": {"ru": "Серебро", "en": "Silver"}},
        ],
        "rules": [
            {"id": "happy", "name": {"ru": "Счастливые часы", "en": "Happy hours"},
             "effects": [{"type": "percentage", "rate_bp": 1000}],
             "conditions": [{"type": "hours", "from": "14:00", "to": "15:00"}]},
            {"id": "big", "name": {"ru": "Большой чек", "en": "Big check"},
             "effects": [{"type": "fixed_amount", "amount": 10000}],
             "conditions": [{"type": "amount", "min": 200_000}]},
            {"id": "spring", "name": {"ru": "Весна", "en": "Spring"},
             "effects": [{"type": "fixed_amount", "amount": 10000}],
             "conditions": [{"type": "promo_code", "codes": ["SPRING"]}]},
        ],
        "redemption": {"min": 10, "block": 1, "max_share_bp": 3000},
    }
)  # fmt: skip


def guest_card(**changes: object) -> GuestCard:
    """Return Maria's card, or what is changed of it."""
    facts = GuestFacts(guest_id=UUID(int=1), tier="BRONZE", points=1137, spend=688_000, visits=7, as_of=NOW)
    card = GuestCard(
        guest_id=UUID(int=1),
        credential=Credential(CodeKind.LD1, MARIA),
        name="Мария Соколова",
        tier="BRONZE",
        tier_name="Бронза",
        points=1137,
        as_of=NOW - timedelta(minutes=27),
        member_no=MARIA_NUMBER,
        facts=facts,
        allowance=Allowance(max_points=100, reason="code_limit", facts={"points": 100, "kind": "ld1"}),
    )
    return replace(card, **changes)  # type: ignore[arg-type]


def till_status(**changes: object) -> TillStatus:
    """Return the status of a till that is well, or what is changed of it."""
    status = TillStatus(
        network="Кофе и хлеб",
        store="Кофейня на Невском",
        till="Касса 1",
        cashier="Анна Ковалёва",
        online=True,
        offline_since=None,
        waiting=0,
        oldest_waiting=None,
        clock_conf=ClockConfidence.GOOD,
        guests_loaded=5000,
        guests_complete=True,
        program_version=3,
        notices=(),
        journal_ok=True,
        credential_backend="file",
        synced_at=NOW - timedelta(minutes=1),
        currency="RUB",
        zone="Europe/Moscow",
    )
    return structs.replace(status, **changes)


@dataclass
class FakeDesk:
    """The checkout in memory. Prices with the real kernel; `sales` is what was committed."""

    cards: dict[int | str, GuestCard] = field(default_factory=dict)
    in_force: Program | None = PROGRAM
    sales: list[tuple[CheckDraft, Quote]] = field(default_factory=list)
    refuse_confirm: Exception | None = None
    refreshed: int = 0

    def program(self) -> Program | None:
        return self.in_force

    def basket(self, amount: int) -> Basket:
        return Basket.of_amount("RUB", amount, store="s1", zone=MOSCOW)

    def identify(self, data: bytes | str) -> GuestCard:
        code = parse(data)
        if code.kind in (CodeKind.SHORT, CodeKind.PHONE):
            raise Refused("needs_server")
        if code.handle == BLOCKED:
            raise Refused("card_blocked")
        card = self.cards.get(code.handle if code.handle is not None else code.digits)
        if card is None:
            raise Refused("card_unknown" if code.kind is CodeKind.LD1 else "number_unknown")
        return card

    def price(self, draft: CheckDraft) -> Quote:
        if self.in_force is None:
            raise Refused("program_missing")
        if draft.basket is None or draft.basket.gross == 0:
            raise Refused("check_empty")
        card = draft.guest
        choices = Choices(
            points_asked=draft.points_asked,
            codes=draft.codes,
            redemption_cap=card.allowance.max_points if card else None,
            redemption_cap_reason=card.allowance.reason if card else None,
            tier_withheld=card is not None and card.tier_room == 0,
        )
        return price_check(draft.basket, card.facts if card else None, self.in_force, draft.at, choices)

    def confirm(self, draft: CheckDraft, quote: Quote) -> SaleDone:
        if self.refuse_confirm is not None:
            raise self.refuse_confirm
        self.sales.append((draft, quote))
        card = draft.guest
        balance = None if card is None else card.points - quote.redeemed_points + quote.earned_points
        return SaleDone(UUID(int=len(self.sales)), f"A-{len(self.sales):05d}", quote, card, balance, draft.at)

    def refresh(self, card: GuestCard) -> GuestCard:
        self.refreshed += 1
        return card


@dataclass
class Counter:
    """A presenter with everything around it; `screen` is what the cashier sees now."""

    desk: FakeDesk
    runner: InlineRunner
    clock: FakeClock
    states: list[SaleState] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)
    crashes: list[Exception] = field(default_factory=list)
    presenter: SalePresenter = field(init=False)
    language: str = "en"

    def __post_init__(self) -> None:
        self.presenter = self.make_presenter(self.states.append)

    def make_presenter(self, render: Callable[[SaleState], None]) -> SalePresenter:
        """Return a presenter over this counter that draws elsewhere as well."""

        def both(state: SaleState) -> None:
            if render != self.states.append:
                self.states.append(state)
            render(state)

        presenter = SalePresenter(
            desk=self.desk,
            runner=self.runner,
            clock=self.clock,
            render=both,
            sound=self.sounds.append,
            crashed=self.crashes.append,
            language=self.language,
            camera=True,
            has_pages=True,
        )
        presenter.status_changed(till_status())
        presenter.scanner_changed(ScannerHealth.READY)
        self.presenter = presenter
        return presenter

    @property
    def screen(self) -> SaleState:
        return self.states[-1]

    def type(self, text: str) -> None:
        """Type a text key by key."""
        for end in range(1, len(text) + 1):
            self.presenter.field_changed(text[:end])

    def scan(self, data: str | int) -> None:
        """Scan a handle's card, or any text."""
        text = ld1(data) if isinstance(data, int) else data
        self.presenter.code_scanned(Scan(text.encode(), ScanSource.CAMERA))


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    made = make_pages(tmp_path)
    yield made
    assert made.crashes == []
    made.close()


@pytest.fixture
def counter() -> Counter:
    return make_counter()


def make_counter(language: str = "en") -> Counter:
    desk = FakeDesk(
        cards={
            MARIA: guest_card(),
            MARIA_NUMBER: guest_card(),
            PETR: guest_card(guest_id=UUID(int=2), name="Пётр Иванов", points=5, member_no="1000000024",
                             facts=GuestFacts(guest_id=UUID(int=2), tier="BRONZE", points=5)),
        }
    )  # fmt: skip
    return Counter(desk, InlineRunner(), FakeClock(at=NOW), language=language)


@pytest.fixture
def make() -> Callable[..., Counter]:
    return make_counter


@pytest.fixture
def card() -> Callable[..., GuestCard]:
    return guest_card


@pytest.fixture
def status() -> Callable[..., TillStatus]:
    return till_status


@pytest.fixture
def notice() -> Callable[..., Notice]:
    return lambda code, **facts: Notice(1, code, facts, NOW)
