"""Row-level security, tried with the application's own role on every table that the catalogue knows."""

import asyncio
import random
from uuid import UUID, uuid4

import psycopg
import pytest
from asyncpg import DivisionByZeroError, PostgresError

from server.demo.service import make_demo
from server.kit import incarnation
from server.kit.db import fetch, fetch_value, write
from server.kit.ground import Ground
from server.networks.service import NewStore, create_network

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
EXEMPT = {"server_meta", "alembic_version"}


def tenant_tables(admin: psycopg.Connection) -> list[str]:
    found = admin.execute("select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
    return sorted({row[0] for row in found} - EXEMPT)


def test_every_table_but_two_belongs_to_networks_and_is_forced(admin: psycopg.Connection) -> None:
    tables = tenant_tables(admin)
    assert len(tables) > 25
    for table in tables:
        forced = admin.execute(
            "select relrowsecurity and relforcerowsecurity from pg_class where oid = %s::regclass", (f'"{table}"',)
        ).fetchone()
        assert forced == (True,), table
        first = admin.execute(
            "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]"
            " where i.indrelid = %s::regclass",
            (f'"{table}"',),
        ).fetchall()
        assert {row[0] for row in first} == {"network_id"}, f"{table}: every index begins with the network"
        policies = admin.execute(
            "select qual, with_check, roles::text from pg_policies where tablename = %s and policyname = 'one_network'",
            (table,),
        ).fetchall()
        rule = "(network_id = (current_setting('app.network_id'::text))::uuid)"
        assert policies == [(rule, rule, "{public}")], table


def test_the_application_owns_nothing_and_the_ledger_is_append_only(admin: psycopg.Connection) -> None:
    for table in tenant_tables(admin):
        owner = admin.execute("select tableowner from pg_tables where tablename = %s", (table,)).fetchone()
        assert owner == ("ld_owner",)
    granted = admin.execute(
        "select table_name, privilege_type from information_schema.role_table_grants where grantee = 'ld_app'"
        " and privilege_type not in ('SELECT', 'INSERT')"
    ).fetchall()
    changeable = {row[0] for row in granted}
    assert not changeable & {"ledger_tx", "entry", "program", "keyset", "server_meta", "network"}
    erasable = {"guest_key", "credential", "words", "staff_login"}
    passing = {"reprice_queue", "step_use", "tier_use", "unproved_use"}
    assert {row for row in granted if row[1] != "UPDATE"} == {(table, "DELETE") for table in erasable | passing}


async def test_a_network_sees_and_touches_its_own_rows_alone(ground: Ground, admin: psycopg.Connection) -> None:
    """Every tenant table is filled for two networks, then read, inserted into and updated from the wrong one."""
    await incarnation.at_start(ground.db, ground.witness)
    mine = (await make_demo(ground, seed=1, count=20)).network
    other = (await make_demo(ground, seed=2, count=20)).network
    fill_the_rest(admin, (mine, other))
    for table in tenant_tables(admin):
        total = admin.execute(f'select network_id, count(*) from "{table}" group by 1').fetchall()
        counts = dict(total)
        assert {mine, other} <= counts.keys(), f"{table} is empty: the test would prove nothing"
        async with ground.db.begin(mine) as connection:
            seen = await fetch(connection, f'select network_id from "{table}"')
            assert {UUID(str(row[0])) for row in seen} == {mine}, table
            assert len(seen) == counts[mine]
            named = await fetch_value(connection, f'select count(*) from "{table}" where network_id = $1', other)
            assert named == 0, table
        with pytest.raises(PostgresError, match=r"row-level security|permission denied|append-only"):
            async with ground.db.begin(mine) as connection:
                await write(
                    connection,
                    f"""
                    do $$ declare r "{table}"; begin
                        select * into r from "{table}" limit 1;
                        r.network_id = '{other}';
                        execute 'insert into "{table}" overriding system value select ($1).*' using r;
                    end $$""",
                )
        may_update = admin.execute("select has_table_privilege('ld_app', %s, 'update')", (f'"{table}"',)).fetchone()
        if may_update == (True,):
            with pytest.raises(PostgresError, match=r"row-level security|what rows of .* refer to"):
                async with ground.db.begin(mine) as connection:
                    await write(connection, f"update \"{table}\" set network_id = '{other}'")
            async with ground.db.begin(mine) as connection:
                changed = await write(
                    connection, f"update \"{table}\" set network_id = network_id where network_id = '{other}'"
                )
                assert changed == 0
        else:
            with pytest.raises(PostgresError, match="permission denied"):
                async with ground.db.begin(mine) as connection:
                    await write(connection, f'update "{table}" set network_id = network_id')
        assert dict(admin.execute(f'select network_id, count(*) from "{table}" group by 1').fetchall()) == counts


def fill_the_rest(admin: psycopg.Connection, networks: tuple[UUID, UUID]) -> None:
    """Put a row into each table that demo data leaves empty, past all rules."""
    admin.execute("set session_replication_role = replica")
    for network in networks:
        for table in tenant_tables(admin):
            if admin.execute(f'select 1 from "{table}" where network_id = %s limit 1', (network,)).fetchone():
                continue
            columns = admin.execute(
                "select column_name, data_type, udt_name from information_schema.columns where table_name = %s"
                " and column_default is null and is_nullable = 'NO' and is_identity = 'NO'"
                " and column_name <> 'network_id'",
                (table,),
            ).fetchall()
            checks = admin.execute(
                "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and contype = 'c'",
                (f'"{table}"',),
            ).fetchall()
            values = [plausible(name, kind, " ".join(row[0] for row in checks)) for name, kind, _ in columns]
            names = ", ".join(f'"{name}"' for name, _, _ in columns)
            marks = ", ".join(["%s"] * len(values))
            admin.execute(
                f'insert into "{table}" (network_id, {names}) values (%s, {marks})',
                (network, *values),
            )


def plausible(name: str, kind: str, checks: str) -> object:
    match kind:
        case "uuid":
            return uuid4()
        case "bytea":
            return bytes(32)
        case "timestamp with time zone":
            return "2026-01-01T00:00:00Z"
        case "bigint" | "integer" | "smallint" | "numeric":
            return 1
        case "jsonb" | "ARRAY":
            return "{}"
        case _:
            marker = f"({name} = ANY (ARRAY['"
            return checks.split(marker, 1)[1].split("'", 1)[0] if marker in checks else "x"


async def test_without_a_network_every_table_answers_with_an_error(ground: Ground, admin: psycopg.Connection) -> None:
    await incarnation.at_start(ground.db, ground.witness)
    network = (await make_demo(ground, seed=1, count=6)).network
    async with ground.db.begin(network) as connection:
        assert await fetch_value(connection, "select count(*) from guest") == 6
    for table in tenant_tables(admin):
        with pytest.raises(PostgresError, match=r"app\.network_id|invalid input syntax for type uuid"):
            async with ground.db.without_network() as connection:
                await fetch(connection, f'select * from "{table}" limit 1')
    assert await ground.db.networks() == [network]


async def test_ledger_rows_cannot_be_changed_even_by_their_owner(ground: Ground, admin: psycopg.Connection) -> None:
    await make_demo(ground, seed=1, count=20)
    for table in ("ledger_tx", "entry"):
        for statement in (
            f"update {table} set network_id = network_id",
            f"delete from {table}",
            f"truncate {table} cascade",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                admin.execute(statement)


async def test_interleaved_transactions_of_two_networks_over_a_pool_of_two_never_mix(ground: Ground) -> None:
    await incarnation.at_start(ground.db, ground.witness)
    made = [await create_network(ground, "N", "shop", "RUB", "UTC", [NewStore("S")]) for _ in range(2)]
    ids = [one.network.id for one in made]
    from server.kit.db import Database

    small = Database(ground.db.url, pool_size=2)
    chance = random.Random(5)
    foreign = 0

    async def request(network: UUID, what: float) -> None:
        nonlocal foreign
        async with small.begin(network) as connection:
            found = await fetch(connection, "select network_id from store")
            foreign += sum(UUID(str(row[0])) != network for row in found) + (len(found) != 1)
            if what < 0.2:
                raise ZeroDivisionError
            if what < 0.4:
                await fetch(connection, "select 1 / 0")
            await fetch(connection, "select pg_sleep(0.001)")

    async def cancelled(network: UUID) -> None:
        task = asyncio.create_task(request(network, 1))
        await asyncio.sleep(chance.random() / 200)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    work = [
        cancelled(ids[n % 2]) if chance.random() < 0.2 else request(ids[n % 2], chance.random()) for n in range(2_000)
    ]
    done = await asyncio.gather(*work, return_exceptions=True)
    assert foreign == 0
    # Failed in Python, failed in the database, and nothing else: two connections served them all.
    failed = {type(one) for one in done if one is not None}
    assert failed == {ZeroDivisionError, DivisionByZeroError}, failed
    await small.close()
