"""The schema's version: bringing a database up to date, and refusing one that is newer than this program."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL

from loyalty_desk.domain.errors import Refused
from server.kit.db import Connection, fetch_one, fetch_value

_SCRIPTS = Path(__file__).parent.parent / "migrations"


def upgrade(owner: URL, app_role: str, revision: str = "head") -> None:
    """Bring the schema up to `revision` as its owner; what the program needs is granted to `app_role`.

    Safe to run from several processes at once. It runs an event loop of its own: call it outside of one.
    """
    command.upgrade(_config(owner, app_role), revision)


def head() -> str:
    """Return the newest revision that this program knows."""
    found = ScriptDirectory.from_config(_config(None, "")).get_current_head()
    if found is None:
        raise RuntimeError("no migrations are packaged")
    return found


async def current(connection: Connection) -> str | None:
    """Return the database's revision, None for an empty database."""
    if await fetch_value(connection, "select to_regclass('alembic_version')::text") is None:
        return None
    found = await fetch_value(connection, "select version_num from alembic_version")
    return None if found is None else str(found)


async def require_head(connection: Connection) -> None:
    """Raise `Refused` `schema_old` or `schema_newer` where the schema is not the one this program was written for.

    Also `role_too_strong`, where the role could look past row-level security.
    """
    role = await fetch_one(
        connection, "select rolname, rolsuper or rolbypassrls as strong from pg_roles where rolname = current_user"
    )
    if role is None or role.strong:
        raise Refused("role_too_strong", role=role.rolname if role else "")
    found = await current(connection)
    if found == head():
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config(None, "")).walk_revisions()}
    raise Refused("schema_old" if found is None or found in known else "schema_newer", found=found, wants=head())


def _config(owner: URL | None, app_role: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = owner
    config.attributes["app_role"] = app_role
    return config
