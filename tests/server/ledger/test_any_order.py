"""INV-19: a set of facts of several tills comes to the same balances in whatever order and pieces it is delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import check_to_payload
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.contents import AdjustContents, AdjustReason, RegisterContents, TransferContents
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.ids import IdMaker
from loyalty_desk.domain.pricing import NO_CHOICES, quote
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Credential, Record, RecordKind, SealedRecord
from loyalty_desk.domain.refund import NOTHING_YET, Refund
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, FollowedLine, ReturnContents
from loyalty_desk.wire.v1 import codec
from server.ledger.posting import AccountKind
from tests.server.fake_till import T0, Clock, FakeTill
from tests.simulation.keys import private_key
from tests.simulation.memory_ledger import Device, Tables
from tests.simulation.sim_server import SimServer

NETWORK = UUID("11111111-1111-4111-8111-111111111111")
KEY = private_key(bytes(32), real=True)
GUESTS = [UUID(int=number) for number in (1, 2)]
LATER = [UUID(int=number) for number in (11, 12)]
CARDS = {11: 0xA11, 12: 0xA12}
PROGRAM = Program.from_dict(
    {
        "network": "Any order",
        "version": 1,
        "currency": "RUB",
        "zone": "UTC",
        "point_decimals": 0,
        "point_value": 100,
        "model": "points",
        "tiers": [],
        "rules": [{"id": "earn", "name": {"en": "Points"}, "effects": [{"type": "earn_rate", "rate_bp": 1_000}]}],
        "redemption": {"min": 1, "block": 1, "max_share_bp": 10_000},
    }
)


def _check(quantity: int) -> tuple[dict[str, Json], int, int]:
    """Return a check of two lines as a till prices it, what was to pay and what it earned."""
    lines = (Line("a", quantity_milli=quantity * 1_000, unit_price=1_700), Line("b", unit_price=2_300))
    basket = Basket("RUB", lines)
    quoted = quote(basket, GuestFacts(), PROGRAM, from_ms(T0), NO_CHOICES)
    return check_to_payload(basket, GuestFacts(), NO_CHOICES, quoted), quoted.total, quoted.earned_points


class Story:
    """What happened at three tills, told by a random source: sales, and everything that can be done about them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.tills = [self.till(number) for number in range(3)]
        self.sales: list[Record] = []
        self.registered: set[UUID] = set()
        for till in self.tills:
            till.open_epoch()

    def till(self, number: int) -> FakeTill:
        """Return a till whose ids are of the same random source: a story that fails is told again."""
        store, device, boot = (UUID(int=hundreds + number) for hundreds in (100, 200, 300))
        clock = Clock()
        ids = IdMaker(clock, self.random.getrandbits)
        return FakeTill(NETWORK, store, device, KEY, clock=clock, boot_id=boot, _ids=ids)

    def tell(self, steps: int) -> None:
        """Let so many things happen."""
        for _ in range(steps):
            till = self.random.choice(self.tills)
            happening = self.random.choice((self.sell, self.sell, self.give_back, self.give_back, self.by_hand))
            happening(till)
        for guest in LATER:
            if self.random.random() < 0.8:
                self.register(self.random.choice(self.tills), guest)
                self.sell(self.random.choice(self.tills))

    def note(self, sealed: SealedRecord) -> None:
        """Remember what can be taken back."""
        self.sales.append(Record.from_payload(sealed.payload))

    def sell(self, till: FakeTill) -> None:
        """Sell to somebody known, to somebody not known yet by id or card, or to nobody."""
        check, total, earned = _check(self.random.randrange(1, 4))
        redeemed = self.random.choice((0, 0, 15))
        who = self.random.choice([*GUESTS, *LATER, "card", None])
        if who == "card":
            card = self.random.choice(list(CARDS.values()))
            self.note(till.sale(handle=card, earned=earned, redeemed=redeemed, total=total, check=check))
        elif isinstance(who, UUID):
            self.note(till.sale(who, earned=earned, redeemed=redeemed, total=total, check=check))
        else:
            self.note(till.sale(total=total, check=check))

    def give_back(self, till: FakeTill) -> None:
        """Take a sale of any till back, as this till sees it: too much as well, twice as well, a return even."""
        if not self.sales:
            return
        random = self.random
        of = random.choice(self.sales)
        at, money = from_ms(till.clock.now_ms), random.choice((2_300, of.money_total or 0))
        earned, spent = (random.choice((0, points // 2, points)) for points in (of.points_earned, of.points_redeemed))
        back = Refund("lines", money, earned, spent, (), money == of.money_total, NOTHING_YET)
        chance = random.random()
        if chance < 0.4:
            line = random.choice((FollowedLine("a", 1_000, 1_700), FollowedLine("b", 1_000, 2_300)))
            contents = FollowContents("RUB", at, line.money, (line,))
            check = contents.to_check()
            self.note(till.write(RecordKind.REFUND, check=check, money_total=line.money, reverses_id=of.id))
        elif chance < 0.6:
            new, total, gained = _check(1)
            exchanged = till.write(
                RecordKind.EXCHANGE,
                guest_id=of.guest_id,
                check=ExchangeContents.to_check(new, back),
                points_earned=gained,
                money_total=total,
                reverses_id=of.id,
            )
            self.note(exchanged)
        else:
            is_void = chance < 0.8
            returned = till.write(
                RecordKind.VOID if is_void else RecordKind.REFUND,
                guest_id=of.guest_id,
                check=ReturnContents.to_check("RUB", at, back, is_void=is_void),
                points_earned=spent,
                points_redeemed=earned,
                money_total=money,
                reverses_id=of.id,
            )
            self.note(returned)

    def by_hand(self, till: FakeTill) -> None:
        """Give, take or move points."""
        giver, to = self.random.sample([*GUESTS, *LATER], 2)
        points = self.random.choice((5, 600))
        if self.random.random() < 0.5:
            check = TransferContents(to, AdjustReason.FAMILY, "anna").to_check()
            till.write(RecordKind.TRANSFER, guest_id=giver, check=check, points_redeemed=points)
        else:
            check = AdjustContents(AdjustReason.GOODWILL, "anna").to_check()
            till.write(RecordKind.ADJUST, guest_id=giver, check=check, points_earned=points)

    def register(self, till: FakeTill, guest: UUID) -> None:
        """Register a guest who has bought perhaps already."""
        fields = Private(bytes(16), GuestFields(phone=f"+7916000{guest.int:04}"))
        made = till.write(
            RecordKind.REGISTER,
            guest_id=guest,
            check=RegisterContents(fields.digest).to_check(),
            credential=Credential(CodeKind.LD1, CARDS[guest.int]),
        )
        till.privates[made.id] = fields.to_bytes()


@dataclass(frozen=True)
class Outcome:
    """What must not depend on the order: balances, lots less debts, figures, what is set aside or came back twice."""

    balances: dict[Any, int]
    lots: dict[Any, int]
    guests: dict[UUID, tuple[int, int, int]]
    aside: frozenset[Any]
    over: frozenset[Any]
    posted: frozenset[UUID]


def _outcome(tables: Tables) -> Outcome:
    lots: dict[Any, int] = {}
    for lot in tables.lots.values():
        key = tables.accounts[lot.account].key
        lots[key] = lots.get(key, 0) + lot.remaining
    owed = {one.key: one.debt for one in tables.accounts.values() if one.debt}
    net = {key: lots.get(key, 0) - owed.get(key, 0) for key in lots.keys() | owed.keys()}
    guest_accounts = {key: one for key, one in net.items() if key.kind is AccountKind.GUEST and one}
    return Outcome(
        {one.key: one.posted for one in tables.accounts.values() if one.posted},
        guest_accounts,
        {guest: one.state[1:3] + one.state[4:] for guest, one in tables.guests.items()},
        frozenset((key, one.reason, one.state) for key, one in tables.quarantine.items() if one.state != "replayed"),
        frozenset(tx for kind, tx in tables.exceptions if kind == "EXCESS_RETURN"),
        frozenset(tables.txs),
    )


def deliver(story: Story, order: Sequence[int], sizes: Random) -> Outcome:
    """Push the tills' journals in pieces, `order` naming whose turn it is, and return what the server has then."""

    def find(rule: str, text: str) -> None:
        raise AssertionError(f"{rule}: {text}")

    server = SimServer(NETWORK, Random(1), lambda: T0 + 10 * 86_400_000, KEY, KEY, find)
    devices = {till.device: Device(till.store, till.key.public_key()) for till in story.tills}
    server.set_up({"network": str(NETWORK), "version": 1, "key": ""}, PROGRAM, devices)
    for guest in GUESTS:
        server.register(guest, guest.int, str(guest.int))
    life = server.tables.life
    assert life is not None
    sent = [0] * len(story.tills)
    turns = [*order, *range(len(story.tills))]
    for place, number in enumerate(turns):
        till, first = story.tills[number], sent[number]
        size = len(till.journal) if place >= len(order) else sizes.randrange(1, 4)
        part = till.journal[first : first + size]
        if part:
            till.incarnation = life
            server.serve("push", till.device, codec.encode(till.push(part)))
            sent[number] += len(part)
    found = _outcome(server.tables)
    assert all(sum(one.amount for one in server.tables.entries if one.tx == tx) == 0 for tx in server.tables.txs)
    server.close()
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.integers(0, 1 << 32), st.integers(4, 14))
@example(20, 5, 14)
def test_any_order_and_pieces_come_to_the_same(seed: int, other: int, steps: int) -> None:
    story = Story(Random(seed))
    story.tell(steps)
    outcomes = []
    for number in (1, other, other + 1, other + 2):
        random = Random(number)
        order = [random.randrange(3) for _ in range(2 * steps)]
        outcomes.append(deliver(story, order, random))
    assert all(one == outcomes[0] for one in outcomes[1:])


def test_the_story_has_what_it_should_hold_together() -> None:
    kinds: set[str] = set()
    over = waiting = 0
    for seed in range(12):
        story = Story(Random(seed))
        story.tell(12)
        found = deliver(story, [2, 1, 0, 1, 2], Random(seed))
        kinds |= {Record.from_payload(one.payload).kind.value for till in story.tills for one in till.journal}
        over += len(found.over)
        waiting += len(found.aside)
    assert kinds >= {"sale", "void", "refund", "exchange", "register", "adjust", "transfer"}
    assert over
    assert waiting
