"""Making a cluster: initdb, two roles, the database, and the passwords, none of them ever in an argument."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from loyalty_desk.domain.errors import Broken
from server.kit.place import Place
from server.kit.process import dying_with_parent

OWNER, APP, SUPERUSER = "ld_owner", "ld_app", "postgres"
DATABASE = "loyalty"
_DYING_SECONDS = 15.0


def secret_file(data: Path, role: str) -> Path:
    """Return where the password of a role is kept."""
    return data / f"{'superuser' if role == SUPERUSER else role.removeprefix('ld_')}.secret"


def make_cluster(place: Place, target: Path) -> None:
    """Make the cluster beside `target` and give it its name when it is whole; raises `Broken`."""
    half = target.with_name(f"{target.name}.new")
    patience = time.monotonic() + _DYING_SECONDS
    while half.exists() and time.monotonic() < patience:  # what a killed start left may still be dying
        shutil.rmtree(half, ignore_errors=True)
    superuser, owner, app = (_secret(secret_file(place.data, role)) for role in (SUPERUSER, OWNER, APP))
    given = target.with_name("initdb.password")
    given.unlink(missing_ok=True)
    given.touch(mode=0o600)
    try:
        given.write_text(superuser)
        if place.user:
            os.chown(given, place.user.uid, place.user.gid)
        run_tool(
            place, "initdb", "-D", half, "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={given}", "-E", "UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--data-checksums",
        )  # fmt: skip
    finally:
        given.unlink(missing_ok=True)
    # Before the cluster has its name, without a network: statements go in by stdin.
    statements = (
        f"create role {OWNER} login nosuperuser nobypassrls password '{owner}';",
        f"create role {APP} login nosuperuser nobypassrls password '{app}';",
        f"create database {DATABASE} owner {OWNER};",
        f"revoke all on database {DATABASE} from public;",
        f"grant connect on database {DATABASE} to {APP};",
    )
    said = run_tool(place, "postgres", "--single", "-D", half, "postgres", stdin="\n".join((*statements, "")).encode())
    if b"ERROR:" in said or b"FATAL:" in said:
        raise Broken("the roles of the new database could not be made: " + said.decode(errors="replace")[-500:])
    half.rename(target)


def run_tool(place: Place, name: str, *arguments: str | Path, stdin: bytes = b"") -> bytes:
    """Run one of PostgreSQL's programs as its user and return what it said; raises `Broken`. It dies with us."""
    done = subprocess.run(  # noqa: S603 - our own binaries, no shell
        [place.bin / name, *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        check=False,
        env=clean_environment(),
        preexec_fn=dying_with_parent(signal.SIGKILL),
        **as_user(place),
    )
    if done.returncode:
        raise Broken(f"{name} failed: {done.stdout.decode(errors='replace')[-800:].strip()}")
    return bytes(done.stdout)


def as_user(place: Place) -> dict[str, Any]:
    """Return the arguments by which a child becomes the database's user."""
    return {"user": place.user.uid, "group": place.user.gid, "extra_groups": []} if place.user else {}


def clean_environment() -> dict[str, str]:
    """Return an environment with nothing of the caller's in it that PostgreSQL would read (PG*, locale)."""
    keep = {"PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH"}
    return {name: value for name, value in os.environ.items() if name in keep} | {"LC_ALL": "C"}


def _secret(path: Path) -> str:
    made = secrets.token_urlsafe(32)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(made)
    found = path.read_text()
    if not found:  # the machine went off between the file and its text
        path.write_text(made)
    return found or made
