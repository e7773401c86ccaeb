"""What may be wrong with a request, a database or a file, as this server speaks of it; `kit.answers` says it."""

from __future__ import annotations

import asyncpg

from loyalty_desk.wire.v1.errors import ErrorAnswer, ErrorCode

# What is raised without a SQLSTATE where the database is away; the last where it goes in the middle of a statement.
AWAY: tuple[type[Exception], ...] = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# SQLSTATE classes that say the database is away, busy or ill, and nothing about the data.
_OUTAGE_CLASSES = frozenset({"08", "40", "53", "57", "58", "XX"})
# Two transactions met: a deadlock, or an order in which they cannot both have been.
_CONFLICT_CLASS = "40"
# Out of range, against a constraint, beyond what an index takes (a text of 3 KB).
_UNFIT_CLASSES = frozenset({"22", "23", "54"})
_READ_ONLY = "25006"
_RETRY_AFTER_S = 5


class ApiError(Exception):
    """An answer that is not 2xx. `text` is for people; `retry_after_s` goes into Retry-After."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        text: str,
        *,
        retry_after_s: int | None = None,
        expected_seq: int | None = None,
        epoch: int | None = None,
        feed_seq: int | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {text}")
        self.status = status
        self.answer = ErrorAnswer(code.value, text, expected_seq, epoch, feed_seq)
        self.retry_after_s = retry_after_s


def outage() -> ApiError:
    """Return what is answered while the database cannot store anything."""
    return ApiError(
        503, ErrorCode.OUTAGE, "The ledger cannot store anything right now. Try again.", retry_after_s=_RETRY_AFTER_S
    )


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of a database error, None where it has none."""
    return str(error.sqlstate) if isinstance(error, asyncpg.PostgresError) and error.sqlstate else None


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that the database is away, busy or ill, and nothing about the data."""
    if isinstance(error, AWAY):
        return True
    state = sqlstate(error)
    return state is not None and (state[:2] in _OUTAGE_CLASSES or state == _READ_ONLY)


def is_conflict(error: BaseException) -> bool:
    """Return whether a transaction met another one: nothing of it was kept, and begun again it may go through."""
    return (sqlstate(error) or "")[:2] == _CONFLICT_CLASS


def is_unfit(error: BaseException) -> bool:
    """Return whether an error is the data's own: it can never be stored as it is."""
    return (sqlstate(error) or "")[:2] in _UNFIT_CLASSES


def reason_of(error: Exception) -> str:
    """Return why a file cannot be used, as the system says it; what is no name of a file at all is no `OSError`."""
    return (error.strerror if isinstance(error, OSError) else None) or "that is no name of a file"
