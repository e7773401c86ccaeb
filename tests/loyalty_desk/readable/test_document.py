"""Files: three formats, one meaning; every mistake has a place."""

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.money import currency
from loyalty_desk.readable.complaints import COMPLAINTS, WANTS, complaint
from loyalty_desk.readable.document import MAX_BYTES, Node, parse_document, read_document

RUB = currency("RUB")
MOSCOW = ZoneInfo("Europe/Moscow")
JSON = b'{"a": 220.5, "b": "18:30", "c": "no", "d": "2026-03-02", "list": [{"x": 1}]}'
TOML = b'a = 220.5\nb = "18:30"\nc = "no"\nd = 2026-03-02\n[[list]]\nx = 1\n'
YAML = b"a: 220.5\nb: 18:30\nc: no\nd: 2026-03-02\nlist:\n  - {x: 1}\n"


@pytest.mark.parametrize(
    ("data", "kind"), [(JSON, ""), (JSON, "json"), (TOML, ""), (TOML, "toml"), (YAML, ""), (YAML, "yaml")]
)
def test_three_formats_mean_the_same(data, kind):
    node = parse_document(data, "file", kind)
    assert node.money("a", RUB) == 22_050
    assert node.data["a"] == Decimal("220.5")
    assert (node.text("b"), node.text("c"), node.day("d")) == ("18:30", "no", date(2026, 3, 2))
    assert [n.place for n in node.nodes("list")] == ["list[1]"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file_empty"),
        (b"  \n", "file_empty"),
        (b"\xff\xfe\x00", "file_not_text"),
        (b"{", "file_malformed"),
        (b'{"a": 1,}', "file_malformed"),
        (b'{"a": NaN}', "file_malformed"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "file_malformed"),
        (b'{"a": 1, "a": 2}', "file_field_twice"),
        (b"a = 1\na = 2\n", "file_malformed"),
        (b"a: 1\na: 2\n", "file_malformed"),
        (b"a: [", "file_malformed"),
        (b"a: !!python/object:os.system x", "file_malformed"),
        (b"a: 2026-13-45", "file_malformed"),
        (b"1: x\n", "file_field_unknown"),
        (b"just words", "file_not_object"),
        (b"[1, 2]", "file_not_object"),
        (b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", "file_too_deep"),
        (b'{"a": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "file_too_deep"),
        (b"a: &a [*a]", "file_too_deep"),
        (b"x" * (MAX_BYTES + 1), "file_too_large"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(data, code):
    with pytest.raises(BadInput) as wrong:
        parse_document(data, "file")
    assert wrong.value.code == code


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a": "NaN",\n "b":\n -Infinity}', "json"),
        (b'{"a": 1,\n\n "b": ' + b"9" * 5_000 + b"}", "json"),
        (b"a = 1\nb = 2\nc = " + b"9" * 5_000, "toml"),
        (b"a: 1\nb: 2\nc: " + b"9" * 5_000, "yaml"),
    ],
)
def test_a_number_that_is_none_is_named_by_its_line(data, kind):
    with pytest.raises(BadInput, match="file_malformed") as wrong:
        parse_document(data, "file", kind)
    assert wrong.value.facts["line"] == 3


def test_references_cannot_blow_a_small_file_up():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(BadInput, match="file_too_deep"):
        parse_document("\n".join(rows).encode(), "bomb")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput) as wrong:
        read_document(str(tmp_path / "nothing.toml"))
    assert complaint(wrong.value, "en") == f"{tmp_path}/nothing.toml: cannot be read: No such file or directory."


def node(**data) -> Node:
    return Node("file", "", data)


@pytest.mark.parametrize(
    ("value", "minor"),
    [
        (220, 22_000),
        ("220", 22_000),
        ("1 220,50", 122_050),
        (Decimal("0.1"), 10),
        (Decimal("1E+2"), 10_000),
        (None, 0),
        ("700 RUB", 70_000),
        ("1 220,50 RUB", 122_050),
        (" .5  RUB ", 50),
    ],
)
def test_money_in_whole_units(value, minor):
    assert node(price=value).money("price", RUB) == minor


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (-1, "amount_negative"), ("-1", "amount_negative"), (True, "file_field_wrong"), ([], "file_field_wrong"),
        (Decimal("1.005"), "amount_too_precise"), ("1.005", "amount_ambiguous"), (Decimal("NaN"), "file_field_wrong"),
        ("700 USD", "amount_malformed"), ("RUB", "amount_empty"), ("700RUB RUB", "amount_malformed"),
        (Decimal("1E+400000"), "amount_too_large"), (Decimal("1E-400000"), "amount_too_precise"),
        # So small that decimal arithmetic would call it nothing.
        (Decimal("1E-999999999"), "amount_too_precise"),
        (100_000_000, "amount_too_large"), ("ten", "amount_malformed"), ("", "amount_empty"),
    ],
)  # fmt: skip
def test_money_that_is_none(value, code):
    with pytest.raises(BadInput) as wrong:
        node(price=value).money("price", RUB)
    assert (wrong.value.code, wrong.value.facts["place"]) == (code, "price")


