"""What the window remembers between starts: language, theme, sounds, camera and scanner.

A damaged file is as good as none.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from loyalty_desk.language import LANGUAGES

_log = logging.getLogger(__name__)
_FILE = "window.json"
THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Preferences:
    """Empty means: decided by the environment. `camera` and `serial` as `Options` has them."""

    language: str = ""
    theme: str = ""
    sounds: bool = True
    camera: str = ""
    serial: str = ""


def load(folder: Path) -> Preferences:
    """Return what was kept in a folder."""
    try:
        data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        language, theme, camera, serial = (data.get(name) for name in ("language", "theme", "camera", "serial"))
    except (OSError, ValueError, AttributeError):
        return Preferences()
    return Preferences(
        language if language in LANGUAGES else "",
        theme if theme in THEMES else "",
        data.get("sounds") is not False,
        camera if isinstance(camera, str) and (camera == "none" or camera.isdigit()) else "",
        serial if isinstance(serial, str) else "",
    )


def save(folder: Path, preferences: Preferences) -> None:
    """Keep them; a folder that cannot be written to only forgets them."""
    try:
        beside = folder / f"{_FILE}.new"
        beside.write_text(json.dumps(asdict(preferences)), encoding="utf-8")
        beside.replace(folder / _FILE)
    except OSError as error:
        _log.info("preferences not kept: %s", error)
