"""Our own programs as child processes that never outlive the one who started them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

READY_SECONDS = 90.0
STOP_SECONDS = 30.0


class ProcessFailed(RuntimeError):
    """A program of ours ended when it should not have; the text holds its last words."""


def command(name: str) -> list[str]:
    """Return how to start `loyalty-server` or `loyalty-desk` with this very Python."""
    module = {"loyalty-server": "server.cli", "loyalty-desk": "loyalty_desk.cli"}[name]
    return [sys.executable, "-m", module]


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def ask(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], *, typed: str = "", timeout: float = 120
) -> Said:
    """Run a command to its end, `typed` on its standard input, and return what it said, a refusal as well."""
    process = start(
        [*command(name), *arguments],
        environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = process.communicate(typed.encode(), timeout=timeout)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return Said(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def run(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], *, typed: str = "", timeout: float = 120
) -> str:
    """Run a command to its end and return its standard output; raises `ProcessFailed`."""
    said = ask(name, arguments, environment, typed=typed, timeout=timeout)
    if said.code != 0:
        last = (said.err or said.out).strip().splitlines()[-12:]
        raise ProcessFailed(f"{name} {' '.join(arguments[:2])} ended with {said.code}: " + "\n".join(last))
    return said.out


def run_json(name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, object]:
    """Run a command with `--json` and return what it said."""
    answer: dict[str, object] = json.loads(run(name, [*arguments, "--json"], environment))
    return answer


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C reaches us alone and we stop it in order."""
    return subprocess.Popen(  # noqa: S603 - our own programs
        list(arguments),
        env={**os.environ, **environment},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        # One call of a library loaded before the fork: nothing in it takes a lock that a thread may hold.
        preexec_fn=_die_with_parent(signal.SIGTERM),  # noqa: PLW1509
    )


class ServerProcess:
    """`loyalty-server run`, its log in a file. Stopped by SIGTERM, as a service manager does it."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    @property
    def is_running(self) -> bool:
        """Return whether it was started and not stopped."""
        return self._process is not None

    def start(self) -> list[str]:
        """Start, wait until it says that it serves, and return what else it had to say; raises `ProcessFailed`.

        Its own word is waited for and not an answer on its port: another program may be listening there.
        """
        if self._process is not None:
            return []
        with self._log.open("ab") as log:
            self._said_before = log.tell()
            self._process = start(
                [*command("loyalty-server"), "run", "--json"], self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_until(self._is_ready, READY_SECONDS, "the server to serve")
        except BaseException:
            self.kill()
            raise
        return [line for line in self._said() if not line.startswith("{")]

    def stop(self) -> None:
        """Ask it to stop and wait; a server that does not is killed, and that is an error."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise ProcessFailed("the server did not stop when asked to") from error

    def kill(self) -> None:
        """SIGKILL, as an accident would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _said(self) -> list[str]:
        with self._log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode(errors="replace").strip().splitlines()

    def _is_ready(self) -> bool:
        process = self._process
        if process is None or process.poll() is not None:
            raise ProcessFailed("the server did not start: " + "\n".join(self._said()[-12:]))
        return any('"event": "ready"' in line for line in self._said())


def wait_until(is_true: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask until it is so; raises `TimeoutError` that names what was waited for."""
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


def _die_with_parent(sent: signal.Signals) -> Callable[[], None] | None:
    """Return what makes a Linux child receive a signal when its parent is killed; None elsewhere."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    pr_set_pdeathsig = 1

    def ask() -> None:
        library.prctl(pr_set_pdeathsig, int(sent))

    return ask
