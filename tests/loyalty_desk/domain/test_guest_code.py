import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.base32 import decode32, encode32
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import CodeKind, GuestCode, is_member_number, ld1, member_number, parse
from loyalty_desk.domain.scan_text import clean_scan
from tests.loyalty_desk.domain import code_samples as sample

HANDLE = 0x0123456789ABCDEF
CARD = "LD104HMASW9NF6YY54"
handles = st.integers(0, (1 << 64) - 1)
LATIN_KEYS = "qwertyuiop[]asdfghjkl;'zxcvbnm,.`"
RUSSIAN_KEYS = "йцукенгшщзхъфывапролджэячсмитьбюё"


def test_frozen_card():
    assert ld1(HANDLE) == CARD
    assert parse(CARD) == GuestCode(CodeKind.LD1, handle=HANDLE)


@pytest.mark.parametrize(
    "scan",
    [
        CARD.encode(),
        CARD.lower(),
        "LD1 04HM-ASW9-NF6Y-Y54",
        f"\x02{CARD}\x03\r\n".encode(),
        f"]Q1{CARD}\r".encode(),
        f"\ufeff{CARD}\t",
        "LDI04HMASW9NF6YY54".replace("LDI", "LD1"),
        "LD1O4HMASW9NF6YY54",
        "ДВ104РЬФЫЦ9ТА6НН54",
        "дв104рьфыц9та6нн54",
    ],
)
def test_any_scanner_reads_the_same_card(scan):
    assert parse(scan).handle == HANDLE


@given(handles)
def test_every_handle_has_one_card(handle):
    text = ld1(handle)
    assert len(text) == 18
    assert parse(text).handle == handle
    garbled = text.lower().translate(str.maketrans(LATIN_KEYS, RUSSIAN_KEYS))
    assert parse(garbled).handle == handle


@given(handles, st.integers(3, 17), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_wrong_letter_is_nearly_always_seen(handle, place, letter):
    text = ld1(handle)
    changed = text[:place] + letter + text[place + 1 :]
    if changed == text:
        return
    try:
        assert parse(changed).handle != handle
    except BadInput as error:
        assert error.code == "code_malformed"


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        ("", "scan_empty"),
        ("\r\n", "scan_empty"),
        (b"\xff\xfe\x00", "scan_not_text"),
        ("x" * 5000, "scan_too_long"),
        ("https://example.org", "code_foreign"),
        ("12345", "code_foreign"),
        ("LD1", "code_malformed"),
        (CARD[:-1], "code_malformed"),
        (CARD + "0", "code_malformed"),
        (CARD[:-1] + "5", "code_malformed"),
        ("LD1U4HMASW9NF6YY54", "code_malformed"),
        ("LD9ABC", "code_kind_unknown"),
    ],
)
def test_what_is_no_code_gets_its_own_sentence(scan, code):
    with pytest.raises(BadInput) as caught:
        parse(scan)
    assert caught.value.code == code


def test_nonzero_padding_is_refused():
    with pytest.raises(BadInput):
        decode32("1" * 13, 8)


def test_frozen_member_number():
    assert member_number(100000001) == "1000000016"
    assert parse("1000000016") == GuestCode(CodeKind.NUMBER, digits="1000000016")


@pytest.mark.parametrize("text", ["\N{SUPERSCRIPT TWO}" * 10, "\N{GRINNING FACE}" * 10, "1" * 9 + "x", "a" * 10, ""])
def test_what_is_no_ten_digits_is_no_member_number(text):
    assert not is_member_number(text)


@given(st.integers(100_000_000, 999_999_999), st.integers(0, 9), st.integers(1, 9))
def test_luhn_sees_every_wrong_digit(serial, place, step):
    number = member_number(serial)
    wrong = number[:place] + str((int(number[place]) + step) % 10) + number[place + 1 :]
    assert is_member_number(number)
    assert not is_member_number(wrong)


