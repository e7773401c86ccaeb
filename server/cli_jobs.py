"""`jobs run`: what the server does by itself every hour, now."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

import typer

from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground
from server.cli_terminal import Terminal
from server.kit.ground import Ground

app = typer.Typer(no_args_is_help=True, help="Expiry, tiers, birthdays, write-offs.")


@app.callback()
def _group() -> None:
    """Expiry, tiers, birthdays, write-offs."""


@app.command("run")
def jobs_run(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Do now what is due; a running server does it by itself every hour. Safe beside one."""
    from server.jobs.bench import Bench
    from server.jobs.nightly import Worked, run_jobs
    from server.ledger.shelf import ProgramShelf

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> dict[UUID, Worked]:
        chosen = await opened.db.networks() if network is None else [await chosen_network(opened, network)]
        bench = Bench(opened.db, opened.vault, ProgramShelf())
        return {one: await run_jobs(bench, one, datetime.now(UTC)) for one in chosen}

    found = with_ground(settings_of(data_dir), terminal, work)
    for one, made in found.items():
        terminal.line(f"network {one}: {made}")
    terminal.result(networks=[{"network": str(one), **asdict(made)} for one, made in found.items()])
