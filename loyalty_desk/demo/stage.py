"""What the line is played on: a ledger server with the demo restaurant, and a till enrolled in its first store."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from loyalty_desk.demo.processes import ProcessFailed, ServerProcess, command, run, run_json, start

PREFERRED_PORT = 18_765  # not the server's own default: a real one may run beside the demo


@dataclass(frozen=True, slots=True)
class DemoGuest:
    """Somebody of the demo data whom the story needs. `points` is what the ledger says now."""

    name: str
    card: str
    member_no: str
    points: int


class Stage:
    """Keeps everything below `folder`, so that a second run goes on where the first one ended."""

    def __init__(self, folder: Path, say: Callable[[str], None] = print, port: int = PREFERRED_PORT) -> None:
        self.folder = folder.absolute()
        self._say = say
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = kept_port(self.folder / "port", port)
        self.till_dir = self.folder / "till"
        self.stores: list[str] = []
        self.audited: dict[str, object] = {}
        self.environment: Mapping[str, str] = {
            "LOYALTY_DATA_DIR": str(self.folder / "server"),
            "LOYALTY_WITNESS_DIR": str(self.folder / "witness"),
            "LOYALTY_PORT": str(self.port),
            "LOYALTY_TILL_DIR": str(self.till_dir),
            # The demo's keys stay in the demo's folder: nobody wants them in their desktop's keyring.
            "LOYALTY_KEYRING": "file",
            "PYTHONTZPATH": "",
        }
        self.server = ServerProcess(self.environment, self.folder / "server.log")

    def prepare(self) -> list[DemoGuest]:
        """Start the server, fill in the demo restaurant, enrol the till; return the story's guests."""
        self._say("Starting the ledger server and its PostgreSQL")
        for line in self.server.start():
            self._say(line)
        guests = self.demo_data()
        if not self.is_enrolled():
            self.enrol()
        return guests

    def demo_data(self) -> list[DemoGuest]:
        """Make the demo restaurant, or find it as it stands; remember its first store."""
        self._say("Filling in the demo restaurant: two stores, 5 000 guests")
        made = run_json("loyalty-server", ["demo-data"], self.environment)
        self.stores = [one["id"] for one in cast("list[dict[str, str]]", made["stores"])]
        return [
            DemoGuest(g["name"], g["ld1"], g["member_no"], int(g["points"]))
            for g in cast("list[dict[str, str]]", made["samples"])
        ]

    def is_enrolled(self) -> bool:
        """Return whether the till already belongs to the demo restaurant."""
        try:
            return bool(self.till_status().get("enrolled"))
        except ProcessFailed:
            return False

    def till_status(self) -> dict[str, object]:
        """Return what `loyalty-desk till status --json` says; only while no window has the till open."""
        return run_json("loyalty-desk", ["till", "status"], self.environment)

    def enrol(self) -> None:
        """Pair the window's till with the first store."""
        self._say("Pairing the till")
        self.pair(self.environment, self.stores[0])

    def pair(self, environment: Mapping[str, str], store: str, *options: str, name: str = "") -> None:
        """Pair a till of a store by a one-time code, both sides saying yes; `options` are the server's."""
        log = self.folder / "pairing.log"
        with log.open("wb") as said:
            pairing = start(
                [*command("loyalty-server"), "till", "pair", "--yes", "--json", "--store", store, *options],
                self.environment,
                stdout=subprocess.PIPE,
                stderr=said,
            )
        assert pairing.stdout is not None  # noqa: S101 - asked for above
        with pairing.stdout:
            try:
                first = pairing.stdout.readline()
                if not first:
                    raise ProcessFailed("no pairing code: " + log.read_text(errors="replace"))
                joining = ["till", "enrol", str(json.loads(first)["pairing"]), "--yes"]
                run("loyalty-desk", [*joining, "--name", name] if name else joining, environment)
                if pairing.wait(30) != 0:
                    raise ProcessFailed("pairing failed: " + log.read_text(errors="replace"))
            finally:
                pairing.kill()
                pairing.wait()

    def verify(self) -> str:
        """Return the last line of `loyalty-server verify`; raises `ProcessFailed` where anything is wrong."""
        return str(self.audit()["line"])

    def audit(self) -> dict[str, object]:
        """Return all that `loyalty-server verify` says; raises `ProcessFailed` where anything is wrong."""
        self.audited = run_json("loyalty-server", ["verify"], self.environment)
        return self.audited

    def statement(self, member_no: str) -> dict[str, object]:
        """Return the ledger's own account of a guest: `posted` points and its entries."""
        return run_json("loyalty-server", ["statement", "--guest", member_no], self.environment)

    def sales(self) -> int:
        """Return how many sales the ledger holds."""
        self.audit()
        return self.counted("sales")

    def counted(self, what: str) -> int:
        """Return a figure of the last audit over all networks."""
        networks = cast("list[dict[str, dict[str, int]]]", self.audited["networks"])
        return sum(one["counted"][what] for one in networks)

    def close(self) -> None:
        """Stop the server and with it the database."""
        self.server.stop()


def kept_port(file: Path, preferred: int) -> int:
    """Return the port this stage keeps: the till remembers the address it was paired with."""
    if file.exists():
        return int(json.loads(file.read_text()))
    for wanted in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            port = int(probe.getsockname()[1])
        file.write_text(json.dumps(port))
        return port
    raise ProcessFailed("no free port on 127.0.0.1")