@pytest.mark.parametrize("serial", [0, 99_999_999, 1_000_000_000])
def test_a_member_number_has_nine_digits_of_its_own(serial):
    with pytest.raises(ValueError):
        member_number(serial)


@pytest.mark.parametrize(
    ("digits", "kind"),
    [
        ("123456", CodeKind.SHORT),
        ("9161234567", CodeKind.PHONE),
        ("79161234567", CodeKind.PHONE),
        ("+79161234567", CodeKind.PHONE),
        ("+380501234567", CodeKind.PHONE),
    ],
)
def test_digits_by_their_number(digits, kind):
    assert parse(digits) == GuestCode(kind, digits=digits)


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("+7 (916) 123-45-67", "+79161234567"),
        ("8 (916) 123-45-67", "89161234567"),
        ("(916) 123.45.67", "9161234567"),
        ("+49\u00a030 901820", "+4930901820"),
    ],
)
def test_a_phone_as_people_write_it(typed, digits):
    assert parse(typed) == GuestCode(CodeKind.PHONE, digits=digits)


@pytest.mark.parametrize("typed", ["+0123456789", "+1234567", "+1234567890123456", "(12) 34", "+7916123456a"])
def test_what_is_no_phone(typed):
    with pytest.raises(BadInput) as caught:
        parse(typed)
    assert caught.value.code == "code_foreign"


@pytest.mark.parametrize(
    "scan",
    ["4600051000057", b"]E04600051000057\r", "]d2010460005100005721abc", "0104600051000057\x1d21abc", "46009333"],
)
def test_a_product_is_no_card(scan):
    with pytest.raises(BadInput) as caught:
        parse(scan)
    assert caught.value.code == "code_of_goods"


def test_every_kind_of_ours_survives_a_russian_layout_and_a_scanner():
    garbled = str.maketrans(LATIN_KEYS, RUSSIAN_KEYS)
    for text in (CARD, sample.LD3_TEXT, sample.LD4_TEXT, "LD204HMASW9NF6YY94287082"):
        plain = parse(text)
        assert plain.handle == HANDLE
        for scan in (text.lower().translate(garbled), f"\x02]Q1{text}\x03\r\n", " ".join(text).encode()):
            assert parse(scan) == plain


def test_signs_come_back_from_a_russian_layout_with_their_letters():
    assert clean_scan("реезыЖ..еюьу.ище,ыефке=ДЩН1-фиюС.9") == "HTTPS://T.ME/BOT?START=LOY1-AB.C/9"


# Half of what a scanner sends begins like ours, or the damaged places would hardly be reached.
ours = st.builds(
    lambda before, kind, body, after: f"{before}LD{kind}{body}{after}",
    st.sampled_from(["", "\x02", "]Q1", "\ufeff", " "]),
    st.integers(0, 9),
    st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZilou -*", max_size=210)
    | st.sampled_from([sample.LD3_TEXT[3:], sample.LD4_TEXT[3:], CARD[3:]]),
    st.sampled_from(["", "\x03", "\r\n", "\x00", "0"]),
)
REFUSALS = {"scan_empty", "scan_too_long", "scan_not_text", "code_foreign", "code_malformed", "code_kind_unknown",
            "code_of_goods"}  # fmt: skip


@given(st.binary(max_size=60))
def test_base32_is_read_back(data):
    assert decode32(encode32(data), len(data)) == data


@given(st.text(max_size=80) | st.binary(max_size=80) | ours | ours.map(str.encode))
def test_nothing_a_scanner_sends_breaks_parsing(data):
    try:
        found = parse(data)
    except BadInput as error:
        assert error.code in REFUSALS
    else:
        assert (found.handle is None) == (found.kind in {CodeKind.SHORT, CodeKind.NUMBER, CodeKind.PHONE})
        assert found.evidence is None or len(found.evidence) == {"ld3": 81, "ld4": 120}[found.kind]


def test_a_latin_scan_keeps_its_letters():
    assert clean_scan("PROMO-10\r") == "PROMO-10"
