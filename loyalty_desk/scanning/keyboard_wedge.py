"""Keyboard scanners: telling a scanner that types from a person who types, by timing and by prefix. No Qt here.

How an event filter of a window uses it (times are monotonic milliseconds of one clock, all calls from one thread):

    wedge = KeyboardWedge[QKeyEvent]()
    on every key press of a widget, unless it is one being replayed:
        perform(wedge.key(event.text(), event.clone(), now, enter=..., plain=..., modifier=...))
    when a single-shot timer, started anew for `wedge.wait_ms(now)` after each call, fires:
        perform(wedge.tick(now))
    when the window loses the focus:
        perform(wedge.flush())

`perform` does the actions in order: `Hold` swallows the key just given; `Pass` lets it through as if nothing had
happened; `Replay` sends those keys on to their field, oldest first, marked as replayed; `Scanned` goes where all scans
go. A `Replay` before a `Pass` means: first the held keys, then this one. Keys are whatever the caller gave; they come
back as they were, never looked into. Key releases may be left alone.

Text is kept exactly as typed: a Russian layout turns `LD1AB` into `ДВ1ФИ`, and mapping it back is the business of the
guest code's parser, which also knows the codes' check characters.
"""

from __future__ import annotations

import msgspec

WINDOW_MS = 35.0
"""No hand holds this gap over six keys; scanners type at 1 to 20 ms."""
SHORTEST_SCAN = 6
SHORTEST_NUMBER = 10
"""Digits, marks and spaces below this are an amount, however fast: keypads have macros, and our numbers are longer."""
_OF_AMOUNTS = frozenset("0123456789., \u00a0")
ENTER_GAP_MS = 100.0
"""Some scanners pause before their ending; by then six fast keys have told that it is one."""
PREFIXED_GAP_MS = 250.0
"""After the prefix a slow Bluetooth scanner is waited for; then the keys are given back."""
LONGEST_SCAN = 4096
_TIMER_SLACK_MS = 1.0
"""Timers of whole milliseconds may fire a little early, and sums of times round."""
_GS = "\x1d"
"""Separates fields in product codes."""


class Hold(msgspec.Struct, frozen=True):
    """Swallow the key just given: it may belong to a scan."""


class Pass(msgspec.Struct, frozen=True):
    """Let the key just given through."""


class Replay[Key](msgspec.Struct, frozen=True):
    """These held keys were typed by a person: hand them on, oldest first."""

    keys: tuple[Key, ...]


class Scanned(msgspec.Struct, frozen=True):
    """A whole scan, without its prefix and ending: UTF-8 of the text as it was typed."""

    data: bytes


type Action[Key] = Hold | Pass | Replay[Key] | Scanned


class KeyboardWedge[Key]:
    """Holds keys that come as fast as a scanner's until they are a scan or turn out to be typed.

    Enter or Tab after at least `shortest` held characters is a scan. With `prefix`, one character that the scanner is
    set to send first, everything after it is a scan however slowly it comes, and whatever does not begin with it
    passes at once. Without one, a person's key is given back after `window_ms`: in order, nothing lost.
    """

    def __init__(
        self, *, window_ms: float = WINDOW_MS, shortest: int = SHORTEST_SCAN, prefix: str | None = None
    ) -> None:
        if prefix is not None and len(prefix) != 1:
            raise ValueError("the prefix is one character")
        self._window = window_ms
        self._shortest = shortest
        self._prefix = prefix
        self._keys: list[Key] = []
        self._text: list[str] = []
        self._last = 0.0
        self._prefixed = False

    def key(
        self, text: str, key: Key, now: float, *, enter: bool = False, plain: bool = True, modifier: bool = False
    ) -> list[Action[Key]]:
        """Take one key press that types `text` ('' for nothing).

        `enter` marks Enter and Tab, `modifier` a key such as Shift or AltGr going down itself. `plain` is False with
        Ctrl, Alt or Meta held and for the repeats of a key held down: such keys are never part of a scan.
        """
        actions: list[Action[Key]] = []
        if self._keys and now - self._last > self._gap():
            actions.extend(self.flush())
        if modifier:
            # Shift goes down before each capital that a scanner types: it ends nothing.
            return [*actions, Pass()]
        if enter and plain:
            return [*actions, *self._ended()]
        if not plain or len(text) != 1 or not (text.isprintable() or text == _GS):
            return [*actions, *self.flush(), Pass()]
        if self._prefix is not None:
            if not self._keys and text != self._prefix:
                return [*actions, Pass()]
            if not self._keys:
                self._prefixed = True
        if len(self._keys) >= LONGEST_SCAN:
            return [*actions, *self.flush(), Pass()]
        self._keys.append(key)
        self._text.append(text)
        self._last = now
        return [*actions, Hold()]

    def tick(self, now: float) -> list[Action[Key]]:
        """Give back what has waited too long. Call it when `wait_ms` is over; earlier does no harm."""
        wait = self.wait_ms(now)
        return self.flush() if wait is not None and wait <= _TIMER_SLACK_MS else []

    def wait_ms(self, now: float) -> float | None:
        """Milliseconds until `tick` is due; None while nothing is held."""
        return max(0.0, self._last + self._gap() - now) if self._keys else None

    def flush(self) -> list[Action[Key]]:
        """Give back everything held, at once."""
        keys = tuple(self._keys)
        self._clear()
        return [Replay(keys)] if keys else []

    def _ended(self) -> list[Action[Key]]:
        typed = self._text[1:] if self._prefixed else self._text
        is_amount = len(typed) < SHORTEST_NUMBER and _OF_AMOUNTS.issuperset(typed)
        if bool(typed) if self._prefixed else len(typed) >= self._shortest and not is_amount:
            scanned = Scanned("".join(typed).encode("utf-8"))
            self._clear()
            return [Hold(), scanned]
        return [*self.flush(), Pass()]

    def _gap(self) -> float:
        if self._prefixed:
            return PREFIXED_GAP_MS
        return max(self._window, ENTER_GAP_MS) if len(self._keys) >= self._shortest else self._window

    def _clear(self) -> None:
        self._keys.clear()
        self._text.clear()
        self._prefixed = False