def test_quantities_and_points_in_decimals():
    assert node(q=Decimal("0.350")).scaled("q", 3) == 350
    assert node(q="2").scaled("q", 3) == 2_000
    assert node(q=-5).scaled("q", 0, signed=True) == -5
    for wrong in (-1, Decimal("0.0001"), 10**13, "two", Decimal("Infinity"), False):
        with pytest.raises(BadInput):
            node(q=wrong).scaled("q", 3)


def test_times_of_a_zone():
    assert node(at="2026-03-02T12:00").moment("at", MOSCOW) == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert node(at="2026-03-02T12:00Z").moment("at", MOSCOW) == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert node(at="2026-03-02").moment("at", UTC) == datetime(2026, 3, 2, tzinfo=UTC)
    assert node().moment("at", UTC) is None
    for wrong in ("yesterday", 5, "2026-02-30"):
        with pytest.raises(BadInput, match="file_field_wrong"):
            node(at=wrong).moment("at", UTC)
    with pytest.raises(BadInput):
        node(at="0001-01-01T00:00").moment("at", MOSCOW)
    with pytest.raises(BadInput, match="time_zone"):
        node(zone="Mars/Olympus").zone()


def test_a_mistyped_field_is_not_passed_over():
    with pytest.raises(BadInput) as wrong:
        node(pirce=5).only("price")
    assert complaint(wrong.value, "ru") == "file: поле pirce неизвестно."


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        parse_document(data, "any")
    except BadInput as error:
        assert error.code in COMPLAINTS


@given(st.text(max_size=60), st.sampled_from(["json", "toml", "yaml"]))
def test_any_text_of_any_kind_is_read_or_refused(text, kind):
    try:
        parse_document(text.encode(), "any", kind)
    except BadInput as error:
        assert complaint(error, "ru").endswith(".")


def test_every_complaint_is_translated():
    from loyalty_desk.language import catalogue
    from loyalty_desk.readable import tables

    russian = catalogue("commands", "ru")
    texts = [
        *COMPLAINTS.values(),
        *WANTS.values(),
        *tables.LIMITS.values(),
        *tables.HOW.values(),
        *tables.CAUSES.values(),
    ]
    assert [text for text in texts if russian.gettext(text) == text] == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_to_its_end_and_never_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(BadInput) as wrong:
        read_document(str(pipe))
    assert wrong.value.code == "file_empty"
    reading, writing = os.pipe()
    try:
        os.write(writing, JSON)
        os.close(writing)
        # As a shell hands over what another program prints.
        assert read_document(f"/dev/fd/{reading}").money("a", RUB) == 22_050
    finally:
        os.close(reading)


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5_000])
def test_a_name_that_no_file_can_have(path):
    with pytest.raises(BadInput) as wrong:
        read_document(path)
    assert wrong.value.code == "file_unreadable"
