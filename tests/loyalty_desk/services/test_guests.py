"""What a till makes of LD2, LD3 and LD4: who it is, what may be spent, and that each step pays once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.domain.canonical import Json, bytes_to_text
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.code_proof import Doubt, Permit
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import CodeKind, ld1, ld2, member_number, parse
from loyalty_desk.domain.hash_chain import ChainOwner
from loyalty_desk.domain.key_set import CodeKey, KeySet
from loyalty_desk.domain.record import Decision, Record
from loyalty_desk.domain.signed_codes import (
    RotatingCode,
    begin_chain,
    chain_values,
    code_text,
    issue,
    network_tag,
    shown,
)
from loyalty_desk.services.guests import OnlyServerKnows
from loyalty_desk.services.ports.journal import PHONE_KEY
from loyalty_desk.services.proof import NEEDS_SERVER
from loyalty_desk.services.sentences import SENTENCES
from loyalty_desk.wire.v1.lookup import LookupBy
from loyalty_desk.wire.v1.phones import phone_hash
from tests.loyalty_desk.domain.code_samples import KEY, LAST, OTHER_KEY, OTHER_NETWORK
from tests.loyalty_desk.till_parts import (
    ANNA,
    ANNA_CARD,
    GUEST,
    HANDLE,
    NETWORK,
    Counter,
    make_counter,
    stocked,
    stored_program,
)

KID = 7
OTHER_GUEST = UUID("55555555-5555-4555-8555-555555555555")
PUBLIC = KEY.public_key().public_bytes_raw()


def keys(counter: Counter, *listed: CodeKey, version: int = 1) -> None:
    """Put a key set in force, as a pull does once the root's signature has held."""
    known = listed or (CodeKey(KID, PUBLIC, 0),)
    document = KeySet(NETWORK, version, 0, known).to_document()
    counter.parts.journal.put("keyset", {"document": document, "sig": ""})


def now_s(counter: Counter) -> int:
    return to_ms(counter.parts.trusted.corrected()) // 1_000


def till(folder: Path) -> Counter:
    counter = stocked(folder)
    counter.feed(("profile", "default", {"cvm": {"ld1": 100, "ld3": 100, "ld4": 10_000}}))
    counter.synced()
    keys(counter)
    return counter


def phone(counter: Counter, step: int = 1, *, begun: int | None = None, steps: int = 40, generation: int = 0,
          handle: int = HANDLE, balance: int = 0, tier: int = 255) -> str:  # fmt: skip
    """Return the code that a phone shows `step` steps after its chain began, by default a moment ago."""
    start = now_s(counter) if begun is None else begun
    values = chain_values(ChainOwner(NETWORK, handle, generation), LAST, steps)
    begun_chain = begin_chain(
        NETWORK, KEY, KID, handle=handle, generation=generation, start=start, steps=steps, root=values[0],
        balance=balance, tier=tier,
    )  # fmt: skip
    return code_text(shown(begun_chain, begun_chain.signature, step, values[step]))


def card_code(counter: Counter, *, life: int = 86_400, handle: int = HANDLE, generation: int = 0) -> str:
    return code_text(
        issue(NETWORK, KEY, KID, handle=handle, generation=generation, expiry=now_s(counter) + life, tier=1)
    )


def test_an_ld4_spends_up_to_the_limits_and_carries_its_evidence(tmp_path: Path) -> None:
    counter = till(tmp_path)
    text = phone(counter)
    done = counter.sell(text, 2_000, points=300)
    assert done.quote.redeemed_points == 300
    [*_, sealed] = counter.parts.journal.records(counter.parts.journal.head().epoch, 1, 100)
    record = Record.from_payload(sealed.payload)
    assert record.credential is not None
    assert (record.credential.code, record.credential.handle, record.guest_id) == (CodeKind.LD4, HANDLE, GUEST)
    assert record.token_evidence is not None
    assert RotatingCode.from_bytes(record.token_evidence).step == 1


def test_a_code_that_only_earned_leaves_no_evidence_and_uses_no_step(tmp_path: Path) -> None:
    counter = till(tmp_path)
    text = phone(counter)
    counter.sell(text, 100)
    [*_, sealed] = counter.parts.journal.records(counter.parts.journal.head().epoch, 1, 100)
    assert Record.from_payload(sealed.payload).token_evidence is None
    assert counter.checkout.identify(text).allowance.max_points > 0


def test_an_ld3_spends_as_a_card(tmp_path: Path) -> None:
    counter = till(tmp_path)
    card = counter.checkout.identify(card_code(counter))
    assert (card.guest_id, card.doubt, card.permit) == (GUEST, None, Permit.LIMITED)
    assert (card.allowance.max_points, card.allowance.reason) == (100, "code_limit")
    assert card.evidence is not None
    assert len(card.evidence) == 81


