"""A program's snapshot in a file: JSON, or TOML with the same keys."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from loyalty_desk.domain.canonical import Json, NotCanonical, encode
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.program import SCHEMA, Program
from server.programs.bonuses import birthday_bonus

MAX_BYTES = 16 << 20


def read(path: Path) -> dict[str, Json]:
    """Return the content of a program file.

    Raises `BadInput` `file_missing`, `file_too_large`, `file_malformed` (with the line) or `file_not_object`.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput("file_too_large", file=str(path), limit=MAX_BYTES)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("file_missing", file=str(path), reason=type(error).__name__) from error
    try:
        found: Any = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text, parse_float=_no_float)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise BadInput("file_malformed", file=str(path), reason=str(error)[:200]) from error
    if not isinstance(found, dict):
        raise BadInput("file_not_object", file=str(path))
    return found


def check(content: dict[str, Json], network: str, zone: str) -> Program:
    """Return the program of a file's content as it would be published; raises `BadInput` naming place and field."""
    try:
        encode(content)
    except NotCanonical as error:
        raise BadInput("program_bytes", reason=str(error)) from error
    own: dict[str, Json] = {"v": SCHEMA, "network": network, "zone": zone, "version": 0}
    program = Program.from_dict({**content, **own})
    _ = program.compiled
    _ = birthday_bonus(program)
    return program


def _no_float(text: str) -> Json:
    raise ValueError(f"{text} has a decimal point: money and points are whole smallest units, rates basis points")
