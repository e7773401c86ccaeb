"""`loyalty-desk till slip`: what a receipt printer prints, as text of letters that its code page has."""

from __future__ import annotations

from typing import Annotated

import typer

from loyalty_desk.cli_till import DataDir, Lang, opened
from loyalty_desk.domain.errors import BadInput, Refused


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(slip)


def slip(
    receipt: Annotated[str | None, typer.Argument(help="Receipt number or id; absent: the last sale.")] = None,
    z: Annotated[bool, typer.Option("--z", help="The Z report of the shift closed last, again.")] = False,
    x: Annotated[bool, typer.Option("--x", help="The X report of the open shift instead of a sale.")] = False,
    width: Annotated[int, typer.Option(min=24, max=80, help="Columns: 32 on 58 mm paper, 42 or 48 on 80 mm.")] = 32,
    data_dir: DataDir = None,
    lang: Lang = "",
) -> None:
    """Print a guest's slip of a sale, or an X or Z report, in as many columns as the paper has.

    `| lp` brings it onto paper; a receipt printer without a queue reads it as `| iconv -t CP866 > /dev/usb/lp0`.
    """
    from loyalty_desk.services.slips import Place, report_slip, sale_slip

    with opened(data_dir, lang) as (till, words):
        if sum((receipt is not None, z, x)) > 1:
            raise BadInput("usage_other", command="loyalty-desk till slip")
        books, shifts, status = till.counter.sold_checks, till.counter.shifts, till.status()
        place = Place("", "", "") if status is None else Place(status.network, status.store, status.till)
        if x:
            lines = report_slip(shifts.report(), place, words, width)
        elif z:
            last = shifts.last()
            if last is None:
                raise Refused("no_shift_closed")
            lines = report_slip(last, place, words, width)
        else:
            sold = books.newest() if receipt is None else books.find(receipt)
            lines = sale_slip(sold, place, words, width)
        typer.echo("\n".join(lines))
