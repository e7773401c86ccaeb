"""Colours, sizes and the font of the window: light and dark, the same shapes. `PAIRS` lists every text pair used.

Qt's own colour scheme does nothing offscreen and under bare X11, so both are Fusion with our palette and style sheet.
"""

from __future__ import annotations

from functools import cache
from string import Template
from typing import NamedTuple

from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from loyalty_desk import assets

FAMILY = "Inter"
SEMIBOLD_FAMILY = "Inter SemiBold"
_FONT_FILES = ("Inter-Regular.ttf", "Inter-SemiBold.ttf")


class Colours(NamedTuple):
    """The colours of one theme, `#rrggbb`."""

    window: str
    surface: str
    raised: str
    pressed: str
    line: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    accent_pressed: str
    on_accent: str
    good: str
    good_fill: str
    warn: str
    warn_fill: str
    bad: str
    bad_fill: str
    info: str
    info_fill: str
    header: str
    on_header: str
    header_muted: str
    disabled: str
    disabled_fill: str


LIGHT = Colours(
    window="#eef1f6",
    surface="#ffffff",
    raised="#f1f4f9",
    pressed="#dfe5ef",
    line="#d3dae6",
    text="#131c2b",
    muted="#4f5d74",
    accent="#1f4fd8",
    accent_hover="#1a45c0",
    accent_pressed="#1639a0",
    on_accent="#ffffff",
    good="#0b6339",
    good_fill="#dff3e7",
    warn="#7a4600",
    warn_fill="#fdeecf",
    bad="#a0152b",
    bad_fill="#fce4e8",
    info="#163f9e",
    info_fill="#e3ebfd",
    header="#131c2b",
    on_header="#f4f7fc",
    header_muted="#b4c0d4",
    disabled="#525e73",
    disabled_fill="#e4e9f1",
)
DARK = Colours(
    window="#0e131b",
    surface="#171f2b",
    raised="#212c3c",
    pressed="#2c3a4f",
    line="#31405a",
    text="#eef3fb",
    muted="#a9b6ca",
    accent="#6d9bff",
    accent_hover="#83aaff",
    accent_pressed="#5a8af5",
    on_accent="#071330",
    good="#6adfa3",
    good_fill="#12301f",
    warn="#ffcb6b",
    warn_fill="#33270c",
    bad="#ff9aa6",
    bad_fill="#3b171e",
    info="#a9c4ff",
    info_fill="#17284c",
    header="#080c12",
    on_header="#eef3fb",
    header_muted="#a9b6ca",
    disabled="#9aa7bc",
    disabled_fill="#1d2634",
)
# Docked beside the POS, and 1024×768 at 150 % less the bar of the system.
SMALLEST = (420, 480)
STACKED_BELOW = 640
# Lower, panels under each other have no room for what is to be paid and keyed in.
STACKED_HEIGHT = 680
TIGHT_BELOW = (860, 700)
# A report without anything to choose beside it is no wider: captions and values must be found for each other.
FACTS_ALONE = 640
THEMES = {"light": LIGHT, "dark": DARK}
# (text, background) as the style sheet uses them.
PAIRS = (
    *(("text", under) for under in ("window", "surface", "raised", "pressed", "info_fill")),
    *(("muted", under) for under in ("window", "surface", "raised", "info_fill")),
    *(("on_accent", under) for under in ("accent", "accent_hover", "accent_pressed")),
    *((tone, under) for tone in ("good", "warn", "bad", "info") for under in ("surface", "window", f"{tone}_fill")),
    *((over, "header") for over in ("on_header", "header_muted")),
    *(("accent", under) for under in ("surface", "window")),
    ("disabled", "disabled_fill"),
)
_SIZES = {
    "small": 14,
    "body": 16,
    "strong": 18,
    "title": 22,
    "money": 30,
    "pay": 44,
    "huge": 60,
    "field": 26,
    "button": 24,
}


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio of two `#rrggbb` colours, 1 to 21."""

    def luminance(colour: str) -> float:
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def install_font(app: QApplication) -> None:
    """Load our own font, so that texts measure the same on every machine, and make it the program's."""
    for name in _FONT_FILES:
        if QFontDatabase.addApplicationFont(str(assets.path("fonts", name))) < 0:
            raise assets.AssetMissingError(name)
    font = QFont(FAMILY)
    font.setPixelSize(_SIZES["body"])
    app.setFont(font)


def apply(app: QApplication, theme: str) -> None:
    """Dress the program in Fusion and the palette of a theme."""
    colours = THEMES[theme]
    if app.style().name() != "fusion":
        app.setStyle("Fusion")
    palette = QPalette()
    roles = QPalette.ColorRole
    for role, value in {
        roles.Window: colours.window,
        roles.WindowText: colours.text,
        roles.Base: colours.surface,
        roles.AlternateBase: colours.raised,
        roles.Text: colours.text,
        roles.Button: colours.raised,
        roles.ButtonText: colours.text,
        roles.ToolTipBase: colours.header,
        roles.ToolTipText: colours.on_header,
        roles.Highlight: colours.accent,
        roles.HighlightedText: colours.on_accent,
        roles.PlaceholderText: colours.muted,
        roles.Link: colours.accent,
    }.items():
        palette.setColor(role, QColor(value))
    app.setPalette(palette)


@cache
def stylesheet(theme: str, scale: float = 1.0) -> str:
    """Return the style sheet of a theme with every size multiplied by `scale`."""
    values: dict[str, object] = THEMES[theme]._asdict()
    values |= {f"fs_{name}": f"{round(size * scale)}px" for name, size in _SIZES.items()}
    values |= {"semibold": f'"{SEMIBOLD_FAMILY}"', "touch": f"{round(48 * scale)}px", "go": f"{round(72 * scale)}px"}
    return Template(assets.text("themes", "till.qss")).substitute(values)


def scale_for(width: int, height: int) -> float:
    """Return how much larger than at 1024×768 everything is drawn; three steps, so that resizing does not restyle."""
    room = min(width / 1024, height / 768)
    return 1.3 if room >= 1.38 else 1.15 if room >= 1.2 else 1.0


def smallest(width: int) -> tuple[int, int]:
    """Return the smallest width, and the smallest height for a width: what is to be paid is in sight at every size."""
    return SMALLEST[0], STACKED_HEIGHT if is_stacked(width) else SMALLEST[1]


def is_stacked(width: int) -> bool:
    """Return whether a window is too narrow for two panels beside each other: docked beside the POS."""
    return width < STACKED_BELOW


def is_tight(width: int, height: int) -> bool:
    """Return whether a window has less room than 1024×768: money and touch stay as large, what decorates goes.

    That screen has 819×614 at 125 % and 683×512 at 150 %.
    """
    return width < TIGHT_BELOW[0] or height < TIGHT_BELOW[1]


def set_tone(widget: QWidget, tone: str) -> None:
    """Set a widget's tone for the style sheet, and restyle it only where it changed."""
    if widget.property("tone") != tone:
        widget.setProperty("tone", tone)
        _restyle(widget)


def set_flag(widget: QWidget, name: str, value: bool) -> None:
    """Set what the style sheet asks of a widget and, by it, of its parts; restyle all only where it changed."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        for one in (widget, *widget.findChildren(QWidget)):
            _restyle(one)


def _restyle(widget: QWidget) -> None:
    style = widget.style()
    style.unpolish(widget)
    style.polish(widget)
