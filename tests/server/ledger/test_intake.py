"""Reading a push: what is no record is named, what contradicts itself is refused whole."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.record import RecordKind, Totals, chain_hash
from loyalty_desk.wire.v1.sync import Hole, PushRequest, QuarantineReason
from server.ledger.intake import MAX_AMOUNT, MAX_TOTAL, BadPush, ForgedPush, Incoming, read_part, require_whole
from tests.server.fake_till import FakeTill


@pytest.fixture
def till() -> FakeTill:
    from uuid import UUID

    till = FakeTill(UUID(int=1), UUID(int=2))
    till.open_epoch()
    for _ in range(4):
        till.sale()
    return till


def read(till: FakeTill, push: PushRequest) -> list[Incoming]:
    require_whole(push, till.key.public_key())
    return read_part(push, 0, len(push.records))


def test_honest_records_are_read(till: FakeTill) -> None:
    got = read(till, till.push())
    assert [one.seq for one in got] == [1, 2, 3, 4, 5]
    assert all(one.record is not None and one.fault is None for one in got)


def test_an_edited_record_is_named_and_its_neighbours_stand(till: FakeTill) -> None:
    push = till.push()
    edited = push.records[2].payload.replace(b'"money_total":10000', b'"money_total":10')
    push.records[2] = msgspec.structs.replace(push.records[2], payload=edited)
    assert [one.fault for one in read(till, push)] == [None, None, QuarantineReason.BAD_HASH, None, None]


def test_an_edited_record_with_its_hash_made_anew_breaks_the_chain_at_itself(till: FakeTill) -> None:
    push = till.push()
    old = push.records[2]
    edited = old.payload.replace(b'"money_total":10000', b'"money_total":10')
    push.records[2] = msgspec.structs.replace(old, payload=edited, hash=chain_hash(old.prev, edited))
    assert [one.fault for one in read(till, push)] == [None, None, QuarantineReason.BAD_HASH, None, None]


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"not json",
        b'{"v":2}',
        b"[]",
        b'{"a":9223372036854775808}',
        b'{"a":"\\u0000"}',
        b"x" * (64 * 1024 + 1),
        b"[" * 60_000,
    ],
)
def test_poison_is_bad_schema(till: FakeTill, poison: bytes) -> None:
    push = till.push()
    last = push.records[-1]
    digest = chain_hash(last.prev, poison)
    from loyalty_desk.domain.record import head_message

    sig = till.key.sign(head_message(till.network, till.device, till.epoch, last.seq, digest))
    push.records[-1] = msgspec.structs.replace(last, payload=poison, hash=digest)
    got = read(till, msgspec.structs.replace(push, head_sig=sig))
    assert [one.fault for one in got] == [None] * 4 + [QuarantineReason.BAD_SCHEMA]


def test_an_envelope_that_differs_from_the_bytes_is_bad_schema(till: FakeTill) -> None:
    push = till.push()
    push.records[1] = msgspec.structs.replace(push.records[1], id=till.new_id())
    assert read(till, push)[1].detail == "id differs from the push"


def test_contradictions_are_refused_whole(till: FakeTill) -> None:
    with pytest.raises(BadPush, match="record 0 has seq 1"):
        read(till, till.push(from_seq=2))
    with pytest.raises(BadPush, match="hole"):
        read(till, till.push(till.journal[2:], holes=[Hole(2, 3, "lost")]))


def test_another_key_is_a_forgery(till: FakeTill) -> None:
    with pytest.raises(ForgedPush):
        require_whole(till.push(), Ed25519PrivateKey.generate().public_key())
    with pytest.raises(ForgedPush):
        read(till, till.push(head_sig=till.journal[0].sig))


def test_an_empty_push_is_empty(till: FakeTill) -> None:
    assert read(till, till.push([])) == []


@pytest.mark.parametrize(
    "absurd", [{"earned": MAX_AMOUNT + 1}, {"redeemed": MAX_AMOUNT + 1}, {"total": MAX_AMOUNT + 1}, {"earned": 1 << 62}]
)
def test_a_figure_that_no_till_can_reach_is_set_aside_alone(till: FakeTill, absurd: dict[str, int]) -> None:
    before = till.totals
    till.sale(**absurd)
    till.totals = before
    till.sale(earned=MAX_AMOUNT)
    assert [one.fault for one in read(till, till.push())][-2:] == [QuarantineReason.BAD_SCHEMA, None]


def test_running_totals_near_the_end_of_the_integers_are_set_aside(till: FakeTill) -> None:
    till.totals = Totals(5, MAX_TOTAL + 1, 0)
    till.sale()
    (*_, last) = read(till, till.push())
    assert (last.fault, last.detail) == (QuarantineReason.BAD_SCHEMA, f"running totals above {MAX_TOTAL}")


def test_an_epoch_that_opens_in_the_middle_is_set_aside_alone(till: FakeTill) -> None:
    till.write(RecordKind.EPOCH_OPEN, opened_reason="rollback")
    till.sale()
    assert [(one.seq, one.fault, one.detail) for one in read(till, till.push()) if one.record is None] == [
        (6, QuarantineReason.BAD_SCHEMA, "an epoch opens in the middle")
    ]
