"""`loyalty-desk`: the window, and the till's services for support staff, scripts and tests."""

from __future__ import annotations

import os
import sys
import zoneinfo
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from loyalty_desk import (
    cli_quote,
    cli_till_guests,
    cli_till_journal,
    cli_till_returns,
    cli_till_sale,
    cli_till_shift,
    cli_till_slip,
    log_file,
    standard_output,
)
from loyalty_desk.cli_till import BAD_INPUT, AsJson, DataDir, Lang, fail, till_app
from loyalty_desk.domain.errors import BadInput, ForPerson, Refused

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
_PROGRAM = "loyalty-desk"
# What typer cannot read, by the name of its class, as the code of a sentence; the rest is `usage_other`.
_UNREAD = {"NoSuchOption": "usage_option", "MissingParameter": "usage_missing", "BadParameter": "usage_value"}

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Loyalty Desk: the till beside the POS. Alone: the window.",
)
app.add_typer(till_app, name="till")
for part in (cli_till_sale, cli_till_shift, cli_till_returns, cli_till_guests, cli_till_slip):
    part.mount(till_app)
cli_till_journal.mount(till_app, app)
cli_quote.mount(app)


def main() -> None:
    """Run the command line; what a person can act on is one sentence on stderr and exit code 2."""
    from typer.exceptions import TyperException

    # Business days are counted with the pinned zones, never with the system's: both sides must use the same rules.
    zoneinfo.reset_tzpath(to=())
    log_file.hush()
    try:
        "".join(sys.argv).encode()
        done = app(prog_name=_PROGRAM, standalone_mode=False)
    except ForPerson as error:
        fail(error, _language(sys.argv))
    except TyperException as error:
        _unread(error, _language(sys.argv))
    except typer.Abort:
        typer.echo(err=True)  # ends the line of the question that got no answer
        fail(Refused("nothing_done"), _language(sys.argv))
    except UnicodeEncodeError:
        # Bytes that are no text, in an argument or on standard input: a name of them would be registered as it is.
        fail(BadInput("usage_other", command=_PROGRAM), _language(sys.argv))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if not standard_output.takes_nothing():
            raise
        fail(Refused("output_not_written", why=os.strerror(error.errno or 0)), _language(sys.argv))
    sys.exit(done if isinstance(done, int) else 0)


def _unread(error: Exception, lang: str) -> NoReturn:
    """Say in one sentence what of a command line cannot be read, and end."""
    context = getattr(error, "ctx", None)
    command = _PROGRAM if context is None else str(context.command_path)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(str(error), err=True)
        sys.exit(BAD_INPUT)
    param = getattr(error, "param", None)
    name = getattr(error, "option_name", "") or (param.opts[0] if param is not None and param.opts else "")
    code = _UNREAD.get(type(error).__name__, "usage_other") if name else "usage_other"
    fail(BadInput(code, name=name, command=command), lang)


def _language(arguments: Sequence[str]) -> str:
    """Return what `--lang` says in a command line that may be unreadable otherwise."""
    for at, one in enumerate(arguments):
        name, given, value = one.partition("=")
        if name == "--lang":
            return value if given else "".join(arguments[at + 1 : at + 2])
    return ""


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Open the window where nothing else is asked for."""
    if context.invoked_subcommand is None:
        run()


@app.command()
def run(
    data_dir: DataDir = None,
    lang: Lang = "",
    theme: Annotated[str, typer.Option(help="light or dark.")] = "",
    camera: Annotated[str, typer.Option(help="Number, path, simulated, simulated:CODE or none.")] = "",
    serial: Annotated[str, typer.Option(help="Serial port of a scanner.")] = "",
    fullscreen: Annotated[bool, typer.Option("--fullscreen", help="Take the whole screen.")] = False,
    tip: Annotated[str, typer.Option(help="A line of what to try, shown while nothing happens.")] = "",
) -> None:
    """Open the cashier's window."""
    if sys.platform == "linux" and not any(map(os.environ.get, _DISPLAYS)):
        # Qt aborts the process where it finds no display, with nothing for a person to read.
        fail(Refused("no_display"), lang)
    from loyalty_desk.app import Options
    from loyalty_desk.app import run as run_window

    sys.exit(run_window(Options(data_dir, lang, theme, camera, serial, fullscreen=fullscreen, tip=tip)))


@app.command()
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, videos or folders of them.")], as_json: AsJson = False
) -> None:
    """Print what the till's own decoders read in files."""
    from loyalty_desk.scanning.scan_files import scan_command

    sys.exit(scan_command(paths, as_json=as_json))


if __name__ == "__main__":
    main()
