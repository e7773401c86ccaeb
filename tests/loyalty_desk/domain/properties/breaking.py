"""Showing that a property bites: the kernel is broken on purpose and the property must fall."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy

TRIES = 3_000


def break_kernel(monkeypatch: pytest.MonkeyPatch, where: str, broken: Any) -> None:
    """Replace `module:name` or `module:Class.name` of the kernel."""
    module, _, path = where.partition(":")
    target: Any = importlib.import_module(f"loyalty_desk.domain.{module}")
    *parents, name = path.split(".")
    for parent in parents:
        target = getattr(target, parent)
    assert hasattr(target, name)
    monkeypatch.setattr(target, name, broken)


def must_fall(check: Callable[..., None], *strategies: SearchStrategy[Any]) -> None:
    """Run a property until it falls; fail where it holds."""
    quiet = settings(
        max_examples=TRIES, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False
    )
    with pytest.raises(AssertionError):
        quiet(given(*strategies)(check))()
