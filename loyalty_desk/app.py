"""The till's window put together: the only module that knows all of them.

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

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from loyalty_desk import language as languages
from loyalty_desk import preferences
from loyalty_desk.clock import SystemClock
from loyalty_desk.rubbish import look_seldom
from loyalty_desk.runtime.bridge import MainThreadBridge
from loyalty_desk.runtime.crash import CrashReports
from loyalty_desk.runtime.executors import DbTaskRunner
from loyalty_desk.runtime.shutdown import Phase, Shutdown, SignalWatch
from loyalty_desk.runtime.workers import Worker, stop_all
from loyalty_desk.ui import theme as themes
from loyalty_desk.ui.window import MainWindow

if TYPE_CHECKING:
    from loyalty_desk.runtime.keyboard_scanner import KeyboardScannerFilter
    from loyalty_desk.scanners import Scanners
    from loyalty_desk.scanning.camera import Preview
    from loyalty_desk.scanning.frames import FrameSource
    from loyalty_desk.services.checkout import Checkout
    from loyalty_desk.services.ports.scan import Scan
    from loyalty_desk.till import Till
    from loyalty_desk.ui.counter.presenter import CounterPresenter
    from loyalty_desk.ui.counter.view import CounterView
    from loyalty_desk.ui.pairing.presenter import PairingPresenter
    from loyalty_desk.ui.sale.past_sale import PastSale
    from loyalty_desk.ui.sale.ports import ScannerHealth, Sound
    from loyalty_desk.ui.sale.presenter import SalePresenter
    from loyalty_desk.ui.sale.state import SaleState

TICK_MS = 1000
# By then the first guest has been scanned or the till stands idle.
PAGES_AFTER_MS = 3000
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
    """The running till: window, presenter, threads. Everything here belongs to the main thread."""

    def __init__(self, app: QApplication, options: Options) -> None:
        from loyalty_desk.paths import till_folder

        self._app = app
        self._options = options
        self.folder = options.data_dir or till_folder()
        kept = preferences.load(self.folder)
        # What holds: what the command line says comes before what is kept, and is never kept itself.
        self._now = preferences.Preferences(
            options.language or kept.language or languages.choose(),
            options.theme or kept.theme or "light",
            kept.sounds,
            options.camera or kept.camera,
            options.serial or kept.serial,
        )
        themes.install_font(app)
        self.window = MainWindow(self._now.theme)
        self.bridge = MainThreadBridge()
        self.runner = DbTaskRunner(self.bridge)
        self.crashes = CrashReports(self.folder / "crashes", partial(self.bridge.post, self._on_crash))
        self.scanners: Scanners | None = None
        self.presenter: SalePresenter | None = None
        self.pairing: PairingPresenter | None = None
        self.counter: CounterPresenter | None = None
        self._counter_view: CounterView | None = None
        self.state: SaleState | None = None
        self._till: Till | None = None
        self._sync: Worker | None = None
        self._keyboard: KeyboardScannerFilter | None = None
        self._tick = QTimer(self.bridge)
        self._tick.setInterval(TICK_MS)
        self._tick.timeout.connect(self._on_tick)
        self.shutdown = Shutdown(
            [
                Phase("scanners", self._stop_scanners),
                Phase("sync", self._stop_sync),
                Phase("db", self._stop_db),
                Phase("window", self._take_down),
            ]
        )
        self.window.close_asked.connect(self._on_close_asked)
        self.when_open: Callable[[], None] | None = None

    # -- start

    def prepare_folder(self) -> None:
        """Make the data folder for this user alone; where that fails, opening the till says so in a sentence."""
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self) -> None:
        """Paint the window, then open the till and start the threads."""
        self.window.fit_screen()
        if self._options.fullscreen:
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

        return open_till(self._options.data_dir, language=self._now.language)

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

        source = self._options.frames or frame_source(self._now.camera)
        self.scanners = Scanners(
            self.bridge, source, self._now.serial, self._on_scan, self._on_preview, self._on_health
        )

    def _not_opened(self, error: Exception) -> None:
        from loyalty_desk.domain.errors import ForPerson

        if not isinstance(error, ForPerson):
            self.crashes.report(error, "opening the till")
        from loyalty_desk.ui.problem.presenter import problem_state
        from loyalty_desk.ui.problem.view import ProblemView

        view = ProblemView()
        view.render(problem_state(error, self._now.language))
        view.retried.connect(self._on_retry)
        view.closed.connect(self._on_close_asked)
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
            crashed=self._report,
            language=self._now.language,
            name="",
        )
        view.code_changed.connect(presenter.code_changed)
        view.name_changed.connect(presenter.name_changed)
        view.submitted.connect(presenter.submitted)
        view.cancelled.connect(presenter.cancelled)
        view.language_asked.connect(self._on_language_asked)
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
            return open_till(self._options.data_dir, language=self._now.language)

        self.window.show_screen(self.window.sale)
        self.runner.run(work, self._opened, self._not_opened)

    # -- selling

    def _show_sale(self, till: Till, checkout: Checkout) -> None:
        from loyalty_desk.asking_desk import AskingDesk
        from loyalty_desk.ui.sale.presenter import SalePresenter

        view = self.window.sale
        typed = view.field.text()
        self.presenter = presenter = SalePresenter(
            desk=AskingDesk(
                checkout, till.counter.guests, till.counter.online, partial(_is_online, till), partial(_answers, till)
            ),
            runner=self.runner,
            clock=SystemClock(),
            render=self._on_state,
            sound=self._on_sound,
            crashed=self._report,
            language=self._now.language,
            theme=self.window.theme,
            camera=self.scanners is not None and self.scanners.has_camera,
            tip=self._options.tip,
            dismiss=till.dismiss,
            rearm=self._on_next_sale,
            has_pages=True,
        )
        view.page_asked.connect(self._on_page_asked)
        view.key_refused.connect(presenter.key_refused)
        view.field_changed.connect(presenter.field_changed)
        view.submitted.connect(presenter.submitted)
        view.cancelled.connect(presenter.cancelled)
        view.mode_requested.connect(presenter.mode_requested)
        view.points_chosen.connect(presenter.points_chosen)
        view.fold_toggled.connect(presenter.fold_toggled)
        view.help_toggled.connect(presenter.help_toggled)
        view.copied.connect(presenter.copied)
        view.notice_read.connect(presenter.notice_read)
        view.language_asked.connect(self._on_language_asked)
        view.theme_asked.connect(self._on_theme_asked)
        self._refresh_status()
        presenter.start()
        if typed:
            # Typed before anybody listened: nothing is lost.
            presenter.field_changed(typed)
        self.window.show_screen(view)
        self.runner.run(partial(_past_sale, till), self._on_past_sale, self._report)
        self._tick.start()
        self._start_scanners()
        QTimer.singleShot(PAGES_AFTER_MS, self.bridge, self._warm_pages)
        if self._options.sync:
            self._sync = Worker("sync", self._run_sync, till.stop_sync)
            self._sync.start()

    def _warm_pages(self) -> None:
        """Import what the pages need while nobody waits: the first F-key would take a tenth of a second for it."""
        if self._till is not None and self.counter is None:
            self.runner.run(_import_pages, lambda _: None, self._report)

    def _on_past_sale(self, past: PastSale | None) -> None:
        if past is not None and self.presenter is not None:
            self.presenter.sold_before(past)

    # -- the counter's pages

    def _on_page_asked(self, key: str) -> None:
        """Bring a page to the front; presenter and view are made when the first one is asked for."""
        sale = self.presenter
        if self._till is None or self._till.checkout is None or sale is None or sale.recording:
            return
        if self.counter is None:
            self.counter = self._make_counter(self._till, self._till.checkout, sale)
        self.counter.open(key)
        if self._counter_view is not None:
            self.window.show_screen(self._counter_view)

    def _make_counter(self, till: Till, checkout: Checkout, sale: SalePresenter) -> CounterPresenter:
        from loyalty_desk.till_care import TillCare
        from loyalty_desk.ui.counter.presenter import CounterPresenter
        from loyalty_desk.ui.counter.view import CounterView
        from loyalty_desk.window_settings import WindowSettings

        view = self._counter_view = CounterView()
        presenter = CounterPresenter(
            cases=till.counter,
            care=TillCare(till, self._stop_sync, self._on_close_asked),
            settings=WindowSettings(lambda: self._now, self._put, self._scanner_health),
            runner=self.runner,
            clock=SystemClock(),
            render=view.render,
            words=lambda: sale.words,
            status=till.status,
            guest=lambda: sale.guest,
            basket=checkout.basket,
            found=sale.guest_put,
            changed=self._after_page,
            closed=self._on_page_closed,
            crashed=self._report,
        )
        view.typed.connect(presenter.typed)
        view.chosen.connect(presenter.chosen)
        view.submitted.connect(presenter.submitted)
        view.pressed.connect(presenter.pressed)
        view.cancelled.connect(presenter.cancelled)
        return presenter

    def _on_page_closed(self, said: str) -> None:
        if self._counter_view is not None:
            self._counter_view.forget()
        self.window.show_screen(self.window.sale)
        if said and self.presenter is not None:
            self.presenter.told(said)

    def _on_state(self, state: SaleState) -> None:
        recorded = state.done is not None and (self.state is None or self.state.done is None)
        self.state = state
        self.window.sale.render(state)
        if recorded:
            QTimer.singleShot(0, self.bridge, self._after_sale)

    def _on_next_sale(self) -> None:
        if self.scanners is not None:
            self.scanners.rearm()

    def _after_sale(self) -> None:
        if self._till is not None:
            self._till.wake_sync()
        self._refresh_status()

    def _after_page(self) -> None:
        """Hear that a page has recorded something: perhaps who sells now, or what was sold last."""
        self._after_sale()
        if self._till is not None:
            self.runner.run(partial(_past_sale, self._till), self._on_past_sale, self._report)
            self.runner.run(self._till.note_cashier, lambda _: self._refresh_status(), self._report)

    def _refresh_status(self) -> None:
        status = self._till.status() if self._till is not None else None
        if status is not None and self.presenter is not None:
            self.presenter.status_changed(status)

    def _on_tick(self) -> None:
        self._refresh_status()
        if self.presenter is not None:
            self.presenter.tick()
        if self.counter is not None:
            self.counter.tick()

    # -- sync

    def _run_sync(self, stop: threading.Event) -> None:
        till = self._till
        if till is not None and not stop.is_set():
            till.run_sync(self._on_sync_step)

    def _on_sync_step(self, _outcome: object) -> None:
        """Hear, in the sync thread, that something was tried."""
        self.bridge.post(self._refresh_status)

    # -- scanners

    def _start_scanners(self) -> None:
        if self.scanners is not None:
            self.scanners.start()
        self._on_health()

    def _on_scan(self, scan: Scan) -> None:
        if self.pairing is not None:
            self.pairing.code_scanned(scan)
        elif self.counter is not None and self.counter.is_open:
            self.counter.scanned(scan)
        elif self.presenter is not None and self.window.front() is self.window.sale:
            self.presenter.code_scanned(scan)

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
        if self.presenter is not None and self.scanners is not None:
            self.presenter.scanner_changed(self.scanners.health)

    # -- language, theme, sound, faults

    def _on_language_asked(self) -> None:
        self._put(replace(self._now, language=languages.OTHER[self._now.language]))

    def _on_theme_asked(self) -> None:
        self._put(replace(self._now, theme="dark" if self._now.theme == "light" else "light"))

    def _put(self, wanted: preferences.Preferences) -> None:
        """Keep what is set otherwise than before, and put it in force."""
        before, self._now = self._now, wanted
        changed = {key: value for key, value in asdict(wanted).items() if value != getattr(before, key)}
        preferences.save(self.folder, replace(preferences.load(self.folder), **changed))
        if "language" in changed:
            for screen in (self.presenter, self.pairing):
                if screen is not None:
                    screen.language_chosen(wanted.language)
        if "theme" in changed:
            self.window.set_theme(wanted.theme)
            if self.presenter is not None:
                self.presenter.theme_chosen(wanted.theme)
        if ("camera" in changed or "serial" in changed) and self.scanners is not None:
            unplugged = self.scanners
            # Not on the main thread: a camera may take its time to let go.
            self.runner.run(lambda: unplugged.stop(SCANNERS_MAY_TAKE), self._plug_in_again, self._report)

    def _plug_in_again(self, _left: list[str]) -> None:
        self._plug_in()
        if self.presenter is not None and self.scanners is not None:
            self.presenter.camera_set(self.scanners.has_camera)
        self._start_scanners()

    def _scanner_health(self) -> ScannerHealth:
        from loyalty_desk.ui.sale.ports import ScannerHealth

        return ScannerHealth.NONE if self.scanners is None else self.scanners.health

    def _on_sound(self, sound: Sound) -> None:
        if sound.value != "done" and self._now.sounds:
            QApplication.beep()

    def _report(self, error: Exception) -> None:
        self.crashes.report(error)

    def _on_crash(self) -> None:
        if self.presenter is not None:
            self.presenter.something_broke()

    # -- the end

    def _on_close_asked(self) -> None:
        self.window.hide()
        self.shutdown.ask()

    def _stop_scanners(self) -> list[str]:
        self._tick.stop()
        if self._keyboard is not None:
            self._keyboard.remove(self._app)
        return self.scanners.stop(SCANNERS_MAY_TAKE) if self.scanners is not None else []

    def _stop_sync(self) -> list[str]:
        return stop_all([self._sync], SYNC_MAY_TAKE) if self._sync is not None else []

    def _stop_db(self) -> None:
        if self.pairing is not None:
            self.pairing.close()
        self.runner.close()
        if self._till is not None:
            self._till.close()
            self._till = None

    def _take_down(self) -> None:
        self.bridge.close()
        self.window.let_close()


def _past_sale(till: Till) -> PastSale | None:
    """Return the last sale in the journal, None where it has none; db thread."""
    from loyalty_desk.domain.errors import Refused
    from loyalty_desk.ui.sale.past_sale import past_sale

    try:
        sold = till.counter.sold_checks.newest()
    except Refused:
        return None
    guest = sold.record.guest_id
    return past_sale(sold, "" if guest is None else till.counter.guests.name_of(guest))


def _import_pages() -> None:
    import loyalty_desk.till_care
    import loyalty_desk.ui.counter.presenter
    import loyalty_desk.ui.counter.view
    import loyalty_desk.window_settings  # noqa: F401


def _is_online(till: Till) -> bool:
    status = till.status()
    return status is not None and status.online


def _answers(till: Till) -> bool:
    status = till.status()
    return status is not None and status.answers
