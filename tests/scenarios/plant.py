"""A pytest plugin that puts one defect in for a whole run, by the name in `LOYALTY_PLANTED`."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from tests.scenarios.planted import DEFECTS, PLANTED

_PUT_IN = pytest.StashKey[ExitStack]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Put the defect in once the tests are imported: what they bind by name is bound to the real thing by then."""
    stack = session.config.stash[_PUT_IN] = ExitStack()
    name = os.environ.get(PLANTED)
    if name:
        (defect,) = (one for one in DEFECTS if one.name == name)
        stack.enter_context(defect.put_in())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take it out again."""
    session.config.stash.get(_PUT_IN, ExitStack()).close()
