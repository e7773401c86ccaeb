"""Settings, from F12: language, theme, sounds, camera, scanner, which network this is, and leaving it.

Behind a manager's PIN. Every choice holds at once, so that a scanner is tried where it is chosen: what
is read while the page is in front is shown on it and is nobody's sale.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from loyalty_desk.services.pins import Member
from loyalty_desk.services.status_lines import keys_place
from loyalty_desk.ui.counter.page import PIN, WHO, Page, facts_of
from loyalty_desk.ui.counter.ports import Device, Left
from loyalty_desk.ui.counter.state import CounterState, Fact, Group, Option, SideButton
from loyalty_desk.ui.sale.state import Tone

LEAVE = "F9"
LANGUAGE, THEME, SOUNDS, CAMERA, SERIAL = "language", "theme", "sounds", "camera", "serial"
ON, OFF = "on", "off"
_MOST_SHOWN = 40


class Step(StrEnum):
    """Where the page stands."""

    LOCKED = "locked"
    OPEN = "open"
    LEAVING = "leaving"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class _Found:
    managers: tuple[Member, ...]
    cameras: tuple[Device, ...]
    ports: tuple[Device, ...]


class SettingsPage(Page):
    """Where nobody here can approve anything yet, the page opens without: somebody has to choose the camera."""

    name = "settings"

    def begin(self) -> None:
        self._step = Step.LOCKED
        self._cameras: tuple[Device, ...] = ()
        self._ports: tuple[Device, ...] = ()
        self._read = ""
        self._left: Left | None = None
        cases, settings = self.around.cases, self.around.settings

        def look() -> _Found:
            managers = tuple(one for one in cases.pins.members() if one.is_manager and one.has_pin)
            return _Found(managers, settings.cameras(), settings.serial_ports())

        self.work(look, self._keep)

    def _keep(self, found: _Found) -> None:
        self._cameras, self._ports = found.cameras, found.ports
        self.take_staff(found.managers)
        if not self.has_staff:
            self._step = Step.OPEN

    # -- what is to be seen

    def state(self) -> CounterState:
        if self._step is Step.LOCKED:
            return self._locked()
        if self._left is not None:
            return self._gone(self._left)
        return self._leaving() if self._step is Step.LEAVING else self._open()

    def _locked(self) -> CounterState:
        t = self.words.gettext
        return CounterState(
            t("Settings"),
            groups=(self.who_group(t("Which manager opens the settings?")),),
            fields=(self.pin_field(),),
            button=self.go(t("Open the settings"), enabled=self.is_signed),
            focus=PIN,
        )

    def _open(self) -> CounterState:
        t, now = self.words.gettext, self.around.settings.chosen()
        plain = not self.is_busy
        groups = (
            _group(LANGUAGE, t("Language"), (("ru", "Русский"), ("en", "English")), now.language, enabled=plain),
            _group(THEME, t("Theme"), (("light", t("Light")), ("dark", t("Dark"))), now.theme, enabled=plain),
            _group(SOUNDS, t("Sounds"), ((ON, t("On")), (OFF, t("Off"))), ON if now.sounds else OFF, enabled=plain),
            _group(CAMERA, t("Camera"), self._camera_choices(), now.camera, enabled=plain),
            _group(SERIAL, t("Serial scanner"), self._port_choices(now.serial), now.serial, enabled=plain),
        )
        return CounterState(
            t("Settings"),
            groups=groups,
            facts_label=t("This till"),
            facts=(*self._facts(), *self._scanner_facts()),
            button=self.go(t("Back to the sale")),
            side=(SideButton(LEAVE, t("Leave the network"), plain),),
        )

    def _camera_choices(self) -> tuple[tuple[str, str], ...]:
        t = self.words.gettext
        found = tuple((one.key, t("Camera {n}").format(n=one.name)) for one in self._cameras)
        return (("", t("The first there is")), *found, ("none", t("No camera")))

    def _port_choices(self, now: str) -> tuple[tuple[str, str], ...]:
        found = {one.key: one.name for one in self._ports}
        # A scanner that is unplugged right now stays chosen: it is looked for until it comes back.
        chosen = {now: now} if now and now not in found else {}
        return (("", self.words.gettext("No scanner")), *(chosen | found).items())

    def _facts(self) -> tuple[Fact, ...]:
        t, status = self.words.gettext, self.around.status()
        if status is None:
            return ()
        return facts_of(
            [
                (t("Network"), status.network or "—"),
                (t("Store"), status.store),
                (t("Till"), status.till),
                (t("Keys are kept in"), keys_place(status, self.words)),
            ]
        )

    def _scanner_facts(self) -> tuple[Fact, ...]:
        t = self.words.gettext
        state = {
            "ready": t("ready"),
            "starting": t("starting"),
            "lost": t("gone; looking for it"),
            "none": t("none is set up"),
        }[self.around.settings.scanner_health().value]
        tried = self._read or t("hold any code before the camera or the scanner")
        return Fact(""), *facts_of([(t("Scanner"), state), (t("Last read"), tried)])

    def _leaving(self) -> CounterState:
        t, status = self.words.gettext, self.around.status()
        waiting = 0 if status is None else status.waiting
        said = [
            t("This till will sell no more for {network}.").format(network=status.network if status else ""),
            t("Its journal is kept on this computer, encrypted. The guests’ data is deleted here."),
            t("To sell again it has to be paired anew, as another till. Revoke this one on the server."),
        ]
        if waiting:
            said.append(
                self.words.ngettext(
                    "{n} record still waits: it is written into a file first, which another till can bring.",
                    "{n} records still wait: they are written into a file first, which another till can bring.",
                    waiting,
                ).format(n=waiting)
            )
        return CounterState(
            t("Leave the network"),
            groups=(self.who_group(t("Which manager approves?")),) if self.has_staff else (),
            fields=(self.pin_field(),) if self.has_staff else (),
            facts_label=t("What happens"),
            facts=tuple(Fact(one) for one in said),
            button=self.go(t("Leave the network now"), enabled=self.is_signed or not self.has_staff),
            focus=PIN if self.has_staff else "",
        )

    def _gone(self, left: Left) -> CounterState:
        t = self.words.gettext
        facts = [(t("The journal lies in"), str(left.folder))]
        if left.export is not None:
            facts.append((t("What waited lies in"), str(left.export)))
        return CounterState(
            t("This is no till any more"),
            facts_label=t("Start Loyalty Desk again to pair it anew."),
            facts=facts_of(facts),
            button=self.go(t("Close the window")),
        )

    # -- what the manager does

    def choose(self, group: str, key: str) -> None:
        if self.is_busy:
            return
        if group == WHO:
            super().choose(group, key)
        elif self._step is Step.OPEN and self.around.settings.choose(group, key):
            self.say(self.words.gettext("Kept."), Tone.INFO)

    def scanned(self, text: str) -> None:
        if self._step is Step.OPEN:
            self._read = "".join(one if one.isprintable() else "·" for one in text[:_MOST_SHOWN])

    def press(self, key: str) -> None:
        if key == LEAVE and self._step is Step.OPEN and not self.is_busy:
            self._step = Step.LEAVING

    def back(self) -> bool:
        if self._step is Step.LEFT:
            self.around.care.close_window()
            return True
        if self._step is Step.LEAVING:
            self._step = Step.OPEN
            self.texts.clear()
            return True
        return False

    def submit(self) -> None:
        if self._step is Step.OPEN:
            self.around.leave()
        elif self._step is Step.LEFT:
            self.around.care.close_window()
        elif self._step is Step.LEAVING:
            if self.is_signed or not self.has_staff:
                self._leave()
            else:
                self.say_what_is_missing()
        elif not self.is_signed:
            self.say_what_is_missing()
        else:
            who, pin, pins = self.chosen[WHO], self.text(PIN), self.around.cases.pins
            self.record(lambda: pins.manager(who, pin), self._opened)

    def _leave(self) -> None:
        who, pin, pins = self.chosen.get(WHO, ""), self.text(PIN), self.around.cases.pins
        has_staff, care = self.has_staff, self.around.care

        def leave() -> Left:
            # Whoever left the settings open and went away has not agreed to this.
            if has_staff:
                pins.manager(who, pin)
            return care.leave()

        self.record(leave, self._has_left)

    def _opened(self, _: Member) -> None:
        self.texts.clear()
        self._step = Step.OPEN

    def _has_left(self, left: Left) -> None:
        self._step, self._left = Step.LEFT, left


def _group(key: str, label: str, choices: tuple[tuple[str, str], ...], chosen: str, *, enabled: bool) -> Group:
    return Group(key, label, tuple(Option(of, title, "", of == chosen, enabled) for of, title in choices), 3)
