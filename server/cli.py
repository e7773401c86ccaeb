"""`loyalty-server`: every command speaks to people on stderr and, with --json, to programs on stdout."""

from __future__ import annotations

import sys
import zoneinfo
from typing import Annotated

import typer
from asyncpg import PostgresError
from sqlalchemy.exc import SQLAlchemyError

from loyalty_desk import standard_output
from loyalty_desk.domain.errors import Broken, ForPerson
from server import (
    cli_attention,
    cli_backup,
    cli_guests,
    cli_held,
    cli_jobs,
    cli_keys,
    cli_networks,
    cli_people,
    cli_programs,
    cli_shifts,
    cli_staff,
    cli_statement,
    cli_stores,
    cli_systems,
    cli_tills,
    cli_verify,
)
from server.cli_ground import DataDir, Json, settings_of
from server.cli_terminal import Terminal
from server.kit import schema
from server.kit.errors import AWAY
from server.kit.ground import running
from server.sentences import sentence
from server.settings import described

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The Loyalty Desk server."
)
database = typer.Typer(no_args_is_help=True, help="The database's schema.")


def main() -> None:
    """Run the command line; every error that a person can act on is one sentence and exit code 1."""
    # The pinned zones, never the system's: tills count their business days with the same.
    zoneinfo.reset_tzpath(to=())
    try:
        "".join(sys.argv).encode()
        app()
    except ForPerson as error:
        _fail(sentence(error))
    except Broken as error:
        _fail(str(error))
    except UnicodeEncodeError:
        _fail("An argument holds bytes that are no text: type it anew.")
    except (PostgresError, SQLAlchemyError, *AWAY) as error:
        if isinstance(error, OSError) and standard_output.takes_nothing():
            _fail(f"What the command says could not be written: {error.strerror}. What it does is done.")
        _fail(f"The database does not answer, or not as expected: {type(error).__name__}: {_first_line(error)}")
    except KeyboardInterrupt:
        sys.exit(130)


@app.command(epilog=described())
def run(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data_dir: DataDir = None,
    dev: Annotated[bool, typer.Option("--dev", help="Say more.")] = False,
    as_json: Json = False,
) -> None:
    """Start the database if need be, bring its schema up to date and serve until stopped."""
    from server.kit.logging import configure
    from server.serve import serve

    settings = settings_of(data_dir, host=host, port=port, dev=dev or None)
    configure(dev=settings.dev)
    serve(settings, Terminal(as_json))


@database.command("upgrade")
def db_upgrade(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Bring the schema up to date."""
    from server.serve import upgrade

    terminal = Terminal(as_json)
    with running(settings_of(data_dir), say=terminal.say) as base:
        upgrade(base)
    terminal.line(f"The schema is at {schema.head()}.")
    terminal.result(revision=schema.head())


app.add_typer(database, name="db")
app.add_typer(cli_networks.app)
app.add_typer(cli_tills.app, name="till")
app.add_typer(cli_stores.app, name="store")
app.add_typer(cli_systems.app, name="system")
app.add_typer(cli_staff.app)
app.add_typer(cli_people.app, name="staff")
app.add_typer(cli_backup.app)
app.add_typer(cli_guests.app, name="guests")
app.add_typer(cli_programs.app, name="program")
app.add_typer(cli_keys.app, name="keys")
app.add_typer(cli_attention.quarantine, name="quarantine")
app.add_typer(cli_attention.exceptions, name="exceptions")
app.add_typer(cli_held.app, name="held")
app.add_typer(cli_jobs.app, name="jobs")
app.add_typer(cli_verify.app)
app.add_typer(cli_statement.app)
app.add_typer(cli_shifts.app)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]


def _fail(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
