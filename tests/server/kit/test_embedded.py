"""The launcher of PostgreSQL against everything that can happen to it: real processes, killed for real."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from loyalty_desk.domain.errors import Broken, Refused
from server.kit.embedded import APP, DATABASE, SUPERUSER, Embedded
from server.kit.place import find
from server.kit.process import command_line

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[3]
IS_ROOT = os.geteuid() == 0
NOBODY = 65534
# Starts or attaches, says where, and stays until its stdin ends.
HOLDER = """
import json, os, sys
from pathlib import Path
from server.kit.embedded import Embedded
e = Embedded(Path(sys.argv[1]), role=sys.argv[2]).start()
e.supervise()
print(json.dumps({"owns": e.owns, "host": e.address.host, "pid": os.getpid()}), flush=True)
sys.stdin.read()
e.stop()
"""


@pytest.fixture
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="ld-pg-test-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


class Holder:
    """Another process that uses the database of `data`."""

    def __init__(self, data: Path, role: str = "command") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(data), role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        self.told = json.loads(line)

    def kill(self) -> None:
        self.process.kill()
        self._end()

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._end()

    def _end(self) -> None:
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def until(happened: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it has not happened in time"
        time.sleep(0.02)


def connect(embedded: Embedded, role: str = SUPERUSER, database: str = DATABASE) -> psycopg.Connection:
    assert embedded.address is not None
    return psycopg.connect(
        host=embedded.address.host,
        port=embedded.address.port,
        user=role,
        password=embedded.url(role).password,
        dbname=database,
        autocommit=True,
    )


def postmaster(data: Path) -> int:
    return int((data / "postgres" / "pg18" / "postmaster.pid").read_text().split()[0])


def is_there(pid: int) -> bool:
    return command_line(pid) is not None


def remember(embedded: Embedded, value: int) -> None:
    with closing(connect(embedded)) as connection:
        connection.execute("create table if not exists kept (value int)")
        connection.execute("insert into kept values (%s)", (value,))


def remembered(embedded: Embedded) -> list[int]:
    with closing(connect(embedded)) as connection:
        return [row[0] for row in connection.execute("select value from kept order by value")]


def test_it_starts_stops_and_keeps_what_was_written(data: Path) -> None:
    with Embedded(data) as embedded:
        remember(embedded, 1)
        pid = postmaster(data)
    assert not is_there(pid)
    with Embedded(data) as embedded:
        assert remembered(embedded) == [1]


def test_it_runs_with_the_settings_that_a_ledger_needs_and_roles_that_bypass_nothing(data: Path) -> None:
    wanted = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "TimeZone": "UTC",
        "jit": "off",
        "listen_addresses": "",
    }
    with Embedded(data) as embedded:
        with closing(connect(embedded)) as connection:
            for name, value in wanted.items():
                assert connection.execute("select current_setting(%s)", (name,)).fetchone() == (value,)
            roles = connection.execute(
                "select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles"
                " where rolname like 'ld%'"
            ).fetchall()
        with closing(connect(embedded, APP)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create table public.mine (id int)")
    assert sorted(roles) == [("ld_app", False, False, False, False), ("ld_owner", False, False, False, False)]


def test_a_wrong_password_is_refused_and_secrets_are_in_no_argument(data: Path) -> None:
    with Embedded(data) as embedded:
        secrets = [(data / f"{name}.secret").read_text() for name in ("app", "owner", "superuser")]
        assert len(set(secrets)) == 3
        for path in data.glob("*.secret"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        arguments = command_line(postmaster(data)) or []
        assert not any(secret in argument for secret in secrets for argument in arguments)
        assert not (data / "postgres" / "initdb.password").exists()
        assert embedded.address is not None
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(host=embedded.address.host, user=SUPERUSER, password="wrong", dbname=DATABASE)
    assert "password" not in repr(embedded.url()).replace("***", "")


def test_a_second_process_attaches_and_does_not_stop_what_it_did_not_start(data: Path) -> None:
    with Embedded(data) as embedded:
        other = Holder(data)
        assert other.told["owns"] is False
        other.leave()
        remember(embedded, 1)
        assert remembered(embedded) == [1]


def test_a_command_that_started_it_waits_for_those_who_attached(data: Path) -> None:
    embedded = Embedded(data).start()
    other = Holder(data)
    pid = postmaster(data)
    stopping = Thread(target=embedded.stop)
    stopping.start()
    stopping.join(0.3)
    assert stopping.is_alive()
    assert is_there(pid)
    other.leave()
    stopping.join(20)
    assert not stopping.is_alive()
    assert not is_there(pid)


def test_a_second_server_is_refused_and_a_server_waits_for_a_command(data: Path) -> None:
    with Embedded(data, role="server"), pytest.raises(Refused, match="server_running"):
        Embedded(data, role="server").start()
    command = Holder(data)
    said: list[str] = []
    leaving = Thread(target=lambda: (until(lambda: said), command.leave()))
    leaving.start()
    with Embedded(data, role="server", say=said.append) as embedded:
        assert embedded.owns
    leaving.join(20)
    assert said == [f"Waiting for process {command.told['pid']} to finish with the database."]


def test_a_killed_postmaster_is_started_again_and_loses_nothing(data: Path) -> None:
    said: list[str] = []
    with Embedded(data, role="server", say=said.append) as embedded:
        embedded.supervise()
        remember(embedded, 1)
        pid = postmaster(data)
        os.kill(pid, signal.SIGKILL)
        until(lambda: said and postmaster_is_another(data, pid))

        def answers() -> bool:
            try:
                return remembered(embedded) == [1]
            except psycopg.OperationalError:
                return False

        until(answers)
    assert said == ["PostgreSQL has ended unexpectedly and is started again."]


def postmaster_is_another(data: Path, pid: int) -> bool:
    try:
        return postmaster(data) != pid
    except (OSError, IndexError):
        return False


def test_a_killed_launcher_takes_postgres_along_and_the_next_one_starts_at_once(data: Path) -> None:
    holder = Holder(data, "server")
    pid = postmaster(data)
    with Embedded(data) as attached:
        assert not attached.owns
        remember(attached, 1)
        holder.kill()
        until(lambda: not is_there(pid))
    with Embedded(data) as embedded:
        assert embedded.owns
        assert remembered(embedded) == [1]


def test_launcher_and_postgres_killed_together(data: Path) -> None:
    holder = Holder(data, "server")
    with Embedded(data) as attached:
        remember(attached, 1)
    pid = postmaster(data)
    os.kill(pid, signal.SIGKILL)
    holder.kill()
    with Embedded(data) as embedded:
        assert embedded.owns
        assert remembered(embedded) == [1]


@pytest.mark.parametrize("state", ["ready", "starting"])
def test_a_pid_file_that_names_somebody_else_by_now_is_put_aside_and_nobody_is_signalled(
    data: Path, state: str
) -> None:
    with Embedded(data) as embedded:
        remember(embedded, 1)
        lines = (data / "postgres" / "pg18" / "postmaster.pid").read_text().splitlines()
    bystander = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        lines[0], lines[7] = str(bystander.pid), state
        stale = data / "postgres" / "pg18" / "postmaster.pid"
        stale.write_text("\n".join(lines) + "\n")
        with Embedded(data) as embedded:
            assert embedded.owns
            assert postmaster(data) != bystander.pid
            assert remembered(embedded) == [1]
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"")


@pytest.mark.parametrize("text", ["", "not a number\n", "2147483000\n"])
def test_a_torn_pid_file_is_put_aside(data: Path, text: str) -> None:
    with Embedded(data):
        pass
    (data / "postgres" / "pg18" / "postmaster.pid").write_text(text)
    with Embedded(data) as embedded:
        assert embedded.owns


def test_a_first_start_killed_half_way_leaves_nothing_half_made(data: Path) -> None:
    starting = subprocess.Popen([sys.executable, "-c", HOLDER, str(data), "command"], cwd=ROOT, stdin=subprocess.PIPE)
    until((data / "postgres" / "pg18.new" / "base").exists)
    starting.kill()
    starting.communicate()
    assert not (data / "postgres" / "pg18").exists()
    with Embedded(data) as embedded:
        remember(embedded, 1)
        assert remembered(embedded) == [1]


def test_a_path_too_long_for_a_socket(data: Path) -> None:
    deep = data.parent / ("a" * 90) / "data"
    deep.parent.mkdir(mode=0o711)
    with Embedded(deep) as embedded:
        assert embedded.address is not None
        assert len(embedded.address.host) < 90
        run = Path(embedded.address.host)
        other = Holder(deep)
        assert other.told["host"] == embedded.address.host
        other.leave()
        remember(embedded, 1)
    assert not run.exists()


def test_as_a_user_who_is_not_root(data: Path) -> None:
    data.parent.chmod(0o777)
    # A fork, because such a user may not even reach the interpreter (one under /root).
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            if IS_ROOT:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            with Embedded(data) as embedded:
                remember(embedded, 1)
                code = 0 if embedded.owns and not embedded.notes and remembered(embedded) == [1] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert data.stat().st_uid == (NOBODY if IS_ROOT else os.geteuid())
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_where_the_databases_user_cannot_go_nothing_is_opened_up_and_it_is_said(data: Path) -> None:
    closed = data.parent / "root-only"
    closed.mkdir(mode=0o700)
    shared = data.parent / "shared"
    place = find(closed / "data", shared)
    if not IS_ROOT:
        assert (place.data, place.notes) == (closed / "data", ())
        return
    assert place.data.parent == shared
    assert str(closed) in place.notes[-1]
    said: list[str] = []
    with Embedded(closed / "data", say=said.append, place=place) as embedded:
        remember(embedded, 1)
    assert said == list(place.notes)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert find(closed / "data", shared).data == place.data


def test_binaries_that_cannot_be_reached_are_copied_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from server.kit import place as place_module

    if not IS_ROOT:
        assert find(data).bin.parent == place_module._wheel()
        return
    closed = data.parent / "root-only"
    closed.mkdir(mode=0o700)
    wheel = place_module._wheel()
    (closed / "site-packages").symlink_to(wheel.parents[1])
    monkeypatch.setattr(place_module, "_wheel", lambda: closed / "site-packages" / wheel.parent.name / wheel.name)
    shared = data.parent / "shared"
    place = find(data, shared)
    assert place.bin.is_relative_to(shared)
    assert "copied" in place.notes[0]
    made = (place.bin / "postgres").stat().st_ino
    assert find(data, shared).bin == place.bin
    assert (place.bin / "postgres").stat().st_ino == made
    with Embedded(data, place=place) as embedded:
        remember(embedded, 1)


def test_a_start_that_fails_says_why_and_can_be_repeated(data: Path) -> None:
    with Embedded(data) as embedded:
        remember(embedded, 1)
    configuration = data / "postgres" / "pg18" / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(good + "\nnonsense = 1\n")
    import server.kit.embedded as module

    patience, module._OLD_BACKENDS_SECONDS = module._OLD_BACKENDS_SECONDS, 0.1
    try:
        with pytest.raises(Broken, match="nonsense"):
            Embedded(data).start()
    finally:
        module._OLD_BACKENDS_SECONDS = patience
    configuration.write_text(good)
    with Embedded(data) as embedded:
        assert remembered(embedded) == [1]
