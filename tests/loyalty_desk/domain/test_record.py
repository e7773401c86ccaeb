"""Frozen vectors of the journal record, and a verifier written from the document alone (no code of ours)."""

import json
from dataclasses import replace
from hashlib import sha256
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import (
    BadRecord,
    ClockConfidence,
    Credential,
    Decision,
    ExceptionKind,
    Record,
    RecordKind,
    SealedRecord,
    TooLarge,
    Totals,
    block_digest,
    chain_hash,
    genesis,
    handle_from_text,
    handle_text,
    head_is_signed,
    seal,
)

NETWORK = UUID("01900000-0000-7000-8000-000000000001")
DEVICE = UUID("01900000-0000-7000-8000-000000000002")
STORE = UUID("01900000-0000-7000-8000-000000000003")
BOOT = UUID("01900000-0000-7000-8000-000000000004")
GUEST = UUID("01900000-0000-7000-8000-000000000005")
SALE = UUID("01900000-0000-7000-8000-000000000006")
OPENING = UUID("01900000-0000-7000-8000-000000000007")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
EPOCH = 0x0123456789ABCDEF

opening = Record(
    network=NETWORK,
    id=OPENING,
    device=DEVICE,
    epoch=EPOCH,
    seq=1,
    kind=RecordKind.EPOCH_OPEN,
    store=STORE,
    occurred_at=1_780_000_000_000,
    boot_id=BOOT,
    monotonic_ms=5_000,
    clock_conf=ClockConfidence.GOOD,
    business_day="2026-05-28",
    totals=Totals(1, 0, 0),
    opened_reason="enrol",
)
sale = Record(
    network=NETWORK,
    id=SALE,
    device=DEVICE,
    epoch=EPOCH,
    seq=2,
    kind=RecordKind.SALE,
    store=STORE,
    occurred_at=1_780_000_060_000,
    boot_id=BOOT,
    monotonic_ms=65_000,
    clock_conf=ClockConfidence.GOOD,
    business_day="2026-05-28",
    totals=Totals(2, 37, 100),
    cashier="01900000-0000-7000-8000-000000000008",
    receipt_no="A-2",
    check={"currency": "RUB", "note": 'кофе "раф"'},
    guest_id=GUEST,
    credential=Credential(CodeKind.LD1, 0x0123456789ABCDEF),
    points_earned=37,
    points_redeemed=100,
    money_total=124_000,
    cache_feed_seq=7,
    known_balance=-5,
    decision_bits=1 << Decision.FLOOR_LIMIT,
    token_evidence=b"\xff\x00\x01",
    reverses_id=OPENING,
)

OPENING_BYTES = (
    b'{"boot_id":"01900000-0000-7000-8000-000000000004","business_day":"2026-05-28","clock_conf":"good",'
    b'"cum_count":1,"cum_earned":0,"cum_redeemed":0,"device":"01900000-0000-7000-8000-000000000002",'
    b'"epoch":81985529216486895,"id":"01900000-0000-7000-8000-000000000007","kind":"epoch_open",'
    b'"monotonic_ms":5000,"network":"01900000-0000-7000-8000-000000000001","occurred_at":1780000000000,'
    b'"opened_reason":"enrol","seq":1,"store":"01900000-0000-7000-8000-000000000003","v":1}'
)
SALE_BYTES = (
    '{"boot_id":"01900000-0000-7000-8000-000000000004","business_day":"2026-05-28","cache_feed_seq":7,'
    '"cashier":"01900000-0000-7000-8000-000000000008","check":{"currency":"RUB","note":"кофе \\"раф\\""},'
    '"clock_conf":"good","credential":{"code":"ld1","handle":"ASNFZ4mrze8"},"cum_count":2,"cum_earned":37,'
    '"cum_redeemed":100,"decision_bits":1,"device":"01900000-0000-7000-8000-000000000002",'
    '"epoch":81985529216486895,"guest_id":"01900000-0000-7000-8000-000000000005",'
    '"id":"01900000-0000-7000-8000-000000000006","kind":"sale","known_balance":-5,"money_total":124000,'
    '"monotonic_ms":65000,"network":"01900000-0000-7000-8000-000000000001","occurred_at":1780000060000,'
    '"points":{"earned":37,"redeemed":100},"receipt_no":"A-2",'
    '"reverses_id":"01900000-0000-7000-8000-000000000007","seq":2,'
    '"store":"01900000-0000-7000-8000-000000000003","token_evidence":"_wAB","v":1}'
).encode()


GENESIS = "e095d992dcb3d74b5beaf40a25bdaf5299641d0392587d0fb7b28a741691bfdc"
HASHES = [
    "d3658f06123b0054e74eac05449b07b641797470704dbb4d043c2edef69b5756",
    "1aea3ae7fdbd06200aa42c22545934e44b9e6aaac6f3784019ff57452a64b2e1",
]
SALE_SIG = (
    "f56193c08a733d9cf51c73a43233880e0a2c3447137c21ea41000ff3fa665895"
    "fdbd0b5a521cf89cdab41d22488c9283c3522e817c949c9889d695d185fedd03"
)


def verify_by_the_document(records: list[SealedRecord], public: bytes) -> None:
    """The format in its own words, with hashlib and json alone; raises AssertionError at the first bad place."""
    first = json.loads(records[0].payload)
    raw_network = bytes.fromhex(first["network"].replace("-", ""))
    raw_device = bytes.fromhex(first["device"].replace("-", ""))
    epoch = first["epoch"].to_bytes(8, "big")
    expected_prev = sha256(b"LDJ0" + raw_network + raw_device + epoch).digest()
    count = 0
    for place, record in enumerate(records, start=1):
        fields = json.loads(record.payload)
        spelled = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert spelled == record.payload, f"{place}: not canonical"
        assert fields["seq"] == place, f"{place}: seq"
        assert fields["cum_count"] == count + 1, f"{place}: totals"
        count = fields["cum_count"]
        assert record.prev == expected_prev, f"{place}: prev"
        digest = sha256(b"LDJ1" + record.prev + sha256(record.payload).digest()).digest()
        assert digest == record.hash, f"{place}: hash"
        message = b"LDH1" + raw_network + raw_device + epoch + place.to_bytes(8, "big") + digest
        Ed25519PublicKey.from_public_bytes(public).verify(record.sig, message)
        expected_prev = digest


