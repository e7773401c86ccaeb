"""A database that was put back begins another life, and says why; one that goes on does not."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from asyncpg import ConnectionDoesNotExistError, UndefinedColumnError

from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import feed, incarnation
from server.kit.feed import Change
from server.kit.ground import Ground
from server.kit.incarnation import Witness
from server.networks.service import MadeNetwork

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def grow(ground: Ground, made: MadeNetwork) -> None:
    async with ground.db.begin(made.network.id) as connection:
        await feed.record(connection, made.network.id, [Change(FeedTable.STAFF, str(uuid4()), {"name": "x"})])


async def start(ground: Ground) -> incarnation.Incarnation:
    return await incarnation.at_start(ground.db, ground.witness)


async def test_the_first_start_makes_a_life_and_the_next_ones_keep_it(ground: Ground) -> None:
    first = await start(ground)
    assert (first.reason, first.previous) == ("created", None)
    assert await start(ground) == first


async def test_growing_further_than_the_witness_saw_is_normal(ground: Ground, made: MadeNetwork) -> None:
    life = await start(ground)
    await grow(ground, made)
    assert await start(ground) == life


async def test_a_feed_behind_the_witness_is_a_database_put_back(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    await grow(ground, made)
    life = await start(ground)
    admin.execute("update feed_counter set n = n - 1")
    after = await start(ground)
    assert (after.previous, after.reason) == (life.id, "the feed is behind the witness")
    assert await start(ground) == after


async def test_a_network_that_vanished_is_a_database_put_back(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    life = await start(ground)
    admin.execute("set session_replication_role = replica")
    admin.execute("delete from feed_counter")
    assert (await start(ground)).previous == life.id


async def test_a_witness_of_a_later_life_is_a_database_put_back(ground: Ground, made: MadeNetwork) -> None:
    life = await start(ground)
    ground.witness.write(uuid4(), {})
    after = await start(ground)
    assert (after.previous, after.reason) == (life.id, "the witness knows a later life")


async def test_a_witness_of_an_earlier_life_says_nothing_about_this_one(ground: Ground, made: MadeNetwork) -> None:
    first = await start(ground)
    async with ground.db.without_network() as connection:
        second = await incarnation.rotate(connection, "test")
    ground.witness.write(first.id, {made.network.id: 10**9})
    assert (await start(ground)).id == second.id


@pytest.mark.parametrize(("column", "reason"), [("system_identifier", "identifier"), ("timeline", "timeline")])
async def test_another_cluster_or_timeline_is_another_life(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection, column: str, reason: str
) -> None:
    life = await start(ground)
    admin.execute(f"update server_meta set {column} = {column} + 1")
    after = await start(ground)
    assert after.previous == life.id
    assert reason in after.reason


@pytest.mark.parametrize("text", ["", "{", "[]", '{"incarnation": "x", "feeds": {}}', '{"incarnation": 1}'])
async def test_a_witness_that_cannot_be_read_is_written_anew(
    ground: Ground, made: MadeNetwork, settings_witness: Path, text: str
) -> None:
    life = await start(ground)
    (path,) = settings_witness.iterdir()  # noqa: ASYNC240
    path.write_text(text)
    assert await start(ground) == life
    seen = ground.witness.read()
    assert seen is not None
    assert seen[0] == life.id


@pytest.fixture
def settings_witness(ground: Ground) -> Path:
    assert ground.settings.witness_dir is not None
    return ground.settings.witness_dir


async def test_two_who_notice_one_restore_make_one_new_life(ground: Ground, made: MadeNetwork) -> None:
    life = await start(ground)
    made_lives = []
    for _ in range(2):
        async with ground.db.without_network() as connection:
            made_lives.append(await incarnation.rotate(connection, "a till knows more", unless_past=life.id))
    assert made_lives[0].id == made_lives[1].id != life.id


async def test_the_witness_follows_the_feed(ground: Ground, made: MadeNetwork) -> None:
    life = await start(ground)
    keeping = asyncio.create_task(incarnation.keep_witness(ground.db, ground.witness, interval=0.01))
    await grow(ground, made)
    async with ground.db.begin(made.network.id) as connection:
        n = (await feed.count(connection, made.network.id)).n
    async with asyncio.timeout(10):
        while ground.witness.read() != (life.id, {made.network.id: n}):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


class Stumbling(Witness):
    """A witness whose first writing fails with `error`."""

    error: Exception | None

    def write(self, life: UUID, feeds: dict[UUID, int]) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        super().write(life, feeds)


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (OSError("full"), 0),
        (ConnectionDoesNotExistError("killed"), 0),
        (UndefinedColumnError("no such column"), 1),
        (RuntimeError("a fault"), 1),
    ],
)
async def test_the_witness_goes_on_after_an_error_and_says_what_is_no_outage(
    ground: Ground,
    tmp_path: Path,
    error: Exception,
    logged: int,
    caplog: pytest.LogCaptureFixture,
    expect_log: Callable[[str], None],
) -> None:
    if logged:
        expect_log("the witness could not be written")
    life = await start(ground)
    witness = Stumbling(tmp_path, tmp_path / "data")
    witness.error = error
    keeping = asyncio.create_task(incarnation.keep_witness(ground.db, witness, interval=0.01))
    async with asyncio.timeout(10):
        while witness.read() is None and not keeping.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    seen = witness.read()
    assert seen is not None
    assert seen[0] == life.id
    assert len([one for one in caplog.records if one.name == "server.kit.incarnation"]) == logged


def test_witnesses_of_two_data_folders_stand_apart_and_outside(tmp_path: Path) -> None:
    folder = incarnation.witness_folder(None, tmp_path / "data")
    assert not folder.is_relative_to(tmp_path / "data")
    one, two = Witness(tmp_path, tmp_path / "a"), Witness(tmp_path, tmp_path / "b")
    life = uuid4()
    one.write(life, {})
    assert one.read() == (life, {})
    assert two.read() is None
