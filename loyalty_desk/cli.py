"""`loyalty-desk`: the window, and the till's services for support staff, scripts and tests."""

from __future__ import annotations

import os
import sys
import zoneinfo
from pathlib import Path
from typing import Annotated

import typer

from loyalty_desk import (
    cli_quote,
    cli_till_guests,
    cli_till_journal,
    cli_till_returns,
    cli_till_sale,
    cli_till_shift,
    log_file,
)
from loyalty_desk.cli_till import AsJson, DataDir, Lang, fail, till_app
from loyalty_desk.domain.errors import ForPerson, Refused

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Loyalty Desk: the till beside the POS. Alone: the window.",
)
app.add_typer(till_app, name="till")
for part in (cli_till_sale, cli_till_shift, cli_till_returns, cli_till_guests):
    part.mount(till_app)
cli_till_journal.mount(till_app, app)
cli_quote.mount(app)


def main() -> None:
    """Run the command line; what a person can act on is one sentence on stderr and exit code 2."""
    # Business days are counted with the pinned zones, never with the system's: both sides must use the same rules.
    zoneinfo.reset_tzpath(to=())
    log_file.hush()
    try:
        app()
    except ForPerson as error:
        fail(error, "")
    except KeyboardInterrupt:
        sys.exit(130)


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
