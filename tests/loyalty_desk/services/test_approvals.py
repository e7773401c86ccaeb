"""What a manager may let through, and what even a manager may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import check_from_payload, drift
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.contents import (
    AdjustContents,
    AdjustReason,
    Overridden,
    OverrideContents,
    RegisterContents,
    TransferContents,
    contents_of,
)
from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.domain.guest_code import CodeKind, ld1
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.wire.v1.lookup import FoundGuest
from tests.loyalty_desk.services.counter_services import BOSS, Services
from tests.loyalty_desk.till_parts import ANNA, CARD, GUEST, NUMBER, make_counter, stocked, stored_program

OTHER = UUID("66666666-6666-4666-8666-666666666666")
FREE_CARD = ld1(0x0123456789ABCDEF)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    counter = stocked(tmp_path)
    counter.feed(("guest", str(OTHER), {"name": "Ольга", "member_no": "1000000024", "points": 10}))
    yield Services(counter)
    counter.parts.journal.close()
    counter.cache.close()


def refused(call: Callable[..., object], *args: object, **more: object) -> ForPerson:
    with pytest.raises(ForPerson) as found:
        call(*args, **more)
    return found.value


def anna(services: Services):
    return services.counter.checkout.identify(CARD)


def olga(services: Services):
    return services.counter.checkout.identify("1000000024")


# points by hand


def test_a_credit_is_in_the_journal_with_both_names_and_no_free_text(services: Services) -> None:
    done = services.approvals.adjust(anna(services), 50, AdjustReason.GOODWILL, BOSS, " Спилили  кофе ")
    assert done.balance_after == 450
    [record] = services.records(RecordKind.ADJUST)
    contents = contents_of(record)
    assert isinstance(contents, AdjustContents)
    assert (record.cashier, contents.approved_by, record.points_earned) == ("anna.k", "boss", 50)
    assert "кофе".encode() not in record.to_payload()
    kept = services.counter.parts.journal.private(record.id)
    assert kept is not None
    assert Private.from_bytes(kept).fields.comment == "Спилили кофе"
    assert Private.from_bytes(kept).digest == contents.digest


def test_a_debit_takes_what_is_there_and_no_more(services: Services) -> None:
    assert services.approvals.adjust(anna(services), -400, AdjustReason.MISTAKE, BOSS).balance_after == 0
    found = refused(services.approvals.adjust, anna(services), -1, AdjustReason.MISTAKE, BOSS)
    assert (found.code, found.facts) == ("by_hand_too_many", {"points": 0})
    # A debit by hand is no redemption: it uses up none of the offline limits.
    assert services.counter.parts.journal.offline_use(GUEST).guest_count == 0


def test_points_by_hand_need_a_manager_a_guest_and_an_amount(services: Services) -> None:
    adjust, card = services.approvals.adjust, anna(services)
    cashier = replace(BOSS, role="cashier")
    assert refused(adjust, card, 1, AdjustReason.OTHER, cashier).code == "approval_needed"
    assert refused(adjust, card, 0, AdjustReason.OTHER, BOSS).code == "points_by_hand"
    assert refused(adjust, card, 10**12, AdjustReason.OTHER, BOSS).code == "points_by_hand_most"
    assert refused(adjust, card, 1, AdjustReason.OTHER, BOSS, "x" * 201).code == "comment_too_long"
    nobody = replace(card, guest_id=None)
    assert refused(adjust, nobody, 1, AdjustReason.OTHER, BOSS).code == "by_hand_guest_unknown"
    assert services.records(RecordKind.ADJUST) == []


def test_a_transfer_leaves_one_guest_for_another(services: Services) -> None:
    done = services.approvals.transfer(anna(services), olga(services), 150, AdjustReason.FAMILY, BOSS)
    assert done.balance_after == 250
    [record] = services.records(RecordKind.TRANSFER)
    assert contents_of(record) == TransferContents(OTHER, AdjustReason.FAMILY, "boss")
    assert (record.guest_id, record.points_redeemed) == (GUEST, 150)
    again = refused(services.approvals.transfer, anna(services), olga(services), 251, AdjustReason.FAMILY, BOSS)
    assert again.code == "by_hand_too_many"
    to_self = refused(services.approvals.transfer, anna(services), anna(services), 1, AdjustReason.FAMILY, BOSS)
    assert to_self.code == "transfer_to_self"


# a limit lifted once


def test_the_upper_limit_is_lifted_for_one_redemption_and_never_the_sums(services: Services) -> None:
    counter = services.counter
    assert refused(services.approvals.lift_limit, anna(services), BOSS).code == "override_not_needed"
    counter.sell(CARD, 200, 10)
    counter.sell(CARD, 200, 10)
    assert anna(services).allowance.reason == "upper_consecutive"
    services.approvals.lift_limit(anna(services), BOSS)
    [record] = services.records(RecordKind.OVERRIDE)
    assert contents_of(record) == OverrideContents(Overridden.UPPER_CONSECUTIVE, "boss")
    assert anna(services).allowance.max_points == 100
    assert refused(services.approvals.lift_limit, anna(services), BOSS).code == "override_not_needed"
    counter.sell(CARD, 200, 10)
    assert anna(services).allowance.reason == "upper_consecutive"
    assert refused(services.approvals.lift_limit, anna(services), BOSS).code == "override_used"


def test_a_lifted_limit_outlives_a_restart_and_ends_with_the_next_sync(services: Services) -> None:
    counter = services.counter
    for _ in range(2):
        counter.sell(CARD, 200, 10)
    services.approvals.lift_limit(anna(services), BOSS)
    folder, clock = counter.parts.folder, counter.parts.clock
    counter.parts.journal.close()
    counter.cache.close()
    again = make_counter(folder, clock=clock)
    assert again.checkout.identify(CARD).allowance.max_points == 100
    clock.advance(seconds=60)
    again.cache.completed(again.parts.trusted.now_ms(), clock.boot_id, clock.monotonic_ms())
    assert again.checkout.identify(CARD).allowance.reason == "upper_consecutive"
    again.parts.journal.close()
    again.cache.close()


# the tier's discount by a code that anybody may have copied


def test_a_weak_code_gives_the_tiers_discount_on_so_many_checks_a_day(services: Services) -> None:
    counter = services.counter
    first = [counter.sell(NUMBER, 100) for _ in range(2)]
    assert [one.quote.discount_total for one in first] == [1_000, 1_000]
    third = counter.sell(NUMBER, 100)
    assert (third.quote.discount_total, third.tier_withheld) == (0, True)
    services.approvals.lift_tier_cap(anna(services), BOSS)
    assert counter.sell(CARD, 100).quote.discount_total == 1_000
    assert counter.sell(CARD, 100).tier_withheld
    counter.parts.clock.advance(days=1)
    assert counter.sell(NUMBER, 100).quote.discount_total == 1_000


def test_a_weak_code_gives_the_tiers_discount_up_to_an_amount(services: Services) -> None:
    counter = services.counter
    assert counter.sell(NUMBER, 25_000).quote.discount_total == 250_000
    draft = counter.draft(NUMBER, 5_001)
    assert (counter.checkout.price(draft).discount_total, counter.checkout.tier_withheld(draft)) == (0, True)
    assert counter.sell(NUMBER, 5_000).quote.discount_total == 50_000


def test_beyond_the_bounds_a_check_loses_the_tiers_discount_and_earns_by_the_tier_on_all_that_is_paid(
    services: Services,
) -> None:
    counter = services.counter
    within = [counter.sell(NUMBER, 100) for _ in range(2)]
    assert [(one.quote.total, one.quote.earned_points) for one in within] == [(9_000, 4), (9_000, 4)]
    beyond = counter.sell(NUMBER, 100)
    assert (beyond.quote.total, beyond.quote.earned_points, beyond.tier_withheld) == (10_000, 5, True)
    assert {note.code for note in beyond.quote.explanation} == {"tier_withheld", "tier_points"}
    assert counter.sell(CARD, 100, 10).quote.earned_points == 4
    priced_again_alike(services)


def test_a_program_that_earns_by_tier_earns_the_same_however_often_such_a_code_is_shown(tmp_path: Path) -> None:
    counter = stocked(tmp_path / "earning", model="points")
    sold = [counter.sell(NUMBER, 100) for _ in range(4)]
    assert [(one.quote.earned_points, one.tier_withheld) for one in sold] == [(5, False)] * 4
    counter.parts.journal.close()
    counter.cache.close()


def test_a_rule_for_a_tier_still_earns_beyond_the_bounds(tmp_path: Path) -> None:
    rules: list[Json] = [
        {
            "id": "gold",
            "name": {"en": "Gold days"},
            "effects": [{"type": "bonus_fixed", "points": 7}],
            "conditions": [{"type": "tiers", "tiers": ["GOLD"]}],
        }
    ]
    counter = stocked(tmp_path / "rules", rules=rules)
    sold = [counter.sell(NUMBER, 100).quote for _ in range(3)]
    assert [(one.discount_total, one.earned_points) for one in sold] == [(1_000, 11), (1_000, 11), (0, 12)]
    priced_again_alike(Services(counter), rules=rules)
    counter.parts.journal.close()
    counter.cache.close()


def priced_again_alike(services: Services, **changes: Json) -> None:
    """Want the server's pricing of every sale to say what the till said."""
    program = Program.from_bytes(stored_program(**changes).bytes)
    for record in services.records(RecordKind.SALE):
        check = canonical.decode_object(canonical.encode(record.check))
        priced = check_from_payload(check).quoted(program, from_ms(check["at"]))
        assert drift(check_from_payload(check).claimed, priced) == []


