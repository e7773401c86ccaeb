"""What the sale screen shows, as values ready to be drawn: no numbers to format, no rules to know."""

from __future__ import annotations

from enum import StrEnum

import msgspec

# Between the store and the till.
PARTED = " · "


class Phase(StrEnum):
    """Where the sale stands."""

    IDLE = "idle"
    GUEST = "guest"
    CHECK = "check"
    QUOTE = "quote"
    DONE = "done"


class Tone(StrEnum):
    """How a text is meant; the view adds a shape to every colour."""

    PLAIN = "plain"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    INFO = "info"


class FieldMode(StrEnum):
    """What the one field takes now. AUTO decides by what is typed."""

    AUTO = "auto"
    GUEST = "guest"
    AMOUNT = "amount"
    POINTS = "points"


class Badge(msgspec.Struct, frozen=True):
    """A short status with its tone; `tip` is the sentence behind it, `short` what it says where room is scarce."""

    text: str
    tone: Tone = Tone.PLAIN
    tip: str = ""
    short: str = ""


class HeaderState(msgspec.Struct, frozen=True):
    """The line at the top."""

    place: str = ""
    cashier: str = ""
    scanner: Badge = Badge("")
    link: Badge = Badge("")
    waiting: Badge = Badge("")
    clock: str = ""


class SumLine(msgspec.Struct, frozen=True):
    """One line of the check: a discount or the points, what it takes off, and why."""

    title: str
    amount: str
    why: str = ""


class CheckState(msgspec.Struct, frozen=True):
    """The left panel. Empty `amount` means no check yet: `empty` says what to do, `last` what was sold last."""

    title: str = ""
    empty: str = ""
    amount_label: str = ""
    amount: str = ""
    lines: tuple[SumLine, ...] = ()
    to_pay_label: str = ""
    to_pay: str = ""
    earns: str = ""
    hint: str = ""
    last: str = ""


class Chip(msgspec.Struct, frozen=True):
    """A choice of points: its label, what it asks for (None opens the field), whether it is chosen and may be."""

    label: str
    points: int | None
    chosen: bool = False
    enabled: bool = True
    tip: str = ""


class GuestState(msgspec.Struct, frozen=True):
    """The right panel. Empty `name` means no guest: `empty` says how to identify one."""

    title: str = ""
    empty: str = ""
    name: str = ""
    tier: str = ""
    points: str = ""
    points_label: str = ""
    as_of: str = ""
    as_of_tone: Tone = Tone.PLAIN
    progress: int = 0
    progress_text: str = ""
    member: str = ""
    note: str = ""
    redeem_label: str = ""
    chips: tuple[Chip, ...] = ()
    limit: str = ""
    limit_tone: Tone = Tone.PLAIN
    left_out_label: str = ""
    left_out: tuple[str, ...] = ()
    left_out_open: bool = False


class DoneState(msgspec.Struct, frozen=True):
    """A recorded sale: what to key into the POS, what to tell the guest. `copy_text` goes to the clipboard."""

    title: str
    receipt: str
    key_in_label: str
    key_in: str
    copy_label: str
    copy_text: str
    details: tuple[SumLine, ...]
    to_pay_label: str
    to_pay: str
    tell_title: str
    name: str
    tell: tuple[str, ...]


class FieldState(msgspec.Struct, frozen=True):
    """The one field: its text, what it takes, and how what is typed will be read."""

    text: str = ""
    mode: FieldMode = FieldMode.AUTO
    label: str = ""
    placeholder: str = ""
    reading: str = ""
    read_only: bool = False


class ButtonState(msgspec.Struct, frozen=True):
    """The one big button: what Enter does now."""

    text: str = ""
    enabled: bool = False
    tone: Tone = Tone.PLAIN
    tip: str = ""


class KeyState(msgspec.Struct, frozen=True):
    """One key of the bar at the bottom, which is a button as well."""

    key: str
    text: str
    enabled: bool = True
    active: bool = False
    tip: str = ""


class MessageState(msgspec.Struct, frozen=True):
    """One sentence to the cashier."""

    text: str = ""
    tone: Tone = Tone.PLAIN


NO_MESSAGE = MessageState()


class PreviewState(msgspec.Struct, frozen=True):
    """What the camera's little window says where it has no picture."""

    text: str = ""
    tip: str = ""
    shown: bool = False


class HelpState(msgspec.Struct, frozen=True):
    """The help that F1 opens: a title and pairs of (key or gesture, what it does)."""

    title: str
    rows: tuple[tuple[str, str], ...]
    close: str


class SaleState(msgspec.Struct, frozen=True):
    """The whole screen."""

    phase: Phase = Phase.IDLE
    title: str = ""
    header: HeaderState = HeaderState()
    notice: MessageState = MessageState()
    notice_read_label: str = ""
    check: CheckState = CheckState()
    guest: GuestState = GuestState()
    done: DoneState | None = None
    preview: PreviewState = PreviewState()
    entry: FieldState = FieldState()
    message: MessageState = MessageState()
    button: ButtonState = ButtonState()
    keys: tuple[KeyState, ...] = ()
    help: HelpState | None = None
    language_label: str = ""
    language_tip: str = ""
    theme_label: str = ""
    theme_tip: str = ""
