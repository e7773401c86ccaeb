from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.code_proof import (
    Doubt,
    Permit,
    ShownStep,
    doubt_of,
    permit,
    read_evidence,
    replayed,
    step_of,
    verify_evidence,
)
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import CodeKind, parse
from loyalty_desk.domain.hash_chain import SeenChains
from loyalty_desk.domain.key_set import CodeKey, KeySet
from loyalty_desk.domain.record import ClockConfidence, Credential, Record, RecordKind, Totals
from loyalty_desk.domain.signed_codes import SignedCode, issue
from tests.loyalty_desk.domain import code_samples as sample

GOOD, FAIR, BAD = ClockConfidence.GOOD, ClockConfidence.FAIR, ClockConfidence.BAD
LD3 = parse(sample.LD3_TEXT).signed
PUBLIC = sample.KEY.public_key().public_bytes_raw()


def ask(code: SignedCode | None, at_s: int, clock: ClockConfidence = GOOD, *, keys: KeySet | None = None,
        network: UUID = sample.NETWORK, lowest: int = 0) -> Doubt | None:  # fmt: skip
    assert code is not None
    return doubt_of(code, network, keys or sample.key_set(), at_s * 1_000, clock, SeenChains(), lowest)


def key(**changes: int | None) -> KeySet:
    return sample.key_set(CodeKey(sample.KID, PUBLIC, **{"not_before": 0, **changes}))


@pytest.mark.parametrize(
    ("at", "doubt"), [(0, None), (sample.EXPIRY - 1, None), (sample.EXPIRY, Doubt.EXPIRED)]
)  # fmt: skip
def test_an_ld3_holds_until_its_expiry(at, doubt):
    assert ask(LD3, at) is doubt


@pytest.mark.parametrize(("clock", "window"), [(GOOD, 1), (FAIR, 4)])
@pytest.mark.parametrize("step", [1, 10, 20])
def test_an_ld4_holds_in_its_window_and_nowhere_else(clock, window, step):
    code = sample.rotating(step, steps=20)
    for present in range(30):
        for second in (0, 29):
            found = ask(code, sample.START + present * 30 + second, clock)
            if abs(present - step) <= window:
                assert found is None
            elif present > 20 + window:
                assert found is Doubt.EXPIRED
            else:
                assert found is (Doubt.STALE if step < present else Doubt.AHEAD)


def test_before_its_chain_began_a_code_is_ahead():
    assert ask(sample.rotating(1), sample.START - 1) is Doubt.AHEAD
    assert ask(sample.rotating(1), sample.START) is None


@pytest.mark.parametrize("code", [LD3, sample.rotating(3)])
def test_without_a_clock_a_code_is_only_an_identity(code):
    assert ask(code, sample.START + 90, BAD) is Doubt.CLOCK
    assert permit(CodeKind.LD4, Doubt.CLOCK) is Permit.IDENTITY


def test_a_code_of_another_network_is_told_apart_even_with_the_same_key_and_handle():
    foreign = issue(sample.OTHER_NETWORK, sample.KEY, sample.KID, handle=sample.HANDLE, generation=2, expiry=1 << 31)
    assert ask(foreign, 0) is Doubt.OTHER_NETWORK
    assert ask(sample.rotating(3, network=sample.OTHER_NETWORK), sample.START + 90) is Doubt.OTHER_NETWORK
    # The tag is not proof: a foreign code under our tag fails by its signature.
    assert LD3 is not None
    assert ask(replace(foreign, tag=LD3.tag), 0) is Doubt.SIGNATURE


