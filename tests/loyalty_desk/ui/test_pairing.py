from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.services.enrolment import PairingShown
from loyalty_desk.services.ports.scan import Scan, ScanSource
from loyalty_desk.ui import theme
from loyalty_desk.ui.pairing.presenter import PairingPresenter
from loyalty_desk.ui.pairing.state import PairingState, PairingStep
from loyalty_desk.ui.pairing.view import PairingView
from loyalty_desk.ui.problem.presenter import problem_state
from loyalty_desk.ui.problem.view import ProblemView
from loyalty_desk.ui.window import MainWindow

# Qt's offscreen display says so of every window with a smallest size.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")
CODE = "LDP1" + "0" * 180


@dataclass
class FakeJoining:
    """An enrolment that answers as told."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    start_fault: Exception | None = None
    answers: list[object] = field(default_factory=list)

    def start(self, pairing_text: str, name: str) -> PairingShown:
        self.asked.append((pairing_text, name))
        if self.start_fault is not None:
            raise self.start_fault
        return PairingShown("AQNVEJWH", "http://127.0.0.1:8765")

    def finish(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Desk:
    """A pairing screen's presenter and everything around it."""

    runner: object
    joining: FakeJoining = field(default_factory=FakeJoining)
    states: list[PairingState] = field(default_factory=list)
    joined: list[int] = field(default_factory=list)
    crashes: list[Exception] = field(default_factory=list)
    language: str = "en"

    def __post_init__(self) -> None:
        self.presenter = PairingPresenter(
            joining=self.joining,
            runner=self.runner,
            render=self.states.append,
            joined=lambda: self.joined.append(1),
            crashed=self.crashes.append,
            language=self.language,
            name="",
        )
        self.presenter.start()

    @property
    def screen(self) -> PairingState:
        return self.states[-1]


@pytest.fixture
def desk(counter) -> Desk:
    return Desk(counter.runner)


def test_paste_compare_wait_and_join(desk: Desk) -> None:
    assert not desk.screen.button_enabled
    desk.presenter.code_changed(f"  {CODE}\n")
    desk.presenter.name_changed("Bar")
    desk.presenter.submitted()
    assert desk.joining.asked == [(CODE, "Bar")]
    assert desk.screen.step is PairingStep.COMPARE
    assert desk.screen.characters == "AQNV\u00a0EJWH"
    desk.joining.answers = [None, None, object()]
    for _ in range(3):
        assert desk.joined == []
        desk.runner.fire()
    assert desk.joined == [1]


def test_a_till_without_a_name_gets_one(desk: Desk) -> None:
    desk.presenter.code_changed(CODE)
    desk.presenter.submitted()
    assert desk.joining.asked[0][1] == "Till 1"


def test_a_scanned_code_goes_on_at_once(desk: Desk) -> None:
    desk.presenter.code_scanned(Scan(CODE.encode(), ScanSource.CAMERA))
    assert desk.screen.step is PairingStep.COMPARE
    desk.presenter.code_scanned(Scan(b"another", ScanSource.CAMERA))
    assert len(desk.joining.asked) == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            BadInput("pairing_malformed", part="prefix"),
            "This is not a pairing code. Copy all of it, from LDP1 to the end.",
        ),
        (Refused("server_silent"), "The server does not answer. Check the network and try again."),
        (Refused("pairing_refused", text="used up"), "The server refused the pairing code: used up"),
    ],
)
def test_a_refusal_is_a_sentence_and_the_code_stays(desk: Desk, fault: Exception, sentence: str) -> None:
    desk.joining.start_fault = fault
    desk.presenter.code_changed(CODE)
    desk.presenter.submitted()
    assert desk.screen.message == sentence
    assert desk.screen.code == CODE
    assert desk.screen.step is PairingStep.PASTE
    assert desk.screen.button_enabled
    desk.presenter.code_changed(CODE + "0")
    assert desk.screen.message == ""


def test_a_silent_server_is_asked_again_while_waiting(desk: Desk) -> None:
    desk.presenter.code_changed(CODE)
    desk.presenter.submitted()
    desk.joining.answers = [Refused("server_silent"), None, object()]
    desk.runner.fire()
    assert desk.screen.message.startswith("The server does not answer.")
    desk.runner.fire()
    assert desk.screen.message == ""
    desk.runner.fire()
    assert desk.joined == [1]


