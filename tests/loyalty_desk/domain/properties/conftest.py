"""20 000 examples of each: `python -m pytest tests/loyalty_desk/domain/properties --hypothesis-profile=thorough`."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

MANY = 20_000
HERE = Path(__file__).parent

settings.register_profile(
    "thorough", max_examples=MANY, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let 20 000 examples take as long as they take: on a busy machine one property has needed over five minutes."""
    if settings().max_examples < MANY:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(0))
