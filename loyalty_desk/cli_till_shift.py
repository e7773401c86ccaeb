"""`loyalty-desk till shift open | login | x | close`: shifts from a terminal, PINs never among the arguments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from loyalty_desk.cli_till import AsJson, DataDir, Lang, ask_pin, opened, show, show_lines

if TYPE_CHECKING:
    from loyalty_desk.services.shifts import ShiftReport

Who = Annotated[str, typer.Option("--cashier", help="Id or name; the PIN is asked for, or read from standard input.")]
shift_app = typer.Typer(no_args_is_help=True, help="Open, hand over, count and close a shift.")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(shift_app, name="shift")
    app.command("x")(x)
    app.command()(staff)


@shift_app.command("open")
def open_shift(cashier: Who, data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Open a shift."""
    from loyalty_desk.services.counter_lines import opened_line

    with opened(data_dir, lang) as (till, words):
        shift = till.counter.shifts.open(cashier, ask_pin(cashier))
        result = {"shift": str(shift.id), "number": shift.number, "day": shift.day, "cashier": shift.cashier}
        show(result, opened_line(shift, words), as_json)


@shift_app.command()
def login(cashier: Who, data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Let somebody else sell in the open shift."""
    with opened(data_dir, lang) as (till, _):
        member = till.counter.shifts.hand_over(cashier, ask_pin(cashier))
        show({"cashier": member.id, "name": member.name, "role": member.role}, member.name, as_json)


@shift_app.command("x")
def x(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Show what the open shift has come to; nothing is closed."""
    from loyalty_desk.services.counter_lines import report_lines

    with opened(data_dir, lang) as (till, words):
        report = till.counter.shifts.report()
        show_lines(_report(report), report_lines(report, words), as_json)


@shift_app.command()
def close(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Close the shift and print its Z report; the network is not waited for."""
    from loyalty_desk.services.counter_lines import report_lines

    with opened(data_dir, lang) as (till, words):
        report = till.counter.shifts.close()
        show_lines(_report(report), report_lines(report, words), as_json)


def staff(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """List who may stand at this till."""
    from loyalty_desk.support_lines import role_name

    with opened(data_dir, lang) as (till, words):
        members = till.counter.pins.members()
        found = [{"id": one.id, "name": one.name, "role": one.role, "has_pin": one.has_pin} for one in members]
        show_lines({"staff": found}, [(one.name, role_name(one.role, words)) for one in members], as_json)


def _report(report: ShiftReport) -> dict[str, object]:
    shift = report.shift
    return {
        "shift": str(shift.id),
        "number": shift.number,
        "day": shift.day,
        "opened_at": shift.opened_at.isoformat(),
        "at": datetime.now(UTC).isoformat(),
        "is_final": report.is_final,
        "totals": report.totals.to_dict(),
        "waiting": report.waiting,
        "notices": report.notices,
    }