def test_a_step_pays_once_and_a_later_one_again(tmp_path: Path) -> None:
    counter = till(tmp_path)
    begun = now_s(counter)
    first = phone(counter, 1, begun=begun)
    twice = counter.draft(first, 1_000, points=50)
    quote = counter.checkout.price(twice)
    counter.sell(first, 1_000, points=50)
    again = counter.checkout.identify(first)
    assert (again.allowance.max_points, again.allowance.reason) == (0, "code_replayed")
    assert again.allowance.bits_for(50, None) & 1 << Decision.CVM
    # Another check for which the same code was scanned before: it is refused when it would pay, not when it was seen.
    with pytest.raises(Refused) as refused:
        counter.checkout.confirm(twice, quote)
    assert (refused.value.code, refused.value.facts["reason"]) == ("redemption_refused", "code_replayed")
    counter.sell(first, 1_000)
    counter.parts.clock.advance(seconds=30)
    assert counter.sell(phone(counter, 2, begun=begun), 1_000, points=50).quote.redeemed_points == 50


def test_a_step_that_paid_is_known_after_a_restart(tmp_path: Path) -> None:
    counter = till(tmp_path)
    text = phone(counter)
    counter.sell(text, 1_000, points=50)
    root = RotatingCode.from_bytes(counter.checkout.identify(text).evidence or b"").root
    counter.parts.journal.close()
    again = make_counter(tmp_path, clock=counter.parts.clock)
    assert again.parts.journal.redeemed_step(HANDLE, root) == 1
    assert again.parts.journal.redeemed_step(HANDLE, bytes(16)) == 0
    assert again.parts.journal.redeemed_step(HANDLE + 1, root) == 0


def test_a_step_that_paid_elsewhere_is_known_after_a_pull(tmp_path: Path) -> None:
    counter = till(tmp_path)
    begun = now_s(counter)
    text = phone(counter, 1, begun=begun)
    root = RotatingCode.from_bytes(counter.checkout.identify(text).evidence or b"").root
    _, key, row = ANNA_CARD
    for told, step, reason in ((root, 1, "code_replayed"), (bytes(16), 9, None), (root, 0, None)):
        counter.feed(("credential", key, {**row, "root": bytes_to_text(told), "step": step}))
        counter.synced()
        assert (counter.checkout.identify(text).allowance.reason == "code_replayed") is (reason is not None)


DOUBTS = {
    "stale": Doubt.STALE,
    "ahead": Doubt.AHEAD,
    "expired": Doubt.EXPIRED,
    "generation": Doubt.REVOKED,
    "no_key": Doubt.KEY_UNKNOWN,
    "revoked_key": Doubt.KEY_REVOKED,
    "forged": Doubt.SIGNATURE,
}


@pytest.mark.parametrize("what", DOUBTS)
def test_a_code_in_doubt_names_the_guest_and_pays_nothing(tmp_path: Path, what: str) -> None:
    counter = till(tmp_path)
    here = now_s(counter)
    text = phone(counter)
    if what == "stale":
        text = phone(counter, 2, begun=here - 300)
    elif what == "ahead":
        text = phone(counter, 20)
    elif what == "expired":
        text = card_code(counter, life=0)
    elif what == "generation":
        _, key, row = ANNA_CARD
        counter.feed(("credential", key, {**row, "generation": 1}))
        counter.synced()
    elif what == "no_key":
        keys(counter, CodeKey(KID + 1, PUBLIC, 0))
    elif what == "revoked_key":
        keys(counter, CodeKey(KID, PUBLIC, 0, None, 1))
    else:
        keys(counter, CodeKey(KID, OTHER_KEY.public_key().public_bytes_raw(), 0))
    card = counter.checkout.identify(text)
    assert (card.guest_id, card.doubt, card.permit) == (GUEST, DOUBTS[what], Permit.IDENTITY)
    assert (card.allowance.max_points, card.allowance.reason) == (0, DOUBTS[what].value)
    assert counter.sell(text, 500).quote.earned_points > 0
    with pytest.raises(Refused) as refused:
        counter.sell(text, 500, points=10)
    assert (refused.value.code, refused.value.facts["reason"]) == ("redemption_refused", DOUBTS[what].value)


def test_with_a_wrong_clock_a_code_is_an_identity_and_nothing_breaks(tmp_path: Path) -> None:
    counter = till(tmp_path)
    text = phone(counter)
    counter.parts.clock.clock.at -= timedelta(days=365 * 56)
    card = counter.checkout.identify(text)
    assert (card.guest_id, card.doubt) == (GUEST, Doubt.CLOCK)
    assert card.allowance.max_points == 0
    counter.sell(text, 100)