def test_a_code_that_proves_itself_has_no_such_bounds(services: Services) -> None:
    services.counter.feed(("profile", "default", {"tier_codes": ["ld1"], "cvm": {"ld1": 100}}))
    assert [services.counter.sell(CARD, 100).tier_withheld for _ in range(4)] == [False] * 4


# registration

FIELDS = GuestFields(name="  Ирина   П ", phone="8 (916) 123-45-67", birthday=date(1990, 3, 4))


def test_a_guest_registered_offline_earns_at_once_and_spends_nothing(services: Services) -> None:
    services.server.is_away = True
    done = services.registration.register(FIELDS, "2026-01", FREE_CARD)
    assert (done.was_asked, done.card.name, done.card.provisional) == (False, "Ирина П", True)
    [record] = services.records(RecordKind.REGISTER)
    contents = contents_of(record)
    kept = services.counter.parts.journal.private(record.id)
    assert isinstance(contents, RegisterContents)
    assert kept is not None
    private = Private.from_bytes(kept)
    assert contents.matches(private)
    assert (private.fields.phone, private.fields.consents[0].version) == ("+79161234567", "2026-01")
    assert b"9161234567" not in record.to_payload()
    sold = services.counter.sell(FREE_CARD, 100)
    assert sold.guest is not None
    assert sold.guest.guest_id == done.card.guest_id == record.guest_id
    card = services.counter.checkout.identify(FREE_CARD)
    assert (card.points, card.allowance.max_points, card.allowance.reason) == (
        sold.quote.earned_points,
        0,
        "provisional",
    )
    assert refused(services.online.hold, card, 1).code == "hold_guest_unknown"


