from hashlib import sha256
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain import canonical
from loyalty_desk.wire.v1 import signing
from loyalty_desk.wire.v1.rows import (
    CredentialRow,
    GuestRow,
    ProfileRow,
    keyset_message,
    read,
    row_digest,
    write,
)

GUEST = UUID("01900000-0000-7000-8000-000000000005")
NETWORK = UUID("01900000-0000-7000-8000-000000000001")


def test_empty_fields_are_left_out_and_come_back():
    row = GuestRow(name="Анна", points=120, next_expiries=[(1_780_000_000_000, 20)])
    fields = {"name": "Анна", "points": 120, "next_expiries": [[1_780_000_000_000, 20]]}
    assert canonical.decode(canonical.encode(write(row))) == fields
    assert read(GuestRow, write(row)) == row
    assert read(GuestRow, {**write(row), "newer": 1}) == row


def test_every_default_row_has_a_canonical_form():
    assert canonical.encode(write(GuestRow())) == b"{}"
    assert read(ProfileRow, write(ProfileRow())) == ProfileRow()
    assert read(ProfileRow, {}) == ProfileRow()


def test_a_default_is_left_out_even_where_it_is_another_object():
    from_database = b"active".decode()
    assert from_database is not CredentialRow("g", "card").state
    assert write(CredentialRow("g", "card", from_database)) == {"guest": "g", "kind": "card"}
    assert "floor_points" not in write(ProfileRow(floor_points=int("500")))


def test_a_row_of_another_shape_is_refused():
    with pytest.raises(msgspec.ValidationError):
        read(GuestRow, {"points": "many"})


def test_frozen_digest():
    digest = row_digest("guest", str(GUEST), {"name": "Анна"})
    assert f"{digest:032x}" == "fbf9aadf72d08034f008c0cf96a6988c"


@given(st.text("abc", max_size=3), st.text("abc", max_size=3))
def test_table_and_key_cannot_be_shifted_into_each_other(table, key):
    assert row_digest(table + "a", key, {}) != row_digest(table, "a" + key, {})


def test_frozen_messages():
    assert keyset_message({"version": 1}) == b'LDK1{"version":1}'
    assert signing.request_message("GET", "/a?b=c", b"") == b"LDR1GET\n/a?b=c\n" + bytes.fromhex(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert signing.hello_message(NETWORK, bytes(16), 1, NETWORK) == (
        b"LDT1" + NETWORK.bytes + bytes(16) + bytes(7) + b"\x01" + NETWORK.bytes
    )
    assert signing.phones_message(NETWORK, bytes(16), b"") == (
        b"LDT2"
        + NETWORK.bytes
        + bytes(16)
        + bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )
    assert signing.enrol_message(NETWORK, GUEST, bytes(16)) == b"LDE1" + NETWORK.bytes + GUEST.bytes + bytes(16)


def test_the_fingerprint_is_eight_characters_of_both_keys():
    shown = signing.fingerprint(bytes(32), bytes(16), NETWORK)
    assert len(shown) == 8
    assert shown != signing.fingerprint(bytes(32), b"\x01" + bytes(15), NETWORK)


@pytest.mark.parametrize(
    "row",
    [{}, {"a": 1}, {"b": [1, None, True], "a": {"z": "Анна", "y": "a\nb\\"}}, {"a": "1.5e3"}, {"a": [(1, 2)]},
     {"a": -(1 << 63)}, {"a": "\u2028\x7f"}],
)  # fmt: skip
def test_a_digest_is_that_of_the_canonical_bytes(row):
    body = canonical.encode({"key": "к", "row": row})
    assert row_digest("guest", "к", row) == int.from_bytes(sha256(b"guest\x00" + body).digest()[:16], "big")


@pytest.mark.parametrize("row", [{"a": 1.5}, {"a": 1 << 63}, {"A": 1}, {"a": "e\u0301"}, {"a": "\x00"}])
def test_a_row_without_a_canonical_form_has_no_digest(row):
    with pytest.raises(canonical.NotCanonical):
        row_digest("guest", "k", row)
