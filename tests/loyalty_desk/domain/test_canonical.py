import json
import time
import unicodedata
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import NotCanonical, bytes_to_text, decode, decode_object, encode, text_to_bytes

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")).map(
    lambda t: unicodedata.normalize("NFC", t)
)
keys = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({}, b"{}"),
        ({"b": 1, "a": [True, False, None]}, b'{"a":[true,false,null],"b":1}'),
        ({"a_b": 1, "a0": 2, "a": 3}, b'{"a":3,"a0":2,"a_b":1}'),
        (
            'кофе "с молоком" \\',
            '"кофе \\"с молоком\\" \\\\"'.encode(),
        ),
        ("\n\x1f\x7f/", b'"\\u000a\\u001f\x7f/"'),
        (-(1 << 63), b"-9223372036854775808"),
    ],
)
def test_frozen_bytes(value, data):
    assert encode(value) == data
    assert decode(data) == value


@given(values)
def test_what_is_written_is_read_back(value):
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [1.0, 1 << 63, -(1 << 63) - 1, "\x00", "\ud800", "e\u0301", {"A": 1}, {"": 1}, {1: 1}, b"x", {"a": {1, 2}}],
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises((NotCanonical, TypeError)):
        encode(value)


def test_nesting_has_an_end():
    value = []
    for _ in range(200):
        value = [value]
    with pytest.raises(NotCanonical):
        encode(value)
    with pytest.raises(NotCanonical):
        decode(b"[" * 100_000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" {}",
        b"{} ",
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b"1.0",
        b"1e3",
        b"NaN",
        b"-0",
        b"01",
        b'"\\n"',
        b'"\\u000A"',
        b'"\\u0041"',
        b'"\\/"',
        b"\xff",
        b'"\xed\xa0\x80"',
        b"9223372036854775808",
    ],
)
def test_any_other_spelling_is_refused(data):
    with pytest.raises(NotCanonical):
        decode(data)


def test_an_object_is_asked_for():
    with pytest.raises(NotCanonical):
        decode_object(b"[]")


@given(st.binary(max_size=40))
def test_bytes_have_one_text(data):
    assert text_to_bytes(bytes_to_text(data)) == data


@pytest.mark.parametrize("text", ["AB", "A", "AA==", "A+", "é"])
def test_a_second_spelling_of_bytes_is_refused(text):
    with pytest.raises(ValueError):
        text_to_bytes(text)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 65), 1 << 65) | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(keys | st.text(max_size=2) | st.integers(0, 9) | st.none() | st.booleans(), inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4).map(MappingProxyType)
    ),
    max_leaves=8,
)


@given(anything | values)
@example({1: 1})
@example([{"a": {True: 1}}])
@example({"1": 1.5})
@example(-1e20)
@example([float("nan")])
@example(({"a": (1, 2)},))
def test_the_short_cut_of_writing_writes_what_writing_letter_by_letter_does(value):
    try:
        expected = canonical._written(value)
    except (NotCanonical, TypeError):
        expected = None
    try:
        found = encode(value)
    except (NotCanonical, TypeError):
        found = None
    assert found == expected


@given(values, st.integers(0, 200), st.sampled_from(b'"\\:,[]{}0123456789-.eE aZ_\xcc\x81\x00\x1f'), st.booleans())
def test_the_short_cut_never_takes_what_writing_anew_refuses(value, at, byte, insert):
    data = bytearray(encode(value))
    at = min(at, len(data) - 1)
    data[at : at if insert else at + 1] = bytes([byte])
    changed = bytes(data)
    try:
        found = json.loads(changed.decode())
    except (ValueError, RecursionError):
        return
    try:
        same = encode(found) == changed
    except (NotCanonical, TypeError):
        same = False
    try:
        taken = decode(changed)
    except NotCanonical:
        assert not same
    else:
        assert same
        assert taken == found


@pytest.mark.parametrize(
    "data",
    [b'{"A":1}', b'{"":1}', '{"ключ":1}'.encode(), b"[9223372036854775808]", b"[-9223372036854775809]",
     '{"a":"e\u0301"}'.encode(), b'{"a":":"}', b'{"a":"9999999999999999999999"}', b"[" * 65 + b"]" * 65],
)  # fmt: skip
def test_what_the_short_cut_leaves_is_judged_by_writing_anew(data):
    try:
        same = encode(json.loads(data)) == data
    except NotCanonical:
        same = False
    if same:
        assert decode(data) == json.loads(data)
    else:
        with pytest.raises(NotCanonical):
            decode(data)


def test_no_text_of_64_kib_takes_long():
    for data in (b'"' + b" " * 65_534 + b'"', b"[" + b'"A",' * 16_000 + b'"a"]', b"[" + b"1," * 32_000 + b"1]"):
        started = time.perf_counter()
        assert encode(decode(data)) == data
        assert time.perf_counter() - started < 2
