"""What a posting's rows refer to is there when they are written, and stays: the database itself sees to both."""

import contextlib
from uuid import UUID, uuid4

import psycopg
import pytest
from asyncpg import PostgresError

from server.kit.db import fetch_value, write
from server.kit.errors import sqlstate
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
NOBODY = UUID(int=7)
# Rows that refer to the transaction {tx}, the account {account} and the lot {lot}.
ROWS = {
    "entry": "select $1, {tx}, 1000 + n, {account}, 5, null from generate_series(1, 3) n",
    "lot": "select $1, gen_random_uuid(), {account}, {tx}, 5, 5, now(), null, null, 'open' from generate_series(1, 3)",
    "lot_use": "select $1, {tx}, {lot}, 5",
    "reprice_queue": "select $1, {tx}",
}
COLUMNS = {
    "entry": "network_id, tx_id, leg, account_id, amount, lot_id",
    "lot": "network_id, id, account_id, tx_id, amount, remaining, earned_at, usable_at, expires_at, state",
    "lot_use": "network_id, tx_id, lot_id, amount",
    "reprice_queue": "network_id, tx_id",
}
MISSING = [(table, what) for table, row in ROWS.items() for what in ("tx", "account", "lot") if f"{{{what}}}" in row]


class Undone(Exception):
    """Ends a transaction that is not to be kept."""


async def refers(world: World, table: str, missing: str, nothing: str | None = None) -> None:
    """Put rows into a table that refer to what is there, but for what is `missing`; roll them back."""
    found = {
        "tx": "(select id from ledger_tx where kind = 'sale' limit 1)",
        "account": "(select id from account where kind = 'guest' limit 1)",
        "lot": "(select l.id from lot l where not exists (select from lot_use u where u.lot_id = l.id) limit 1)",
    }
    if missing:
        found[missing] = nothing or ("0" if missing == "account" else f"'{uuid4()}'::uuid")
    with contextlib.suppress(Undone):
        async with world.ground.db.begin(world.network) as connection:
            rows = ROWS[table].format_map(found)
            await write(connection, f"insert into {table} ({COLUMNS[table]}) {rows}", world.network)
            raise Undone


async def sold(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=100)
    await world.push(till)


@pytest.mark.parametrize("table", ROWS)
async def test_rows_that_refer_to_what_is_there_are_taken(world: World, admin: psycopg.Connection, table: str) -> None:
    await sold(world)
    admin.execute("delete from reprice_queue")
    await refers(world, table, "")


@pytest.mark.parametrize(("table", "missing"), MISSING)
async def test_a_row_that_refers_to_nothing_is_refused(
    world: World, admin: psycopg.Connection, table: str, missing: str
) -> None:
    await sold(world)
    admin.execute("delete from reprice_queue")
    with pytest.raises(PostgresError, match="refers to nothing") as refused:
        await refers(world, table, missing)
    assert sqlstate(refused.value) == "23503"


async def test_what_another_network_has_is_nothing(world: World, admin: psycopg.Connection) -> None:
    await sold(world)
    (network,) = admin.execute(
        "insert into network select $$11111111-1111-1111-1111-111111111111$$, name, kind, currency, zone, root_pub,"
        " recovery_pub from network limit 1 returning network_id"
    ).fetchone() or (None,)
    (account,) = admin.execute(
        "insert into account (network_id, kind, unit) values (%s, 'liability', 'points') returning id", (network,)
    ).fetchone() or (None,)
    with pytest.raises(PostgresError, match="refers to nothing"):
        await refers(world, "entry", "account", str(account))


async def test_what_another_transaction_has_not_committed_is_nothing(world: World, admin: psycopg.Connection) -> None:
    await sold(world)
    new = "insert into account (network_id, kind, unit) values (%s, 'liability', 'points') returning id"
    with admin.transaction(force_rollback=True):
        (account,) = admin.execute(new, (world.network,)).fetchone() or (None,)
        with pytest.raises(PostgresError, match="refers to nothing"):
            await refers(world, "entry", "account", str(account))
    with pytest.raises(PostgresError, match="refers to nothing"):
        await refers(world, "entry", "account", str(account))


@pytest.mark.parametrize(
    "change",
    [
        "delete from account",
        "delete from lot",
        "truncate account cascade",
        "truncate lot cascade",
        "update account set network_id = gen_random_uuid()",
        "update lot set id = gen_random_uuid()",
        "update lot set account_id = account_id + 1000",
        "update lot set tx_id = gen_random_uuid()",
        "update lot_use set lot_id = gen_random_uuid()",
        "update reprice_queue set tx_id = gen_random_uuid()",
    ],
)
async def test_what_rows_refer_to_stays_even_for_the_owner(
    world: World, admin: psycopg.Connection, change: str
) -> None:
    await sold(world)
    admin.execute("insert into lot_use select network_id, tx_id, id, 5 from lot")
    admin.execute("insert into reprice_queue select network_id, id from ledger_tx on conflict do nothing")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"stay|append-only"):
        admin.execute(change)  # type: ignore[arg-type]
    async with world.ground.db.begin(world.network) as connection:
        assert await fetch_value(connection, "select count(*) from lot") == 1
