"""Keys on paper: typed back as they are, refused when a letter is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.wire.v1.sheets import SheetKind, sheet_key, sheet_text

KEYS = st.binary(min_size=32, max_size=32)


@given(st.sampled_from(SheetKind), KEYS)
def test_a_sheet_gives_its_key_back_however_it_is_typed(kind: SheetKind, key: bytes) -> None:
    text = sheet_text(kind, key)
    typed = text[4:].replace("1", "l").replace("0", "O").lower().replace("-", "  ")
    assert sheet_key(kind, text) == sheet_key(kind, text[:4] + typed) == key


@given(KEYS, st.integers(0, 55), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_mistyped_letter_is_noticed(key: bytes, at: int, letter: str) -> None:
    letters = sheet_text(SheetKind.ROOT, key).replace("-", "")[4:]
    wrong = letters[:at] + letter + letters[at + 1 :]
    if wrong != letters:
        with pytest.raises(BadInput, match="sheet_malformed"):
            sheet_key(SheetKind.ROOT, "LDSR" + wrong)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "sheet_kind"),
        ("LDSX-0000", "sheet_kind"),
        ("LDSR-0000", "sheet_malformed"),
        ("LDSR" + "U" * 56, "sheet_malformed"),
    ],
)
def test_something_else_is_refused(text: str, code: str) -> None:
    with pytest.raises(BadInput, match=code):
        sheet_key(SheetKind.ROOT, text)


def test_the_layout_is_frozen() -> None:
    assert sheet_text(SheetKind.RECOVERY, bytes(range(32))) == (
        "LDSX-000G-40R4-0M30-E209-185G-R38E-1W81-24GK-2GAH-C5RR-34D1-P70X-3RFY-DJA9"
    )
