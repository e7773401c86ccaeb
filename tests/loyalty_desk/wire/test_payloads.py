"""The compiled reading of a record against the domain's own: the same record, the same refusals."""

import json
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain import canonical
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import BadRecord, ClockConfidence, Credential, Record, RecordKind, Totals
from loyalty_desk.wire.v1 import payloads
from loyalty_desk.wire.v1.payloads import read_record, read_stored

CHECK = {"currency": "RUB", "lines": [{"id": "l1", "name": "Чай", "net": 100}], "total": 100, "uses": {}}
SALE = Record(
    network=UUID(int=1),
    id=UUID(int=2),
    device=UUID(int=3),
    epoch=(1 << 63) - 1,
    seq=2,
    kind=RecordKind.SALE,
    store=UUID(int=4),
    occurred_at=1_780_000_000_000,
    boot_id=UUID(int=5),
    monotonic_ms=7,
    clock_conf=ClockConfidence.GOOD,
    business_day="2026-05-28",
    totals=Totals(2, 5, 0),
    check=CHECK,
    guest_id=UUID(int=6),
    points_earned=5,
    money_total=100,
)
PAYLOAD = SALE.to_payload()


def outcome(read, payload: bytes) -> Record | str:
    try:
        return read(payload)
    except BadRecord as error:
        return str(error)


def test_a_record_is_read_without_the_slow_way(monkeypatch):
    monkeypatch.delattr(Record, "from_payload")
    monkeypatch.delattr(Record, "from_fields")
    assert payloads.read_record(PAYLOAD) == SALE


@given(
    st.integers(0, len(PAYLOAD) - 1),
    st.sampled_from(b'"\\:,[]{}0123456789-.eE aZ_\xcc\x81\x00\x1f\xff'),
    st.sampled_from([0, 1]),
)
def test_whatever_is_changed_both_readings_say_the_same(at, byte, taken):
    changed = PAYLOAD[:at] + bytes([byte]) + PAYLOAD[at + taken :]
    assert outcome(read_record, changed) == outcome(Record.from_payload, changed)


@pytest.mark.parametrize(
    "value",
    [b"1.0", b"1e3", b"-0", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809",
     b"18446744073709551616", b'"\\n"', b'"\\u001f"', b'"a\\"b"', '"e\u0301"'.encode(), b'{"A":1}', b'{"":1}',
     b'{"b":1,"a":1}', b'{"a":1,"a":1}', b"[" * 70 + b"]" * 70,
     b"[" * 30_000 + b"]" * 30_000, b'"' + b"x" * 70_000 + b'"'],
)  # fmt: skip
def test_what_is_awkward_is_judged_alike(value):
    payload = PAYLOAD.replace(b'"currency":"RUB"', b'"currency":' + value)
    assert payload != PAYLOAD
    assert outcome(read_record, payload) == outcome(Record.from_payload, payload)


@given(st.integers(0, len(PAYLOAD) - 1), st.sampled_from(b'"\\:,[]{}0123456789-.eE aZ_\xcc\x81\x00\x1f\xff'))
def test_what_could_be_stored_is_read_back_the_same_and_what_is_damaged_since_raises_nothing_else(at, byte):
    changed = PAYLOAD[:at] + bytes([byte]) + PAYLOAD[at + 1 :]
    taken, again = outcome(read_record, changed), outcome(read_stored, changed)
    assert again == taken or isinstance(taken, str)


def test_bytes_that_are_no_record_are_none_when_they_are_read_back_either():
    for damaged in (b"", b"x", b"[]", b"{}", b"[" * 30_000, PAYLOAD[:-1], PAYLOAD.replace(b'"sale"', b'"snail"')):
        with pytest.raises(BadRecord):
            read_stored(damaged)


FULL = replace(
    SALE,
    cashier="anna",
    receipt_no="17",
    credential=Credential(CodeKind.LD1, 99),
    points_redeemed=3,
    cache_feed_seq=4,
    known_balance=-5,
    decision_bits=6,
    token_evidence=b"raw",
    reverses_id=UUID(int=0xABCDEF),
    opened_reason="enrol",
)
FIELDS = json.loads(FULL.to_payload())


def test_everything_a_record_can_hold_is_read_without_the_slow_way(monkeypatch):
    monkeypatch.delattr(Record, "from_fields")
    assert read_record(FULL.to_payload()) == FULL


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value",
    [..., None, True, -1, 7, "", "x", "A" * 36, str(UUID(int=0xABCDEF)).upper(), UUID(int=9).hex, UUID(int=9).hex[:-4]
     + "----", str(UUID(int=9)), {}, {"earned": 1}, {"earned": 1, "redeemed": -1}, {"code": "ld9"}, []],
    ids=repr,
)  # fmt: skip
def test_a_field_that_is_wrong_or_missing_is_judged_alike(field, value):
    fields = {name: one for name, one in FIELDS.items() if name != field}
    payload = canonical.encode(fields if value is ... else {**fields, field: value})
    assert outcome(read_record, payload) == outcome(Record.from_payload, payload)


def test_an_escape_is_read_the_slow_way():
    noted = replace(SALE, check={**CHECK, "note": 'a "b"\x01'})
    assert read_record(noted.to_payload()) == noted


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"1", b"\xff"])
def test_what_is_no_object_is_no_record(payload):
    with pytest.raises(BadRecord):
        read_record(payload)
