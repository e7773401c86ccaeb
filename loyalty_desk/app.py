"""The till's window put together: it opens the till's files and starts and ends the threads.

The window is painted first: what this module imports at its top is Qt, the sale's view and nothing that prices, opens
or talks. Presenters and services are imported and files opened on the db thread after that; cv2, the HTTP client and
serial drivers are imported by the threads that use them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loyalty_desk.runtime import plain_imports  # noqa: F401 - before PySide

# isort: split
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from loyalty_desk import language as languages
from loyalty_desk import preferences
from loyalty_desk.rubbish import look_seldom
from loyalty_desk.runtime.bridge import MainThreadBridge
from loyalty_desk.runtime.crash import CrashReports
from loyalty_desk.runtime.executors import DbTaskRunner
from loyalty_desk.runtime.shutdown import Phase, Shutdown, SignalWatch
from loyalty_desk.runtime.workers import Worker, stop_all
from loyalty_desk.ui import theme as themes
from loyalty_desk.ui.sale.opening import opening_state
from loyalty_desk.ui.window import MainWindow

if TYPE_CHECKING:
    from loyalty_desk.runtime.keyboard_scanner import KeyboardScannerFilter
    from loyalty_desk.scanners import Scanners
    from loyalty_desk.scanning.camera import Preview
    from loyalty_desk.scanning.frames import FrameSource
    from loyalty_desk.services.checkout import Checkout
    from loyalty_desk.services.ports.scan import Scan
    from loyalty_desk.till import Till
    from loyalty_desk.till_screens import TillScreens
    from loyalty_desk.ui.counter.presenter import CounterPresenter
    from loyalty_desk.ui.pairing.presenter import PairingPresenter
    from loyalty_desk.ui.sale.ports import ScannerHealth
    from loyalty_desk.ui.sale.presenter import SalePresenter
    from loyalty_desk.ui.sale.state import SaleState

SCANNERS_MAY_TAKE = 2.0
SYNC_MAY_TAKE = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to start. None or empty: decided by what is kept, by the environment, or by what is plugged in.

    `camera` is a number, a path of a picture, folder or video, `simulated`, `simulated:CODE`, or `none`; `frames` is a
    source made elsewhere and comes before it. `tip` is a line of what to try, shown while nothing happens.
    """

    data_dir: Path | None = None
    language: str = ""
    theme: str = ""
    camera: str = ""
    serial: str = ""
    sync: bool = True
    fullscreen: bool = False
    tip: str = ""
    frames: FrameSource | None = None


def run(options: Options | None = None, *, started: Callable[[TillApp], None] | None = None) -> int:
    """Open the window and stay until it is closed; return the exit code. `started` hears once it is painted."""
    app = QApplication.instance() or QApplication(sys.argv[:1])
    if not isinstance(app, QApplication):
        raise TypeError("another kind of Qt application is running")
    app.setApplicationName("Loyalty Desk")
    app.setQuitOnLastWindowClosed(False)
    desk = TillApp(app, options or Options())
    desk.prepare_folder()
    desk.crashes.install()
    desk.when_open = look_seldom
    signals = SignalWatch(desk.shutdown.ask, desk.bridge)
    try:
        desk.start()
        if started is not None:
            QTimer.singleShot(0, desk.bridge, partial(started, desk))
        return app.exec()
    finally:
        desk.shutdown.run_phases()
        signals.close()
        desk.crashes.uninstall()


