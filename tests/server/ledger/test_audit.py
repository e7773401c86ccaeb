"""The audit: silent over an honest ledger, and each planted damage named with its place."""

from __future__ import annotations

from uuid import UUID

import msgspec
import psycopg
import pytest

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import Credential, RecordKind
from loyalty_desk.wire.v1.sync import Hole
from server.verify import Audit, last_line, verify
from tests.server.fake_till import FakeTill
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def busy(world: World) -> tuple[FakeTill, UUID]:
    """Return a till that has sold, and its guest: earned, spent, overdrawn and repaid, forked and quarantined."""
    till = await world.till()
    (guest,) = await world.guests()
    for earned, redeemed in ((100, 0), (5, 30), (0, 90), (40, 0)):
        till.sale(guest.id, earned=earned, redeemed=redeemed)
    till.sale(None, handle=77, earned=3)
    push = till.push()
    push.records[2] = msgspec.structs.replace(push.records[2], payload=push.records[2].payload + b" ")
    await world.push(till, push)
    till.rewind(4)
    till.sale(guest.id, earned=1)
    await world.post(till, "push", till.push())
    till.open_epoch(5, "fork", till.journal[-1].hash)
    till.sale(guest.id, earned=2)
    await world.push(till)
    return till, guest.id


async def audited(world: World) -> Audit:
    (found,) = await verify(world.ground)
    return found


async def test_an_honest_ledger_has_no_findings(world: World) -> None:
    await busy(world)
    found = await audited(world)
    assert found.findings == []
    assert (found.counted.sales, found.counted.quarantined, found.counted.lost, found.counted.doubled) == (6, 1, 0, 0)
    assert last_line([found]) == "verify: ok, 6 sales, 0 lost, 0 doubled, ledger balanced"


async def test_a_fork_is_none_the_worse_for_a_till_that_was_paired_before_it(world: World) -> None:
    till = await world.till()
    for _ in range(3):
        till.sale()
    await world.push(till)
    other = await world.till()
    other.sale()
    await world.push(other)
    till.rewind(2)
    till.sale()
    await world.post(till, "push", till.push())
    found = await audited(world)
    assert found.findings == []
    assert found.counted.sales == 5


async def test_a_declared_hole_is_lost_and_is_no_finding(world: World) -> None:
    till = await world.till()
    for _ in range(4):
        till.sale()
    await world.push(till, till.push(till.journal[:2]))
    await world.push(till, till.push(till.journal[4:], holes=[Hole(3, 4, "disk")]))
    found = await audited(world)
    assert found.findings == []
    assert last_line([found]) == "verify: ok, 2 sales, 2 lost, 0 doubled, ledger balanced"


DAMAGE = {
    "an entry altered": ("update entry set amount = amount + 1000 where leg = 0", "INV-1"),
    "an entry and its counterpart altered": ("update entry set amount = amount * 2", "INV-2"),
    "an entry gone": ("delete from entry where leg = 1", "INV-1"),
    "a balance altered": ("update account set posted = posted + 1 where kind = 'promo_cost'", "INV-2"),
    "a lot altered": ("update lot set remaining = 0 where remaining > 0", "INV-15"),
    "a debt invented": ("update account set debt = 5 where kind = 'guest'", "INV-15"),
    "a use of a lot gone": ("delete from lot_use", "INV-15"),
    "a guest's points altered": ("update guest_state set points = points + 100", "INV-12"),
    "a payload altered": (
        r"""update ledger_tx set payload = convert_to(replace(convert_from(payload, 'UTF8'),
            '"earned":100', '"earned":900'), 'UTF8')""",
        "INV-25",
    ),
    "a payload altered with its hash": (
        r"""update ledger_tx set payload = p.made, payload_hash = sha256(p.made) from (select id, convert_to(replace(
            convert_from(payload, 'UTF8'), '"money_total":10000', '"money_total":10001'), 'UTF8') as made
            from ledger_tx) p where p.id = ledger_tx.id and kind = 'sale'""",
        "INV-25",
    ),
    "a hash altered": ("update ledger_tx set hash = sha256(hash) where seq = 4", "INV-25"),
    "a record gone": (
        """with gone as (delete from ledger_tx where seq = 4 and branch = 0 returning id)
            delete from entry where tx_id in (select id from gone)""",
        "INV-4",
    ),
    "a record gone and its entries left": ("delete from ledger_tx where seq = 4 and branch = 0", "INV-1"),
    "a lot gone and its use left": ("delete from lot where id in (select lot_id from lot_use)", "INV-15"),
    "a lot of no account": ("update lot set account_id = account_id + 1000", "INV-15"),
    "the last record gone": ("delete from ledger_tx where epoch = 5 and seq = 2", "INV-7"),
    "a head altered": ("update device_epoch set head_seq = head_seq + 1", "INV-7"),
    "a count altered": ("update device_epoch set count = count + 1", "INV-7"),
    "totals of a head altered": ("update device_epoch set cum_earned = cum_earned + 1", "INV-7"),
    "a record put elsewhere": ("update ledger_tx set seq = 9 where seq = 4 and branch = 0", "INV-3"),
    "an epoch gone": ("delete from device_epoch where epoch = 5", "INV-7"),
    "quarantined bytes altered": ("update quarantine set raw = raw || 'x'::bytea", "INV-25"),
    "the feed's digest altered": ("update feed_counter set digest = digest + 1", "INV-9"),
    "a feed row gone": ("delete from feed where tbl = 'guest'", "INV-9"),
    "a guest changed past the feed": ("update guest_state set spend = spend + 1", "INV-10"),
    "a card changed past the feed": ("update credential set state = 'blocked'", "INV-10"),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_planted_damage_is_found_and_its_place_named(
    world: World, admin: psycopg.Connection, damage: str
) -> None:
    till, guest = await busy(world)
    sql, rule = DAMAGE[damage]
    admin.execute("set session_replication_role = replica")
    assert admin.execute(sql).rowcount > 0
    found = await audited(world)
    assert rule in {finding.rule for finding in found.findings}, found.findings
    line = last_line([found])
    assert line.startswith(f"verify: FAILED, {found.found} findings, first: ")
    assert found.findings[0].place in line
    assert any(name in line for name in (str(till.device), str(guest), "account", "lot", "transaction", "feed"))


async def test_what_a_store_has_paid_is_not_moved_to_anybody_else_unseen(
    world: World, admin: psycopg.Connection
) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=100)
    unproved = Credential(CodeKind.LD4, guest.handles[0])
    till.write(
        RecordKind.SALE, guest_id=guest.id, credential=unproved, points_redeemed=50, points_earned=7, money_total=10_000
    )
    await world.push(till)
    assert (await audited(world)).findings == []
    # Every sum still holds: the loss stands at another account, and that account says so.
    admin.execute("set session_replication_role = replica")
    admin.execute("update account set posted = posted + 50 where kind = 'offline_loss'")
    admin.execute("update account set posted = posted - 50 where kind = 'promo_cost'")
    admin.execute(
        "update entry set account_id = (select id from account where kind = 'promo_cost')"
        " where account_id = (select id from account where kind = 'offline_loss')"
    )
    (found,) = (await audited(world)).findings
    assert found.rule == "INV-1"
    assert "seq 3" in found.place
    assert f"by its bytes of offline_loss {till.store}, liability, promo_cost, guest {guest.id}" in found.text
