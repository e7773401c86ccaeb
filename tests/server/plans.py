"""How PostgreSQL goes about what is asked of it."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from server.kit.db import Connection, write


async def note_plans(connection: Connection, patch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the plan of each statement that is fetched from now on."""
    # Tables as small as those of a test would be read at once whatever the condition.
    await write(connection, "set local enable_seqscan = off")
    plans: list[str] = []
    real = asyncpg.Connection.fetch

    async def explained(asked: asyncpg.Connection, sql: str, *given: Any, **named: Any) -> Any:
        plans.append("\n".join(row[0] for row in await real(asked, f"explain {sql}", *given)))
        return await real(asked, sql, *given, **named)

    patch.setattr(asyncpg.Connection, "fetch", explained)
    return plans
