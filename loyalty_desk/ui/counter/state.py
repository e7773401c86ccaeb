"""What a page of the counter shows, as values ready to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from loyalty_desk.services.code_picture import Modules
from loyalty_desk.ui.sale.state import NO_MESSAGE, ButtonState, MessageState

MAX_TYPED = 200
_NO_BUTTON = ButtonState()


@dataclass(frozen=True, slots=True)
class Option:
    """Something to choose: `key` goes back to the page, `detail` is the smaller line under the title."""

    key: str
    title: str
    detail: str = ""
    chosen: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Options under a caption, so many beside each other; `is_right` puts them under the facts."""

    key: str
    label: str
    options: tuple[Option, ...]
    columns: int = 2
    is_right: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """Something to type; `secret` is not shown while it is typed, `is_right` puts it under the facts."""

    key: str
    label: str
    text: str = ""
    placeholder: str = ""
    secret: bool = False
    is_right: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a report: a caption and its value; without both it is a gap, `strong` what matters most."""

    caption: str
    value: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class SideButton:
    """What can be done beside Enter, by its function key."""

    key: str
    text: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ShownCode:
    """A QR code to be photographed, and the number beneath it."""

    modules: Modules
    number: str


@dataclass(frozen=True, slots=True)
class CounterState:
    """One page. Choices and fields stand left, facts right; `focus` names the field that has the keyboard.

    `fields_first` says that fields stand over the choices; `code` and `paper`, the lines of a slip, stand left.
    """

    title: str = ""
    place: str = ""
    groups: tuple[Group, ...] = ()
    fields: tuple[Field, ...] = ()
    facts_label: str = ""
    facts: tuple[Fact, ...] = ()
    message: MessageState = NO_MESSAGE
    button: ButtonState = _NO_BUTTON
    side: tuple[SideButton, ...] = ()
    close: str = ""
    focus: str = ""
    fields_first: bool = False
    code: ShownCode | None = None
    paper: tuple[str, ...] = ()
