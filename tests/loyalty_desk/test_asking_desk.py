"""The window's checkout beside a server that answers, refuses, or is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loyalty_desk.asking_desk import AskingDesk
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import Credential, handle_text
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldDecision, HoldRequest
from loyalty_desk.wire.v1.lookup import FoundGuest
from tests.loyalty_desk.services.counter_services import Services
from tests.loyalty_desk.till_parts import (
    CARD,
    GUEST,
    HANDLE,
    NUMBER,
    Counter,
    make_counter,
    stocked,
    stored_program,
)


def declined(request: HoldRequest) -> HoldAnswer:
    return HoldAnswer(request.id, HoldDecision.INSUFFICIENT, 7)


class Shop:
    """A desk, what is behind it, and whether the till believes that it is online."""

    def __init__(self, till: Counter) -> None:
        self.services = Services(till)
        self.counter = self.services.counter
        self.server = self.services.server
        self.online = self.answers = True
        self.desk = AskingDesk(
            self.counter.checkout,
            self.counter.guests,
            lambda: self.services.online,
            lambda: self.online,
            lambda: self.answers,
        )

    def generous(self, ld1: int = 300) -> None:
        limits = {"cvm": {"ld1": 100}, "online_cvm": {"ld1": ld1}}
        self.counter.feed(("profile", "default", limits))

    def draft(self, points: int) -> CheckDraft:
        return self.counter.draft(CARD, 1000, points)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(stocked(tmp_path))
    yield made
    made.counter.parts.journal.close()
    made.counter.cache.close()


def test_points_are_held_by_the_server_before_they_are_used(shop: Shop) -> None:
    draft = shop.draft(50)
    done = shop.desk.confirm(draft, shop.desk.price(draft))
    assert done.quote.redeemed_points == 50
    ((request, _),) = shop.server.asked
    assert request.amount == 50


def test_a_till_that_is_offline_asks_nobody(shop: Shop) -> None:
    shop.online = False
    draft = shop.draft(50)
    assert shop.desk.confirm(draft, shop.desk.price(draft)).quote.redeemed_points == 50
    assert shop.server.asked == []


def test_a_sale_without_points_asks_nobody(shop: Shop) -> None:
    draft = shop.draft(0)
    shop.desk.confirm(draft, shop.desk.price(draft))
    assert shop.server.asked == []


def test_what_the_server_declines_is_not_sold(shop: Shop) -> None:
    shop.server.answer = declined
    draft = shop.draft(50)
    waiting = shop.counter.parts.journal.newest(10)
    with pytest.raises(Refused) as refused:
        shop.desk.confirm(draft, shop.desk.price(draft))
    assert refused.value.code == "hold_declined"
    assert shop.counter.parts.journal.newest(10) == waiting


def test_a_server_that_answers_may_hold_more_than_the_till_may_give_alone(shop: Shop) -> None:
    shop.generous()
    draft = replace(shop.draft(0), guest=shop.desk.identify(CARD), points_asked=300)
    quote = shop.desk.price(draft)
    assert quote.redeemed_points == 300
    assert shop.desk.confirm(draft, quote).quote.redeemed_points == 300
    assert [request.amount for request, _ in shop.server.asked] == [300]


def test_where_nobody_answers_the_tills_own_limits_are_shown_before_anything_is_sold(shop: Shop) -> None:
    shop.generous()
    draft = replace(shop.draft(0), guest=shop.desk.identify(CARD), points_asked=300)
    shop.server.is_away = True
    with pytest.raises(Refused) as refused:
        shop.desk.confirm(draft, shop.desk.price(draft))
    assert refused.value.code == "quote_stale"
    draft = replace(draft, guest=shop.desk.refresh(draft.guest))
    quote = shop.desk.price(draft)
    assert (quote.redeemed_points, quote.redemption.reason) == (100, "code_limit")
    assert shop.desk.confirm(draft, quote).quote.redeemed_points == 100
    # Whoever comes next is asked for again.
    assert shop.desk.identify(CARD).allowance.max_points == 300


def test_the_limit_of_a_code_online_and_all_the_guest_has_are_told_apart(shop: Shop) -> None:
    shop.generous(ld1=1_000)
    card = shop.desk.identify(CARD)
    assert (card.allowance.max_points, card.allowance.reason) == (400, "known_balance")
    shop.online = False
    assert shop.desk.refresh(card).allowance.max_points == 100


def test_silence_falls_back_to_the_tills_own_limits(shop: Shop) -> None:
    shop.server.is_away = True
    draft = shop.draft(50)
    assert shop.desk.confirm(draft, shop.desk.price(draft)).quote.redeemed_points == 50


def test_points_of_a_sale_that_is_refused_after_all_are_let_go(shop: Shop) -> None:
    draft = shop.draft(50)
    quote = shop.desk.price(draft)
    with pytest.raises(Refused) as refused:
        shop.desk.confirm(draft, replace(quote, total=quote.total + 1))
    assert refused.value.code == "quote_stale"
    assert shop.server.voided == [shop.server.asked[0][0].id]


def test_a_phone_is_looked_up_at_the_server_and_a_card_is_not(shop: Shop) -> None:
    assert shop.desk.identify(CARD).guest_id is not None
    assert shop.server.looked_up == []
    with pytest.raises(Refused) as refused:
        shop.desk.identify("+79161234567")
    assert refused.value.code == "guest_not_found"
    assert len(shop.server.looked_up) == 1


@pytest.fixture
def loading(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose guests have not arrived yet, its program has."""
    till = make_counter(tmp_path / "loading")
    till.parts.journal.remember_program(stored_program())
    made = Shop(till)
    yield made
    till.parts.journal.close()
    till.cache.close()


def test_while_guests_load_the_server_is_asked_whose_card_or_number_it_is(loading: Shop) -> None:
    loading.server.found = [
        FoundGuest(GUEST, {"name": "Анна", "tier": "GOLD", "points": 400}, "ld1", handle_text(HANDLE))
    ]
    card = loading.desk.identify(CARD)
    assert (card.guest_id, card.name, card.tier, card.points) == (GUEST, "Анна", "GOLD", 400)
    assert card.credential == Credential(CodeKind.LD1, HANDLE)
    draft = CheckDraft(loading.counter.checkout.basket(100_000), card, at=loading.counter.parts.clock.now())
    done = loading.desk.confirm(draft, loading.desk.price(draft))
    assert (done.quote.total, done.quote.earned_points) == (900_00, 45)
    assert loading.desk.identify(NUMBER).guest_id == GUEST
    assert [one.by for one in loading.server.looked_up] == ["code", "number"]


@pytest.mark.parametrize(("answers", "is_away"), [(False, False), (True, True), (True, False)])
def test_a_card_that_nobody_can_tell_goes_on_by_its_handle(loading: Shop, answers: bool, is_away: bool) -> None:
    loading.answers, loading.server.is_away = answers, is_away
    card = loading.desk.identify(CARD)
    assert (card.guest_id, card.credential.handle, card.tier_room) == (None, HANDLE, 0)
    assert len(loading.server.looked_up) == int(answers)
    with pytest.raises(Refused) as refused:
        loading.desk.identify(NUMBER)
    expected = "guest_not_found" if answers and not is_away else "needs_server" if answers else "guests_loading"
    assert refused.value.code == expected
