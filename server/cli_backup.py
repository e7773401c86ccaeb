"""`backup` and `restore`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from server.cli_ground import DataDir, Json, settings_of
from server.cli_terminal import Terminal, agreed
from server.kit.embedded import APP, OWNER, Embedded
from server.kit.ground import Base, running
from server.settings import Settings

app = typer.Typer()


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write everything the database holds to a file; beside a running server too. The master key is not in it."""
    from server.kit import backup as kit

    terminal = Terminal(as_json)
    settings = settings_of(data_dir)
    with running(settings, say=terminal.say) as base:
        size = kit.dump(kit.require_own(base.embedded), file.absolute())
        key = "LOYALTY_MASTER_KEY" if settings.master_key is not None else str(base.data / "master.key")
    terminal.line(f"{file} holds {size} bytes. Keep it apart from the master key ({key}): both are needed to restore.")
    terminal.result(file=file, bytes=size, master_key=key)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put a backup in the place of the database; no server may run. What was there is kept under another name.

    A new life begins, so that every till sends again what the backup does not know, and whoever was erased since is
    erased again before anything is served.
    """
    from server.kit import backup as kit

    terminal = Terminal(as_json)
    if not yes:
        # Nobody has to decide about what is no backup. It is looked at again once the answer is there.
        kit.require_whole(file)
        asyncio.run(agreed(f"Put {file} in the place of the present database?"))
    settings = settings_of(data_dir)
    kept_as = f"loyalty_before_{datetime.now(UTC):%Y%m%d_%H%M%S}"
    with running(settings, role="server", say=terminal.say) as base:
        embedded = kit.require_own(base.embedded)
        asyncio.run(kit.restore_beside(embedded, file.absolute()))
        try:
            life, erased = _prepare(settings, base, embedded)
        except BaseException:
            asyncio.run(kit.drop_restoring(embedded))
            raise
        asyncio.run(kit.put_in_place(embedded, kept_as))
    terminal.line(f"{file} is in place. A new life has begun ({life}); {erased} erased guests were erased again.")
    terminal.line(f"The database of before is kept as {kept_as}.")
    terminal.result(file=file, incarnation=life, erased=erased, kept_as=kept_as)


def _prepare(settings: Settings, base: Base, embedded: Embedded) -> tuple[str, int]:
    """Bring the restored database up to date, begin its new life and forget who was erased since; not served yet."""
    from server.guests.leaving import erase_again
    from server.kit import backup as kit
    from server.kit import incarnation
    from server.kit.ground import ground
    from server.networks import service as networks
    from server.serve import upgrade

    beside = Base(embedded.url(APP, kit.RESTORING), embedded.url(OWNER, kit.RESTORING), base.data, embedded)
    upgrade(beside)

    async def work() -> tuple[str, int]:
        async with ground(settings, beside) as opened:
            await networks.require_master_key(opened)
            async with opened.db.without_network() as connection:
                made = await incarnation.rotate(connection, "restore")
            erased = await erase_again(opened)
            # The witness speaks of the life before; from here on a start compares with this one.
            opened.witness.write(made.id, {})
            return str(made.id), erased

    return asyncio.run(work())
