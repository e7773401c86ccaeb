"""What the commands print: sentences on stderr, results on stdout, as text or as one JSON object a line."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from uuid import UUID

import segno
import typer

from loyalty_desk.domain.money import Currency

MINUS = "\u2212"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command's words go. With `as_json` stdout holds nothing but JSON."""

    as_json: bool = False

    def say(self, text: str) -> None:
        """Tell a person something that is not the result."""
        print(text, file=sys.stderr, flush=True)

    def line(self, text: str = "") -> None:
        """Print a line of the result, unless it is asked for as JSON."""
        if not self.as_json:
            print(text, flush=True)

    def result(self, **fields: object) -> None:
        """Print the result as an object, if it is asked for so."""
        if self.as_json:
            print(json.dumps(fields, ensure_ascii=False, default=_plain), flush=True)

    def code(self, text: str, level: str = "m") -> None:
        """Draw a QR code, where a terminal can show one; `level` is that of error correction."""
        if self.as_json or not sys.stdout.isatty():
            return
        drawn = io.StringIO()
        segno.make(text, error=level, boost_error=False, micro=False).terminal(out=drawn, compact=True)
        print(drawn.getvalue(), flush=True)


async def agreed(question: str) -> None:
    """Ask the person at the terminal; whoever says no ends the command."""
    if not await asyncio.to_thread(typer.confirm, question, err=True):
        raise typer.Exit(1)


def count(number: int, *, plus: bool = False) -> str:
    """Return `1,234` and `−1,234`, the minus of a length with digits; `plus` marks what is above nothing as well."""
    return f"{'+' if plus and number > 0 else ''}{number:,}".replace("-", MINUS)


def counted(number: int, thing: str) -> str:
    """Return `1 shift`, `2 shifts`."""
    return f"{count(number)} {thing}{'' if abs(number) == 1 else 's'}"


def moment(at: datetime, zone: tzinfo) -> str:
    """Return a time as a clock in `zone` shows it, `2026-03-02 00:30 MSK`."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def money_text(minor: int, unit: Currency) -> str:
    """Return minor units as an amount, `1,234.50`."""
    whole, part = divmod(abs(minor), unit.unit)
    cents = f".{part:0{unit.decimals}}" if unit.decimals else ""
    return f"{MINUS if minor < 0 else ''}{whole:,}{cents}"


def _plain(value: object) -> object:
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} in a result")
