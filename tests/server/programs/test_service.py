"""Versions of a program: immutable, numbered, and none for a change that is none."""

import asyncio

import pytest

from loyalty_desk.domain.canonical import text_to_bytes
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.program import Program
from loyalty_desk.wire.v1 import rows
from server.kit.ground import Ground
from server.networks.service import MadeNetwork
from server.programs import defaults, service

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_publishing_numbers_versions_and_old_ones_stay(ground: Ground, made: MadeNetwork) -> None:
    network = made.network.id
    async with ground.db.begin(network) as connection:
        published = await service.publish(connection, network, defaults.mixed("RUB"), "Europe/Moscow")
    assert published.program.version == 2
    async with ground.db.begin(network) as connection:
        assert (await service.version(connection, network, 1)).model == "discount"
        current = await service.current(connection, network)
        assert current is not None
        assert current.hash == published.program.hash
        found = await service.feed_rows(connection, network, ["current"])
        with pytest.raises(Refused, match="program_version_unknown"):
            await service.version(connection, network, 3)
    row = rows.read(rows.ProgramRow, found["current"])
    assert row.version == 2
    assert Program.from_bytes(text_to_bytes(row.bytes)).hash_text == row.hash


async def test_the_same_content_makes_no_version(ground: Ground, made: MadeNetwork) -> None:
    network = made.network.id
    for _ in range(2):
        async with ground.db.begin(network) as connection:
            published = await service.publish(connection, network, defaults.mixed("RUB"), "Europe/Moscow")
    assert published.program.version == 2


async def test_two_who_publish_at_once_get_two_versions(ground: Ground, made: MadeNetwork) -> None:
    network = made.network.id

    async def publish(points: int) -> int:
        async with ground.db.begin(network) as connection:
            content = defaults.mixed("RUB") | {"redemption": {"min": points}}
            return (await service.publish(connection, network, content, "UTC")).program.version

    assert sorted(await asyncio.gather(*(publish(n) for n in range(1, 5)))) == [2, 3, 4, 5]


async def test_what_the_kernel_refuses_is_not_published(ground: Ground, made: MadeNetwork) -> None:
    rule = {"id": "r", "name": {}, "effects": [{"type": "percentage", "rate_bp": 20_000}], "conditions": []}
    with pytest.raises(BadInput) as caught:
        async with ground.db.begin(made.network.id) as connection:
            await service.publish(connection, made.network.id, defaults.mixed("RUB") | {"rules": [rule]}, "UTC")
    assert caught.value.facts["field"] == "rate_bp"
    async with ground.db.begin(made.network.id) as connection:
        current = await service.current(connection, made.network.id)
    assert current is not None
    assert current.version == 1


@pytest.mark.parametrize("code", ["RUB", "USD", "JPY"])
@pytest.mark.parametrize("make", [defaults.restaurant, defaults.shop, defaults.mixed])
def test_defaults_are_programs_of_the_kernel_in_any_currency(make: object, code: str) -> None:
    content = make(code) | {"network": "n", "version": 1}  # type: ignore[operator]
    program = Program.from_dict(content)
    assert program.compiled is not None
    assert program.points_money(1) == program.point_value == (1 if code == "JPY" else 100)
