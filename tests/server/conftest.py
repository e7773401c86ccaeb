"""One PostgreSQL for all server tests of a run, one fresh database a test, copied from a migrated template."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest import mock
from uuid import uuid4

import psycopg
import pytest

from server.kit import incarnation, new_cluster, schema
from server.kit.embedded import _SETTINGS, APP, DATABASE, OWNER, SUPERUSER, Embedded
from server.kit.ground import Base, Ground
from server.kit.ground import ground as open_ground
from server.kit.place import Place, find
from server.networks.service import MadeNetwork, NewStore, create_network
from server.settings import Settings
from tests.server.commands import Commands, make_commands

# Names the folder of another PostgreSQL's programs, which all server tests then run against (test_other_postgres.py).
OTHER_POSTGRES = "LOYALTY_TEST_POSTGRES"


# A disk in memory, where the machine has one with room: a database copied there costs a tenth, a thousand times.
MEMORY, ROOM = Path("/dev/shm"), 4 << 30


def folder_for_database(prefix: str, *, in_memory: bool = False) -> Path:
    """Return a new folder that the database's user can reach; pytest's own are closed to it under root."""
    fits = in_memory and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if fits else None))
    folder.chmod(0o711)
    return folder


def without_builtin_locale(run_tool: Callable[..., bytes]) -> Callable[..., bytes]:
    """Let an initdb older than 17 make the cluster: it knows the locale C and not who provides it."""

    def run(place: Place, name: str, *arguments: str | Path, **options: object) -> bytes:
        return run_tool(place, name, *(one for one in arguments if "builtin" not in str(one)), **options)

    return run


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests (`pytest.mark.anyio`) run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Embedded]:
    """A running PostgreSQL whose database `loyalty` is migrated: the template of the others. Nobody connects to it."""
    folder = folder_for_database("ld-tests-", in_memory=True)
    other = os.environ.get(OTHER_POSTGRES)
    place = replace(find(folder / "data"), bin=Path(other)) if other else None
    embedded = Embedded(folder / "data", place=place)
    if other:
        new_cluster.run_tool = without_builtin_locale(new_cluster.run_tool)
    try:
        # Nothing of it has to outlive the machine, and a database is made and dropped for every test.
        with mock.patch.dict(_SETTINGS, {"fsync": "off", "full_page_writes": "off"}):
            embedded.start()
        schema.upgrade(embedded.url(OWNER), APP)
        yield embedded
    finally:
        embedded.stop(wait_for_others=False)
        shutil.rmtree(folder, ignore_errors=True)


def superuser(cluster: Embedded, database: str = "postgres") -> psycopg.Connection:
    """Return a connection that sees and may do everything: for planting damage, never for what is tested."""
    url = cluster.url(SUPERUSER)
    return psycopg.connect(
        host=cluster.address.host,  # type: ignore[union-attr]
        port=cluster.address.port,  # type: ignore[union-attr]
        user=SUPERUSER,
        password=url.password,
        dbname=database,
        autocommit=True,
    )


@pytest.fixture
def database_name(cluster: Embedded) -> Iterator[str]:
    """A database of this test alone."""
    name = f"t{uuid4().hex}"
    with closing(superuser(cluster)) as admin:
        admin.execute(f"create database {name} template {DATABASE} owner {OWNER}")
        admin.execute(f"grant connect on database {name} to {APP}")
    yield name
    with closing(superuser(cluster)) as admin:
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def admin(cluster: Embedded, database_name: str) -> Iterator[psycopg.Connection]:
    """The superuser in this test's database."""
    with closing(superuser(cluster, database_name)) as connection:
        yield connection


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of this test: data and witness in its own folder, a fixed master key."""
    return Settings(
        data_dir=tmp_path / "data",
        witness_dir=tmp_path / "witness",
        master_key="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        pool_size=8,
        _env_file=None,
    )


@pytest.fixture
def base(cluster: Embedded, database_name: str, settings: Settings) -> Base:
    """Addresses of this test's database."""
    return Base(
        cluster.url(APP, database_name), cluster.url(OWNER, database_name), settings.data_dir.absolute(), cluster
    )


@pytest.fixture
async def ground(settings: Settings, base: Base) -> AsyncIterator[Ground]:
    """Database and vault of this test, for async tests."""
    async with open_ground(settings, base) as made:
        yield made


@pytest.fixture
async def made(ground: Ground) -> MadeNetwork:
    """A restaurant network with one store, and the database's first life."""
    await incarnation.at_start(ground.db, ground.witness)
    return await create_network(ground, "Test", "restaurant", "RUB", "Europe/Moscow", [NewStore("First")])


@pytest.fixture
def commands(
    base: Base, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    """Return the server's commands over this test's database, in which there is a network."""
    return make_commands(base, settings, monkeypatch, capsys)
