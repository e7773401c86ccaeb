"""Where a till keeps its files."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loyalty_desk.domain.errors import Refused

DATA_DIR = "LOYALTY_TILL_DIR"
WITNESS_DIR = "LOYALTY_TILL_WITNESS"
_NAME = "loyalty-desk"


@dataclass(frozen=True, slots=True)
class TillPaths:
    """One till's folder. The witness lies in a folder of its own, which may be put on another disk."""

    folder: Path
    witness_folder: Path

    @property
    def identity(self) -> Path:
        """Return the file that says which device of which network this is; nothing in it is secret."""
        return self.folder / "till.json"

    @property
    def keys(self) -> Path:
        """Return the file of keys, where no keyring is used."""
        return self.folder / "keys.json"

    @property
    def sealed_key(self) -> Path:
        """Return the journal's key, sealed to the network's recovery key."""
        return self.folder / "journal.key"

    @property
    def journal(self) -> Path:
        """Return the facts."""
        return self.folder / "journal.db"

    @property
    def cache(self) -> Path:
        """Return what the server has told."""
        return self.folder / "cache.db"

    @property
    def backups(self) -> Path:
        """Return the folder of the journal's nightly copies."""
        return self.folder / "backup"

    @property
    def slips(self) -> Path:
        """Return the folder of slips asked for where there is no printer."""
        return self.folder / "slips"

    @property
    def set_aside(self) -> Path:
        """Return the folder of tills that this one was before, whose keys were lost."""
        return self.folder / "set-aside"

    @property
    def lock(self) -> Path:
        """Return the lock of the one process."""
        return self.folder / "till.lock"

    @property
    def reserve(self) -> Path:
        """Return the room kept for the last sale before the disk is full."""
        return self.folder / "reserve.bin"

    @property
    def witness(self) -> Path:
        """Return the file that knows how far the journal went."""
        return self.witness_folder / "head.wit"

    def prepare(self) -> None:
        """Make the folders, for this user alone; raises `Refused` `data_folder_readonly`, `data_folder_unusable`."""
        for folder in (self.folder, self.witness_folder):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                # Being allowed to is not the same as being able to: a read-only disk says so only when written to.
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except PermissionError as error:
                raise Refused("data_folder_readonly", path=str(folder)) from error
            except OSError as error:
                code = "data_folder_readonly" if error.errno == 30 else "data_folder_unusable"
                raise Refused(code, path=str(folder), why=error.strerror or "") from error


def till_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return `LOYALTY_TILL_DIR`, else this platform's folder for a program's data."""
    environ = os.environ if environ is None else environ
    named = environ.get(DATA_DIR)
    return Path(named) if named else _platform_folder(environ) / "till"


def till_paths(folder: Path | None = None, environ: Mapping[str, str] | None = None) -> TillPaths:
    """Return the paths of a till's folder, by default the one that `till_folder` names."""
    environ = os.environ if environ is None else environ
    folder = (folder or till_folder(environ)).absolute()
    named = environ.get(WITNESS_DIR)
    return TillPaths(folder, Path(named).absolute() if named else folder / "witness")


def _platform_folder(environ: Mapping[str, str]) -> Path:
    if sys.platform == "win32":  # pragma: no cover - not tried on Windows here
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Loyalty Desk"
    if sys.platform == "darwin":  # pragma: no cover - not tried on macOS here
        return Path.home() / "Library" / "Application Support" / "Loyalty Desk"
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / _NAME
