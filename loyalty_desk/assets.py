"""Where the till's files that are not code lie: in a checkout, in an installed package, in a frozen folder."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path


class AssetMissingError(Exception):
    """A file that ships with the till is not there: the installation is damaged."""


@cache
def root() -> Path:
    """Return the `resources` folder; raises `AssetMissingError`."""
    package = Path(__file__).resolve().parent
    frozen = getattr(sys, "_MEIPASS", None)
    candidates = [Path(frozen) / "resources"] if frozen else []
    candidates += [package.parent / "resources", package / "resources"]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise AssetMissingError(f"the resources folder is in none of {', '.join(map(str, candidates))}")


def path(*parts: str) -> Path:
    """Return the path of one asset; raises `AssetMissingError`."""
    found = root().joinpath(*parts)
    if not found.exists():
        raise AssetMissingError(str(found))
    return found


def text(*parts: str) -> str:
    """Return the text of one asset."""
    return path(*parts).read_text(encoding="utf-8")
