"""Tables of (text, milliseconds since the last key); a key is its own text, so what comes back can be compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.scanning.keyboard_wedge import Action, Hold, KeyboardWedge, Pass, Replay, Scanned

ENTER = "\r"
CARD = "LD104HMASW9NF6YY54"


class Field:
    """The window's side of the contract: performs actions, fires the timer, keeps what reaches the field."""

    def __init__(self, wedge: KeyboardWedge[str]) -> None:
        self.wedge = wedge
        self.now = 0.0
        self.reached: list[str] = []
        self.scans: list[str] = []

    def press(self, text: str, after: float, *, plain: bool = True, modifier: bool = False) -> None:
        self.idle(after)
        key = text or "shift"
        actions = self.wedge.key(text, key, self.now, enter=text in {ENTER, "\t"}, plain=plain, modifier=modifier)
        self._perform(actions, key)

    def idle(self, ms: float) -> None:
        """Let time pass, with the timer firing when it is due."""
        wait = self.wedge.wait_ms(self.now)
        if wait is not None and wait < ms:
            self._perform(self.wedge.tick(self.now + wait), None)
        self.now += ms

    def type(self, text: str, gap: float) -> None:
        for character in text:
            self.press(character, gap)

    def _perform(self, actions: list[Action[str]], key: str | None) -> None:
        for action in actions:
            match action:
                case Hold():
                    assert key is not None
                case Pass():
                    assert key is not None
                    self.reached.append(key)
                case Replay(keys):
                    self.reached.extend(keys)
                case Scanned(data):
                    self.scans.append(data.decode())


@pytest.mark.parametrize("gap", [0.0, 1.0, 8.0, 20.0, 34.0])
@pytest.mark.parametrize("ending", [ENTER, "\t"])
def test_a_scanner_types_a_card_and_nothing_reaches_the_field(gap: float, ending: str) -> None:
    field = Field(KeyboardWedge())
    field.type(CARD + ending, gap)
    field.idle(500)
    assert (field.scans, field.reached) == ([CARD], [])


def test_under_a_russian_layout_the_text_stays_as_typed() -> None:
    field = Field(KeyboardWedge())
    field.type("ДВ104РЬФЫЦ9ТА6НН54" + ENTER, 5)
    assert (field.scans, field.reached) == (["ДВ104РЬФЫЦ9ТА6НН54"], [])


def test_shift_before_every_capital_is_part_of_it() -> None:
    field = Field(KeyboardWedge())
    for character in CARD:
        field.press("", 2, modifier=True)
        field.press(character, 2)
    field.press(ENTER, 2)
    assert field.scans == [CARD]
    assert set(field.reached) == {"shift"}


@pytest.mark.parametrize("gap", [36.0, 60.0, 140.0])
def test_a_person_typing_loses_nothing(gap: float) -> None:
    field = Field(KeyboardWedge())
    field.type("1240.50" + ENTER, gap)
    assert (field.scans, field.reached) == ([], [*"1240.50", ENTER])


def test_a_persons_key_waits_no_longer_than_the_window() -> None:
    field = Field(KeyboardWedge())
    field.press("7", 0)
    field.idle(34)
    assert field.reached == []
    field.idle(2)
    assert field.reached == ["7"]


def test_a_fast_burst_of_five_is_typing() -> None:
    field = Field(KeyboardWedge())
    field.type("12345" + ENTER, 10)
    assert (field.scans, field.reached) == ([], [*"12345", ENTER])


def test_a_burst_without_an_ending_is_given_back() -> None:
    field = Field(KeyboardWedge())
    field.type(CARD, 5)
    field.idle(200)
    assert (field.scans, field.reached) == ([], [*CARD])


def test_a_pause_before_the_ending_is_waited_for() -> None:
    field = Field(KeyboardWedge())
    field.type(CARD, 5)
    field.press(ENTER, 90)
    assert field.scans == [CARD]


def test_a_late_enter_is_the_persons_own() -> None:
    field = Field(KeyboardWedge())
    field.type(CARD, 5)
    field.press(ENTER, 150)
    assert (field.scans, field.reached) == ([], [*CARD, ENTER])


def test_typing_then_a_scan_then_typing() -> None:
    field = Field(KeyboardWedge())
    field.type("12", 120)
    field.press("L", 200)
    field.type(CARD[1:] + ENTER, 4)
    field.type("34", 120)
    field.idle(100)
    assert (field.scans, field.reached) == ([CARD], [*"1234"])