def test_a_registration_spoilt_on_the_disk_is_nobodys_and_its_card_can_be_handed_out_again(services: Services) -> None:
    services.server.is_away = True
    services.registration.register(FIELDS, "2026-01", FREE_CARD)
    assert refused(services.registration.register, FIELDS, "2026-01", FREE_CARD).code == "card_taken"
    spoil = "UPDATE record SET payload = zeroblob(9) WHERE seq = (SELECT max(seq) FROM record)"
    services.counter.parts.journal._live().execute(spoil)
    assert refused(services.counter.checkout.identify, FREE_CARD).code == "card_unknown"
    again = services.registration.register(FIELDS, "2026-01", FREE_CARD)
    assert services.counter.checkout.identify(FREE_CARD).guest_id == again.card.guest_id


def test_a_phone_that_somebody_has_is_told_where_the_server_answers(services: Services) -> None:
    services.server.found = [FoundGuest(OTHER, {"name": "Ольга"}, "phone")]
    found = refused(services.registration.register, FIELDS, "2026-01")
    assert (found.code, found.facts) == ("phone_taken", {"name": "Ольга"})
    assert services.records(RecordKind.REGISTER) == []
    services.server.found = []
    assert services.registration.register(FIELDS, "2026-01").was_asked


def test_a_phone_registered_here_that_the_server_has_not_heard_of_makes_no_second_guest(services: Services) -> None:
    services.server.is_away = True
    services.registration.register(FIELDS, "2026-01", FREE_CARD)
    again = replace(FIELDS, name="Ира", phone="+7 916 123-45-67")
    found = refused(services.registration.register, again, "2026-01")
    assert (found.code, found.facts) == ("phone_registered", {"name": "Ирина П"})
    services.server.is_away = False
    assert refused(services.registration.register, again, "2026-01").code == "phone_registered"
    assert len(services.records(RecordKind.REGISTER)) == 1
    services.registration.register(replace(again, phone="8 916 123-45-68"), "2026-01")
    journal = services.counter.parts.journal
    head = journal.head()
    journal.acknowledge(head.epoch, head.seq, UUID(int=1), 1)
    assert services.registration.register(again, "2026-01").was_asked, "from then on it is the server's to say"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "", "phone": ""}, "register_nothing"),
        ({"name": "x" * 101}, "register_name"),
        ({"name": "a\x07b"}, "register_name"),
        ({"phone": "12"}, "register_phone"),
        ({"phone": "+7916abc4567"}, "register_phone"),
        ({"phone": "8-916-555-55"}, "register_phone"),
        ({"phone": "9165551234567"}, "register_phone"),
        ({"phone": "555-12-34"}, "register_phone"),
        ({"birthday": date(2999, 1, 1)}, "register_birthday"),
        ({"birthday": date(1801, 1, 1)}, "register_birthday"),
        ({"email": "no at"}, "register_email"),
    ],
)
def test_what_cannot_be_registered_says_why(services: Services, changes: dict[str, object], code: str) -> None:
    assert refused(services.registration.register, replace(FIELDS, **changes), "2026-01").code == code  # type: ignore[arg-type]
    assert services.records(RecordKind.REGISTER) == []


def test_nobody_is_registered_without_consent_or_with_a_card_in_use(services: Services) -> None:
    register = services.registration.register
    assert refused(register, FIELDS, "").code == "consent_needed"
    assert refused(register, FIELDS, "2026-01", CARD).code == "card_taken"
    assert refused(register, FIELDS, "2026-01", NUMBER).code == "register_card"
    register(FIELDS, "2026-01", FREE_CARD)
    assert refused(register, FIELDS, "2026-01", FREE_CARD).code == "card_taken"


def test_once_the_server_has_told_of_the_guest_they_are_like_any_other(services: Services) -> None:
    done = services.registration.register(FIELDS, "2026-01")
    assert done.card.credential.code is CodeKind.PHONE
    services.counter.feed(("guest", str(done.card.guest_id), {"name": "Ирина П", "points": 5}), ANNA)
    assert not services.counter.checkout.refresh(done.card).provisional