@pytest.fixture
def chain() -> list[SealedRecord]:
    one = seal(opening, genesis(NETWORK, DEVICE, EPOCH), KEY)
    return [one, seal(sale, one.hash, KEY)]


def test_frozen_bytes():
    assert opening.to_payload() == OPENING_BYTES
    assert sale.to_payload() == SALE_BYTES


def test_frozen_hashes_and_signature(chain):
    assert genesis(NETWORK, DEVICE, EPOCH).hex() == GENESIS
    assert [record.hash.hex() for record in chain] == HASHES
    assert chain[1].sig.hex() == SALE_SIG


def test_the_bytes_are_read_back():
    assert Record.from_payload(OPENING_BYTES) == opening
    assert Record.from_payload(SALE_BYTES) == sale


def test_an_independent_verifier_agrees(chain):
    verify_by_the_document(chain, KEY.public_key().public_bytes_raw())


@pytest.mark.parametrize("place", [0, 1])
def test_the_verifier_sees_one_changed_byte(chain, place):
    changed = chain[place].payload.replace(b'"v":1', b'"v":2')
    chain[place] = replace(chain[place], payload=changed)
    with pytest.raises(AssertionError, match=f"^{place + 1}: hash"):
        verify_by_the_document(chain, KEY.public_key().public_bytes_raw())


def test_the_verifier_sees_a_foreign_signature(chain):
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(InvalidSignature):
        verify_by_the_document(chain, other.public_key().public_bytes_raw())


def test_a_head_is_signed_by_its_own_device_alone(chain):
    one = chain[1]
    public = KEY.public_key()
    assert head_is_signed(public, NETWORK, DEVICE, EPOCH, 2, one.hash, one.sig)
    assert not head_is_signed(public, NETWORK, DEVICE, EPOCH, 3, one.hash, one.sig)
    assert not head_is_signed(public, STORE, DEVICE, EPOCH, 2, one.hash, one.sig)
    assert not head_is_signed(public, NETWORK, DEVICE, EPOCH, 2, one.hash, bytes(64))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b'"v":1', b'"v":2'), "v"),
        ((b'"kind":"sale"', b'"kind":"sail"'), "sail"),
        ((b'"seq":2', b'"seq":-2'), "seq"),
        ((b'"seq":2', b'"seq":true'), "seq"),
        ((b'"earned":37', b'"earned":"37"'), "earned"),
        ((b'"id":"01900000-0000-7000-8000-000000000006"', b'"id":"0190"'), "id"),
        ((b'"points":{"earned":37,"redeemed":100}', b'"points":[]'), "points"),
        ((b'"handle":"ASNFZ4mrze8"', b'"handle":"ASNF"'), "credential"),
        ((b'"code":"ld1"', b'"code":"ld7"'), "credential"),
        ((b'"token_evidence":"_wAB"', b'"token_evidence":"_wAB="'), "base64url"),
        ((b'"check":{', b'"check":{ '), "canonical"),
        ((b'"money_total":124000', b'"money_total":9223372036854775808'), "canonical"),
    ],
)
def test_what_is_no_record_is_named(change, reason):
    with pytest.raises(BadRecord, match=reason):
        Record.from_payload(SALE_BYTES.replace(*change))


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"\xff", b"{" * 70_000])
def test_junk_is_no_record(payload):
    with pytest.raises(BadRecord):
        Record.from_payload(payload)


def test_an_unknown_field_is_passed_over():
    longer = SALE_BYTES.replace(b'"v":1}', b'"v":1,"zz_new":{"a":1}}')
    assert Record.from_payload(longer) == sale


def test_a_record_has_a_largest_size():
    with pytest.raises(TooLarge):
        replace(sale, check={"note": "x" * 65_536}).to_payload()


def test_totals_count_every_record_and_add_sales_and_exchanges_alone():
    totals = Totals().after(RecordKind.EPOCH_OPEN, 0, 0).after(RecordKind.SALE, 37, 100)
    assert totals == Totals(2, 37, 100)
    assert totals.after(RecordKind.REFUND, 5, 5) == Totals(3, 37, 100)
    assert totals.after(RecordKind.EXCHANGE, 1, 2) == Totals(3, 38, 102)


@given(st.lists(st.tuples(st.uuids(), st.binary(min_size=32, max_size=32)), unique=True, min_size=1, max_size=8))
def test_a_block_digest_ignores_order_and_sees_a_missing_record(members):
    assert block_digest(members) == block_digest(members[::-1])
    assert block_digest(members) != block_digest(members[1:])


@given(st.integers(0, (1 << 64) - 1))
def test_a_handle_has_one_text(handle):
    assert handle_from_text(handle_text(handle)) == handle


def test_the_numbers_of_bits_are_frozen():
    assert [kind.value for kind in ExceptionKind][:4] == ["OVERDRAFT", "FORK", "CLOCK", "LATE_EXPIRY"]
    assert (Decision.FLOOR_LIMIT, Decision.CVM) == (0, 9)


def test_a_hash_commits_to_what_came_before():
    assert chain_hash(bytes(32), b"x") != chain_hash(b"\x01" + bytes(31), b"x")