class TillApp:
    """The running till: window, threads, and the screens of what it is. Everything here belongs to the main thread."""

    def __init__(self, app: QApplication, options: Options) -> None:
        from loyalty_desk.paths import till_folder

        self._app = app
        self.options = options
        self.folder = options.data_dir or till_folder()
        kept = preferences.load(self.folder)
        # What holds: what the command line says comes before what is kept, and is never kept itself.
        self.chosen = preferences.Preferences(
            options.language or kept.language or languages.choose(),
            options.theme or kept.theme or "light",
            kept.sounds,
            options.camera or kept.camera,
            options.serial or kept.serial,
        )
        themes.install_font(app)
        self.window = MainWindow(self.chosen.theme)
        self.bridge = MainThreadBridge()
        self.runner = DbTaskRunner(self.bridge)
        self.crashes = CrashReports(self.folder / "crashes", partial(self.bridge.post, self._on_crash))
        self.scanners: Scanners | None = None
        self.screens: TillScreens | None = None
        self.pairing: PairingPresenter | None = None
        self._till: Till | None = None
        self._sync: Worker | None = None
        self._keyboard: KeyboardScannerFilter | None = None
        self.shutdown = Shutdown(
            [
                Phase("scanners", self._stop_scanners),
                Phase("sync", self.stop_sync),
                Phase("db", self._stop_db),
                Phase("window", self._take_down),
            ]
        )
        self.window.close_asked.connect(self.close_asked)
        self.when_open: Callable[[], None] | None = None

    @property
    def presenter(self) -> SalePresenter | None:
        """Return the sale's presenter, None before a till that has joined is open."""
        return None if self.screens is None else self.screens.presenter

    @property
    def counter(self) -> CounterPresenter | None:
        """Return the presenter of the pages, None before the first of them was asked for."""
        return None if self.screens is None else self.screens.counter

    @property
    def state(self) -> SaleState | None:
        """Return what the sale's screen shows."""
        return None if self.screens is None else self.screens.state

    # -- start

    def prepare_folder(self) -> None:
        """Make the data folder for this user alone; where that fails, opening the till says so in a sentence."""
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self) -> None:
        """Paint the window, then open the till and start the threads."""
        self.window.fit_screen()
        self.window.sale.render(opening_state(self.chosen.language))
        if self.options.fullscreen:
            self.window.showFullScreen()
        else:
            self.window.show()
        self.window.show_screen(self.window.sale)
        # One turn of the event loop paints; only what comes after may import or open anything.
        QTimer.singleShot(0, self.bridge, self._open)

    def _open(self) -> None:
        self.runner.run(self._open_files, self._opened, self._not_opened)

    def _open_files(self) -> Till:
        """Import what sells and open the till; db thread, while the window stands already."""
        from loyalty_desk.till import open_till

        return open_till(self.options.data_dir, language=self.chosen.language)

    def _opened(self, till: Till) -> None:
        self._till = till
        if self._keyboard is None:
            self._listen()
        if till.checkout is None:
            self._show_pairing(till)
        else:
            self._show_sale(till, till.checkout)
        if self.when_open is not None:
            self.when_open()

    def _listen(self) -> None:
        """Set up the scanners; the keyboard's listens from now on, the others when a screen is there."""
        from loyalty_desk.runtime.keyboard_scanner import HeldKey, KeyboardScannerFilter
        from loyalty_desk.scanners import WedgeParser
        from loyalty_desk.scanning.keyboard_wedge import KeyboardWedge

        self._plug_in()
        self._keyboard = KeyboardScannerFilter(
            WedgeParser(KeyboardWedge[HeldKey]()), self._on_keyboard_scan, self.bridge
        )
        self._keyboard.install(self._app)

    def _plug_in(self) -> None:
        from loyalty_desk.scanners import Scanners, frame_source

        source = self.options.frames or frame_source(self.chosen.camera)
        self.scanners = Scanners(
            self.bridge, source, self.chosen.serial, self._on_scan, self._on_preview, self._on_health
        )

    def _not_opened(self, error: Exception) -> None:
        from loyalty_desk.domain.errors import ForPerson

        if not isinstance(error, ForPerson):
            self.crashes.report(error, "opening the till")
        from loyalty_desk.ui.problem.presenter import problem_state
        from loyalty_desk.ui.problem.view import ProblemView

        view = ProblemView()
        view.render(problem_state(error, self.chosen.language))
        view.retried.connect(self._on_retry)
        view.closed.connect(self.close_asked)
        self.window.show_screen(view)

    def _on_retry(self) -> None:
        self.window.show_screen(self.window.sale)
        self._open()

    # -- the first run

    def _show_pairing(self, till: Till) -> None:
        from loyalty_desk.ui.pairing.presenter import PairingPresenter
        from loyalty_desk.ui.pairing.view import PairingView

        view = PairingView()
        self.pairing = presenter = PairingPresenter(
            joining=till.enrolment,
            runner=self.runner,
            render=view.render,
            joined=self._on_joined,
            crashed=self.report,
            language=self.chosen.language,
            name="",
        )
        view.code_changed.connect(presenter.code_changed)
        view.name_changed.connect(presenter.name_changed)
        view.submitted.connect(presenter.submitted)
        view.cancelled.connect(presenter.cancelled)
        view.language_asked.connect(self.language_asked)
        presenter.start()
        self.window.show_screen(view)
        self._start_scanners()

    def _on_joined(self) -> None:
        """Open again as the device that the till now is."""
        if self.pairing is not None:
            self.pairing.close()
        self.pairing = None
        till, self._till = self._till, None

        def work() -> Till:
            from loyalty_desk.till import open_till

            if till is not None:
                till.close()
            return open_till(self.options.data_dir, language=self.chosen.language)

        self.window.show_screen(self.window.sale)
        self.runner.run(work, self._opened, self._not_opened)

    # -- selling

    def _show_sale(self, till: Till, checkout: Checkout) -> None:
        from loyalty_desk.till_screens import TillScreens

        self.screens = TillScreens(self, till, checkout)
        self.screens.show()
        self._start_scanners()
        if self.options.sync:
            self._sync = Worker("sync", self._run_sync, till.stop_sync)
            self._sync.start()

    # -- sync

    def _run_sync(self, stop: threading.Event) -> None:
        till = self._till
        if till is not None and not stop.is_set():
            till.run_sync(self._on_sync_step)

    def _on_sync_step(self, _outcome: object) -> None:
        """Hear, in the sync thread, that something was tried."""
        if self.screens is not None:
            self.bridge.post(self.screens.refresh_status)

    # -- scanners

    def _start_scanners(self) -> None:
        if self.scanners is not None:
            self.scanners.start()
        self._on_health()

    def _on_scan(self, scan: Scan) -> None:
        if self.pairing is not None:
            self.pairing.code_scanned(scan)
        elif self.screens is not None:
            self.screens.scanned(scan)

    def _on_keyboard_scan(self, data: bytes) -> None:
        from loyalty_desk.services.ports.scan import Scan, ScanSource

        self._on_scan(Scan(data, ScanSource.KEYBOARD))

    def _on_preview(self, preview: Preview) -> None:
        from loyalty_desk.runtime.images import to_image

        self.window.sale.show_frame(to_image(preview.frame))
        if preview.new:
            self.window.sale.flash()
        if self.scanners is not None:
            self.scanners.preview_done()

    def _on_health(self) -> None:
        if self.screens is not None and self.scanners is not None:
            self.screens.presenter.scanner_changed(self.scanners.health)

    # -- language, theme, faults

    def language_asked(self) -> None:
        self.put(replace(self.chosen, language=languages.OTHER[self.chosen.language]))

    def theme_asked(self) -> None:
        self.put(replace(self.chosen, theme="dark" if self.chosen.theme == "light" else "light"))

    def put(self, wanted: preferences.Preferences) -> None:
        """Keep what is set otherwise than before, and put it in force."""
        before, self.chosen = self.chosen, wanted
        changed = {key: value for key, value in asdict(wanted).items() if value != getattr(before, key)}
        preferences.save(self.folder, replace(preferences.load(self.folder), **changed))
        if "language" in changed:
            for presenter in (self.presenter, self.pairing):
                if presenter is not None:
                    presenter.language_chosen(wanted.language)
        if "theme" in changed:
            self.window.set_theme(wanted.theme)
            if self.screens is not None:
                self.screens.presenter.theme_chosen(wanted.theme)
        if ("camera" in changed or "serial" in changed) and self.scanners is not None:
            unplugged = self.scanners
            # Not on the main thread: a camera may take its time to let go.
            self.runner.run(lambda: unplugged.stop(SCANNERS_MAY_TAKE), self._plug_in_again, self.report)

    def _plug_in_again(self, _left: list[str]) -> None:
        self._plug_in()
        if self.screens is not None and self.scanners is not None:
            self.screens.presenter.camera_set(self.scanners.has_camera)
        self._start_scanners()

    def scanner_health(self) -> ScannerHealth:
        from loyalty_desk.ui.sale.ports import ScannerHealth

        return ScannerHealth.NONE if self.scanners is None else self.scanners.health

    def report(self, error: Exception) -> None:
        self.crashes.report(error)

    def _on_crash(self) -> None:
        if self.screens is not None:
            self.screens.presenter.something_broke()

    # -- the end

    def close_asked(self) -> None:
        self.window.hide()
        self.shutdown.ask()

    def _stop_scanners(self) -> list[str]:
        if self.screens is not None:
            self.screens.stop()
        if self._keyboard is not None:
            self._keyboard.remove(self._app)
        return self.scanners.stop(SCANNERS_MAY_TAKE) if self.scanners is not None else []

    def stop_sync(self) -> list[str]:
        return stop_all([self._sync], SYNC_MAY_TAKE) if self._sync is not None else []

    def _stop_db(self) -> None:
        if self.pairing is not None:
            self.pairing.close()
        self.runner.close()
        if self.screens is not None:
            self.screens.close()
        if self._till is not None:
            self._till.close()
            self._till = None

    def _take_down(self) -> None:
        self.bridge.close()
        self.window.let_close()
