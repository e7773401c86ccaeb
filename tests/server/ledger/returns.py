"""Returns and registrations as tills write them, and what the books say: shared by the tests of posting."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.contents import RegisterContents
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.private_fields import Consent, GuestFields, Private
from loyalty_desk.domain.record import Credential, RecordKind, SealedRecord
from loyalty_desk.domain.refund import NOTHING_YET, Refund, ReturnedLine
from loyalty_desk.domain.return_contents import ReturnContents
from loyalty_desk.wire.v1.sync import FeedTable, PushAnswer
from server.ledger.audit import audit
from server.sync.rows import rows_of
from tests.server.fake_till import FakeTill
from tests.server.world import World

PHONE = "+79161234567"


def said(answer: PushAnswer) -> list[str]:
    """Return what became of each record after the epoch's first."""
    return [one.reason or one.status.value for one in answer.results if one.seq > 1]


def whole(earned: int, spent: int, money: int = 10_000, *, is_whole: bool = True) -> Refund:
    """Return a return of that much, as a till works it out."""
    lines = (ReturnedLine("1", 1_000, money, earned, spent),)
    return Refund("whole" if is_whole else "lines", money, earned, spent, lines, is_whole, NOTHING_YET)


def give_back(
    till: FakeTill,
    sale: UUID,
    guest: UUID | None,
    refund: Refund,
    kind: RecordKind = RecordKind.REFUND,
    **fields: Any,
) -> SealedRecord:
    """Write a void or refund."""
    is_void = kind is RecordKind.VOID
    return till.write(
        kind,
        guest_id=guest,
        check=ReturnContents.to_check("RUB", from_ms(till.clock.now_ms), refund, is_void=is_void),
        points_earned=refund.spent_returned,
        points_redeemed=refund.earned_reversed,
        money_total=refund.money,
        reverses_id=sale,
        **fields,
    )


def register(
    till: FakeTill, name: str = "Anna", phone: str = PHONE, card: int | None = None, *, private: bytes | None = None
) -> tuple[UUID, SealedRecord]:
    """Write a registration with its fields beside it, or with other bytes there; return the guest and the record."""
    guest = till.new_id()
    consent = Consent("personal_data", "2026-1", True, from_ms(till.clock.now_ms))
    fields = Private(bytes(16), GuestFields(name=name, phone=phone, consents=(consent,)))
    sealed = till.write(
        RecordKind.REGISTER,
        guest_id=guest,
        check=RegisterContents(fields.digest).to_check(),
        credential=None if card is None else Credential(CodeKind.LD1, card),
    )
    till.privates[sealed.id] = fields.to_bytes() if private is None else private
    return guest, sealed


async def balances(world: World) -> dict[str, int]:
    """Return what each kind of account has."""
    rows = await world.sql("select kind, sum(posted)::bigint from account group by kind having sum(posted) <> 0")
    return dict(rows)


async def raised(world: World, kind: str) -> list[tuple[Any, ...]]:
    """Return the exceptions of a kind: what each is about, and its facts."""
    return await world.sql("select tx_id, facts from exception where kind = $1 order by id", kind)


async def findings(world: World) -> list[str]:
    """Return what `loyalty-server verify` finds wrong."""
    vault = world.ground.vault

    async def render(table: str, keys: Any) -> Any:
        async with world.ground.db.begin(world.network) as connection:
            return await rows_of(connection, world.network, vault, FeedTable(table), keys)

    async with world.ground.db.begin(world.network) as connection:
        return [str(one) for one in (await audit(connection, world.network, render)).findings]
