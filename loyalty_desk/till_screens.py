"""The screens of a till that has joined: the sale's, and over it the counter's pages.

What the pages need is imported while nobody waits, or when the first of them is asked for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from loyalty_desk.asking_desk import AskingDesk
from loyalty_desk.clock import SystemClock
from loyalty_desk.domain.errors import Refused
from loyalty_desk.runtime.executors import DbTaskRunner
from loyalty_desk.ui.sale.presenter import SalePresenter

if TYPE_CHECKING:
    from loyalty_desk.app import TillApp
    from loyalty_desk.services.checkout import Checkout
    from loyalty_desk.services.ports.scan import Scan
    from loyalty_desk.till import Till
    from loyalty_desk.ui.counter.presenter import CounterPresenter
    from loyalty_desk.ui.counter.view import CounterView
    from loyalty_desk.ui.sale.past_sale import PastSale
    from loyalty_desk.ui.sale.ports import Sound
    from loyalty_desk.ui.sale.state import SaleState

TICK_MS = 1000
# By then the first guest has been scanned or the till stands idle.
PAGES_AFTER_MS = 3000


class TillScreens:
    """Presenters and views over an open till, inside the running program `app`. For the main thread."""

    def __init__(self, app: TillApp, till: Till, checkout: Checkout) -> None:
        self._app = app
        self._checkout = checkout
        # None once it is closed: what was still to come then finds nothing to do.
        self._till: Till | None = till
        # A printer may keep whoever asks it waiting: no sale does. The thread begins with the first slip.
        self._printing = DbTaskRunner(app.bridge, "printing")
        self.state: SaleState | None = None
        self.presenter = self._make_sale(till)
        self.counter: CounterPresenter | None = None
        self._counter_view: CounterView | None = None
        self._tick = QTimer(app.bridge)
        self._tick.setInterval(TICK_MS)
        self._tick.timeout.connect(self._on_tick)

    def show(self) -> None:
        """Bring the sale to the front; what was typed before anybody listened is not lost."""
        view = self._app.window.sale
        typed = view.field.text()
        self.refresh_status()
        self.presenter.start()
        if typed:
            self.presenter.field_changed(typed)
        self._app.window.show_screen(view)
        self._find_past_sale()
        self._tick.start()
        QTimer.singleShot(PAGES_AFTER_MS, self._app.bridge, self._warm_pages)

    def stop(self) -> None:
        """Ask for nothing more by itself."""
        self._tick.stop()

    def close(self) -> None:
        """Let go of the till, which is closed now."""
        self._till = None
        self._printing.close(wait=False)

    def scanned(self, scan: Scan) -> None:
        """Give what was scanned to the screen in front."""
        if self.counter is not None and self.counter.is_open:
            self.counter.scanned(scan)
        elif self._app.window.front() is self._app.window.sale:
            self.presenter.code_scanned(scan)

    def refresh_status(self) -> None:
        """Show how the till is now."""
        status = self._till.status() if self._till is not None else None
        if status is not None:
            self.presenter.status_changed(status)

    # -- the sale

    def _make_sale(self, till: Till) -> SalePresenter:
        app, view = self._app, self._app.window.sale
        presenter = SalePresenter(
            desk=AskingDesk(
                self._checkout,
                till.counter.guests,
                lambda: till.counter.online,
                partial(_is_online, till),
                partial(_answers, till),
            ),
            runner=app.runner,
            clock=SystemClock(),
            render=self._on_state,
            sound=self._on_sound,
            crashed=app.report,
            language=app.chosen.language,
            theme=app.window.theme,
            camera=app.scanners is not None and app.scanners.has_camera,
            tip=app.options.tip,
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
        view.language_asked.connect(app.language_asked)
        view.theme_asked.connect(app.theme_asked)
        return presenter

    def _on_state(self, state: SaleState) -> None:
        recorded = state.done is not None and (self.state is None or self.state.done is None)
        self.state = state
        self._app.window.sale.render(state)
        if recorded:
            QTimer.singleShot(0, self._app.bridge, self._after_sale)

    def _on_sound(self, sound: Sound) -> None:
        if sound.value != "done" and self._app.chosen.sounds:
            QApplication.beep()

    def _on_next_sale(self) -> None:
        if self._app.scanners is not None:
            self._app.scanners.rearm()

    def _after_sale(self) -> None:
        if self._till is not None:
            self._till.wake_sync()
        self.refresh_status()

    def _find_past_sale(self) -> None:
        if self._till is not None:
            self._app.runner.run(partial(_past_sale, self._till), self._on_past_sale, self._app.report)

    def _on_past_sale(self, past: PastSale | None) -> None:
        if past is not None:
            self.presenter.sold_before(past)

    def _on_tick(self) -> None:
        self.refresh_status()
        self.presenter.tick()
        if self.counter is not None:
            self.counter.tick()

    # -- the pages

    def _warm_pages(self) -> None:
        """Import what the pages need while nobody waits: the first F-key would take a tenth of a second for it."""
        if self._till is not None and self.counter is None:
            self._app.runner.run(_import_pages, lambda _: None, self._app.report)

    def _on_page_asked(self, key: str) -> None:
        """Bring a page to the front; presenter and view are made when the first one is asked for."""
        if self._till is None or self.presenter.recording:
            return
        if self.counter is None:
            self.counter = self._make_counter(self._till)
        self.counter.open(key)
        if self._counter_view is not None:
            self._app.window.show_screen(self._counter_view)

    def _make_counter(self, till: Till) -> CounterPresenter:
        from loyalty_desk.runtime.paper import SystemPaper
        from loyalty_desk.till_care import TillCare
        from loyalty_desk.ui.counter.presenter import CounterPresenter
        from loyalty_desk.ui.counter.view import CounterView
        from loyalty_desk.window_settings import WindowSettings

        app, sale = self._app, self.presenter
        view = self._counter_view = CounterView()
        presenter = CounterPresenter(
            cases=till.counter,
            care=TillCare(till, app.stop_sync, app.close_asked),
            paper=SystemPaper(till.paths.slips),
            printing=self._printing,
            settings=WindowSettings(lambda: app.chosen, app.put, app.scanner_health),
            runner=app.runner,
            clock=SystemClock(),
            render=view.render,
            words=lambda: sale.words,
            status=till.status,
            guest=lambda: sale.guest,
            basket=self._checkout.basket,
            found=sale.guest_put,
            changed=self._after_page,
            closed=self._on_page_closed,
            crashed=app.report,
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
        self._app.window.show_screen(self._app.window.sale)
        if said:
            self.presenter.told(said)

    def _after_page(self) -> None:
        """Hear that a page has recorded something: perhaps who sells now, or what was sold last."""
        self._after_sale()
        self._find_past_sale()
        if self._till is not None:
            self._app.runner.run(self._till.note_cashier, lambda _: self.refresh_status(), self._app.report)


def _past_sale(till: Till) -> PastSale | None:
    """Return the last sale in the journal, None where it has none; db thread."""
    from loyalty_desk.ui.sale.past_sale import past_sale

    try:
        sold = till.counter.sold_checks.newest()
    except Refused:
        return None
    guest = sold.record.guest_id
    return past_sale(sold, "" if guest is None else till.counter.guests.name_of(guest))


def _import_pages() -> None:
    import loyalty_desk.runtime.paper
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