@pytest.mark.parametrize(
    ("keys", "doubt"),
    [
        (KeySet(sample.NETWORK), Doubt.KEY_UNKNOWN),
        (sample.key_set(CodeKey(6, PUBLIC, 0)), Doubt.KEY_UNKNOWN),
        (key(revoked_at=1), Doubt.KEY_REVOKED),
        (key(not_before=(sample.START + 90 + 121) * 1_000), Doubt.KEY_UNKNOWN),
        (key(not_before=(sample.START + 90 + 120) * 1_000), None),
        (key(not_after=(sample.START + 89) * 1_000), Doubt.KEY_UNKNOWN),
        (key(not_after=(sample.START + 90) * 1_000), None),
        (sample.key_set(CodeKey(sample.KID, sample.OTHER_KEY.public_key().public_bytes_raw(), 0)), Doubt.SIGNATURE),
    ],
)
def test_a_key_counts_in_its_time(keys, doubt):
    assert ask(LD3, sample.START + 90, keys=keys) is doubt
    assert ask(sample.rotating(3), sample.START + 90, keys=keys) is doubt


@pytest.mark.parametrize(("lowest", "doubt"), [(0, None), (2, None), (3, Doubt.REVOKED)])
def test_a_raised_generation_revokes(lowest, doubt):
    assert ask(LD3, 0, lowest=lowest) is doubt
    assert ask(sample.rotating(3), sample.START + 90, lowest=lowest) is doubt


def test_a_value_that_does_not_lead_to_the_root_is_a_wrong_signature():
    code = sample.rotating(3)
    assert ask(replace(code, step=4), sample.START + 90) is Doubt.SIGNATURE
    assert ask(replace(code, value=bytes(16)), sample.START + 90) is Doubt.SIGNATURE


@pytest.mark.parametrize(("highest", "doubt"), [(0, None), (2, None), (3, Doubt.REPLAYED), (4, Doubt.REPLAYED)])
def test_a_step_pays_once(highest, doubt):
    assert replayed(sample.rotating(3), highest) is doubt
    assert replayed(LD3, highest) is None
    assert replayed(None, highest) is None


def test_a_shown_step_names_its_chain():
    code = sample.rotating(3)
    assert step_of(code) == ShownStep(sample.HANDLE, code.root, 3)
    assert step_of(LD3) is None


def test_what_each_code_allows():
    allowed = {kind: (permit(kind), permit(kind, online=True)) for kind in CodeKind}
    identity, limited, full = Permit.IDENTITY, Permit.LIMITED, Permit.FULL
    assert allowed == {
        CodeKind.LD1: (limited, limited),
        CodeKind.LD2: (identity, full),
        CodeKind.LD3: (limited, limited),
        CodeKind.LD4: (full, full),
        CodeKind.SHORT: (Permit.NOTHING, full),
        CodeKind.NUMBER: (identity, identity),
        CodeKind.PHONE: (identity, identity),
    }


@given(st.sampled_from(CodeKind), st.sampled_from(Doubt), st.booleans())
def test_a_doubt_is_never_more_than_an_identity(kind, doubt, online):
    most = Permit.NOTHING if doubt is Doubt.OTHER_NETWORK else Permit.IDENTITY
    assert permit(kind, doubt, online=online) is most


# Evidence, long after the sale.


def redemption(
    code: SignedCode | None,
    *,
    kind: CodeKind = CodeKind.LD4,
    redeemed: int = 300,
    evidence: bytes | None = None,
    clock: ClockConfidence = GOOD,
    handle: int = sample.HANDLE,
) -> Record:
    return Record(
        network=sample.NETWORK, id=UUID(int=1), device=UUID(int=2), epoch=1, seq=2, kind=RecordKind.SALE,
        store=UUID(int=3), occurred_at=0, boot_id=UUID(int=4), monotonic_ms=0, clock_conf=clock,
        business_day="2027-01-15", totals=Totals(), credential=Credential(kind, handle), points_redeemed=redeemed,
        token_evidence=code.to_bytes() if code is not None else evidence,
    )  # fmt: skip


def judge(record: Record, at_s: int, keys: KeySet | None = None, lowest: int = 0) -> Doubt | None:
    return verify_evidence(record, keys or sample.key_set(), at_s * 1_000, SeenChains(), lowest)


