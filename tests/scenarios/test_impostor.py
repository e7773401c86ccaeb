"""Registered at a till without its server, with a phone that is somebody else's: no right over that guest's points."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from loyalty_desk.demo.stage import Stage
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import ld1
from loyalty_desk.domain.private_fields import GuestFields
from loyalty_desk.services.checkout import CheckDraft, SaleDone
from loyalty_desk.till import Till, open_till
from loyalty_desk.wire.v1.lookup import LookupBy
from tests.stages import opened_stage

pytestmark = pytest.mark.postgres
PHONE = "+7 916 555-44-33"
OWNER, IMPOSTOR = ld1(0x0123456789ABCDEF), ld1(0x1123456789ABCDEF)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as made:
        yield made


def sell(till: Till, code: str, points: int = 0, *, amount: int = 5_000_00, online: bool = False) -> SaleDone:
    card = till.checkout.identify(code)
    draft = CheckDraft(till.checkout.basket(amount), card, points, at=datetime.now(UTC))
    if online:
        draft = CheckDraft(draft.basket, card, points, hold=till.counter.online.hold(card, points), at=draft.at)
    return till.checkout.confirm(draft, till.checkout.price(draft))


def level(till: Till) -> None:
    for _ in range(3):
        if till.sync_once().done and not till.status().waiting:
            return
    raise AssertionError("the till does not get level")


def test_a_phone_of_somebody_else_gives_no_right_over_their_points(stage: Stage) -> None:
    with open_till(stage.till_dir) as till:
        till.wait_until_checked()
        level(till)
        register = till.counter.registration.register
        owner = register(GuestFields(name="Owner", phone=PHONE), "v1", OWNER)
        assert owner.was_asked
        for _ in range(3):
            earned = sell(till, OWNER)
        level(till)
        points = till.checkout.identify(OWNER).points
        assert points == earned.balance_after > 300
        # With the server there the phone is taken; without it nobody can know.
        with pytest.raises(Refused, match="phone_taken"):
            register(GuestFields(name="Impostor", phone=PHONE), "v1", IMPOSTOR)
        stage.server.stop()
        found = till.checkout.identify(PHONE)
        assert (found.guest_id, found.points, found.allowance.max_points) == (owner.card.guest_id, points, 0)
        made = register(GuestFields(name="Impostor", phone=PHONE), "v1", IMPOSTOR)
        assert not made.was_asked
        own = sell(till, IMPOSTOR, amount=1_000_00).quote.earned_points
        assert 0 < own < 100 < points
        with pytest.raises(Refused, match="redemption_refused"):
            sell(till, IMPOSTOR, 60)
        stage.server.start()
        level(till)
        # The new card is a guest of its own, who has what was earned with it and nothing of the other's.
        new, old = till.checkout.identify(IMPOSTOR), till.checkout.identify(OWNER)
        assert new.guest_id != old.guest_id == owner.card.guest_id
        assert (new.points, old.points) == (own, points)
        [found] = till.counter.online.find(LookupBy.PHONE, PHONE)
        assert found.guest == old.guest_id
        with pytest.raises(Refused, match="redemption_refused"):
            sell(till, IMPOSTOR, 60)
        with pytest.raises(Refused, match="hold_declined"):
            sell(till, IMPOSTOR, own + 1, online=True)
        assert [one.code for one in till.status().notices] == ["sale_flagged"]
        assert till.status().notices[0].facts["kinds"] == "PHONE_TAKEN"
        level(till)
        assert till.checkout.identify(OWNER).points == points
        assert "0 lost, 0 doubled" in stage.verify()