def test_a_code_of_another_network_is_refused_with_its_own_word(tmp_path: Path) -> None:
    counter = till(tmp_path)
    foreign = issue(OTHER_NETWORK, KEY, KID, handle=HANDLE, generation=0, expiry=1 << 31)
    for code in (foreign, replace(foreign, generation=9)):
        with pytest.raises(Refused) as refused:
            counter.checkout.identify(code_text(code))
        assert refused.value.code == "code_other_network"
    disguised = replace(foreign, tag=network_tag(NETWORK))
    assert counter.checkout.identify(code_text(disguised)).doubt is Doubt.SIGNATURE


def test_a_blocked_credential_is_refused_whatever_the_code(tmp_path: Path) -> None:
    counter = till(tmp_path)
    _, key, row = ANNA_CARD
    counter.feed(("credential", key, {**row, "state": "blocked"}))
    for text in (phone(counter), card_code(counter)):
        with pytest.raises(Refused) as refused:
            counter.checkout.identify(text)
        assert refused.value.code == "card_blocked"
    # Found again: the card is good, and what was signed before it was blocked is not.
    counter.feed(("credential", key, {**row, "state": "active", "generation": 1}))
    assert counter.checkout.identify(ld1(HANDLE)).doubt is None
    assert counter.checkout.identify(card_code(counter)).doubt is Doubt.REVOKED


def test_a_guest_the_till_has_never_heard_of_earns_by_a_code_in_order(tmp_path: Path) -> None:
    counter = till(tmp_path)
    card = counter.checkout.identify(card_code(counter, handle=5))
    assert (card.guest_id, card.credential.handle, card.allowance.max_points) == (None, 5, 0)
    # Points as in the tier that asks for nothing: what a till records is what the server posts.
    assert (card.facts.guest_id, card.facts.tier, card.facts.points) == (None, "BRONZE", 0)
    counter.sell(card_code(counter, handle=5), 100)
    gold = counter.checkout.identify(phone(counter, handle=6, tier=1))
    assert (gold.guest_id, gold.tier, gold.permit) == (None, "GOLD", Permit.FULL)
    # 10% for the tier that the network has signed; no points without a balance.
    assert counter.sell(phone(counter, handle=6, tier=1), 100).quote.total == 90_00
    # A tier that this program does not have is none that the network has signed.
    assert counter.checkout.identify(phone(counter, handle=7, tier=200)).tier == "BRONZE"
    assert counter.sell(phone(counter, handle=7, tier=200), 100).quote.total == 100_00
    with pytest.raises(Refused) as refused:
        counter.checkout.identify(card_code(counter, handle=5, life=0))
    assert refused.value.code == "code_expired"


def test_a_wallet_pass_names_its_guest_and_pays_with_the_server_alone(tmp_path: Path) -> None:
    counter = till(tmp_path)
    with pytest.raises(Refused) as refused:
        counter.checkout.identify(ld2(HANDLE, "12345678"))
    assert refused.value.code == "card_kind"
    _, key, row = ANNA_CARD
    counter.feed(("credential", key, {**row, "kind": "wallet"}))
    counter.synced()
    card = counter.checkout.identify(ld2(HANDLE, "12345678"))
    assert (card.guest_id, card.credential.code, card.permit) == (GUEST, CodeKind.LD2, Permit.IDENTITY)
    assert (card.allowance.max_points, card.allowance.reason) == (0, "code_needs_server")


def test_while_guests_load_any_code_of_ours_earns_by_its_handle(tmp_path: Path) -> None:
    counter = make_counter(tmp_path)
    counter.parts.journal.remember_program(stored_program())
    counter.feed(ANNA, more=True)
    for text in (phone(counter), card_code(counter), ld2(HANDLE, "12345678")):
        card = counter.checkout.identify(text)
        assert (card.guest_id, card.credential.handle, card.allowance.max_points) == (None, HANDLE, 0)
        counter.sell(text, 100)


def test_a_key_revoked_between_scan_and_sale_stops_the_redemption(tmp_path: Path) -> None:
    counter = till(tmp_path)
    draft = counter.draft(phone(counter), 1_000, points=50)
    quote = counter.checkout.price(draft)
    keys(counter, CodeKey(KID, PUBLIC, 0, None, 1), version=2)
    with pytest.raises(Refused) as refused:
        counter.checkout.confirm(draft, quote)
    assert refused.value.facts["reason"] == "code_key_revoked"


def test_a_code_scanned_in_time_pays_minutes_later(tmp_path: Path) -> None:
    counter = till(tmp_path)
    draft = counter.draft(phone(counter), 1_000, points=50)
    quote = counter.checkout.price(draft)
    counter.parts.clock.advance(seconds=600)
    assert counter.checkout.confirm(draft, quote).quote.redeemed_points == 50


