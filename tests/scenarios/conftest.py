"""The shop and the till of these tests."""

from tests.stages import card, stage, till

__all__ = ["card", "stage", "till"]
