"""The counter's pages in the real window, offscreen: worked by keys and mouse, whole at every size and language."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QFontInfo, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QScrollArea, QWidget

from loyalty_desk.domain.guest_code import ld1
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.ui import theme
from loyalty_desk.ui.counter.choices import ChoiceButton
from loyalty_desk.ui.counter.view import CounterView
from loyalty_desk.ui.window import MainWindow
from tests.loyalty_desk.till_parts import ANNA_ROW, CARD, GUEST
from tests.loyalty_desk.ui.pages import Pages, make_pages

# Qt's offscreen display says so of every window with a smallest size.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")


class Window:
    """The main window with a page in front."""

    def __init__(self, pages: Pages, qtbot, size: tuple[int, int] = (1024, 768)) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.install_font(app)
        self.app, self.pages = app, pages
        self.window = MainWindow("light")
        qtbot.addWidget(self.window)
        self.window.let_close = lambda: None
        self.window._may_close = True
        self.window.resize(*size)
        self.view = CounterView()
        presenter = pages.presenter
        presenter._render = self._render
        self.view.typed.connect(presenter.typed)
        self.view.chosen.connect(presenter.chosen)
        self.view.submitted.connect(presenter.submitted)
        self.view.pressed.connect(presenter.pressed)
        self.view.cancelled.connect(presenter.cancelled)
        self.window.show_screen(self.view)
        self.window.show()
        self.window.activateWindow()
        qtbot.waitUntil(self.view.isActiveWindow, timeout=30_000)

    def _render(self, state) -> None:
        self.pages.states.append(state)
        self.view.render(state)

    def settle(self) -> None:
        for _ in range(5):
            self.app.processEvents()

    def choice(self, words: str) -> ChoiceButton:
        return next(
            one for one in self.view.findChildren(ChoiceButton) if one.isVisible() and words in one.accessibleName()
        )

    def focused(self) -> QLineEdit:
        found = QApplication.focusWidget()
        assert isinstance(found, QLineEdit)
        return found


class OtherWindows(QObject):
    """Hears of every widget that is shown as a window of its own."""

    def __init__(self, app: QApplication, allowed: QWidget) -> None:
        super().__init__()
        self.seen: list[QObject] = []
        self._allowed = allowed
        app.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        is_window = isinstance(watched, QWidget) and watched.isWindow()
        if event.type() == QEvent.Type.Show and is_window and watched is not self._allowed:
            self.seen.append(watched)
        return False


@pytest.fixture
def open_window(tmp_path: Path, qtbot) -> Iterator[Callable[..., Window]]:
    made: list[Pages] = []

    def make(language: str = "en", size: tuple[int, int] = (1024, 768)) -> Window:
        made.append(make_pages(tmp_path, language))
        return Window(made[-1], qtbot, size)

    yield make
    for pages in made:
        assert pages.crashes == []
        pages.close()


def test_a_shift_is_opened_with_mouse_and_keys(open_window) -> None:
    window = open_window()
    window.pages.open("F10")
    QTest.mouseClick(window.choice("Anna K"), Qt.MouseButton.LeftButton)
    pin = window.focused()
    assert pin.echoMode() is QLineEdit.EchoMode.Password
    QTest.keyClicks(pin, "4711")
    QTest.keyClick(pin, Qt.Key.Key_Return)
    assert not window.pages.presenter.is_open
    assert window.pages.closed == ["Shift 1 is open."]
    assert len(window.pages.records(RecordKind.SHIFT_OPEN)) == 1


@pytest.mark.parametrize("key", ["F6", "F8", "F9", "F10", "F12", "settings"])
def test_no_part_of_a_page_flashes_up_as_a_window_that_takes_the_keyboard(open_window, key: str) -> None:
    window = open_window()
    window.pages.till.sell(CARD, 1000)
    window.pages.guest = window.pages.till.checkout.identify(CARD)
    others = OtherWindows(window.app, window.window)
    window.pages.open(key)
    window.settle()
    window.app.removeEventFilter(others)
    assert [type(one).__name__ for one in others.seen] == []
    assert window.window.isActiveWindow()


def test_a_sale_is_returned_by_keys_alone_and_its_field_keeps_the_keyboard(open_window) -> None:
    window = open_window()
    done = window.pages.till.sell(CARD, 1000)
    window.pages.open("F7")
    QTest.keyClicks(window.focused(), done.receipt_no)
    QTest.keyClick(window.focused(), Qt.Key.Key_Return)
    QTest.keyClicks(window.focused(), "150")
    QTest.keyClick(window.focused(), Qt.Key.Key_Return)
    (back,) = window.pages.records(RecordKind.REFUND)
    assert back.money_total == 15_000


def test_esc_and_side_keys_work_from_a_field(open_window) -> None:
    window = open_window()
    window.pages.till.sell(CARD, 1000)
    window.pages.open("F6")
    QTest.mouseClick(window.choice("DE71-000001"), Qt.MouseButton.LeftButton)
    QTest.keyClick(window.focused(), Qt.Key.Key_F9)
    assert window.pages.screen.button.text.startswith("Cancel the sale")
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    assert window.pages.closed == [""]


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("size", [(1024, 768), (420, 768), (683, 512), (819, 614), (1920, 1080)])
@pytest.mark.parametrize("key", ["F6", "F8", "F9", "F10", "F12", "settings", "leave"])
def test_nothing_is_cut_off_and_everything_can_be_touched(open_window, language, size, key) -> None:
    window = open_window(language, size)
    window.pages.till.sell(CARD, 1240)
    window.pages.guest = window.pages.till.checkout.identify(CARD)
    window.pages.open("settings" if key == "leave" else key)
    if key in ("settings", "leave"):
        window.pages.type(pin="135790")
        window.pages.enter()
    if key == "leave":
        window.pages.presenter.pressed("F9")
    window.settle()
    assert window.view.width() == size[0]
    for area in window.view.findChildren(QScrollArea):
        body = area.widget()
        assert not area.isVisible() or body.width() <= area.viewport().width(), "wider than its column"
    for button in window.view.findChildren(ChoiceButton):
        if button.isVisible():
            assert button.height() >= 48
    for label in window.view.findChildren(QLabel):
        if label.isVisible() and label.text() and not label.wordWrap() and label.property("role") != "name":
            words = label.fontMetrics().horizontalAdvance(label.text())
            assert words <= label.width() + 1, label.text()


def test_what_was_typed_stays_on_no_page_that_is_left(open_window) -> None:
    window = open_window()
    window.pages.open("F8")
    QTest.keyClicks(window.focused(), "+79161234567")
    window.view.forget()
    assert all(not box.edit.text() for box in window.view.fields.values())


def test_what_is_typed_beside_the_field_goes_into_it(open_window) -> None:
    window = open_window()
    window.pages.open("F10")
    QTest.mouseClick(window.choice("Anna K"), Qt.MouseButton.LeftButton)
    QTest.keyClicks(window.view, "4711")
    assert window.pages.screen.fields[0].text == "4711"
    assert window.pages.screen.button.enabled


def test_arrows_lead_through_the_choices_and_enter_takes_one(open_window) -> None:
    window = open_window()
    window.pages.open("F10")
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Return):
        QTest.keyClick(QApplication.focusWidget(), key)
    assert window.choice("Boris B").is_chosen
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Return):
        QTest.keyClick(QApplication.focusWidget(), key)
    assert window.choice("Anna K").is_chosen
    QTest.keyClicks(QApplication.focusWidget(), "4711")
    QTest.keyClick(window.focused(), Qt.Key.Key_Return)
    assert len(window.pages.records(RecordKind.SHIFT_OPEN)) == 1


def test_a_sale_is_chosen_by_arrows_from_the_field_and_back(open_window) -> None:
    window = open_window()
    done = [window.pages.till.sell(CARD, 100 + more) for more in range(10)]
    window.pages.open("F6")
    field = window.focused()
    for _ in range(9):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Down)
    column, at = window.view.left, QApplication.focusWidget()
    assert isinstance(at, ChoiceButton)
    place = at.mapTo(window.view, at.rect().bottomLeft()).y()
    assert not column.more.isVisible() or place <= column.more.mapTo(window.view, column.more.rect().topLeft()).y()
    QTest.keyClick(at, Qt.Key.Key_Return)
    assert window.pages.screen.title.endswith(done[1].receipt_no)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Down)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Up)
    assert QApplication.focusWidget() is field


def test_a_report_longer_than_its_column_says_so_and_page_down_reads_it(open_window) -> None:
    window = open_window("ru", (683, 512))
    window.pages.cases.shifts.open("anna.k", "4711")
    window.pages.till.sell(CARD, 1000)
    window.pages.open("F10")
    window.settle()
    more, bar = window.view.right.more, window.view.right._bar
    assert more.isVisible()
    for _ in range(10):
        QTest.keyClick(window.view, Qt.Key.Key_PageDown)
    assert (bar.value(), more.isVisible()) == (bar.maximum(), False)
    QTest.keyClick(window.view, Qt.Key.Key_PageUp)
    assert more.isVisible()


def test_another_report_is_read_from_its_beginning(open_window) -> None:
    window = open_window("ru", (683, 512))
    window.pages.cases.shifts.open("anna.k", "4711")
    window.pages.till.sell(CARD, 1000)
    window.pages.open("F10")
    window.settle()
    for _ in range(10):
        QTest.keyClick(window.view, Qt.Key.Key_PageDown)
    QTest.keyClick(window.view, Qt.Key.Key_F9)
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    window.settle()
    assert window.pages.screen.facts[0].caption == "Z-отчёт"
    assert window.view.right._bar.value() == 0


@pytest.mark.parametrize("size", [(1024, 768), (683, 512)])
def test_a_long_page_ends_where_its_words_end(open_window, size: tuple[int, int]) -> None:
    window = open_window("ru", size)
    window.pages.open("F12")
    window.settle()
    for _ in range(10):
        QTest.keyClick(window.view, Qt.Key.Key_PageDown)
    column = window.view.right
    last = next(row for row in reversed(window.view.facts._rows) if row.isVisible())
    assert column.height() - last.mapTo(column, last.rect().bottomLeft()).y() < 40, "blank space after the last line"


@pytest.mark.parametrize("size", [(1024, 768), (819, 614), (683, 512), (420, 768)])
def test_long_names_and_amounts_stay_inside_the_list_of_sales(open_window, size: tuple[int, int]) -> None:
    window = open_window("en", size)
    name = "Александра Константиновна Рождественская-Преображенская"
    window.pages.till.feed(("guest", str(GUEST), {**ANNA_ROW, "name": name}))
    for _ in range(3):
        window.pages.till.sell(CARD, 99_999_999)
    window.pages.open("F6")
    window.pages.presenter.chosen("sale", window.pages.screen.groups[0].options[0].key)
    window.settle()
    window.pages.type(amount="1")
    window.pages.enter()
    window.settle()
    area = window.view.left.findChild(QScrollArea)
    assert area.widget().width() <= area.viewport().width()
    for button in window.view.findChildren(ChoiceButton):
        if button.isVisible():
            for part in (button.title, button.detail):
                assert part.height() >= part.heightForWidth(part.width()), part.text()


SMALL = pytest.mark.parametrize("size", [(420, 768), (683, 512), (800, 600)], ids=["420", "683", "800"])


@SMALL
@pytest.mark.parametrize("language", ["ru", "en"])
def test_whoever_registers_sees_the_text_and_the_yes_to_it(open_window, language: str, size: tuple[int, int]) -> None:
    window = open_window(language, size)
    window.pages.open("F8")
    window.settle()
    column = window.view.right
    assert not column.more.isVisible()
    assert not window.view.groups["consent"].buttons[0].visibleRegion().isEmpty()


@SMALL
@pytest.mark.parametrize("language", ["ru", "en"])
def test_what_an_exchange_comes_to_is_in_sight(open_window, language: str, size: tuple[int, int]) -> None:
    window = open_window(language, size)
    done = window.pages.till.sell(CARD, 12_400)
    window.pages.guest = window.pages.till.checkout.identify(CARD)
    window.pages.open("F6")
    window.pages.presenter.chosen("sale", str(done.record_id))
    window.pages.presenter.pressed("F8")
    window.pages.type(new="15000")
    window.settle()
    strong = next(row._strong for row in window.view.facts._rows if row._strong.isVisible())
    assert strong.visibleRegion().boundingRect().size() == strong.size()


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("step", ["return", "void", "exchange"])
def test_docked_a_page_scrolls_only_where_both_halves_have_no_room(open_window, language: str, step: str) -> None:
    window = open_window(language, (420, 768))
    window.pages.till.sell(CARD, 12_400)
    window.pages.till.sell(CARD, 10)
    window.pages.open("F6")
    window.pages.presenter.chosen("sale", window.pages.screen.groups[0].options[1].key)
    window.settle()
    window.pages.presenter.pressed({"return": "", "void": "F9", "exchange": "F8"}[step])
    window.settle()
    assert [one.more.isVisible() for one in (window.view.left, window.view.right)] == [False, False]
    assert window.view.left._bar.maximum() == 0


def test_a_report_alone_keeps_its_captions_near_its_values(open_window) -> None:
    window = open_window("en", (1920, 1080))
    window.pages.open("F12")
    window.settle()
    assert window.view.facts.width() <= theme.FACTS_ALONE
    for part in window.view.facts.findChildren(QLabel):
        assert not part.isVisible() or part.height() >= part.heightForWidth(part.width()), part.text()
    window.pages.open("F10")
    window.settle()
    assert window.view.facts.width() > theme.FACTS_ALONE


@pytest.mark.parametrize("size", [(420, 768), (640, 480), (683, 512), (800, 600), (1024, 768), (1920, 1080)])
@pytest.mark.parametrize("theme_name", ["light", "dark"])
def test_the_code_of_a_new_guest_is_read_off_the_screen(open_window, size: tuple[int, int], theme_name: str) -> None:
    window = open_window("ru", size)
    window.window.set_theme(theme_name)
    pages = window.pages
    pages.server.is_away = True
    pages.open("F8")
    pages.type(name="Ольга")
    pages.choose("consent", "yes")
    pages.enter()
    window.settle()
    (record,) = pages.records(RecordKind.REGISTER)
    code = window.view.code
    assert not window.view.right.more.isVisible()
    assert code.visibleRegion().boundingRect().size() == code.size()
    assert code.side() >= 5
    picture = window.view.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    pixels = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())
    assert [one.text for one in zxingcpp.read_barcodes(pixels[:, : picture.width()])] == [ld1(record.credential.handle)]
    assert pages.screen.button.text == window.view.go.words.text() == "Вернуться к продаже"
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    assert not pages.presenter.is_open


@SMALL
@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_slip_is_seen_as_it_will_be_printed(open_window, language: str, size: tuple[int, int]) -> None:
    window = open_window(language, size)
    window.pages.till.sell(CARD, 99_999_999)
    window.pages.open("F5")
    window.settle()
    paper = window.view.paper
    assert QFontInfo(paper.font()).fixedPitch()
    assert paper.width() >= paper.sizeHint().width()
    assert window.view.left._area.viewport().width() >= paper.width()


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("size", [(1024, 600), (640, 480)])
def test_what_moves_points_by_hand_stands_where_it_is_seen_without_scrolling(
    open_window, language: str, size: tuple[int, int]
) -> None:
    window = open_window(language, size)
    window.pages.guest = window.pages.till.checkout.identify(CARD)
    window.pages.open("F9")
    window.settle()
    view = window.view
    for key in ("points", "pin") if size[0] > 640 else ("points",):
        edit = view.fields[key].edit
        assert edit.visibleRegion().boundingRect() == edit.rect(), key
    assert view.groups["who"].isVisible()
    assert view.groups["who"].visibleRegion().boundingRect().height() > 0
