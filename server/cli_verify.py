"""`verify`: the ledger read again and proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import UUID

import typer

from loyalty_desk.domain.errors import Refused
from loyalty_desk.wire.v1.sync import FeedTable
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground
from server.cli_terminal import Terminal
from server.kit.crypto import Vault
from server.kit.db import Connection
from server.kit.ground import Ground

app = typer.Typer()


@app.command()
def verify(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Read the whole ledger again and prove it; exit code 1 and the first bad place where it is not in order."""
    from server.ledger.audit import Audit, audit, last_line
    from server.sync.rows import rows_of

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[Audit]:
        chosen = await opened.db.networks() if network is None else [await chosen_network(opened, network)]
        if not chosen:
            raise Refused("network_missing")
        made = []
        for one in chosen:
            async with opened.db.snapshot(one) as connection:
                render = partial(_render, rows_of, connection, one, opened.vault)
                made.append(await audit(connection, one, render))
        return made

    audits = with_ground(settings_of(data_dir), terminal, work)
    for one in audits:
        terminal.line(f"network {one.network}")
        for name, value in asdict(one.counted).items():
            terminal.line(f"  {name.replace('_', ' '):<22} {value:>8}")
        for finding in one.findings:
            terminal.line(f"  {finding}")
    line = last_line(audits)
    terminal.line(line)
    ok = not any(one.found for one in audits)
    terminal.result(
        ok=ok,
        line=line,
        networks=[
            {
                "network": str(one.network),
                "counted": asdict(one.counted),
                "found": one.found,
                "findings": [str(finding) for finding in one.findings],
            }
            for one in audits
        ],
    )
    if not ok:
        raise typer.Exit(1)


async def _render(
    rows_of: Any, connection: Connection, network: UUID, vault: Vault, table: str, keys: Sequence[str]
) -> dict[str, Any]:
    found: dict[str, Any] = await rows_of(connection, network, vault, FeedTable(table), keys)
    return found
