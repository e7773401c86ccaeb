"""What an error of the database says: that it is away, that two transactions met, or that the data are at fault."""

from __future__ import annotations

import asyncpg
import pytest

from server.kit.errors import is_conflict, is_outage, is_unfit

CASES = [
    (asyncpg.DeadlockDetectedError, (True, True, False)),
    (asyncpg.SerializationError, (True, True, False)),
    (asyncpg.UniqueViolationError, (False, False, True)),
    (asyncpg.NumericValueOutOfRangeError, (False, False, True)),
    # A text of 3 KB is more than an index takes.
    (asyncpg.ProgramLimitExceededError, (False, False, True)),
    (asyncpg.DiskFullError, (True, False, False)),
    (asyncpg.ConnectionDoesNotExistError, (True, False, False)),
    # What the driver says of itself: the connection is closed, the pool is closing.
    (asyncpg.InterfaceError, (True, False, False)),
    (TimeoutError, (True, False, False)),
    (asyncpg.UndefinedColumnError, (False, False, False)),
    (ValueError, (False, False, False)),
]


@pytest.mark.parametrize(("kind", "found"), CASES, ids=[kind.__name__ for kind, _ in CASES])
def test_what_is_to_be_done_follows_from_the_state(kind: type[Exception], found: tuple[bool, bool, bool]) -> None:
    error = kind("of the driver")
    assert (is_outage(error), is_conflict(error), is_unfit(error)) == found
