"""Which language to speak, and its gettext catalogue. English is the language of the message ids and needs no file.

A `.po` file is what ships. Its compiled form is kept in the user's cache folder under the hash of the `.po`, so it
can neither be stale nor be forgotten at a build, and Babel (0.1 s to import) is needed only for the first start after
a change. A frozen program may ship the `.mo` alone.
"""

from __future__ import annotations

import gettext
import io
import locale
import os
import struct
import sys
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from loyalty_desk import assets

LANGUAGES = ("ru", "en")
SOURCE_LANGUAGE = "en"
OTHER = {"ru": "en", "en": "ru"}


def mark(sentence: str) -> str:
    """Mark a message id for extraction, by the name `_`; the translation happens where the language is known."""
    return sentence


def choose(setting: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Return the language to speak: the setting, else the environment's locale, else the system's, else English."""
    environ = os.environ if environ is None else environ
    wishes = [setting or ""]
    wishes += [environ.get(name, "") for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")]
    wishes.append(locale.getlocale()[0] or "")
    for wish in wishes:
        for part in wish.split(":"):
            name = part.lower()
            if name.startswith("russian") or name[:2] == "ru":
                return "ru"
            if name.startswith("english") or name[:2] == "en":
                return "en"
    return SOURCE_LANGUAGE


@cache
def catalogue(domain: str, language: str) -> gettext.NullTranslations:
    """Return the translations of a gettext domain; English, and only English, has none and gives the ids back.

    Raises `AssetMissingError` where a language has no file: the installation is damaged.
    """
    if language == SOURCE_LANGUAGE:
        return gettext.NullTranslations()
    folder = assets.path("locale", language, "LC_MESSAGES")
    source = folder / f"{domain}.po"
    if not source.exists():
        with assets.path("locale", language, "LC_MESSAGES", f"{domain}.mo").open("rb") as shipped:
            return gettext.GNUTranslations(shipped)
    data = source.read_bytes()
    compiled = cache_folder() / f"{domain}-{language}-{sha256(data).hexdigest()[:20]}.mo"
    try:
        with compiled.open("rb") as ready:
            return gettext.GNUTranslations(ready)
    except (OSError, struct.error, UnicodeDecodeError, ValueError):
        # Absent, unreadable or torn by a power cut: all mean "make it again".
        return gettext.GNUTranslations(io.BytesIO(_compile(data, language, compiled)))


def cache_folder() -> Path:
    """Return the folder of things that can be made again, for this user. It may not exist yet."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "loyalty-desk" / "locale"


def _compile(data: bytes, language: str, target: Path) -> bytes:
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    made = io.BytesIO()
    write_mo(made, read_po(io.BytesIO(data), locale=language))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(f".{os.getpid()}")
        beside.write_bytes(made.getvalue())
        beside.replace(target)
    except OSError:
        pass  # A read-only home only costs the next start the same tenth of a second.
    return made.getvalue()
