"""F12: how the till is: what waits, what somebody should read, which limits hold offline, and what support asks for."""

from __future__ import annotations

from pathlib import Path

from loyalty_desk.services.redemption import overdraft_bound
from loyalty_desk.services.sentences import sentence_of
from loyalty_desk.services.status_lines import status_lines
from loyalty_desk.ui.counter.page import Page, facts_of
from loyalty_desk.ui.counter.state import CounterState, Fact, SideButton
from loyalty_desk.ui.sale.state import Tone
from loyalty_desk.wire.v1.rows import OfflineMode, ProfileRow

CHECK, EXPORT, SYNC, SETTINGS = "F5", "F6", "F7", "F8"


class TillPage(Page):
    """Read by whoever is on the phone with support."""

    name = "F12"

    def begin(self) -> None:
        self._limits: ProfileRow | None = None
        self.work(self.around.cases.guests.profile, self._keep)

    def _keep(self, limits: ProfileRow) -> None:
        self._limits = limits

    def state(self) -> CounterState:
        t, status, now = self.words.gettext, self.around.status(), self.around.now()
        facts: list[Fact] = []
        if status is not None:
            facts += facts_of(status_lines(status, self.words, now))
            for one in status.notices:
                text = f"{self.words.moment(one.at, now)}  {sentence_of(one.code, one.facts, self.words)}"
                facts.append(Fact(text))
        facts += self._limit_facts()
        return CounterState(
            t("This till"),
            facts_label=t("How it is"),
            facts=tuple(facts),
            button=self.go(t("Back to the sale")),
            side=(
                SideButton(CHECK, t("Check the journal"), not self.is_busy),
                SideButton(EXPORT, t("Save it to a file"), not self.is_busy),
                SideButton(SYNC, t("Send now"), not self.is_busy),
                SideButton(SETTINGS, t("Settings"), not self.is_busy),
            ),
        )

    def _limit_facts(self) -> list[Fact]:
        limits, t = self._limits, self.words.gettext
        if limits is None:
            return []
        points = self.words.points
        facts = [Fact(""), Fact(t("Points without the server"))]
        if limits.mode == OfflineMode.DENY:
            return [*facts, Fact(t("Allowed"), t("never"))]
        if limits.mode == OfflineMode.FLOOR:
            share = t("{points}, at most {share} of the check").format(
                points=points(limits.floor_points), share=self.words.percent(limits.floor_share_bp)
            )
            facts += [
                Fact(t("On a check"), share),
                Fact(t("For a guest, between syncs"), points(limits.split_sale_points)),
            ]
        # How many others there are this till does not know: both bounds are as many times these as tills are cut off.
        bound = t("{points}, less what the guest has").format(points=points(overdraft_bound(limits, 1, 0)))
        return [
            *facts,
            Fact(t("How often for a guest"), str(limits.upper_consecutive)),
            Fact(t("At this till, between syncs"), points(limits.device_points)),
            Fact(t("After the last sync"), t("{hours} h").format(hours=limits.max_age_hours)),
            Fact(""),
            Fact(t("At worst, for each till that is cut off")),
            Fact(t("A guest overdraws"), bound),
            Fact(t("All guests together"), points(limits.device_points)),
        ]

    def submit(self) -> None:
        self.around.leave()

    def press(self, key: str) -> None:
        if self.is_busy:
            return
        if key == SYNC:
            self.around.care.sync_now()
            self.say(self.words.gettext("Asking the server now; what waits is counted above."), Tone.INFO)
        elif key == SETTINGS:
            self.around.open("settings")
        elif key == CHECK:
            self.work(self.around.care.is_sound, self._checked)
        elif key == EXPORT:
            self.work(self.around.care.export, self._exported)

    def _checked(self, is_sound: bool) -> None:
        t = self.words.gettext
        if is_sound:
            self.say(t("The journal is in order, from the first record to the last."))
        else:
            self.say(t("The journal is not in order. Sales go on; call whoever looks after the till."), Tone.BAD)

    def _exported(self, written: tuple[Path, int]) -> None:
        path, waiting = written
        text = self.words.gettext("Written, encrypted: {path}. Records in it that wait to be sent: {n}.")
        self.say(text.format(path=path, n=waiting))
