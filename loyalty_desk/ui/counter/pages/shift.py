"""F10: open a shift, see what it has come to (X), hand it over, close it (Z)."""

from __future__ import annotations

from loyalty_desk.services.counter_lines import opened_line, report_lines, strong_caption
from loyalty_desk.services.pins import Member
from loyalty_desk.services.shifts import OpenShift, ShiftReport
from loyalty_desk.services.slips import report_slip
from loyalty_desk.ui.counter.page import PIN, WHO, Page, facts_of
from loyalty_desk.ui.counter.state import CounterState, SideButton
from loyalty_desk.ui.sale.state import Tone

PRINT, CLOSE = "F5", "F9"


class ShiftPage(Page):
    """Nothing here waits for the network."""

    name = "F10"

    def begin(self) -> None:
        self._report: ShiftReport | None = None
        self._closing = False
        self._said = ""
        self._load()

    def _load(self) -> None:
        cases = self.around.cases

        def read() -> tuple[list[Member], ShiftReport | None]:
            shifts = cases.shifts
            return cases.pins.members(), shifts.report() if shifts.current() is not None else shifts.last()

        def show(read: tuple[list[Member], ShiftReport | None]) -> None:
            self.take_staff(read[0])
            self._report = read[1]

        self.work(read, show)

    @property
    def _is_open(self) -> bool:
        return self._report is not None and not self._report.is_final

    def state(self) -> CounterState:
        t, report = self.words.gettext, self._report
        title = t("Shift")
        facts = facts_of(report_lines(report, self.words), strong_caption(self.words)) if report is not None else ()
        if not self.has_staff and not self.is_busy and report is None:
            said = t("Nobody with a PIN is known here yet: staff come with the first sync with the server.")
            return CounterState(
                title, t("closed"), facts_label=said, button=self.go(t("Open the shift"), enabled=False)
            )
        if self._closing and report is not None:
            text = t("Close shift {n}: Z report").format(n=report.shift.number)
            return CounterState(title, t("open"), facts=facts, button=self.go(text))
        groups = (self.who_group(t("Who takes over?") if self._is_open else t("Who opens the shift?")),)
        label = (
            ""
            if self._is_open or self.is_busy
            else t("No shift is open. Sales are recorded all the same, without a shift.")
        )
        go = t("Hand the shift over") if self._is_open else t("Open the shift")
        side: tuple[SideButton, ...] = ()
        if report is not None:
            side = (SideButton(PRINT, t("Print Z") if report.is_final else t("Print X"), not self.is_busy),)
        if self._is_open:
            side = (*side, SideButton(CLOSE, t("Close the shift (Z)"), not self.is_busy))
        return CounterState(
            title,
            t("open") if self._is_open else t("closed"),
            groups,
            (self.pin_field(),),
            label,
            facts,
            button=self.go(go, enabled=self.is_signed),
            side=side,
            focus=PIN,
        )

    def submit(self) -> None:
        shifts = self.around.cases.shifts
        if self._closing:
            self.record(shifts.close, self._closed)
            return
        if not self.is_signed:
            if self.has_staff:
                self.say_what_is_missing()
            return
        who, pin = self.chosen[WHO], self.text(PIN)
        if self._is_open:
            self.record(lambda: shifts.hand_over(who, pin), self._handed_over)
        else:
            self.record(lambda: shifts.open(who, pin), self._opened)

    def press(self, key: str) -> None:
        if key == CLOSE and self._is_open:
            self._closing = True
        elif key == PRINT and self._report is not None and not self.is_busy and not self._closing:
            self._print(self._report)

    def _print(self, report: ShiftReport) -> None:
        place, words = self.place, self.words
        name = f"{'Z' if report.is_final else 'X'}-{report.shift.day}-{report.shift.number}"
        self.put_on_paper(name, lambda columns: report_slip(report, place, words, columns), lambda: None)

    def back(self) -> bool:
        was, self._closing = self._closing, False
        return was

    def _opened(self, shift: OpenShift) -> None:
        self._back_to_the_sale(opened_line(shift, self.words))

    def _handed_over(self, member: Member) -> None:
        self._back_to_the_sale(self.words.gettext("{name} sells from now on.").format(name=member.name))

    def _back_to_the_sale(self, said: str) -> None:
        """Go where an amount is typed next: here it would be tried as somebody's PIN."""
        self._said = said
        self.recorded()
        self.around.leave()

    def farewell(self) -> str:
        """Return what the sale screen says once somebody sells, empty where nothing has changed."""
        return self._said

    def _closed(self, report: ShiftReport) -> None:
        self._closing, self._report = False, report
        self.chosen.pop(WHO, None)
        text = self.words.gettext("Shift {n} is closed.").format(n=report.shift.number)
        if report.waiting:
            text += " " + self.words.gettext("What waits is sent by itself; leave the computer on.")
        self.say(text, Tone.GOOD)
        self.recorded()
