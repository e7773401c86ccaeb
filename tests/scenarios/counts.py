"""How often a scenario is tried: a few times in `make test`, in full in `make scenarios`."""

from __future__ import annotations

import os

FULL = "LOYALTY_SCENARIOS"


def count(few: int, full: int) -> int:
    """Return `full` where the scenarios themselves are asked for, else `few`."""
    return full if os.environ.get(FULL) == "full" else few