def test_two_scans_in_a_row() -> None:
    field = Field(KeyboardWedge())
    field.type(CARD + ENTER + "1000000016" + ENTER, 3)
    assert (field.scans, field.reached) == ([CARD, "1000000016"], [])


def test_a_key_held_down_is_not_a_scan() -> None:
    field = Field(KeyboardWedge())
    field.press("0", 300)
    for _ in range(12):
        field.press("0", 30, plain=False)
    field.press(ENTER, 30)
    assert (field.scans, field.reached) == ([], [*("0" * 13), ENTER])


@pytest.mark.parametrize("text", ["\x08", "\x1b", "", "\x7f"])
def test_a_key_that_types_nothing_comes_after_those_before_it(text: str) -> None:
    field = Field(KeyboardWedge())
    field.type("12", 10)
    field.press(text, 10)
    field.idle(100)
    assert field.reached == ["1", "2", text or "shift"]


def test_a_shortcut_is_never_held() -> None:
    field = Field(KeyboardWedge())
    field.press("v", 10, plain=False)
    assert field.reached == ["v"]


def test_losing_the_focus_gives_everything_back() -> None:
    wedge = KeyboardWedge[str]()
    wedge.key("1", "1", 0)
    assert wedge.wait_ms(0) is not None
    assert wedge.flush() == [Replay(("1",))]
    assert wedge.flush() == []
    assert wedge.wait_ms(50) is None


def test_group_separators_of_product_codes_are_kept() -> None:
    field = Field(KeyboardWedge())
    field.type("0104600000000000\x1d91" + ENTER, 5)
    assert field.scans == ["0104600000000000\x1d91"]


def test_with_a_prefix_a_slow_scanner_is_read_and_persons_wait_for_nothing() -> None:
    field = Field(KeyboardWedge(prefix="~"))
    field.press("5", 0)
    assert field.reached == ["5"], "passed at once"
    field.type("~" + CARD + ENTER, 120)
    assert (field.scans, field.reached) == ([CARD], ["5"])


def test_with_a_prefix_a_fast_scan_without_it_is_typing() -> None:
    field = Field(KeyboardWedge(prefix="~"))
    field.type(CARD + ENTER, 3)
    assert (field.scans, field.reached) == ([], [*CARD, ENTER])


def test_a_prefix_alone_is_given_back() -> None:
    field = Field(KeyboardWedge(prefix="~"))
    field.type("~", 10)
    field.idle(400)
    field.type("~" + ENTER, 10)
    assert (field.scans, field.reached) == ([], ["~", "~", ENTER])


def test_the_prefix_is_one_character() -> None:
    with pytest.raises(ValueError, match="one character"):
        KeyboardWedge[str](prefix="LD")


def test_an_endless_scan_is_given_back_and_not_kept() -> None:
    field = Field(KeyboardWedge())
    field.type("7" * 10_000, 1)
    field.idle(500)
    assert "".join(field.reached) == "7" * 10_000


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*"LD104Яж~ ", "", ENTER, "\t", "\x08", "\x1d"]),
            st.sampled_from([0.0, 5.0, 34.9, 35.0, 35.1, 99.0, 101.0, 300.0]),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.sampled_from([None, "~"]),
)
def test_every_key_reaches_the_field_or_a_scan_once_and_in_order(
    keys: list[tuple[str, float, bool]], prefix: str | None
) -> None:
    field = Field(KeyboardWedge(prefix=prefix))
    typed = []
    for text, after, modifier in keys:
        is_modifier = modifier and not text
        field.press(text, after, modifier=is_modifier)
        if text and text not in {ENTER, "\t"}:
            typed.append(text)
    field.idle(1000)
    assert field.wedge.wait_ms(field.now) is None
    reached = [key for key in field.reached if key not in {ENTER, "\t", "shift"}]
    scanned = "".join(field.scans)
    prefixes = len(field.scans) if prefix else 0
    assert len(reached) + len(scanned) + prefixes == len(typed)
    # What reached the field is what was typed, in order, with whole scans taken out.
    rest = iter(typed)
    assert all(any(key == other for other in rest) for key in reached)


@pytest.mark.parametrize("amount", ["124000", "1240.50", "99999,99", "1 240,50", "123456789"])
def test_an_amount_is_typing_however_fast_it_comes(amount: str) -> None:
    field = Field(KeyboardWedge())
    field.type(amount + ENTER, 5)
    assert (field.scans, field.reached) == ([], [*amount, ENTER])


def test_a_member_number_scanned_by_its_bars_is_a_scan() -> None:
    field = Field(KeyboardWedge())
    field.type("1000000016" + ENTER, 5)
    assert field.scans == ["1000000016"]
