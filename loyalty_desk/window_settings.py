"""What a manager sets in the window: looked for on the machine, and given to the window to put in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from loyalty_desk.language import LANGUAGES
from loyalty_desk.preferences import THEMES, Preferences
from loyalty_desk.ui.counter.ports import Device
from loyalty_desk.ui.sale.ports import ScannerHealth


class WindowSettings:
    """`now` says what holds, `put` keeps it and puts it in force, `health` is that of the scanners."""

    def __init__(
        self,
        now: Callable[[], Preferences],
        put: Callable[[Preferences], None],
        health: Callable[[], ScannerHealth],
    ) -> None:
        self._now = now
        self._put = put
        self._health = health

    def chosen(self) -> Preferences:
        """Return what it is set to."""
        return self._now()

    def choose(self, what: str, key: str) -> bool:
        """Set one thing; return whether that changed anything."""
        now = self._now()
        wanted = _wanted(now, what, key)
        if wanted == now:
            return False
        self._put(wanted)
        return True

    def cameras(self) -> tuple[Device, ...]:
        """Return the cameras of this machine."""
        from loyalty_desk.scanning.live_camera import indexes

        return tuple(Device(str(one), str(one + 1)) for one in indexes())

    def serial_ports(self) -> tuple[Device, ...]:
        """Return what is plugged in and may be a scanner."""
        from loyalty_desk.scanning.serial_port import plugged_in

        return tuple(Device(*one) for one in plugged_in())

    def scanner_health(self) -> ScannerHealth:
        """Return how the scanners are."""
        return self._health()


def _wanted(now: Preferences, what: str, key: str) -> Preferences:
    if what == "language" and key in LANGUAGES:
        return replace(now, language=key)
    if what == "theme" and key in THEMES:
        return replace(now, theme=key)
    if what == "sounds":
        return replace(now, sounds=key == "on")
    if what == "camera":
        return replace(now, camera=key)
    return replace(now, serial=key) if what == "serial" else now
