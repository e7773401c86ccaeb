"""How often something may be tried: counted in the database, so that all workers and every restart count together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from loyalty_desk.wire.v1.errors import ErrorCode
from server.kit.db import Connection, Database, fetch_one, write
from server.kit.errors import ApiError

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `times` within any `within`, and at most `a_day` (0: no matter) in one day of UTC."""

    what: str
    times: int
    within: timedelta
    a_day: int = 0


LOGIN = Limit("login", 5, timedelta(minutes=10))
LOOKUP = Limit("lookup", 60, timedelta(minutes=1), 2_000)
SHORT_CODE = Limit("short code", 5, timedelta(minutes=10))


async def take(connection: Connection, network: UUID, limit: Limit, subject: str, now: datetime) -> int | None:
    """Count one try of `subject` (an account, a device) and return None, or the seconds until the next is allowed.

    A try that is refused is not counted: whoever waits gets in. The caller commits, whatever becomes of the try.
    """
    day = now.astimezone(UTC).date().isoformat()
    await write(
        connection,
        "insert into attempts (network_id, what, subject) values ($1, $2, $3)"
        " on conflict (network_id, what, subject) do nothing",
        network,
        limit.what,
        subject,
    )
    row = await fetch_one(
        connection,
        "select recent, day, of_day from attempts where network_id = $1 and what = $2 and subject = $3"
        " for no key update",
        network,
        limit.what,
        subject,
    )
    recent = sorted(one for one in row.recent if now - limit.within < one <= now)
    of_day = row.of_day if row.day == day else 0
    if limit.a_day and of_day >= limit.a_day:
        return _DAY_S - int(now.timestamp()) % _DAY_S
    if len(recent) >= limit.times:
        return max(1, -int((now - recent[0] - limit.within).total_seconds() // 1))
    await write(
        connection,
        "update attempts set recent = $4, day = $5, of_day = $6 where network_id = $1 and what = $2 and subject = $3",
        network,
        limit.what,
        subject,
        [*recent, now],
        day,
        of_day + 1,
    )
    return None


async def require(db: Database, network: UUID, limit: Limit, subject: str, now: datetime) -> None:
    """Count one try in a transaction of its own, kept whatever becomes of the try; raises `ApiError` 429."""
    async with db.begin(network) as connection:
        wait = await take(connection, network, limit, subject, now)
    if wait is not None:
        raise ApiError(429, ErrorCode.TOO_MANY, f"Tried too often. Wait {wait} seconds.", retry_after_s=wait)


async def forgive(connection: Connection, network: UUID, limit: Limit, subject: str) -> None:
    """Forget the tries of a subject: the last one was right."""
    await write(
        connection,
        "update attempts set recent = '{}' where network_id = $1 and what = $2 and subject = $3",
        network,
        limit.what,
        subject,
    )
