"""What the sale screen shows, as values ready to be drawn: no numbers to format, no rules to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Badge:
    """A short status with its tone; `tip` is the sentence behind it, `short` what it says where room is scarce."""

    text: str
    tone: Tone = Tone.PLAIN
    tip: str = ""
    short: str = ""


@dataclass(frozen=True, slots=True)
class HeaderState:
    """The line at the top."""

    place: str = ""
    cashier: str = ""
    scanner: Badge = Badge("")
    link: Badge = Badge("")
    waiting: Badge = Badge("")
    clock: str = ""


@dataclass(frozen=True, slots=True)
class SumLine:
    """One line of the check: a discount or the points, what it takes off, and why."""

    title: str
    amount: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class CheckState:
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


@dataclass(frozen=True, slots=True)
class Chip:
    """A choice of points: its label, what it asks for (None opens the field), whether it is chosen and may be."""

    label: str
    points: int | None
    chosen: bool = False
    enabled: bool = True
    tip: str = ""


@dataclass(frozen=True, slots=True)
class GuestState:
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


@dataclass(frozen=True, slots=True)
class DoneState:
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


@dataclass(frozen=True, slots=True)
class FieldState:
    """The one field: its text, what it takes, and how what is typed will be read."""

    text: str = ""
    mode: FieldMode = FieldMode.AUTO
    label: str = ""
    placeholder: str = ""
    reading: str = ""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ButtonState:
    """The one big button: what Enter does now."""

    text: str = ""
    enabled: bool = False
    tone: Tone = Tone.PLAIN
    tip: str = ""


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key of the bar at the bottom, which is a button as well."""

    key: str
    text: str
    enabled: bool = True
    active: bool = False
    tip: str = ""


@dataclass(frozen=True, slots=True)
class MessageState:
    """One sentence to the cashier."""

    text: str = ""
    tone: Tone = Tone.PLAIN


NO_MESSAGE = MessageState()


@dataclass(frozen=True, slots=True)
class PreviewState:
    """What the camera's little window says where it has no picture."""

    text: str = ""
    tip: str = ""
    shown: bool = False


@dataclass(frozen=True, slots=True)
class HelpState:
    """The help that F1 opens: a title and pairs of (key or gesture, what it does)."""

    title: str
    rows: tuple[tuple[str, str], ...]
    close: str


@dataclass(frozen=True, slots=True)
class SaleState:
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
    keys: tuple[KeyState, ...] = field(default=())
    help: HelpState | None = None
    language_label: str = ""
    language_tip: str = ""
    theme_label: str = ""
    theme_tip: str = ""
