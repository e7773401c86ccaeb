"""Counting what comes back of a sale: in any order the same, and each return once however many there are."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from loyalty_desk.domain.record import Record
from server.ledger import returns
from server.ledger.awaiting import Back
from server.ledger.returns import NOTHING_BACK, Original, came_back
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import give_back, whole

MANY = 60


def sold_and_returned() -> tuple[Record, list[Record]]:
    """Return a sale and many returns of it, of two stores; together they claim more than there was."""
    till = FakeTill(UUID(int=1), UUID(int=2))
    till.open_epoch()
    sale = till.sale(earned=500, redeemed=100)
    made = []
    for number in range(MANY):
        till.store = UUID(int=2 + number % 2)
        refund = whole(number * 3 % 40, number % 5, number * 7 % 300, is_whole=number == MANY - 1)
        made.append(give_back(till, sale.id, None, refund))
    return Record.from_payload(sale.payload), [Record.from_payload(one.payload) for one in made]


def test_each_return_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sale, made = sold_and_returned()
    read: list[UUID] = []
    contents_of = returns.contents_of

    def counted(record: Record) -> object:
        read.append(record.id)
        return contents_of(record)

    monkeypatch.setattr(returns, "contents_of", counted)
    back = Back({sale.id: Original(sale)}, {})
    for one in made:
        back.of(one)
    assert sorted(read) == sorted(one.id for one in made)


@pytest.mark.parametrize("seed", range(20))
def test_counted_on_in_any_order_it_is_what_all_together_come_to(seed: int) -> None:
    sale, made = sold_and_returned()
    whole_of_it = came_back(sale, None, made)
    random.Random(seed).shuffle(made)
    original = Original(sale, returns=made[: seed % 7])
    back = Back({sale.id: original}, {})
    last = came_back(sale, None, original.returns) if original.returns else NOTHING_BACK
    for place, one in enumerate(made[seed % 7 :], start=seed % 7 + 1):
        found = back.of(one)
        assert found.before == last
        assert found.after == came_back(sale, None, made[:place])
        last = found.after
    assert last == whole_of_it
    assert (last.earned, last.spent, last.is_whole, len(last.excess)) == (500, 100, True, 2)
