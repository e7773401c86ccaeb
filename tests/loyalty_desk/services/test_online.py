"""Points held by the server for a check, and everything that may go wrong on the way there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from loyalty_desk.domain.contents import HoldOutcome, HoldResultContents, contents_of, hold_of
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import Decision, RecordKind
from loyalty_desk.services.ports.server import NotOurServer, ServerSaid
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldDecision, HoldRequest, HoldState
from loyalty_desk.wire.v1.lookup import FoundGuest, LookupBy
from tests.loyalty_desk.services.counter_services import Services
from tests.loyalty_desk.services.fake_requests import pending, silent
from tests.loyalty_desk.till_parts import ANNA, CARD, GUEST, stocked

OTHER = UUID("66666666-6666-4666-8666-666666666666")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    counter = stocked(tmp_path)
    counter.feed(("profile", "default", {"cvm": {"ld1": 100}, "random_online_bp": 0}))
    yield Services(counter)
    counter.parts.journal.close()
    counter.cache.close()


def outcomes(services: Services) -> list[str]:
    found = [contents_of(one) for one in services.records(RecordKind.HOLD_RESULT)]
    return [one.outcome.value for one in found if isinstance(one, HoldResultContents)]


def card(services: Services):
    return services.counter.checkout.identify(CARD)


def sell(services: Services, major: int, points: int, **more: Any):
    draft = replace(services.counter.draft(CARD, major, points), **more)
    return services.counter.checkout.confirm(draft, services.counter.checkout.price(draft))


def test_held_points_pay_beyond_the_offline_limits_and_count_against_none(services: Services) -> None:
    held = services.online.hold(card(services), 300)
    assert (held.is_online, held.amount, held.guest) == (True, 300, GUEST)
    [(request, _)] = services.server.asked
    assert (request.id, request.code, request.evidence) == (held.id, "ld1", CARD.encode())
    done = sell(services, 1_000, 300, hold=held)
    assert done.quote.redeemed_points == 300
    [record] = services.records(RecordKind.SALE)
    assert (hold_of(record.check), record.points_redeemed, record.decision_bits) == (held.id, 300, 0)
    now = services.counter.parts.trusted.now_ms()
    assert services.counter.parts.journal.offline_use(GUEST, now).guest_points == 0
    assert card(services).points == 400 - 300 + done.quote.earned_points
    assert outcomes(services) == ["pending"]


def test_a_hold_that_may_have_lapsed_before_its_post_counts_as_offline(services: Services) -> None:
    sell(services, 1_000, 300, hold=services.online.hold(card(services), 300))
    services.counter.parts.clock.advance(seconds=121)
    use = services.counter.parts.journal.offline_use(GUEST, services.counter.parts.trusted.now_ms())
    assert (use.guest_points, use.guest_count, use.device_points) == (300, 1, 300)
    assert card(services).allowance.max_points <= 100


def test_a_lapsed_hold_and_one_of_another_guest_pay_nothing(services: Services) -> None:
    held = services.online.hold(card(services), 300)
    with pytest.raises(Refused, match="hold_other_guest"):
        sell(services, 1_000, 300, hold=structs.replace(held, guest=OTHER))
    services.counter.parts.clock.advance(seconds=120)
    with pytest.raises(Refused, match="hold_lapsed"):
        sell(services, 1_000, 300, hold=held)
    assert services.records(RecordKind.SALE) == []


def test_a_decline_says_how_many_there_are_and_spends_nothing_offline_until_the_next_pull(services: Services) -> None:
    services.server.answer = lambda asked: HoldAnswer(asked.id, HoldDecision.INSUFFICIENT, 20)
    with pytest.raises(Refused) as refused:
        services.online.hold(card(services), 300)
    assert (refused.value.code, refused.value.facts) == ("hold_declined", {"points": 20})
    assert outcomes(services) == ["insufficient"]
    assert (card(services).allowance.max_points, card(services).allowance.reason) == (0, "known_balance")
    services.counter.parts.clock.advance(seconds=5)
    services.counter.feed(ANNA)
    assert card(services).allowance.max_points == 100


def test_silence_falls_back_to_the_tills_own_limits_and_the_sale_names_the_hold(services: Services) -> None:
    services.server.answer = silent
    held = services.online.hold(card(services), 90)
    assert (held.is_online, outcomes(services)) == (False, ["timed_out"])
    done = sell(services, 1_000, 90, hold=held)
    [record] = services.records(RecordKind.SALE)
    assert (hold_of(record.check), done.quote.redeemed_points) == (held.id, 90)
    assert services.counter.parts.journal.offline_use(GUEST, 0).guest_points == 90
    over = sell(services, 1_000, 300, hold=services.online.hold(card(services), 300))
    assert over.quote.redeemed_points == 100


@pytest.mark.parametrize("error", [NotOurServer("a portal"), ServerSaid(503, "OUTAGE"), ServerSaid(429, "TOO_MANY")])
def test_a_portal_or_a_server_in_trouble_is_no_answer(services: Services, error: Exception) -> None:
    services.server.error = error
    assert not services.online.hold(card(services), 90).is_online


def test_some_redemptions_wait_longer_and_are_refused_without_an_answer(services: Services) -> None:
    services.counter.feed(("profile", "default", {"random_online_bp": 10_000, "random_online_wait_s": 15}))
    services.server.answer = silent
    with pytest.raises(Refused, match="online_needed"):
        services.online.hold(card(services), 50)
    [(first, short), (again, long)] = services.server.asked
    assert (first.id, short + long) == (again.id, 15)
    [record] = services.records(RecordKind.HOLD_RESULT)
    assert record.decision_bits == 1 << Decision.RANDOM_ONLINE


def test_the_longer_wait_may_still_be_answered(services: Services) -> None:
    services.counter.feed(("profile", "default", {"random_online_bp": 10_000}))

    def second_time(request: HoldRequest) -> HoldAnswer:
        return pending(request) if len(services.server.asked) == 2 else silent(request)

    services.server.answer = second_time
    assert services.online.hold(card(services), 50).is_online


def test_about_as_many_wait_as_the_profile_says(services: Services) -> None:
    services.counter.feed(("profile", "default", {"random_online_bp": 500}))
    services.server.answer = silent
    refused = 0
    for _ in range(400):
        try:
            services.online.hold(card(services), 1)
        except Refused:
            refused += 1
    assert 5 <= refused <= 40


@pytest.mark.parametrize(
    ("reason", "code"),
    [("code_limit", "hold_refused_code_limit"), ("confirmation_needed", "hold_refused_confirmation_needed"),
     ("something new", "hold_refused_other")],
)  # fmt: skip
def test_a_refusal_says_why(services: Services, reason: str, code: str) -> None:
    services.server.answer = lambda asked: HoldAnswer(asked.id, HoldDecision.REFUSED, 400, reason=reason, limit=100)
    with pytest.raises(Refused) as refused:
        services.online.hold(card(services), 300)
    assert (refused.value.code, outcomes(services)) == (code, ["refused"])


def test_a_suspended_till_is_told_so_and_does_not_fall_back(services: Services) -> None:
    services.server.error = ServerSaid(403, ErrorCode.DEVICE_SUSPENDED)
    with pytest.raises(Refused, match="till_suspended"):
        services.online.hold(card(services), 50)
    assert outcomes(services) == ["refused"]


def test_the_same_hold_asked_for_again_is_the_same(services: Services) -> None:
    services.server.answer = lambda asked: HoldAnswer(
        asked.id, HoldDecision.EXISTS, 0, amount=asked.amount, state=HoldState.PENDING
    )
    assert services.online.hold(card(services), 50).is_online
    services.server.answer = lambda asked: HoldAnswer(asked.id, HoldDecision.EXISTS, 0, amount=50, state="expired")
    with pytest.raises(Refused, match="hold_refused_other"):
        services.online.hold(card(services), 50)
    assert outcomes(services) == ["exists", "refused"]


def test_an_answer_to_another_question_is_none(services: Services) -> None:
    services.server.answer = lambda asked: HoldAnswer(OTHER, HoldDecision.PENDING, 0, amount=asked.amount)
    assert not services.online.hold(card(services), 50).is_online


def test_every_outcome_is_journalled_with_what_was_asked(services: Services) -> None:
    held = services.online.hold(card(services), 50)
    [record] = services.records(RecordKind.HOLD_RESULT)
    assert contents_of(record) == HoldResultContents(held.id, 50, HoldOutcome.PENDING)
    assert (record.guest_id, record.points_redeemed, record.known_balance) == (GUEST, 0, 400)


def test_held_points_are_given_back_where_somebody_answers(services: Services) -> None:
    held = services.online.hold(card(services), 50)
    assert services.online.release(held)
    assert services.server.voided == [held.id]
    services.server.is_away = True
    assert not services.online.release(held)


def test_a_guest_is_found_by_phone_and_stays_known_while_the_cache_lacks_them(services: Services) -> None:
    services.server.found = [FoundGuest(OTHER, {"name": "Ольга", "points": 70, "tier": "GOLD"}, "phone")]
    found = services.online.identify(LookupBy.PHONE, "+79161234567")
    assert (found.guest_id, found.name, found.credential.code, found.points) == (OTHER, "Ольга", CodeKind.PHONE, 70)
    assert found.allowance.max_points == 0
    assert services.server.looked_up[0].text == "+79161234567"
    assert services.counter.checkout.refresh(found) == found


def test_a_guest_the_cache_knows_is_shown_as_the_cache_knows_them(services: Services) -> None:
    services.server.found = [FoundGuest(GUEST, {"name": "x", "points": 1}, "short")]
    assert services.online.identify(LookupBy.SHORT, "123456").points == 400


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServerSaid(404, ErrorCode.NOT_FOUND), "guest_not_found"),
        (ServerSaid(429, ErrorCode.TOO_MANY), "lookups_too_many"),
        (ServerSaid(500, ErrorCode.INTERNAL), "needs_server"),
        (ServerSaid(403, ErrorCode.DEVICE_REVOKED), "till_revoked"),
        (NotOurServer("a portal"), "needs_server"),
    ],
)
def test_a_look_up_that_fails_says_why(services: Services, error: Exception, code: str) -> None:
    services.server.error = error
    with pytest.raises(Refused) as refused:
        services.online.identify(LookupBy.PHONE, "+79161234567")
    assert refused.value.code == code


def test_nobody_and_several_are_no_guest(services: Services) -> None:
    with pytest.raises(Refused, match="guest_not_found"):
        services.online.identify(LookupBy.PHONE, "+79161234567")
    services.server.found = [FoundGuest(GUEST, {}, "phone"), FoundGuest(OTHER, {}, "phone")]
    with pytest.raises(Refused, match="guest_ambiguous"):
        services.online.identify(LookupBy.LAST4, "4567")