def test_a_confirmation_that_is_refused_goes_back_to_the_code(desk: Desk) -> None:
    desk.presenter.code_changed(CODE)
    desk.presenter.submitted()
    desk.joining.answers = [Refused("pairing_refused", text="too late")]
    desk.runner.fire()
    assert desk.screen.step is PairingStep.PASTE
    assert "too late" in desk.screen.message
    assert desk.runner.timers == []


def test_going_back_stops_asking(desk: Desk) -> None:
    desk.presenter.code_changed(CODE)
    desk.presenter.submitted()
    desk.presenter.cancelled()
    assert desk.screen.step is PairingStep.PASTE
    assert desk.runner.timers == []


def test_an_answer_that_comes_after_going_back_is_dropped(desk: Desk) -> None:
    desk.runner.held = True
    desk.presenter.code_changed(CODE)
    desk.presenter.submitted()
    assert not desk.screen.button_enabled
    desk.presenter.submitted()
    desk.presenter.cancelled()
    desk.runner.release()
    assert desk.screen.step is PairingStep.PASTE
    assert len(desk.joining.asked) == 1


def test_a_fault_of_ours_is_reported(desk: Desk) -> None:
    desk.joining.start_fault = ZeroDivisionError()
    desk.presenter.code_changed(CODE)
    desk.presenter.submitted()
    assert len(desk.crashes) == 1
    assert desk.screen.message.startswith("Something went wrong")


def test_it_speaks_russian(desk: Desk) -> None:
    desk.presenter.language_chosen("ru")
    assert desk.screen.title == "Добро пожаловать в Loyalty Desk"


def test_the_code_is_pasted_by_the_keyboard_alone(desk: Desk, qtbot) -> None:
    window, view = MainWindow("light"), PairingView()
    qtbot.addWidget(window)
    window._may_close = True
    desk.presenter._render = view.render
    view.code_changed.connect(desk.presenter.code_changed)
    desk.presenter.start()
    window.show_screen(view)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(view.code.hasFocus, timeout=30_000)
    QApplication.clipboard().setText("LDP1ABC")
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert view.code.toPlainText() == "LDP1ABC"
    assert view.go.isEnabled()


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("size", [(1024, 768), (683, 512), (640, 480), (420, 800)])
def test_the_screen_fits_and_enter_submits(counter, qtbot, language: str, size: tuple[int, int]) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.install_font(app)
    desk = Desk(counter.runner, language=language)
    view = PairingView()
    qtbot.addWidget(view)
    view.setStyleSheet(theme.stylesheet("light", 1.0))
    view.resize(*size)
    view.code_changed.connect(desk.presenter.code_changed)
    view.submitted.connect(desk.presenter.submitted)
    desk.presenter._render = view.render
    desk.presenter.start()
    view.show()
    for _ in range(3):
        app.processEvents()
    assert view.width() == size[0]
    for one in (view.text, view.go.words, view.name_label, view.title):
        needs = one.heightForWidth(one.width()) if one.wordWrap() else one.sizeHint().height()
        assert needs <= one.height()
        assert one.minimumSizeHint().width() <= one.width()
    assert view.go.height() >= 72
    view.code.setPlainText(CODE)
    QTest.keyClick(view.code, Qt.Key.Key_Return)
    assert len(desk.joining.asked) == 1
    assert view.characters.text() == "AQNV\u00a0EJWH"
    for _ in range(3):
        app.processEvents()
    assert view.characters.sizeHint().width() <= view.characters.width()
    words = view.go.words
    needs = words.heightForWidth(words.width()) if words.wordWrap() else words.sizeHint().height()
    assert (words.minimumSizeHint().width() <= words.width(), needs <= words.height()) == (True, True)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_problem_screen_says_one_sentence_and_offers_two_keys(qtbot, language: str) -> None:
    view = ProblemView()
    qtbot.addWidget(view)
    view.render(problem_state(Refused("till_already_open"), language))
    view.show()
    assert "Loyalty Desk" in view.text.text()
    with qtbot.waitSignal(view.retried, timeout=30_000):
        QTest.keyClick(view, Qt.Key.Key_Return)
    with qtbot.waitSignal(view.closed, timeout=30_000):
        QTest.keyClick(view, Qt.Key.Key_Escape)


def test_a_fault_while_opening_is_calm() -> None:
    state = problem_state(ZeroDivisionError("division by zero"), "en")
    assert "zero" not in state.text
    assert state.calm == "Recorded sales are safe."
