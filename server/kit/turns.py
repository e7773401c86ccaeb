"""Turns that transactions of all processes take: a lock of the database by name, which ends with the transaction."""

from __future__ import annotations

from server.kit.db import Connection, fetch_value


async def take_turn(connection: Connection, name: str, *, alone: bool = True) -> None:
    """Wait for the turn of a name: those who take it alone wait for all others, those who share it for these alone."""
    await fetch_value(connection, f"select {turn_sql('$1', alone=alone)}", name)


def turn_sql(name: str, *, alone: bool) -> str:
    """Return what waits for a turn within a statement that does more; `name` is the statement's parameter."""
    return f"pg_advisory_xact_lock{'' if alone else '_shared'}(hashtextextended({name}, 0))"
