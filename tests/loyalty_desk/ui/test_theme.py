from __future__ import annotations

import re

import pytest

from loyalty_desk import assets
from loyalty_desk.ui import theme

AT_LEAST = 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize(("text", "background"), theme.PAIRS)
def test_every_text_can_be_read_on_its_background(name: str, text: str, background: str) -> None:
    colours = theme.THEMES[name]
    assert theme.contrast(getattr(colours, text), getattr(colours, background)) >= AT_LEAST


def test_contrast_is_the_one_of_wcag() -> None:
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert theme.contrast("#123456", "#123456") == 1.0


def test_pairs_that_a_rule_sets_together_are_among_those_tested() -> None:
    sheet = assets.text("themes", "till.qss")
    together = set()
    for rule in re.findall(r"{([^}]*)}", sheet):
        text = re.search(r"(?<![-\w])color: \$(\w+)", rule)
        background = re.search(r"background: \$(\w+)", rule)
        if text and background:
            together.add((text[1], background[1]))
    assert len(together) > 10
    assert together - set(theme.PAIRS) == set()


def test_the_sheet_names_only_colours_that_exist_and_sizes_scale() -> None:
    plain, large = theme.stylesheet("light", 1.0), theme.stylesheet("light", 1.3)
    assert "$" not in plain
    assert "font-size: 16px" in plain
    assert "font-size: 21px" in large
    assert theme.stylesheet("dark", 1.0) != plain


@pytest.mark.parametrize(("size", "scale"), [((420, 600), 1.0), ((1024, 768), 1.0), ((1366, 768), 1.0),
                                             ((1280, 960), 1.15), ((1920, 1080), 1.3)])  # fmt: skip
def test_larger_screens_are_drawn_larger(size: tuple[int, int], scale: float) -> None:
    assert theme.scale_for(*size) == scale
