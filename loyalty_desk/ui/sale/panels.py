"""The two panels of the sale screen: the check (or what to key into the POS), and the guest (or what to tell them)."""

from __future__ import annotations

from typing import override

from msgspec.structs import replace
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QScrollArea, QVBoxLayout, QWidget

from loyalty_desk.ui import theme
from loyalty_desk.ui.sale.state import CheckState, Chip, DoneState, GuestState, SumLine
from loyalty_desk.ui.widgets.buttons import plain_button
from loyalty_desk.ui.widgets.labels import ElidedLabel, label, show_text
from loyalty_desk.ui.widgets.pictures import Drawing, EmptyPlace

TELL_LINES = 6
# 999.99: what stands in large figures beside the button that copies it, also where the window is small.
SHORT_AMOUNT = 6
# Left, top, right, bottom: a scroll bar keeps its distance from what it scrolls.
BODY_MARGINS = (0, 0, 4, 0)


class Panel(QFrame):
    """A white card with a caption and a body that scrolls where it must."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.roomy = True
        self.caption = label("caption")
        self.body = QWidget()
        self.body.setObjectName("body")
        self.rows = QVBoxLayout(self.body)
        self.rows.setContentsMargins(*BODY_MARGINS)
        self.rows.setSpacing(8)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setWidget(self.body)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.outer = QVBoxLayout(self)
        self.outer.setContentsMargins(18, 14, 14, 14)
        self.outer.setSpacing(8)
        self.outer.addWidget(self.caption)
        self.outer.addWidget(self.area, 1)

    def set_narrow(self, narrow: bool) -> None:
        """Leave away what only decorates, and draw numbers smaller; the style sheet is applied by the screen."""
        self.roomy = not narrow
        self.setProperty("narrow", narrow)
        self.outer.setContentsMargins(*((12, 8, 8, 8) if narrow else (18, 14, 14, 14)))
        self.outer.setSpacing(4 if narrow else 8)
        self.rows.setSpacing(4 if narrow else 8)

    def wanted_height(self) -> int:
        """Return how high the panel would have to be for nothing in it to scroll."""
        width = self.area.viewport().width()
        inside = self.body.heightForWidth(width) if self.body.hasHeightForWidth() else self.body.sizeHint().height()
        below = [item for item in map(self.outer.itemAt, range(self.outer.count())) if item is not None]
        around = [one.sizeHint().height() for one in below if one.widget() is not self.area and not one.isEmpty()]
        margins = self.outer.contentsMargins()
        edges = margins.top() + margins.bottom() + 2 * self.frameWidth()
        return inside + sum(around) + self.outer.spacing() * len(around) + edges


class SumRow(QWidget):
    """A line of the check: what, how much, and why under it."""

    def __init__(self) -> None:
        super().__init__()
        self._title = label("line", scrolled=True)
        self._why = label("why", scrolled=True)
        self._amount = label("line_amount")
        self._amount.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._title)
        words.addWidget(self._why)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addLayout(words, 1)
        row.addWidget(self._amount)

    def set_line(self, line: SumLine) -> None:
        show_text(self._title, line.title)
        show_text(self._why, line.why)
        show_text(self._amount, line.amount)


class SumRows(QWidget):
    """Any number of lines; rows are kept and used again, so that a key press makes no widgets."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[SumRow] = []
        self._shown: tuple[SumLine, ...] = ()
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(6)

    def set_lines(self, lines: tuple[SumLine, ...]) -> None:
        if lines == self._shown:
            return
        self._shown = lines
        while len(self._rows) < len(lines):
            self._rows.append(SumRow())
            self._box.addWidget(self._rows[-1])
        for row, line in zip(self._rows, lines, strict=False):
            row.set_line(line)
        for position, row in enumerate(self._rows):
            row.setVisible(position < len(lines))
        self.setVisible(bool(lines))


def _pair(left: QLabel, right: QLabel) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(12)
    row.addWidget(left, 0, Qt.AlignmentFlag.AlignBaseline)
    row.addStretch(1)
    row.addWidget(right, 0, Qt.AlignmentFlag.AlignBaseline)
    return row


