"""What the problem screen shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemState:
    """One sentence, a second one that calms, and two buttons."""

    title: str
    text: str
    calm: str
    retry: str
    close: str
