"""LD3 and LD4 to the byte, beside a second reading made from the document alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import CodeKind, parse
from loyalty_desk.domain.hash_chain import MAX_STEPS, ChainOwner, SeenChains, walk
from loyalty_desk.domain.signed_codes import (
    NO_TIER,
    IssuedCode,
    RotatingCode,
    begin_chain,
    chain_values,
    code_text,
    is_signed,
    issue,
    network_tag,
)
from tests.loyalty_desk.domain import code_samples as sample

BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
u8, u16, u32 = st.integers(0, 255), st.integers(0, 65_535), st.integers(0, (1 << 32) - 1)
handles = st.integers(0, (1 << 64) - 1)


# The independent reader: strings of bits, slices and hashlib, sharing no line with the kernel.


def bits_of(text: str) -> str:
    return "".join(f"{BASE32.index(letter):05b}" for letter in text)


def bytes_of(text: str, size: int) -> bytes:
    bits = bits_of(text)
    assert set(bits[size * 8 :]) <= {"0"}
    return bytes(int(bits[place : place + 8], 2) for place in range(0, size * 8, 8))


def number(data: bytes) -> int:
    total = 0
    for byte in data:
        total = total * 256 + byte
    return total


def check_by_hand(message: bytes, signature: bytes) -> None:
    sample.KEY.public_key().verify(signature, message)


def chain_down(network: UUID, handle: bytes, generation: int, step: int, value: bytes) -> bytes:
    while step:
        value = hashlib.sha256(
            b"LD4C" + network.bytes + handle + bytes([generation]) + bytes([step // 256, step % 256]) + value
        ).digest()[:16]
        step -= 1
    return value


def test_the_frozen_ld3_is_what_its_fields_make():
    code = issue(
        sample.NETWORK, sample.KEY, sample.KID, handle=sample.HANDLE, generation=2, expiry=sample.EXPIRY, tier=1
    )
    assert code.to_bytes() == sample.LD3_BYTES
    assert code_text(code) == sample.LD3_TEXT
    assert len(sample.LD3_TEXT) == 133


def test_the_frozen_ld4_is_what_its_fields_make():
    code = sample.rotating(3)
    assert code.to_bytes() == sample.LD4_BYTES
    assert code_text(code) == sample.LD4_TEXT
    assert len(sample.LD4_TEXT) == 195


def test_the_frozen_ld3_read_by_hand():
    raw = bytes_of(sample.LD3_TEXT[3:], 81)
    assert [number(raw[:1]), number(raw[1:2]), number(raw[4:12]), number(raw[12:16]), number(raw[16:17])] == [
        2, 7, 0x0123456789ABCDEF, 1_800_000_000, 1,
    ]  # fmt: skip
    assert raw[2:4] == hashlib.sha256(sample.NETWORK.bytes).digest()[:2]
    check_by_hand(b"LD3" + sample.NETWORK.bytes + raw[:17], raw[17:])


def test_the_frozen_ld4_read_by_hand():
    raw = bytes_of(sample.LD4_TEXT[3:], 120)
    fields = [raw[:1], raw[3:11], raw[11:15], raw[15:17], raw[17:18], raw[18:19], raw[19:22], raw[102:104]]
    assert [number(one) for one in fields] == [7, 0x0123456789ABCDEF, 1_799_999_000, 5, 2, 1, 1234, 3]
    check_by_hand(b"LD4" + sample.NETWORK.bytes + raw[:38], raw[38:102])
    assert chain_down(sample.NETWORK, raw[3:11], 2, 3, raw[104:]) == raw[22:38]


@given(handles, u8, u8, u32, u8, st.uuids())
def test_any_ld3_comes_back_and_is_signed(handle, generation, kid, expiry, tier, network):
    code = issue(network, sample.KEY, kid, handle=handle, generation=generation, expiry=expiry, tier=tier)
    text = code_text(code)
    found = parse(text)
    assert (found.kind, found.handle, found.signed) == (CodeKind.LD3, handle, code)
    assert is_signed(network, code, sample.KEY.public_key().public_bytes_raw())
    raw = bytes_of(text[3:], 81)
    check_by_hand(b"LD3" + network.bytes + raw[:17], raw[17:])


@given(handles, u8, u8, u32, u8, st.integers(1, 300), st.integers(-5, 1 << 25), st.data())
def test_any_ld4_comes_back_and_leads_to_its_root(handle, generation, kid, start, tier, steps, balance, data):
    owner = ChainOwner(sample.NETWORK, handle, generation)
    values = chain_values(owner, sample.LAST, steps)
    begun = begin_chain(
        sample.NETWORK, sample.KEY, kid, handle=handle, generation=generation, start=start, steps=steps,
        root=values[0], balance=balance, tier=tier,
    )  # fmt: skip
    step = data.draw(st.integers(1, steps))
    code = replace(begun, step=step, value=values[step])
    found = parse(code_text(code))
    assert (found.kind, found.handle, found.signed) == (CodeKind.LD4, handle, code)
    assert code.balance == max(0, min(balance, 16_777_215))
    assert walk(owner, step, values[step]) == code.root
    raw = code.to_bytes()
    assert chain_down(sample.NETWORK, raw[3:11], generation, step, raw[104:]) == raw[22:38]


@pytest.mark.parametrize("place", range(81))
def test_every_byte_of_an_ld3_is_signed(place):
    changed = bytearray(sample.LD3_BYTES)
    changed[place] ^= 1
    public = sample.KEY.public_key().public_bytes_raw()
    assert not is_signed(sample.NETWORK, IssuedCode.from_bytes(bytes(changed)), public)


@pytest.mark.parametrize("place", range(102))
def test_every_byte_of_an_ld4_before_its_step_is_signed(place):
    changed = bytearray(sample.LD4_BYTES)
    changed[place] ^= 8
    public = sample.KEY.public_key().public_bytes_raw()
    assert not is_signed(sample.NETWORK, RotatingCode.from_bytes(bytes(changed)), public)


def test_a_signature_holds_in_one_network_and_by_one_key():
    code = IssuedCode.from_bytes(sample.LD3_BYTES)
    assert is_signed(sample.NETWORK, code, sample.KEY.public_key().public_bytes_raw())
    assert not is_signed(sample.OTHER_NETWORK, code, sample.KEY.public_key().public_bytes_raw())
    assert not is_signed(sample.NETWORK, code, sample.OTHER_KEY.public_key().public_bytes_raw())
    assert not is_signed(sample.NETWORK, code, b"short")
    with pytest.raises(InvalidSignature):
        check_by_hand(b"LD4" + sample.NETWORK.bytes + sample.LD3_BYTES[:17], sample.LD3_BYTES[17:])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (sample.LD3_TEXT[:-1], "length"),
        (sample.LD3_TEXT + "0", "length"),
        (sample.LD3_TEXT[:-1] + "X", "padding"),
        (sample.LD3_TEXT[:40] + "U" + sample.LD3_TEXT[41:], "letter"),
        (sample.LD4_TEXT[:-1], "length"),
        (sample.LD4_TEXT[:100] + "*" + sample.LD4_TEXT[101:], "letter"),
        ("LD3", "length"),
        ("LD4", "length"),
    ],
)
def test_a_damaged_code_says_where(text, part):
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert (caught.value.code, caught.value.facts["part"]) == ("code_malformed", part)


@pytest.mark.parametrize(
    ("steps", "step", "part"),
    [(0, 1, "steps"), (MAX_STEPS + 1, 1, "steps"), (65_535, 1, "steps"), (5, 0, "step"), (5, 6, "step")],
)
def test_a_step_outside_its_chain_is_malformed(steps, step, part):
    raw = sample.LD4_BYTES[:15] + steps.to_bytes(2, "big") + sample.LD4_BYTES[17:102] + step.to_bytes(2, "big")
    with pytest.raises(BadInput) as caught:
        RotatingCode.from_bytes(raw + sample.LD4_BYTES[104:])
    assert (caught.value.code, caught.value.facts["part"]) == ("code_malformed", part)


@pytest.mark.parametrize(("steps", "root"), [(0, bytes(16)), (MAX_STEPS + 1, bytes(16)), (5, bytes(15))])
def test_no_chain_is_begun_that_no_code_could_show(steps, root):
    with pytest.raises(ValueError):
        begin_chain(
            sample.NETWORK, sample.KEY, 1, handle=1, generation=0, start=0, steps=steps, root=root, tier=NO_TIER
        )


def test_the_longest_chain_is_walked_to_its_root():
    owner = ChainOwner(sample.NETWORK, sample.HANDLE, 0)
    root = chain_down(sample.NETWORK, sample.HANDLE.to_bytes(8, "big"), 0, MAX_STEPS, sample.LAST)
    assert walk(owner, MAX_STEPS, sample.LAST) == root
    assert SeenChains().leads_to(owner, root, MAX_STEPS, sample.LAST)


@pytest.mark.parametrize(("step", "down_to"), [(1, 2), (MAX_STEPS + 1, 0), (3, -1)])
def test_no_way_leads_outside_a_chain(step, down_to):
    with pytest.raises(ValueError):
        walk(ChainOwner(sample.NETWORK, 1, 0), step, bytes(16), down_to)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_chain_followed_before_says_the_same_as_one_seen_first(steps, good):
    owner = ChainOwner(sample.NETWORK, sample.HANDLE, 1)
    values = chain_values(owner, sample.LAST, 40)
    seen = SeenChains()
    for step, is_good in zip(steps, good, strict=False):
        value = values[step] if is_good else bytes(16)
        assert seen.leads_to(owner, values[0], step, value) is is_good
        assert SeenChains().leads_to(owner, values[0], step, value) is is_good


def test_a_chain_fits_no_other_owner():
    values = chain_values(ChainOwner(sample.NETWORK, sample.HANDLE, 2), sample.LAST, 5)
    for other in (
        ChainOwner(sample.OTHER_NETWORK, sample.HANDLE, 2),
        ChainOwner(sample.NETWORK, sample.HANDLE + 1, 2),
        ChainOwner(sample.NETWORK, sample.HANDLE, 3),
    ):
        assert not SeenChains().leads_to(other, values[0], 3, values[3])


def test_what_was_followed_is_bounded_and_stays_right_when_forgotten():
    seen = SeenChains()
    owners = [ChainOwner(sample.NETWORK, handle, 0) for handle in range(300)]
    chains = [chain_values(owner, sample.LAST, 3) for owner in owners]
    for owner, values in zip(owners, chains, strict=True):
        assert seen.leads_to(owner, values[0], 3, values[3])
    assert len(seen._seen) == 256
    assert seen.leads_to(owners[0], chains[0][0], 2, chains[0][2])


def test_the_network_tag_is_two_bytes_of_its_hash():
    assert network_tag(sample.NETWORK).hex() == "e3e6"
