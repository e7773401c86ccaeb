"""The schema's version, and databases that are not ours to start: roles that may too much, upgrades at once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from loyalty_desk.domain.errors import Broken, Refused
from server.kit import schema
from server.kit.db import Database
from server.kit.embedded import APP, OWNER, SUPERUSER, Embedded
from server.kit.ground import Base, Ground, running
from server.settings import Settings

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[3]


@pytest.fixture
def empty(admin: psycopg.Connection) -> Iterator[str]:
    """An empty database beside this test's own."""
    name = f"{admin.info.dbname}_empty"
    admin.execute(f"create database {name} owner {OWNER}")
    admin.execute(f"grant connect on database {name} to {APP}")
    yield name
    admin.execute(f"drop database {name} with (force)")


def test_three_upgrades_at_once_end_as_one(cluster: Embedded, empty: str) -> None:
    environment = os.environ | {
        "DATABASE_URL": cluster.url(APP, empty).render_as_string(hide_password=False),
        "LOYALTY_OWNER_DATABASE_URL": cluster.url(OWNER, empty).render_as_string(hide_password=False),
    }
    upgrade = [sys.executable, "-m", "server.cli", "db", "upgrade"]
    running_ones = [
        subprocess.Popen(upgrade, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for one in running_ones:
        said, errors = one.communicate(timeout=120)
        assert (one.returncode, said.decode()) == (0, f"The schema is at {schema.head()}.\n"), errors.decode()


@pytest.mark.anyio
async def test_the_schema_of_this_program_is_accepted_and_others_are_not(
    ground: Ground, admin: psycopg.Connection
) -> None:
    async with ground.db.without_network() as connection:
        assert await schema.current(connection) == schema.head()
        await schema.require_head(connection)
    for revision, code in (("0001", "schema_old"), ("9999", "schema_newer")):
        admin.execute("update alembic_version set version_num = %s", (revision,))
        with pytest.raises(Refused, match=code):
            async with ground.db.without_network() as connection:
                await schema.require_head(connection)


@pytest.mark.anyio
async def test_an_empty_database_has_no_version(cluster: Embedded, empty: str) -> None:
    database = Database(cluster.url(OWNER, empty))
    async with database.without_network() as connection:
        assert await schema.current(connection) is None
        with pytest.raises(Refused, match="schema_old"):
            await schema.require_head(connection)
    await database.close()


@pytest.mark.anyio
async def test_a_role_that_sees_past_row_security_is_refused(cluster: Embedded, base: Base) -> None:
    database = Database(cluster.url(SUPERUSER, base.app.database or ""))
    with pytest.raises(Refused, match="role_too_strong"):
        async with database.without_network() as connection:
            await schema.require_head(connection)
    await database.close()


def test_a_database_of_somebody_else_is_used_and_not_started(cluster: Embedded, base: Base, settings: Settings) -> None:
    app = cluster.url(APP, base.app.database or "").set(drivername="postgresql").render_as_string(hide_password=False)
    assert base.owner is not None
    # As PostgreSQL's own programs are told it.
    owner = base.owner.update_query_dict({"sslmode": "prefer"}).render_as_string(hide_password=False)
    theirs = settings.model_copy(update={"database_url": SecretStr(app), "owner_database_url": SecretStr(owner)})
    with running(theirs) as found:
        assert found.embedded is None
        assert found.app.drivername == "postgresql+asyncpg"
        assert found.owner is not None
        schema.upgrade(found.owner, found.app.username or "")
    assert not settings.data_dir.exists()
    for text in ("mysql://x/y", "nonsense"):
        with pytest.raises(Broken), running(settings.model_copy(update={"database_url": SecretStr(text)})):
            pass


def test_the_downgrade_of_a_ledger_is_refused(cluster: Embedded, base: Base) -> None:
    from alembic import command

    config = schema._config(base.owner, APP)
    with pytest.raises(NotImplementedError, match="restore a backup"):
        command.downgrade(config, "base")
    with closing(psycopg.connect(**_dsn(cluster, base))) as connection:  # type: ignore[arg-type]
        assert connection.execute("select version_num from alembic_version").fetchone() == (schema.head(),)


def _dsn(cluster: Embedded, base: Base) -> dict[str, object]:
    assert cluster.address is not None
    return {
        "host": cluster.address.host,
        "port": cluster.address.port,
        "user": OWNER,
        "password": cluster.url(OWNER).password,
        "dbname": base.app.database,
    }
