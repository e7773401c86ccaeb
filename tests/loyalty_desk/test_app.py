"""The window over the till's real files: opened, worked, closed; and every way a folder can be wrong."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from loyalty_desk.app import Options, TillApp
from loyalty_desk.counter import Counter as UseCases
from loyalty_desk.paths import till_paths
from loyalty_desk.preferences import Preferences, load
from loyalty_desk.scanners import frame_source
from loyalty_desk.scanning.frames import Pictures, VideoFile
from loyalty_desk.scanning.live_camera import LiveCamera
from loyalty_desk.scanning.simulated import SimulatedWebcam
from loyalty_desk.services.status import TillStatus
from loyalty_desk.ui.pairing.view import PairingView
from loyalty_desk.ui.problem.view import ProblemView
from loyalty_desk.ui.sale.ports import ScannerHealth
from loyalty_desk.ui.sale.state import Phase
from tests.loyalty_desk.services.fake_requests import FakeRequests
from tests.loyalty_desk.till_parts import CARD, IDENTITY, NUMBER, Counter, stocked

WAIT = 60_000
# Qt's offscreen display says so of every window with a smallest size.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")


class FilesTill:
    """A till over real files with one guest; no server. `opened` counts how often."""

    opened = 0

    def __init__(self, counter: Counter) -> None:
        self.parts = counter
        parts = counter.parts
        self.counter = UseCases(
            IDENTITY, parts.journal, counter.cache, parts.trusted, parts.recorder, counter.guests, counter.checkout,
            counter.cashier, FakeRequests,
        )  # fmt: skip
        self.checkout = counter.checkout
        self.enrolment = None
        self.woken = 0
        self.left: list[Path | None] = []
        self.paths = till_paths(counter.parts.folder)
        self.closed = False

    def status(self) -> TillStatus | None:
        from loyalty_desk.domain.record import ClockConfidence

        waiting = self.parts.parts.journal.waiting()
        return TillStatus(
            network="n", store="Pushkin Street", till="Till 1", cashier="Anna K", online=False, offline_since=None,
            waiting=waiting.count, oldest_waiting=None, clock_conf=ClockConfidence.GOOD, guests_loaded=1,
            guests_complete=True, program_version=1, notices=tuple(self.parts.parts.journal.notices()),
            journal_ok=True, credential_backend="file",
            zone="Europe/Moscow",
        )  # fmt: skip

    def note_cashier(self) -> None:
        pass

    def leave(self, export: Path | None = None, *, closing: Callable[[], object]) -> Path:
        closing()
        self.left.append(export)
        return Path("aside")

    def dismiss(self, notice: int) -> None:
        self.parts.parts.journal.dismiss(notice)

    def run_sync(self, on_step: Callable[[object], None]) -> None:
        on_step(None)

    def stop_sync(self) -> None:
        pass

    def wake_sync(self) -> None:
        self.woken += 1

    def close(self) -> None:
        self.closed = True
        self.parts.parts.journal.close()
        self.parts.cache.close()


@pytest.fixture(autouse=True)
def _keys_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOYALTY_KEYRING", "file")
    monkeypatch.delenv("LOYALTY_TILL_WITNESS", raising=False)


@pytest.fixture
def files_till(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FilesTill:
    counter = stocked(tmp_path)
    # The parts' clock stands still at a moment of its own; the window prices by the machine's.
    counter.parts.clock.clock.at = datetime.now(UTC)
    counter.synced()
    counter.feed()
    till = FilesTill(counter)
    monkeypatch.setattr("loyalty_desk.till.open_till", lambda *_, **__: till)
    return till


@pytest.fixture
def start(qapp) -> Iterator[Callable[..., TillApp]]:
    made: list[TillApp] = []

    def begin(folder: Path, **options: object) -> TillApp:
        options = {"language": "en", "camera": "none", **options}
        app = TillApp(qapp, Options(data_dir=folder, **options))
        made.append(app)
        app.start()
        return app

    yield begin
    for app in made:
        # Not by qtbot: closing this window asks the program to end, and Qt's exit would end every later event loop.
        app.shutdown.run_phases()
        app.window.deleteLater()


def test_a_sale_by_keys_reaches_the_journal(start, qtbot, files_till: FilesTill, tmp_path: Path) -> None:
    app = start(tmp_path)
    qtbot.waitUntil(lambda: app.state is not None and app.state.header.place != "Loyalty Desk", timeout=WAIT)
    field = app.window.sale.field
    QTest.keyClicks(field, NUMBER, delay=60)
    qtbot.waitUntil(lambda: app.state.entry.text == NUMBER, timeout=WAIT)
    QTest.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: app.state.guest.name == "Анна", timeout=WAIT)
    QTest.keyClicks(field, "500", delay=60)
    qtbot.waitUntil(lambda: app.state.check.to_pay != "", timeout=WAIT)
    before = files_till.parts.parts.journal.waiting().count
    QTest.keyClick(field, Qt.Key.Key_Return)
    QTest.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: app.state.phase is Phase.DONE, timeout=WAIT)
    assert files_till.parts.parts.journal.waiting().count == before + 1
    qtbot.waitUntil(lambda: files_till.woken == 1, timeout=WAIT)
    qtbot.waitUntil(lambda: app.state.header.waiting.text == f"{before + 1} waiting", timeout=WAIT)


def test_settings_hold_at_once_are_kept_and_lead_out_of_the_network(
    start, qtbot, files_till: FilesTill, tmp_path: Path
) -> None:
    app = start(tmp_path)
    qtbot.waitUntil(lambda: app.state is not None and app.state.header.place != "Loyalty Desk", timeout=WAIT)
    QTest.keyClick(app.window.sale, Qt.Key.Key_F12)
    qtbot.waitUntil(lambda: app.counter is not None and app.counter.is_open, timeout=WAIT)
    view = app.window.front()
    qtbot.waitUntil(view.side[3].isEnabled, timeout=WAIT)
    QTest.keyClick(view, Qt.Key.Key_F8)
    # Nobody with a PIN is known here, so nobody is asked for one.
    qtbot.waitUntil(lambda: "camera" in view.groups, timeout=WAIT)
    app.counter.chosen("language", "ru")
    app.counter.chosen("theme", "dark")
    app.counter.chosen("sounds", "off")
    assert (view.title.text(), app.window.theme) == ("Настройки", "dark")
    before = app.scanners
    app.counter.chosen("camera", "7")
    qtbot.waitUntil(lambda: app.scanners is not before, timeout=WAIT)
    assert app.scanners.has_camera
    qtbot.waitUntil(lambda: app.presenter.model.camera, timeout=WAIT)
    # What the command line said is not kept; what was chosen is.
    assert load(tmp_path) == Preferences("ru", "dark", False, "7", "")
    QTest.keyClick(view, Qt.Key.Key_F9)
    QTest.keyClick(view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(files_till.left) == 1, timeout=WAIT)
    assert files_till.left[0].suffix == ".ldx"
    assert not app._sync.alive
    qtbot.waitUntil(lambda: view.title.text() == "Это больше не касса", timeout=WAIT)


@pytest.mark.parametrize(("language", "said"), [("en", "The till is opening…"), ("ru", "Касса открывается…")])
def test_until_the_till_is_open_the_window_says_so_and_keeps_what_is_typed(
    start, qtbot, files_till: FilesTill, tmp_path: Path, language: str, said: str
) -> None:
    app = start(tmp_path, language=language)
    view = app.window.sale
    assert app.state is None, "open already"
    assert view.check.empty.text.text() == view.go.words.text() == said
    assert not view.go.isEnabled()
    empty = [one for one in view.findChildren(QPushButton) if one.isVisible() and not one.accessibleName()]
    assert empty == [], "a box without a word"
    QTest.keyClicks(view.field, "500")
    QTest.keyClick(view.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: app.state is not None and app.state.entry.text == "500", timeout=WAIT)
    assert view.go.words.text() != said


def test_a_keyboard_scan_opens_the_guest(start, qtbot, files_till: FilesTill, tmp_path: Path) -> None:
    app = start(tmp_path)
    qtbot.waitUntil(lambda: app.presenter is not None, timeout=WAIT)
    QTest.keyClicks(app.window.sale.field, CARD)
    QTest.keyClick(app.window.sale.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: app.state.guest.name == "Анна", timeout=WAIT)
    qtbot.waitUntil(lambda: app.window.sale.field.text() == "", timeout=WAIT)


def test_a_code_before_the_camera_opens_the_guest_and_flashes(
    start, qtbot, files_till: FilesTill, tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    # A decoder that a busy machine holds up for half a second is replaced, and the next one reads the code.
    expect_log("left behind")
    app = start(tmp_path, frames=SimulatedWebcam(CARD))
    qtbot.waitUntil(lambda: app.state is not None and app.state.guest.name == "Анна", timeout=WAIT)
    qtbot.waitUntil(lambda: app.state.header.scanner.text == "scanner", timeout=WAIT)
    qtbot.waitUntil(lambda: not app.window.sale.preview._image.isNull(), timeout=WAIT)


def test_closing_asks_once_and_takes_everything_down(
    start, qtbot, files_till: FilesTill, tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("left behind")
    app = start(tmp_path, frames=SimulatedWebcam())
    app.shutdown._leave = lambda: None
    # The camera's thread may be importing its library until then, which nothing can interrupt.
    qtbot.waitUntil(lambda: app.scanners is not None and app.scanners.health is ScannerHealth.READY, timeout=WAIT)
    app.window.close()
    app.window.close()
    qtbot.waitUntil(lambda: app.shutdown.over, timeout=WAIT)
    assert files_till.closed
    assert not any(worker.alive for worker in app.scanners.workers)
    assert not app.window.isVisible()


def test_language_and_theme_are_remembered(start, qtbot, files_till: FilesTill, tmp_path: Path) -> None:
    app = start(tmp_path)
    qtbot.waitUntil(lambda: app.presenter is not None, timeout=WAIT)
    QTest.mouseClick(app.window.sale.header.language, Qt.MouseButton.LeftButton)
    QTest.mouseClick(app.window.sale.header.theme, Qt.MouseButton.LeftButton)
    assert app.state.button.text == "Отсканируйте гостя или введите сумму"
    kept = json.loads((tmp_path / "window.json").read_text())
    assert (kept["language"], kept["theme"]) == ("ru", "dark")


def test_a_till_that_has_joined_no_network_asks_for_the_pairing_code(start, qtbot, tmp_path: Path) -> None:
    app = start(tmp_path / "till")
    qtbot.waitUntil(lambda: isinstance(app.window.front(), PairingView), timeout=WAIT)
    view = app.window.front()
    view.code.setPlainText("hello")
    QTest.keyClick(view.code, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "not a pairing code" in view.message.text(), timeout=WAIT)


def test_a_second_till_on_the_same_folder_is_a_sentence_and_can_try_again(start, qtbot, tmp_path: Path) -> None:
    from loyalty_desk.till import open_till

    first = open_till(tmp_path / "till")
    app = start(tmp_path / "till")
    qtbot.waitUntil(lambda: isinstance(app.window.front(), ProblemView), timeout=WAIT)
    assert app.window.front().text.text() == "Loyalty Desk is already open on this computer. Use that window."
    first.close()
    QTest.keyClick(app.window.front(), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: isinstance(app.window.front(), PairingView), timeout=WAIT)


def test_a_folder_that_cannot_be_used_is_a_sentence(start, qtbot, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    app = start(blocked)
    qtbot.waitUntil(lambda: isinstance(app.window.front(), ProblemView), timeout=WAIT)
    assert str(blocked) in app.window.front().text.text()
    assert blocked.read_text() == "not a folder"


def test_a_fault_while_opening_is_reported_and_calm(
    start, qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    expect_log("fault in")
    monkeypatch.setattr("loyalty_desk.till.open_till", broken)
    app = start(tmp_path)
    qtbot.waitUntil(lambda: isinstance(app.window.front(), ProblemView), timeout=WAIT)
    assert len(list((tmp_path / "crashes").glob("crash-*.txt"))) == 1


def test_the_first_paint_comes_before_anything_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from PySide6.QtWidgets import QApplication\n"
        "from loyalty_desk.app import Options, TillApp\n"
        "app = QApplication([])\n"
        "till = TillApp(app, Options(data_dir=Path(sys.argv[1]), language='ru', camera='simulated'))\n"
        "till._open = lambda: None\n"
        "till.start()\n"
        "app.processEvents()\n"
        "assert till.window.isVisible()\n"
        "heavy = {'cv2', 'numpy', 'httpx2', 'keyring', 'babel', 'serial', 'apsw', 'zxingcpp', 'pyzbar', 'argon2'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], env=environ, capture_output=True, text=True, check=True
        )
    assert ran.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_ends_the_program_with_code_0_and_no_process_left(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from loyalty_desk.app import Options, run\n"
        "ready = lambda app: print('ready', flush=True)\n"
        "sys.exit(run(Options(data_dir=Path(sys.argv[1]), camera='simulated', language='en'), started=ready))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "till")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (0, "")
    assert stat.S_IMODE((tmp_path / "till").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("camera", "kind"),
    [
        ("simulated", SimulatedWebcam),
        (f"simulated:{CARD}", SimulatedWebcam),
        ("3", LiveCamera),
        ("clip.mp4", VideoFile),
        ("card.png", Pictures),
        ("none", type(None)),
    ],
)
def test_the_camera_that_is_named(camera: str, kind: type) -> None:
    assert type(frame_source(camera)) is kind


def test_a_simulated_camera_shows_its_code() -> None:
    source = frame_source(f"simulated:{CARD}")
    assert isinstance(source, SimulatedWebcam)
    assert source.wanted == CARD


def test_the_windows_tests_are_there(request: pytest.FixtureRequest) -> None:
    """A missing library would skip every GUI test in silence; this one would then find none collected beside it."""
    collected = [item for item in request.session.items if {"qapp", "qtbot"} & set(getattr(item, "fixturenames", ()))]
    assert len(collected) >= 8


def test_a_notice_read_in_the_window_leaves_the_journal(start, qtbot, files_till: FilesTill, tmp_path: Path) -> None:
    files_till.parts.parts.journal.notify("disk_nearly_full", {}, 1)
    app = start(tmp_path)
    button = app.window.sale.notice_read_button
    qtbot.waitUntil(button.isVisible, timeout=WAIT)
    button.click()
    qtbot.waitUntil(lambda: files_till.parts.parts.journal.notices() == [], timeout=WAIT)
    qtbot.waitUntil(lambda: not button.isVisible(), timeout=WAIT)


def test_a_page_of_the_counter_opens_over_the_sale_and_gives_the_window_back(
    start, qtbot, files_till: FilesTill, tmp_path: Path
) -> None:
    app = start(tmp_path)
    qtbot.waitUntil(lambda: app.state is not None and app.state.header.place != "Loyalty Desk", timeout=WAIT)
    QTest.keyClick(app.window.sale.field, Qt.Key.Key_F9)
    assert app.counter is None, "points by hand belong to a guest"
    QTest.keyClick(app.window.sale.field, Qt.Key.Key_F10)
    assert app.counter is not None
    qtbot.waitUntil(lambda: app.window.front() is not app.window.sale, timeout=WAIT)
    view = app.window.front()
    qtbot.waitUntil(lambda: view.title.text() == "Shift", timeout=WAIT)
    QTest.keyClick(view, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: app.window.front() is app.window.sale, timeout=WAIT)
    qtbot.waitUntil(app.window.sale.field.hasFocus, timeout=WAIT)


def test_a_phone_is_asked_of_the_server(start, qtbot, files_till: FilesTill, tmp_path: Path) -> None:
    app = start(tmp_path)
    qtbot.waitUntil(lambda: app.state is not None and app.state.header.place != "Loyalty Desk", timeout=WAIT)
    field = app.window.sale.field
    QTest.keyClicks(field, "89161234567", delay=60)
    qtbot.waitUntil(lambda: app.state.entry.text == "89161234567", timeout=WAIT)
    QTest.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "no guest with the number or phone 89161234567" in app.state.message.text, timeout=WAIT)


def test_after_a_crash_the_last_sale_is_shown_as_done(start, qtbot, files_till: FilesTill, tmp_path: Path) -> None:
    files_till.parts.sell(CARD, 500)
    done = files_till.parts.sell(CARD, 1240)
    app = start(tmp_path)
    qtbot.waitUntil(lambda: app.state is not None and done.receipt_no in app.state.check.last, timeout=WAIT)
    assert "1,116.00" in app.state.check.last
    assert app.state.phase is Phase.IDLE


def test_after_an_exchange_the_last_sale_is_the_exchange(start, qtbot, files_till: FilesTill, tmp_path: Path) -> None:
    files_till.parts.sell(None, 1240)
    app = start(tmp_path)
    qtbot.waitUntil(lambda: app.state is not None and "Last sale" in app.state.check.last, timeout=WAIT)
    QTest.keyClick(app.window.sale.field, Qt.Key.Key_F6)
    view = app.window.front()
    qtbot.waitUntil(lambda: "sale" in view.groups and bool(view.groups["sale"].buttons), timeout=WAIT)
    view.groups["sale"].buttons[0].click()
    qtbot.waitUntil(lambda: len(view.side) == 3 and view.side[0].isEnabled(), timeout=WAIT)
    QTest.keyClick(view, Qt.Key.Key_F8)
    QTest.keyClicks(view.fields["new"].edit, "1000", delay=60)
    qtbot.waitUntil(view.go.isEnabled, timeout=WAIT)
    QTest.keyClick(view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: app.state.check.last.startswith("Last exchange"), timeout=WAIT)
    assert "240.00 back" in app.state.check.last
