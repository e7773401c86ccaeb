"""What a page reports: captions and values, one under the other."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from loyalty_desk.ui.counter.state import Fact
from loyalty_desk.ui.widgets.labels import label, show_text


class FactList(QWidget):
    """A report: captions left, values right; widgets are kept and used again."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[_FactRow] = []
        self._shown: tuple[Fact, ...] = ()
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(6)

    def set_facts(self, facts: tuple[Fact, ...]) -> None:
        if facts == self._shown:
            return
        self._shown = facts
        while len(self._rows) < len(facts):
            self._rows.append(_FactRow())
            self._box.addWidget(self._rows[-1])
        for position, row in enumerate(self._rows):
            row.setVisible(position < len(facts))
            if position < len(facts):
                row.set_fact(facts[position])


class _FactRow(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self._caption = label("label", scrolled=True)
        self._alone = label("line", scrolled=True)
        self._value = label("line", scrolled=True)
        self._strong = label("line_amount")
        self._caption.setAlignment(Qt.AlignmentFlag.AlignTop)
        for part in (self._value, self._strong):
            part.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self._caption, 1)
        row.addWidget(self._alone, 1)
        row.addWidget(self._value, 1)
        row.addWidget(self._strong)

    def set_fact(self, fact: Fact) -> None:
        alone = not fact.value
        show_text(self._caption, "" if alone else fact.caption)
        show_text(self._alone, fact.caption if alone else "")
        show_text(self._value, "" if fact.strong else fact.value)
        show_text(self._strong, fact.value if fact.strong else "")
        self.setMinimumHeight(10 if not fact.caption and alone else 0)
