import os
from uuid import UUID

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.wire.v1.codec import MAX_UNPACKED_BYTES, BadBody, decode, encode, pack, unpack
from loyalty_desk.wire.v1.sync import Head, HelloRequest, PushRequest, cursor_from_text, cursor_text

INCARNATION = UUID("01900000-0000-7000-8000-00000000000a")


def hello() -> HelloRequest:
    return HelloRequest(
        network=INCARNATION,
        device=INCARNATION,
        nonce=bytes(16),
        boot_id=INCARNATION,
        monotonic_ms=1,
        app="0.1.0",
        epochs=[Head(1, 2, bytes(32))],
    )


def test_ids_travel_as_16_raw_bytes():
    body = encode(hello())
    assert INCARNATION.bytes in body
    assert str(INCARNATION).encode() not in body
    assert decode(HelloRequest, body) == hello()


def test_an_unknown_field_is_passed_over():
    fields = msgspec.msgpack.decode(encode(hello()))
    fields["newer"] = [1, {"x": 2}]
    assert decode(HelloRequest, msgspec.msgpack.encode(fields)) == hello()


@pytest.mark.parametrize("body", [b"", b"\xc1", b"{}", b"\x80", b"\x91" * 5_000, encode({"network": 1})])
def test_what_is_not_the_contract_is_refused_with_a_text(body):
    with pytest.raises(BadBody) as caught:
        decode(PushRequest, body)
    assert str(caught.value)


@pytest.mark.parametrize("letters", [b"\xff\xfe\xc0\x80\x00", b"\xed\xa0\x80AB"])
def test_a_text_that_is_no_text_is_refused(letters):
    with pytest.raises(BadBody):
        decode(HelloRequest, encode(hello()).replace(b"0.1.0", letters))


@pytest.mark.parametrize("length", [31, 33])
def test_a_hash_has_32_bytes(length):
    fields = msgspec.msgpack.decode(encode(hello()))
    fields["epochs"] = [{"epoch": 1, "head_seq": 1, "head_hash": bytes(length)}]
    with pytest.raises(BadBody):
        decode(HelloRequest, msgspec.msgpack.encode(fields))


@given(st.binary(max_size=2_000))
def test_packing_is_undone(data):
    assert unpack(pack(data)) == data


def test_a_bomb_is_not_unpacked():
    bomb = pack(bytes(MAX_UNPACKED_BYTES + 1))
    assert len(bomb) < 10_000
    with pytest.raises(BadBody):
        unpack(bomb)
    assert len(unpack(pack(bytes(MAX_UNPACKED_BYTES)))) == MAX_UNPACKED_BYTES


@pytest.mark.parametrize(
    "body", [b"junk", b"", pack(b"x" * 99) + b"y", zstandard.ZstdCompressor().compress(os.urandom(5_000))[:-900]]
)
def test_a_broken_frame_is_refused(body):
    with pytest.raises(BadBody):
        unpack(body)


def test_a_cursor_is_read_back():
    assert cursor_from_text(cursor_text(INCARNATION, 7)) == (INCARNATION, 7, 1)


@pytest.mark.parametrize(
    "text", ["", "1.2.3", f"{INCARNATION}.7", f"{INCARNATION}.-7.1", f"{INCARNATION}.{1 << 63}.1", f"{INCARNATION}.x.1"]
)
def test_a_bad_cursor_is_refused(text):
    with pytest.raises(ValueError):
        cursor_from_text(text)
