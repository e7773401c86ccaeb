"""postmaster.pid: what PostgreSQL says of itself, believed only as far as the processes bear it out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.kit.process import command_line

# Lines: pid, data folder, start time, port, socket folder, address, shared memory, state.
_PORT, _SOCKET, _STATE = 3, 4, 7


@dataclass(frozen=True, slots=True)
class Address:
    """Where the running server listens: a socket folder or a loopback address, and a port."""

    host: str
    port: int


class PidFile:
    """The file in one cluster's folder."""

    def __init__(self, cluster: Path) -> None:
        self._cluster = cluster
        self._path = cluster / "postmaster.pid"

    def pid(self) -> int | None:
        """Return the process it names, None where there is no file or it is torn."""
        lines = self._lines()
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    def ready_address(self) -> Address | None:
        """Return where PostgreSQL listens once it accepts connections."""
        lines = self._lines()
        if len(lines) <= _STATE or lines[_STATE].strip() != "ready":
            return None
        return Address(lines[_SOCKET].strip() or "127.0.0.1", int(lines[_PORT]))

    def living_pid(self) -> int | None:
        """Return the process if it lives and is this cluster's postmaster, not one that got its number since."""
        pid = self.pid()
        if pid is None:
            return None
        found = command_line(pid)
        if not found or Path(found[0]).stem != "postgres" or str(self._cluster) not in found:
            return None
        return pid

    def clear_stale(self) -> None:
        """Remove a file whose process is not this cluster's. Nobody is signalled: it may be anybody's number."""
        if self.living_pid() is None:
            self._path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(errors="replace").splitlines()
        except OSError:
            return []