class CheckPanel(Panel):
    """The check being put together, or the one just recorded."""

    copy_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.empty = EmptyPlace(Drawing.RECEIPT)
        self.amount_label = label("label")
        self.amount = label("amount")
        self.rule = QFrame()
        self.rule.setProperty("role", "rule")
        self.lines = SumRows()
        self.to_pay_label = label("label")
        self.to_pay = label("pay")
        self.earns = label("earns")
        self.hint = label("hint", scrolled=True)
        self.last = label("muted", scrolled=True)
        self.title = label("done_title", scrolled=True)
        self.receipt = label("muted")
        self.key_in_label = label("label", scrolled=True)
        self.key_in = label("huge")
        self.copy = plain_button("copy")
        self.copy.clicked.connect(self.copy_asked)
        below = QHBoxLayout()
        below.addWidget(self.to_pay_label)
        below.addStretch(1)
        below.addWidget(self.earns)
        heading = QHBoxLayout()
        heading.addWidget(self.title, 1)
        heading.addWidget(self.receipt)
        self._key_in_row = key_in = QHBoxLayout()
        key_in.setSpacing(16)
        key_in.addWidget(self.key_in)
        key_in.addStretch(1)
        key_in.addWidget(self.copy)
        self.rows.addLayout(heading)
        self.rows.addWidget(self.key_in_label)
        self.rows.addLayout(key_in)
        self.rows.addWidget(self.empty)
        self.rows.addLayout(_pair(self.amount_label, self.amount))
        self.rows.addWidget(self.lines)
        self.rows.addWidget(self.hint)
        self.rows.addStretch(1)
        self.rows.addWidget(self.last)
        # What is to be paid stands below the scrolling part: always in sight, always in the same place.
        self.to_pay.setAlignment(Qt.AlignmentFlag.AlignRight)
        totals = QVBoxLayout()
        totals.setContentsMargins(*BODY_MARGINS)
        totals.addWidget(self.rule)
        totals.addLayout(below)
        totals.addWidget(self.to_pay)
        self.outer.addLayout(totals)

    @override
    def set_narrow(self, narrow: bool) -> None:
        super().set_narrow(narrow)
        self._key_in_row.setSpacing(8 if narrow else 16)

    def set_state(self, state: CheckState, done: DoneState | None) -> None:
        show_text(self.caption, state.title if self.roomy else "")
        show_text(self.title, done.title if done else "")
        show_text(self.receipt, done.receipt if done and self.roomy else "")
        show_text(self.key_in_label, done.key_in_label if done else "")
        show_text(self.key_in, done.key_in if done else "")
        theme.set_flag(self.key_in, "long", len(self.key_in.text()) > SHORT_AMOUNT)
        self.copy.setVisible(bool(done and done.copy_text))
        if done:
            self.copy.setText(done.copy_label if self.roomy else done.copy_label.partition(" ")[0])
        self.empty.say("" if done else state.empty, picture=self.roomy)
        show_text(self.amount_label, "" if done else state.amount_label)
        show_text(self.amount, "" if done else state.amount)
        details = done.details if done else ()
        # The other panel says how many points; here the money must not be scrolled to.
        lines = details if self.roomy else tuple(replace(one, why="") for one in details)
        self.lines.set_lines(lines if done else state.lines)
        to_pay = done.to_pay if done else state.to_pay
        self.rule.setVisible(bool(to_pay))
        show_text(self.to_pay_label, done.to_pay_label if done else state.to_pay_label)
        show_text(self.to_pay, to_pay)
        show_text(self.earns, "" if done else state.earns)
        show_text(self.hint, "" if done else state.hint)
        show_text(self.last, "" if done else state.last)


