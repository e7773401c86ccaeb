"""Which page of the counter is in front, and what the cashier does on it. Plain Python, all on the main thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from loyalty_desk.domain.basket import Basket
from loyalty_desk.services.checkout import GuestCard
from loyalty_desk.services.ports.scan import Scan
from loyalty_desk.services.status import TillStatus
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.counter.page import Page
from loyalty_desk.ui.counter.pages.by_hand import ByHandPage
from loyalty_desk.ui.counter.pages.register import RegisterPage
from loyalty_desk.ui.counter.pages.sales import SalesPage, SlipPage
from loyalty_desk.ui.counter.pages.settings import SettingsPage
from loyalty_desk.ui.counter.pages.shift import ShiftPage
from loyalty_desk.ui.counter.pages.till import TillPage
from loyalty_desk.ui.counter.ports import Care, Paper, Settings, Surroundings, UseCases
from loyalty_desk.ui.counter.state import CounterState
from loyalty_desk.ui.sale.ports import TaskRunner, WallClock

# F7 opens the same page: a return begins with the sale it is of. The settings have no key: F12 leads to them.
PAGES: dict[str, type[Page]] = {
    SlipPage.name: SlipPage,
    "F6": SalesPage,
    "F7": SalesPage,
    "F8": RegisterPage,
    "F9": ByHandPage,
    "F10": ShiftPage,
    "F12": TillPage,
    SettingsPage.name: SettingsPage,
}


class CounterPresenter:
    """`closed` hears that the sale is in front again, with a sentence to say there or none."""

    def __init__(
        self,
        *,
        cases: UseCases,
        care: Care,
        settings: Settings,
        paper: Paper,
        runner: TaskRunner,
        printing: TaskRunner,
        clock: WallClock,
        render: Callable[[CounterState], None],
        words: Callable[[], Words],
        status: Callable[[], TillStatus | None],
        guest: Callable[[], GuestCard | None],
        basket: Callable[[int], Basket],
        found: Callable[[GuestCard], None],
        changed: Callable[[], None],
        closed: Callable[[str], None],
        crashed: Callable[[Exception], None],
    ) -> None:
        self._render = render
        self._closed = closed
        self._page: Page | None = None
        self._leaving = False
        self._around = Surroundings(
            cases,
            care,
            settings,
            paper,
            runner,
            printing,
            clock,
            words,
            status,
            guest,
            basket,
            found,
            changed,
            crashed,
            self.draw,
            self._leave,
            self.open,
        )

    @property
    def is_open(self) -> bool:
        """Return whether a page is in front."""
        return self._page is not None

    def open(self, key: str) -> None:
        """Bring the page of a function key to the front."""
        if self._page is not None:
            self._page.close()
        page = PAGES[key](self._around)
        self._page = page
        page.begin()
        self.draw()

    def draw(self) -> None:
        """Show the page as it stands; asked for by the page and by every intent."""
        page = self._page
        if page is None:
            return
        if self._leaving:
            self._go(page)
            return
        t = self._around.words().gettext
        self._render(replace(page.state(), message=page.message, close=t("Back")))

    def tick(self) -> None:
        """Show what time and sync have changed."""
        if self._page is not None:
            self._page.tick()
            self.draw()

    def typed(self, key: str, text: str) -> None:
        """Take what a field holds now."""
        self._do(lambda page: page.typed(key, text))

    def chosen(self, group: str, key: str) -> None:
        """Take a choice."""
        self._do(lambda page: page.choose(group, key))

    def submitted(self) -> None:
        """Do what the big button says."""
        self._do(lambda page: None if page.is_busy else page.submit())

    def pressed(self, key: str) -> None:
        """Do what a side key says."""
        self._do(lambda page: page.press(key))

    def scanned(self, scan: Scan) -> None:
        """Give a code to the page; one that takes none lets it pass."""
        text = scan.data.decode("utf-8", "replace").strip()
        self._do(lambda page: None if page.is_busy else page.scanned(text))

    def cancelled(self) -> None:
        """Take one step back, at last to the sale (Esc); what is being recorded is waited for."""
        page = self._page
        if page is not None and page.is_recording:
            return
        if page is not None and not page.back():
            self._leaving = True
        self.draw()

    def _do(self, act: Callable[[Page], None]) -> None:
        if self._page is not None:
            act(self._page)
            self.draw()

    def _leave(self) -> None:
        self._leaving = True

    def _go(self, page: Page) -> None:
        self._page, self._leaving = None, False
        said = page.farewell()
        page.close()
        self._closed(said)