def test_every_doubt_has_both_its_sentences() -> None:
    spoken = set(Doubt) - {Doubt.MALFORMED, Doubt.MISSING, Doubt.OTHER_NETWORK}
    wanted = {doubt.value for doubt in spoken} | {f"limit_{doubt.value}" for doubt in spoken}
    wanted |= {"code_malformed", "code_other_network", f"limit_{NEEDS_SERVER}"}
    assert wanted - set(SENTENCES) == set()
    said = [SENTENCES[doubt.value] for doubt in Doubt if doubt.value in SENTENCES]
    assert len(set(said)) == len(said)


def phones(counter: Counter, *owners: tuple[UUID, str], key: bytes = bytes(32)) -> None:
    """Have the network's key of phones told, and guests with a phone."""
    counter.parts.journal.put(PHONE_KEY, bytes_to_text(key))
    for owner, number in owners:
        counter.feed(("guest", str(owner), {**ANNA[2], "phone_hash": bytes_to_text(phone_hash(bytes(32), number))}))


@pytest.mark.parametrize("typed", ["+7 916 123-45-67", "8 (916) 123-45-67", "89161234567", "9161234567"])
def test_a_phone_names_its_guest_without_the_server_and_lets_nothing_be_spent(tmp_path: Path, typed: str) -> None:
    counter = till(tmp_path)
    phones(counter, (GUEST, "+79161234567"))
    found = counter.checkout.identify(typed)
    assert (found.guest_id, found.credential.code, found.points) == (GUEST, CodeKind.PHONE, 400)
    assert found.allowance.max_points == 0
    assert counter.sell(typed, 1_000).quote.earned_points > 0


def test_a_phone_that_passes_for_a_member_number_names_its_guest_all_the_same(tmp_path: Path) -> None:
    counter = till(tmp_path)
    assert parse("9161234563").kind is CodeKind.NUMBER
    phones(counter, (GUEST, "+79161234563"))
    found = counter.checkout.identify("9161234563")
    assert (found.guest_id, found.credential.code) == (GUEST, CodeKind.PHONE)
    with pytest.raises(Refused, match="number_unknown"):
        counter.checkout.identify(member_number(916765432))


def test_a_phone_that_nobody_here_has_is_asked_of_the_server(tmp_path: Path) -> None:
    counter = till(tmp_path)
    phones(counter, (GUEST, "+79161234567"))
    for told in (bytes(32), b"another key, from another network", b""):
        counter.parts.journal.put(PHONE_KEY, bytes_to_text(told))
        with pytest.raises(OnlyServerKnows) as unknown:
            counter.checkout.identify("+7 916 765-43-21" if told == bytes(32) else "+7 916 123-45-67")
        assert (unknown.value.code, unknown.value.by) == ("needs_server", LookupBy.PHONE)


def test_a_phone_that_two_share_is_asked_of_the_server(tmp_path: Path) -> None:
    counter = till(tmp_path)
    phones(counter, (GUEST, "+79161234567"), (OTHER_GUEST, "+79161234567"))
    with pytest.raises(OnlyServerKnows):
        counter.checkout.identify("+7 916 123-45-67")


def test_a_phone_that_has_changed_hands_names_its_new_owner_after_the_next_pull(tmp_path: Path) -> None:
    """Until then the old one, by the name that the window shows, and nothing of theirs can be spent."""
    counter = till(tmp_path)
    phones(counter, (GUEST, "+79161234567"))
    before = counter.checkout.identify("+7 916 123-45-67")
    assert (before.name, before.allowance.max_points) == ("Анна", 0)
    told = {"name": "Boris", "phone_hash": bytes_to_text(phone_hash(bytes(32), "+79161234567"))}
    counter.feed(ANNA, ("guest", str(OTHER_GUEST), told))
    after = counter.checkout.identify("+7 916 123-45-67")
    assert (after.guest_id, after.name, after.allowance.max_points) == (OTHER_GUEST, "Boris", 0)


@pytest.mark.parametrize("kept", ["not base64 !!", "a", "ключ", "AAAA=", 5, {"a": 1}])
@pytest.mark.parametrize("typed", ["+7 916 123-45-67", "9161234563"])
def test_a_key_of_phones_that_is_spoilt_is_as_none(tmp_path: Path, kept: Json, typed: str) -> None:
    counter = till(tmp_path)
    phones(counter, (GUEST, "+79161234567"))
    counter.parts.journal.put(PHONE_KEY, kept)
    with pytest.raises(Refused):
        counter.checkout.identify(typed)