class ChipRow(QWidget):
    """The choices of points."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._box = QHBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(8)
        self._chips: tuple[Chip, ...] = ()
        self.buttons: list[QPushButton] = []

    def set_chips(self, chips: tuple[Chip, ...]) -> None:
        if chips == self._chips:
            return
        self._chips = chips
        while len(self.buttons) < len(chips):
            button = plain_button("chip")
            button.setCheckable(True)
            button.clicked.connect(self._on_clicked)
            self.buttons.append(button)
            self._box.addWidget(button, 1)
        for button, chip in zip(self.buttons, chips, strict=False):
            button.setText(chip.label)
            button.setChecked(chip.chosen)
            button.setEnabled(chip.enabled)
            button.setToolTip(chip.tip)
        for position, button in enumerate(self.buttons):
            button.setVisible(position < len(chips))
        self.setVisible(bool(chips))

    def _on_clicked(self) -> None:
        sender = self.sender()
        position = next(i for i, button in enumerate(self.buttons) if button is sender)
        chip = self._chips[position]
        self.buttons[position].setChecked(chip.chosen)
        self.chosen.emit(chip.points)


class GuestPanel(Panel):
    """Who is at the counter and how their points can be used, or what to tell them after the sale."""

    points_chosen = Signal(object)
    fold_toggled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.empty = EmptyPlace(Drawing.CODE)
        self.name = ElidedLabel("name")
        self.tier = label("tier")
        self.points = label("points")
        self.points_label = label("label")
        self.as_of = label("why")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setRange(0, 100)
        self.progress_text = label("why", scrolled=True)
        self.member = label("why")
        self.note = label("message", scrolled=True)
        self.redeem_label = label("label", scrolled=True)
        self.chips = ChipRow()
        self.chips.chosen.connect(self.points_chosen)
        self.limit = label("why", scrolled=True)
        self.fold = plain_button("link")
        self.fold.clicked.connect(self.fold_toggled)
        self.left_out = label("why", scrolled=True)
        self.tell_title = label("done_title", scrolled=True)
        self.tell = [label("tell", scrolled=True) for _ in range(TELL_LINES)]
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(self.name, 1)
        head.addWidget(self.tier)
        numbers = QHBoxLayout()
        numbers.setSpacing(8)
        numbers.addWidget(self.points, 0, Qt.AlignmentFlag.AlignBaseline)
        numbers.addWidget(self.points_label, 0, Qt.AlignmentFlag.AlignBaseline)
        numbers.addStretch(1)
        numbers.addWidget(self.as_of, 0, Qt.AlignmentFlag.AlignBaseline)
        under_progress = QHBoxLayout()
        under_progress.setSpacing(8)
        under_progress.addWidget(self.progress_text, 1)
        under_progress.addWidget(self.member, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        self.rows.addWidget(self.tell_title)
        self.rows.addWidget(self.empty)
        self.rows.addLayout(head)
        for line in self.tell:
            self.rows.addWidget(line)
        self.rows.addLayout(numbers)
        self.rows.addWidget(self.progress)
        self.rows.addLayout(under_progress)
        for part in (self.note, self.redeem_label, self.chips, self.limit, self.fold, self.left_out):
            self.rows.addWidget(part)
        self.rows.addStretch(1)

    def set_state(self, state: GuestState, done: DoneState | None, *, is_priced: bool = False) -> None:
        show_text(self.caption, state.title if self.roomy else "")
        show_text(self.tell_title, done.tell_title if done else "")
        said = done.tell if done else ()
        for position, line in enumerate(self.tell):
            show_text(line, said[position] if position < len(said) else "")
        self.empty.say(state.empty, picture=self.roomy and not state.left_out_label)
        show_text(self.name, done.name if done else state.name)
        show_text(self.tier, state.tier)
        show_text(self.points, state.points)
        show_text(self.points_label, state.points_label)
        show_text(self.as_of, state.as_of, state.as_of_tone.value)
        # Whoever reads out why an offer did not work needs the name and the points beside it, not the way to a tier:
        # together they are higher than the panel of the smallest screen.
        # Where there is little room, so does whoever decides about the points of a check.
        deciding = not self.roomy and is_priced and bool(state.chips)
        reading = deciding or (state.left_out_open and bool(state.left_out))
        progress_text = "" if reading else state.progress_text
        show_text(self.member, "" if reading else state.member)
        self.progress.setVisible(bool(progress_text))
        self.progress.setValue(state.progress)
        show_text(self.progress_text, progress_text)
        show_text(self.note, state.note, "warn")
        show_text(self.redeem_label, "" if deciding else state.redeem_label)
        self.chips.set_chips(state.chips)
        show_text(self.limit, state.limit, state.limit_tone.value)
        if self.fold.text() != state.left_out_label:
            self.fold.setText(state.left_out_label)
        self.fold.setVisible(bool(state.left_out_label))
        opened = state.left_out_open and self.left_out.isHidden()
        show_text(self.left_out, "\n".join(state.left_out) if state.left_out_open else "")
        if opened:
            QTimer.singleShot(0, self, self._show_left_out)

    def _show_left_out(self) -> None:
        self.area.ensureWidgetVisible(self.left_out, 0, 0)