# Step 3 is taken until the end of step 4 with a good clock, and its sale up to 15 minutes later.
@pytest.mark.parametrize(
    ("after_start", "clock", "doubt"),
    [
        (90, GOOD, None),
        (60, GOOD, None),
        (59, GOOD, Doubt.AHEAD),
        (150 + 899, GOOD, None),
        (150 + 900, GOOD, Doubt.STALE),
        (240 + 899, FAIR, None),
        (240 + 900, FAIR, Doubt.STALE),
        (90, BAD, Doubt.CLOCK),
    ],
)
def test_evidence_holds_for_the_minutes_of_its_sale(after_start, clock, doubt):
    record = redemption(sample.rotating(3, steps=200), clock=clock)
    assert judge(record, sample.START + after_start) is doubt


def test_an_ld3_may_expire_between_its_scan_and_its_sale():
    record = redemption(LD3, kind=CodeKind.LD3)
    assert judge(record, sample.EXPIRY + 899) is None
    assert judge(record, sample.EXPIRY + 900) is Doubt.EXPIRED


def test_a_key_revoked_after_the_sale_was_good_then():
    record, sold = redemption(sample.rotating(3)), sample.START + 90
    assert judge(record, sold, key(revoked_at=(sold + 1) * 1_000)) is None
    assert judge(record, sold, key(revoked_at=(sold - 1) * 1_000)) is Doubt.KEY_REVOKED


def test_evidence_that_is_missing_or_another_ones_bears_nothing():
    sold = sample.START + 90
    assert judge(redemption(None), sold) is Doubt.MISSING
    assert judge(redemption(None, evidence=b"\0" * 119), sold) is Doubt.MALFORMED
    assert judge(redemption(sample.rotating(3), handle=5), sold) is Doubt.SIGNATURE
    assert judge(redemption(sample.rotating(3), kind=CodeKind.LD3), sold) is Doubt.MALFORMED
    assert judge(redemption(replace(sample.rotating(3), value=bytes(16))), sold) is Doubt.SIGNATURE
    assert judge(redemption(sample.rotating(3)), sold, lowest=3) is Doubt.REVOKED


def test_what_needs_no_evidence_is_not_asked_for_it():
    assert judge(redemption(None, redeemed=0), 0) is None
    assert judge(redemption(None, kind=CodeKind.LD1), 0) is None
    assert read_evidence(CodeKind.LD1, b"anything") is None


@given(st.sampled_from([CodeKind.LD3, CodeKind.LD4]), st.binary(max_size=130) | st.binary(min_size=120, max_size=120))
def test_evidence_of_any_bytes_is_read_or_refused(kind, evidence):
    try:
        assert read_evidence(kind, evidence) is not None
    except BadInput as error:
        assert error.code == "code_malformed"
    assert judge(redemption(None, kind=kind, evidence=evidence), sample.START) is not None


# Key sets as documents.


def test_a_key_set_and_its_document():
    keys = sample.key_set(CodeKey(1, PUBLIC, 5), CodeKey(2, PUBLIC, 6, 7, 8))
    assert KeySet.from_document(keys.to_document()) == keys
    assert keys.key(2) == CodeKey(2, PUBLIC, 6, 7, 8)
    assert keys.key(3) is None


@pytest.mark.parametrize(
    "change",
    [
        {"keys": None},
        {"keys": [1]},
        {"version": True},
        {"network": "nobody"},
        {"keys": [{"kid": 256, "public": "", "not_before": 0}]},
        {"keys": [{"kid": 1, "public": "AAAA", "not_before": 0}]},
        {"keys": [{"kid": 1, "not_before": 0}]},
    ],
)
def test_no_key_set_is_read_of_anything_else(change):
    with pytest.raises(ValueError):
        KeySet.from_document({**sample.key_set().to_document(), **change})
    twice = sample.key_set(CodeKey(1, PUBLIC, 5), CodeKey(1, PUBLIC, 6))
    with pytest.raises(ValueError):
        KeySet.from_document(twice.to_document())
