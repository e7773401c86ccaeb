"""What the window remembers between starts: language and theme. A damaged file is as good as none."""

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
    """Empty means: decided by the environment."""

    language: str = ""
    theme: str = ""


def load(folder: Path) -> Preferences:
    """Return what was kept in a folder."""
    try:
        data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        language, theme = data.get("language"), data.get("theme")
    except (OSError, ValueError, AttributeError):
        return Preferences()
    return Preferences(language if language in LANGUAGES else "", theme if theme in THEMES else "")


def save(folder: Path, preferences: Preferences) -> None:
    """Keep them; a folder that cannot be written to only forgets them."""
    try:
        beside = folder / f"{_FILE}.new"
        beside.write_text(json.dumps(asdict(preferences)), encoding="utf-8")
        beside.replace(folder / _FILE)
    except OSError as error:
        _log.info("preferences not kept: %s", error)
