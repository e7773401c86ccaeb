"""What an error of the database says: that it is away, that two transactions met, or that the data are at fault."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from server.kit.errors import is_conflict, is_outage, is_unfit

CASES = [
    (asyncpg.DeadlockDetectedError, (True, True, False)),
    (asyncpg.SerializationError, (True, True, False)),
    (asyncpg.UniqueViolationError, (False, False, True)),
    (asyncpg.NumericValueOutOfRangeError, (False, False, True)),
    # A text of 3 KB is more than an index takes.
    (asyncpg.ProgramLimitExceededError, (False, False, True)),
    (asyncpg.DiskFullError, (True, False, False)),
    (asyncpg.UndefinedColumnError, (False, False, False)),
    (ValueError, (False, False, False)),
]


@pytest.mark.parametrize(("kind", "found"), CASES, ids=[kind.__name__ for kind, _ in CASES])
@pytest.mark.parametrize("through_sqlalchemy", [False, True])
def test_what_is_to_be_done_follows_from_the_state(
    kind: type[Exception], found: tuple[bool, bool, bool], through_sqlalchemy: bool
) -> None:
    error = kind("of the driver")
    told = DBAPIError("select 1", None, error) if through_sqlalchemy else error
    assert (is_outage(told), is_conflict(told), is_unfit(told)) == found
