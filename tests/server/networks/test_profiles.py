"""Limits as they are typed: a figure that no till could work with is refused, however it is written."""

from __future__ import annotations

import pytest

from loyalty_desk.domain.errors import BadInput
from server.networks.profiles import changed


@pytest.mark.parametrize(
    "typed",
    [
        "floor_points=" + "0" * 20 + "9" * 19,
        "floor_points=" + "9" * 5_000,
        "floor_points=" + "0" * 5_000,
        "max_age_hours=4801",
        # A till that nobody answers waits so long at the counter; a timer takes no more than some 300 years.
        "random_online_wait_s=301",
        f"random_online_wait_s={10**12}",
    ],
    ids=lambda typed: typed[:40],
)
def test_a_figure_out_of_bounds_is_refused(typed: str) -> None:
    with pytest.raises(BadInput) as found:
        changed({}, [typed])
    assert found.value.code == "limit_value"


def test_the_most_that_is_allowed_is_taken() -> None:
    typed = [f"floor_points={10**12}", "floor_share_bp=10000", "random_online_wait_s=300", "cvm.ld1=007"]
    made = changed({}, typed)
    assert (made["floor_points"], made["floor_share_bp"], made["random_online_wait_s"]) == (10**12, 10_000, 300)
    assert made["cvm"]["ld1"] == 7
