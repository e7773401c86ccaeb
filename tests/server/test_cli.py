"""`loyalty-server` as people and scripts use it: real processes, a real port, real signals."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.wire.v1 import codec, signing
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolPending, EnrolStart, Pairing
from server import cli
from server.kit.embedded import DATABASE, SUPERUSER, Embedded
from server.kit.process import command_line
from server.sentences import SENTENCES

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "server.cli"]


@dataclass
class Place:
    """A data folder and a port for one server."""

    folder: Path
    port: int
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"LOYALTY_DATA_DIR": str(self.folder / "data"), "LOYALTY_PORT": str(self.port)}

    def run(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str) -> dict[str, Any]:
        found = json.loads(self.run(*arguments, "--json").stdout)
        assert isinstance(found, dict)
        return found

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--json"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def serve(self) -> subprocess.Popen[str]:
        process = self.begin("run")
        assert event(process)["event"] == "ready"
        return process

    def call(self, path: str, message: object | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            body = None if message is None else codec.encode(message)
            headers = {"Content-Type": codec.CONTENT_TYPE}
            connection.request("GET" if message is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def postmaster(self) -> int:
        return int((self.folder / "data" / "postgres" / "pg18" / "postmaster.pid").read_text().split()[0])

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            finish(process)


def event(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        _, errors = process.communicate(timeout=30)
        raise AssertionError(errors)
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def finish(process: subprocess.Popen[str]) -> int:
    code = process.wait(60)
    pipe: IO[str] | None
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return code


def until(happened: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it has not happened in time"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="ld-cli-"))
    folder.chmod(0o711)
    made = Place(folder, free_port())
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


def is_closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def workers(of: int) -> list[int]:
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdigit():
            try:
                parent = int((one / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            if parent == of:
                found.append(int(one.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_server_ends_cleanly_and_leaves_no_process(place: Place, number: signal.Signals) -> None:
    server = place.serve()
    assert place.call("/readyz")[0] == 200
    everybody = [server.pid, place.postmaster(), *workers(server.pid)]
    assert len(set(everybody)) >= 3
    server.send_signal(number)
    assert finish(server) in (0, 130)
    until(lambda: not any(command_line(pid) for pid in everybody))
    assert is_closed(place.port)


def test_a_killed_server_takes_workers_and_database_along_and_starts_again(place: Place) -> None:
    network = place.json("demo-data", "--guests", "20")["network"]
    server = place.serve()
    everybody = [place.postmaster(), *workers(server.pid)]
    server.kill()
    finish(server)
    until(lambda: not any(command_line(pid) for pid in everybody))
    until(lambda: is_closed(place.port))
    place.serve()
    assert [one["network"] for one in place.json("networks")["networks"]] == [network]


def test_a_killed_database_comes_back_under_a_running_server(place: Place) -> None:
    place.serve()
    before = place.postmaster()
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return place.postmaster() != before and place.call("/readyz")[0] == 200
        except (OSError, IndexError):
            return False

    until(is_back)


def test_a_second_server_and_a_taken_port_get_a_sentence(place: Place) -> None:
    place.serve()
    busy = place.run("run", code=1).stderr
    assert f"Port {place.port} on 127.0.0.1 is used by another program." in busy
    again = place.run("run", "--port", str(free_port()), code=1).stderr
    assert "A server is already running on" in again


def test_a_till_is_paired_over_http(place: Place) -> None:
    demo = place.json("demo-data", "--guests", "20")
    server = place.serve()
    assert server.poll() is None
    pairing_process = place.begin("till", "pair", "--yes", "--store", demo["stores"][0]["id"])
    shown = event(pairing_process)
    pairing = Pairing.from_text(shown["pairing"])
    assert pairing.address == f"http://127.0.0.1:{place.port}"
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    start = EnrolStart(pairing.network, pairing.code, public, "Bar")
    status, body = place.call("/api/v1/enrol/start", start)
    assert status == 200
    pending = codec.decode(EnrolPending, body)
    waiting = event(pairing_process)
    assert waiting == {
        "event": "waiting",
        "name": "Bar",
        "characters": signing.fingerprint(public, pending.nonce, pairing.network),
    }
    sig = key.sign(signing.enrol_message(pairing.network, pending.pending, pending.nonce))
    finish_message = EnrolFinish(pairing.network, pending.pending, sig)
    until(lambda: place.call("/api/v1/enrol/finish", finish_message)[0] == 200)
    paired = event(pairing_process)
    assert finish(pairing_process) == 0
    answer = codec.decode(EnrolAnswer, place.call("/api/v1/enrol/finish", finish_message)[1])
    assert paired == {"event": "paired", "device": str(answer.device), "name": "Bar"}
    (till,) = place.json("till", "list")["tills"]
    assert till["heads"] == []
    assert (till["id"], till["state"], till["store"]) == (str(answer.device), "active", demo["stores"][0]["id"])


def test_a_till_that_is_not_confirmed_stays_out(place: Place) -> None:
    network = place.json("create-network", "Café", "--store", "One")
    assert len(network["stores"]) == 1
    place.serve()
    pairing_process = place.begin("till", "pair")
    pairing = Pairing.from_text(event(pairing_process)["pairing"])
    start = EnrolStart(
        pairing.network, pairing.code, Ed25519PrivateKey.generate().public_key().public_bytes_raw(), "Bar"
    )
    assert place.call("/api/v1/enrol/start", start)[0] == 200
    assert event(pairing_process)["event"] == "waiting"
    assert pairing_process.stdin is not None
    pairing_process.stdin.write("n\n")
    pairing_process.stdin.flush()
    assert finish(pairing_process) == 1
    assert place.call("/api/v1/enrol/start", start)[0] == 403
    assert place.json("till", "list")["tills"] == []


def test_commands_make_their_database_and_say_what_they_did(place: Place) -> None:
    assert place.json("db", "upgrade")["revision"]
    first = place.json("demo-data", "--guests", "50")
    assert first["created"] is True
    assert first["root_sheet"].startswith("LDSR-")
    second = place.json("demo-data", "--guests", "50")
    assert second["created"] is False
    assert "root_sheet" not in second
    assert second["samples"] == first["samples"]
    said = place.run("demo-data", "--guests", "50").stdout
    assert first["samples"][0]["ld1"] in said
    assert not (place.folder / "data" / "postgres" / "pg18" / "postmaster.pid").exists()


def test_verify_says_so_on_its_last_line_and_names_the_first_bad_place(place: Place) -> None:
    with Embedded(place.folder / "data") as embedded:
        place.json("demo-data", "--guests", "50")
        good = place.run("verify").stdout.splitlines()
        assert good[-1] == "verify: ok, 0 sales, 0 lost, 0 doubled, ledger balanced"
        assert embedded.address is not None
        with psycopg.connect(
            host=embedded.address.host,
            user=SUPERUSER,
            password=embedded.url(SUPERUSER).password,
            dbname=DATABASE,
            autocommit=True,
        ) as admin:
            admin.execute("update account set posted = posted + 1 where kind = 'promo_cost'")
        bad = place.run("verify", "--json", code=1).stdout
    found = json.loads(bad)
    assert found["ok"] is False
    assert found["networks"][0]["found"] == 1
    assert found["networks"][0]["counted"]["sum_of_entries"] == 0
    assert found["line"].startswith("verify: FAILED, 1 findings, first: INV-2")


def test_another_master_key_is_refused_before_anything_is_served(place: Place) -> None:
    place.json("demo-data", "--guests", "6")
    (place.folder / "data" / "master.key").unlink()
    for command in (("run",), ("networks",)):
        assert "This master key does not open the database." in place.run(*command, code=1).stderr


def test_what_cannot_be_done_gets_a_sentence_and_changes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: thirteen starts of an interpreter would prove nothing more."""
    monkeypatch.setenv("LOYALTY_DATA_DIR", str(place.folder / "data"))
    monkeypatch.setenv("LOYALTY_PORT", str(place.port))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["loyalty-server", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    for arguments, sentence in (
        (("till", "pair"), "There is no network yet."),
        (("create-network", "N", "--kind", "bar"), "The kind of a network is one of: restaurant, shop."),
        (("create-network", "N", "--zone", "Mars/Base"), "The time zone Mars/Base is not known."),
        (("create-network", "N", "--currency", "DUCAT"), "The currency DUCAT is not known here."),
        (("create-network", ""), "A network's name has 1 to 100 printable letters."),
    ):
        code, _, errors = run(*arguments)
        assert (code, sentence in errors) == (1, True), errors
    assert json.loads(run("networks", "--json")[1]) == {"networks": []}
    assert run("networks")[1] == 'There is no network yet: loyalty-server create-network "NAME"\n'
    demo = json.loads(run("demo-data", "--guests", "6", "--json")[1])
    store = demo["stores"][0]["id"]
    for arguments, sentence in (
        (("till", "pair"), "There are several stores."),
        (("till", "pair", "--store", store, "--address", "http://10.0.0.1"), "without encryption"),
        (("till", "pair", "--store", store, "--address", "here"), "The address must look like"),
        (("till", "pair", "--store", demo["network"]), "There is no store"),
        (("till", "pair", "--store", store), "No server answers at"),
        (("till", "list", "--network", store), "There is no network"),
    ):
        code, _, errors = run(*arguments)
        assert (code, sentence in errors) == (1, True), errors


def test_a_configured_database_that_is_away_or_none_gets_a_sentence(place: Place) -> None:
    away = place.run("networks", code=1, DATABASE_URL=f"postgresql://x:secret-word@127.0.0.1:{free_port()}/y").stderr
    assert "The database does not answer" in away
    assert "secret-word" not in away
    assert "PostgreSQL" in place.run("networks", code=1, DATABASE_URL="mysql://x/y").stderr


def test_every_sentence_can_be_filled() -> None:
    import string

    for code, text in SENTENCES.items():
        # A sentence ends as one, or in a command to type, after which a full stop would be typed too.
        assert text[-1] in ".?)}" or "loyalty-server " in text.rpartition(":")[2], code
        assert all(name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(text)), code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written_is_no_fault_of_the_database() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "server.cli", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    said = "What the command says could not be written: No space left on device. What it does is done.\n"
    assert (done.returncode, done.stderr) == (1, said)
