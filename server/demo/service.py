"""Making the demo network: two stores, a team, 5 000 guests with cards, tiers and points, and the `mixed` program.

Ids, names, cards and points follow from the seed alone; keys are drawn anew, and times are counted from the moment it
is first made. Guests and their points are one transaction: interrupted, it leaves nothing, and repeated, it changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID, uuid5

from loyalty_desk.domain.guest_code import ld1, member_number
from loyalty_desk.domain.ids import derived_id
from loyalty_desk.domain.program import Program
from server.demo.names import name
from server.guests import service as guests
from server.guests.service import NewGuest
from server.kit import feed
from server.kit.ground import Ground
from server.ledger.opening import Opening, credit_openings
from server.networks import service as networks
from server.networks.service import MadeNetwork, NewStore
from server.programs import defaults
from server.programs import service as programs
from server.staff import service as staff
from server.staff.service import Member

SEED = 1
GUESTS = 5_000
CURRENCY, ZONE = "RUB", "Europe/Moscow"
NAME = "Кафе «Полдень» / Noon Café"
STORES = ("Полдень на Покровке / Noon at Pokrovka", "Полдень на Неве / Noon on the Neva")
_STAFF = (
    ("Анна Кассирова", "cashier", "1111"),
    ("Михаил Сменов", "manager", "2222"),
    ("Ольга Хозяева", "owner", "3333"),
)
_SPACE = UUID("6f2c1f0e-3c1b-5d57-9a44-0d8a1f6b2a10")
_SAMPLES = 6


@dataclass(frozen=True, slots=True)
class DemoStore:
    """A store of the demo."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class DemoGuest:
    """A guest to try things with: what is on the card, and what the demo gave. Points in smallest units."""

    id: UUID
    name: str
    code: str
    member_no: str
    tier: str
    points: int


@dataclass(frozen=True, slots=True)
class Demo:
    """What there is now. `made` holds the new network's private keys where this call made it, else None."""

    network: UUID
    stores: tuple[DemoStore, ...]
    cashier: UUID
    guests: int
    samples: tuple[DemoGuest, ...]
    made: MadeNetwork | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Planned:
    guest: NewGuest
    points: int
    expires_in_days: int | None


async def make_demo(ground: Ground, seed: int = SEED, count: int = GUESTS, now: datetime | None = None) -> Demo:
    """Make the demo network of a seed, or add what of it is missing."""
    now = now or datetime.now(UTC)
    network = uuid5(_SPACE, f"network:{seed}")
    stores = tuple(DemoStore(uuid5(network, f"store:{n}"), text) for n, text in enumerate(STORES))
    async with ground.db.begin(network) as connection:
        exists = await networks.exists(connection, network)
    made = None
    if not exists:
        made = await networks.create_network(
            ground,
            NAME,
            "restaurant",
            CURRENCY,
            ZONE,
            [NewStore(one.name, ZONE, one.id) for one in stores],
            network_id=network,
            program=defaults.mixed(CURRENCY),
            now=now,
        )
    program = Program.from_dict({**defaults.mixed(CURRENCY), "network": str(network), "version": 1})
    planned = list(_plan(network, program, seed, count, now))
    cashier = await _make_staff(ground, network)
    await _make_guests(ground, network, planned, now)
    await _publish(ground, network)
    samples = tuple(
        DemoGuest(
            one.guest.id, one.guest.name, ld1(one.guest.handles[0]), one.guest.member_no, one.guest.tier, one.points
        )
        for one in _samples(planned)
    )
    return Demo(network, stores, cashier, count, samples, made)


async def _make_staff(ground: Ground, network: UUID) -> UUID:
    people = [(Member(uuid5(network, f"staff:{n}"), who, role), pin) for n, (who, role, pin) in enumerate(_STAFF)]
    async with ground.db.begin(network) as connection:
        here = {one.id for one in await staff.members(connection, network)}
        changes = [await staff.put(connection, network, who, pin) for who, pin in people if who.id not in here]
        if changes:
            await feed.record(connection, network, changes)
    return people[0][0].id


async def _make_guests(ground: Ground, network: UUID, planned: list[_Planned], now: datetime) -> None:
    async with ground.db.begin(network) as connection:
        here = await guests.existing(connection, network, [one.guest.id for one in planned])
        new = [one for one in planned if one.guest.id not in here]
        if not new:
            return
        await guests.register(connection, network, ground.vault, [one.guest for one in new])
        openings = [
            Opening(
                one.guest.id,
                one.points,
                None if one.expires_in_days is None else now + timedelta(days=one.expires_in_days),
            )
            for one in new
            if one.points
        ]
        await credit_openings(connection, network, openings, now)
        changes = await guests.changes(
            connection,
            network,
            ground.vault,
            [one.guest.id for one in new],
            [handle for one in new for handle in one.guest.handles],
        )
        await feed.record(connection, network, changes)


async def _publish(ground: Ground, network: UUID) -> None:
    """Publish the demo's program where a newer version of this software brings another one."""
    async with ground.db.begin(network) as connection:
        published = await programs.publish(connection, network, defaults.mixed(CURRENCY), ZONE)
        await feed.record(connection, network, [published.change])


def _plan(network: UUID, program: Program, seed: int, count: int, now: datetime) -> Iterator[_Planned]:
    chance = Random(f"loyalty-desk demo {seed}")
    serials = chance.sample(range(100_000_000, 1_000_000_000), count)
    today = now.date()
    for position, serial in enumerate(serials):
        # Most come a few times a year, few come every day.
        visits = min(400, int(chance.paretovariate(0.9)))
        spend = sum(chance.randrange(35_000, 420_000) for _ in range(min(visits, 60))) * max(1, visits // 60)
        tier = max((one for one in program.tiers if one.threshold <= spend), key=lambda one: one.threshold)
        yield _Planned(
            NewGuest(
                name=name(chance),
                phone=f"+79{chance.randrange(10**9):09d}",
                birthday=date(chance.randrange(1950, 2008), chance.randrange(1, 13), chance.randrange(1, 29)),
                tier=tier.code,
                spend=spend,
                visits=visits,
                first_visit=today - timedelta(days=chance.randrange(1, 700)),
                handles=(chance.getrandbits(64),),
                member_no=member_number(serial),
                source="demo",
                id=derived_id(network, f"demo guest:{position}"),
            ),
            points=chance.choice((0, 0, 1, 1, 1)) * (spend // 2_500 + chance.randrange(400)),
            expires_in_days=chance.choice((None, 20, 60, 120, 300)),
        )


def _samples(planned: list[_Planned]) -> list[_Planned]:
    """Return guests worth trying: of every tier one who has points to spend, and one who has none."""
    found: dict[str, _Planned] = {}
    for one in planned:
        key = one.guest.tier if one.points >= 600 else "" if one.points == 0 else None
        if key is not None:
            found.setdefault(key, one)
    order = sorted(found.items(), key=lambda item: item[1].guest.spend)
    return [one for _, one in order][:_SAMPLES]
