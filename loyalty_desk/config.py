"""What a till knows of itself before any database is open: which device of which network it is."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.ports.identity import Identity

_VERSION = 1


@dataclass(frozen=True, slots=True)
class TillConfig:
    """The identity, and where its keys are: `keyring:NAME` or `file`. `keys_id` names them there."""

    identity: Identity
    keys_in: str
    keys_id: str


def load_config(path: Path) -> TillConfig | None:
    """Return what is kept, None where the till has not joined a network; raises `Refused` `till_file_damaged`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Refused("till_file_damaged", path=str(path)) from error
    try:
        kept: dict[str, Any] = {
            field.name: _from_text(field.type, data["identity"][field.name])
            for field in fields(Identity)
            # What a till that joined earlier was not told yet keeps its default.
            if field.default is MISSING or field.name in data["identity"]
        }
        ZoneInfo(str(kept["zone"]))
        return TillConfig(
            Identity(**kept),
            str(data["keys_in"]),
            str(data["keys_id"]),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise Refused("till_file_damaged", path=str(path)) from error


def save_config(path: Path, config: TillConfig) -> None:
    """Keep it: whole or not at all, durably."""
    identity = {field.name: _to_text(getattr(config.identity, field.name)) for field in fields(Identity)}
    data = {"v": _VERSION, "identity": identity, "keys_in": config.keys_in, "keys_id": config.keys_id}
    write_whole(path, json.dumps(data, indent=2, ensure_ascii=False).encode())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file for this user alone so that after a power cut it is the old or the new one."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _to_text(value: object) -> str:
    return b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _from_text(kind: Any, text: str) -> object:
    if kind in (UUID, "UUID"):
        return UUID(text)
    if kind in (bytes, "bytes"):
        return b64decode(text, validate=True)
    return str(text)
