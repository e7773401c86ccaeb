"""Demo data: the same for a seed, made once however often it is asked for, and in balance."""

import psycopg
import pytest

from loyalty_desk.domain.guest_code import is_member_number, parse
from server.demo.service import Demo, make_demo
from server.guests import service as guests
from server.kit import feed
from server.kit.ground import Ground

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


def everything(admin: psycopg.Connection) -> dict[str, list[str]]:
    tables = admin.execute("select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
    return {
        table: sorted(row[0] for row in admin.execute(f'select t::text from "{table}" t').fetchall())
        for (table,) in tables.fetchall()
    }


async def test_twice_is_once(ground: Ground, admin: psycopg.Connection) -> None:
    first = await make_demo(ground, count=120)
    before = everything(admin)
    second = await make_demo(ground, count=120)
    assert everything(admin) == before
    assert first.made is not None
    assert second.made is None
    assert (first.network, first.stores, first.cashier, first.samples) == (
        second.network,
        second.stores,
        second.cashier,
        second.samples,
    )


async def test_more_guests_are_added_to_those_who_are_there(ground: Ground, admin: psycopg.Connection) -> None:
    await make_demo(ground, count=30)
    await make_demo(ground, count=30, seed=2)
    assert admin.execute("select count(*) from guest").fetchone() == (60,)


async def test_samples_can_be_scanned_and_typed(ground: Ground) -> None:
    demo = await make_demo(ground, count=300)
    assert len({one.tier for one in demo.samples}) >= 3
    assert any(one.points > 500 for one in demo.samples)
    async with ground.db.begin(demo.network) as connection:
        for one in demo.samples:
            assert is_member_number(one.member_no)
            for text in (one.code, one.member_no):
                assert await guests.find(connection, demo.network, ground.vault, parse(text)) == one.id
            person = await guests.person(connection, demo.network, ground.vault, one.id)
            assert person is not None
            assert person.name == one.name


async def test_the_ledger_balances_and_the_feed_agrees_with_it(ground: Ground, admin: psycopg.Connection) -> None:
    demo: Demo = await make_demo(ground, count=200)
    one_value = lambda sql: admin.execute(sql).fetchone()[0]  # type: ignore[index]  # noqa: E731
    assert one_value("select count(*) from entry") > 100
    assert one_value("select count(*) from (select 1 from entry group by tx_id having sum(amount) <> 0) t") == 0
    assert (
        one_value(
            "select count(*) from account a where posted <> coalesce("
            "(select sum(amount) from entry e where e.network_id = a.network_id and e.account_id = a.id), 0)"
        )
        == 0
    )
    assert (
        one_value(
            "select count(*) from guest_state s join account a on a.guest_id = s.guest_id where s.points <>"
            " (select sum(remaining) from lot l where l.account_id = a.id) or s.points <> a.posted"
        )
        == 0
    )
    async with ground.db.begin(demo.network) as connection:
        assert await feed.count(connection, demo.network) == await feed.recomputed(connection, demo.network)
        marks = await feed.marks(connection, demo.network, 0, 10_000)
        keys = [mark.key for mark in marks if mark.table == "guest"]
        found = await guests.feed_rows(connection, demo.network, ground.vault, feed.FeedTable.GUEST, keys)
    assert len(found) == 200
    assert sum(row.get("points", 0) for row in found.values()) == one_value(  # type: ignore[misc]
        "select sum(posted) from account where kind = 'guest'"
    )
