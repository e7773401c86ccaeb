"""The window's checkout beside a server that answers, refuses, or is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loyalty_desk.asking_desk import AskingDesk
from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldDecision, HoldRequest
from tests.loyalty_desk.services.counter_services import Services
from tests.loyalty_desk.till_parts import CARD, stocked


def declined(request: HoldRequest) -> HoldAnswer:
    return HoldAnswer(request.id, HoldDecision.INSUFFICIENT, 7)


class Shop:
    """A desk, what is behind it, and whether the till believes that it is online."""

    def __init__(self, folder: Path) -> None:
        self.services = Services(stocked(folder))
        self.counter = self.services.counter
        self.server = self.services.server
        self.online = True
        self.desk = AskingDesk(self.counter.checkout, self.services.online, lambda: self.online)

    def draft(self, points: int) -> CheckDraft:
        return self.counter.draft(CARD, 1000, points)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
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
