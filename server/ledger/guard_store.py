"""What the guards ask of the ledger's store, and PostgreSQL's answer to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.code_proof import ShownStep
from loyalty_desk.domain.guest_code import HANDLE_BYTES
from loyalty_desk.domain.key_set import KeySet
from loyalty_desk.domain.record import handle_text
from loyalty_desk.wire.v1.rows import ProfileRow
from loyalty_desk.wire.v1.sync import FeedTable
from server.holds import service as holds
from server.holds.service import Settled
from server.kit.db import Connection, fetch, write
from server.kit.feed import Change
from server.ledger import late
from server.ledger.evidence import Card
from server.ledger.late import Late
from server.networks import service as networks

Rows = Callable[[Connection, UUID, Sequence[UUID], Sequence[int]], Awaitable[list[Change]]]


@dataclass(frozen=True, slots=True)
class StepUse:
    """That the step of a rotating code paid for a sale; `at` is when the sale counts as made, milliseconds UTC."""

    shown: ShownStep
    tx: UUID
    device: UUID
    at: int


@dataclass(frozen=True, slots=True)
class TierUse:
    """That a code which proves nothing gave a guest the tier's discount: `amount` > 0 minor units."""

    guest: UUID
    business_day: str
    tx: UUID
    device: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class UnprovedUse:
    """That a sale redeemed `points` > 0 with a code that proves nothing, on a day since 1970 UTC."""

    device: UUID
    day: int
    tx: UUID
    points: int


class GuardStore(Protocol):
    """Within the posting's transaction; what writes is called with the guests' accounts locked."""

    async def key_set(self) -> KeySet:
        """Return the network's public keys."""
        ...

    async def cards(self, handles: Iterable[int]) -> dict[int, Card]:
        """Return credentials by handle."""
        ...

    async def stopped(self, handles: Iterable[int]) -> dict[int, int]:
        """Return when those credentials that are blocked were, milliseconds UTC."""
        ...

    async def may_approve(self, staff: Iterable[str]) -> set[str]:
        """Return who of these is no cashier but of the staff, or was; all where a network has no staff."""
        ...

    async def profile(self, store: UUID) -> ProfileRow:
        """Return the limits that hold in a store."""
        ...

    async def past_profiles(self, store: UUID) -> list[tuple[datetime, ProfileRow]]:
        """Return the limits that held before in a store, with when they were replaced."""
        ...

    async def end_holds(self, sales: Mapping[UUID, tuple[UUID, UUID]], now: datetime) -> dict[UUID, Settled]:
        """End holds by the sales that name them, each with its till."""
        ...

    async def put_steps(self, uses: Sequence[StepUse], now: datetime) -> dict[ShownStep, list[tuple[UUID, UUID]]]:
        """Note which steps have paid, and return all sales that each of them paid for: (tx, device)."""
        ...

    async def put_last_steps(self, uses: Sequence[StepUse]) -> list[Change]:
        """Let tills know by the credentials which steps paid last; returns the rows for the feed."""
        ...

    async def put_tier_uses(self, uses: Sequence[TierUse], now: datetime) -> dict[tuple[UUID, str], list[TierUse]]:
        """Note discounts, and return all of each guest's day, the elder sale first."""
        ...

    async def unproved(self, days: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], int]:
        """Return what tills have redeemed without proof, by till and day; days without are left out."""
        ...

    async def take_unproved(self, sales: Iterable[UUID]) -> list[UnprovedUse]:
        """Forget what these sales redeemed without proof, and return it."""
        ...

    async def put_unproved(self, uses: Sequence[UnprovedUse], now: datetime) -> None:
        """Note what sales redeemed without proof."""
        ...

    async def late(self, wanted: Sequence[Late]) -> tuple[list[Late], set[UUID]]:
        """Return the sales for which expired points have to come back, and those for which they have."""
        ...

    async def reinstate(self, wanted: Sequence[Late], now: datetime) -> None:
        """Bring back what late sales would have taken or kept; the last call of its transaction."""
        ...


class PostgresGuards:
    """A transaction of the database."""

    def __init__(self, connection: Connection, network: UUID, rows: Rows) -> None:
        self._connection = connection
        self._network = network
        self._rows = rows

    async def key_set(self) -> KeySet:
        """Return the network's public keys."""
        return await networks.key_set(self._connection, self._network)

    async def cards(self, handles: Iterable[int]) -> dict[int, Card]:
        """Return credentials by handle; those of erased guests are gone."""
        wanted = list(handles)
        found = await fetch(
            self._connection,
            "select c.handle, coalesce(s.merged_into, s.guest_id) as guest, c.generation, c.last_root,"
            " coalesce(c.last_step, 0) as step, coalesce(f.feed_seq, 0) as told_at, c.stopped_at"
            " from credential c"
            " join guest_state s on s.network_id = c.network_id and s.guest_id = c.guest_id"
            " join unnest($2::bytea[], $3::text[]) as t (handle, key) on t.handle = c.handle"
            " left join feed f on f.network_id = c.network_id and f.tbl = $4 and f.key = t.key"
            " where c.network_id = $1",
            self._network,
            [one.to_bytes(HANDLE_BYTES, "big") for one in wanted],
            [handle_text(one) for one in wanted],
            FeedTable.CREDENTIAL.value,
        )
        return {
            int.from_bytes(bytes(row.handle), "big"): Card(
                row.guest,
                row.generation,
                None if row.last_root is None else bytes(row.last_root),
                row.step,
                row.told_at,
                None if row.stopped_at is None else to_ms(row.stopped_at),
            )
            for row in found
        }

    async def stopped(self, handles: Iterable[int]) -> dict[int, int]:
        """Return when those credentials that are blocked were."""
        found = await fetch(
            self._connection,
            "select handle, stopped_at from credential"
            " where network_id = $1 and handle = any($2::bytea[]) and stopped_at is not null and state <> 'active'",
            self._network,
            [one.to_bytes(HANDLE_BYTES, "big") for one in handles],
        )
        return {int.from_bytes(bytes(row.handle), "big"): to_ms(row.stopped_at) for row in found}

    async def may_approve(self, staff: Iterable[str]) -> set[str]:
        """Return who of these is no cashier but of the staff, or was."""
        asked = list(staff)
        found = await fetch(
            self._connection,
            "select t.id from unnest($2::text[]) as t (id) where not exists (select 1 from staff where network_id = $1)"
            " or exists (select 1 from staff s where s.network_id = $1 and s.id::text = t.id and s.role <> 'cashier')",
            self._network,
            asked,
        )
        return {str(row.id) for row in found}

    async def profile(self, store: UUID) -> ProfileRow:
        """Return the limits that hold in a store."""
        return await networks.profile_of(self._connection, self._network, store)

    async def past_profiles(self, store: UUID) -> list[tuple[datetime, ProfileRow]]:
        """Return the limits that held before in a store."""
        return await networks.past_profiles_of(self._connection, self._network, store)

    async def end_holds(self, sales: Mapping[UUID, tuple[UUID, UUID]], now: datetime) -> dict[UUID, Settled]:
        """End holds by the sales that name them, each with its till."""
        return await holds.post_holds(self._connection, self._network, sales, now)

    async def put_steps(self, uses: Sequence[StepUse], now: datetime) -> dict[ShownStep, list[tuple[UUID, UUID]]]:
        """Note which steps have paid, and return all sales that each of them paid for."""
        columns = _columns(uses)
        await write(
            self._connection,
            "insert into step_use (network_id, noted_at, handle, root, step, tx_id, device_id)"
            " select $1, $2, * from unnest($3::bytea[], $4::bytea[], $5::bigint[], $6::uuid[], $7::uuid[])"
            " on conflict (network_id, handle, root, step, tx_id) do nothing",
            self._network,
            now,
            *columns,
            [one.tx for one in uses],
            [one.device for one in uses],
        )
        found = await fetch(
            self._connection,
            "select u.handle, u.root, u.step, u.tx_id, u.device_id from step_use u"
            " join (select distinct * from unnest($2::bytea[], $3::bytea[], $4::bigint[])) as t (handle, root, step)"
            " on t.handle = u.handle and t.root = u.root and t.step = u.step where u.network_id = $1 order by u.tx_id",
            self._network,
            *columns,
        )
        made: dict[ShownStep, list[tuple[UUID, UUID]]] = {}
        for handle, root, step, tx, device in found:
            shown = ShownStep(int.from_bytes(bytes(handle), "big"), bytes(root), step)
            made.setdefault(shown, []).append((tx, device))
        return made

    async def put_last_steps(self, uses: Sequence[StepUse]) -> list[Change]:
        """Let tills know which steps paid last. An old chain's step that comes late does not hide the new chain's."""
        rows = await fetch(
            self._connection,
            "update credential c set last_root = t.root, last_step = t.step"
            " from unnest($2::bytea[], $3::bytea[], $4::bigint[], $5::timestamptz[]) as t (handle, root, step, at)"
            " where c.network_id = $1 and c.handle = t.handle and ((c.last_root = t.root and c.last_step < t.step)"
            " or (c.last_root is distinct from t.root and not exists (select 1 from step_use u"
            " join ledger_tx x on x.network_id = u.network_id and x.id = u.tx_id"
            " where u.network_id = $1 and u.handle = t.handle and u.root = c.last_root and x.effective_at > t.at)))"
            " returning c.handle",
            self._network,
            *_columns(uses),
            [from_ms(one.at) for one in uses],
        )
        handles = [int.from_bytes(bytes(row.handle), "big") for row in rows]
        return await self._rows(self._connection, self._network, [], handles) if handles else []

    async def put_tier_uses(self, uses: Sequence[TierUse], now: datetime) -> dict[tuple[UUID, str], list[TierUse]]:
        """Note discounts, and return all of each guest's day."""
        await write(
            self._connection,
            "insert into tier_use (network_id, noted_at, guest_id, business_day, tx_id, device_id, amount)"
            " select $1, $2, * from unnest($3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::bigint[])"
            " on conflict (network_id, guest_id, business_day, tx_id) do nothing",
            self._network,
            now,
            [one.guest for one in uses],
            [one.business_day for one in uses],
            [one.tx for one in uses],
            [one.device for one in uses],
            [one.amount for one in uses],
        )
        days = {(one.guest, one.business_day) for one in uses}
        found = await fetch(
            self._connection,
            "select u.guest_id, u.business_day, u.tx_id, u.device_id, u.amount from tier_use u"
            " join unnest($2::uuid[], $3::text[]) as t (guest, day) on t.guest = u.guest_id and t.day = u.business_day"
            " where u.network_id = $1 order by u.tx_id",
            self._network,
            [guest for guest, _ in days],
            [day for _, day in days],
        )
        made: dict[tuple[UUID, str], list[TierUse]] = {}
        for row in found:
            made.setdefault((row.guest_id, row.business_day), []).append(TierUse(*row))
        return made

    async def unproved(self, days: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], int]:
        """Return what tills have redeemed without proof."""
        keys = list(days)
        found = await fetch(
            self._connection,
            "select u.device_id, u.day, sum(u.points)::bigint from unproved_use u"
            " join unnest($2::uuid[], $3::integer[]) as t (device, day) on t.device = u.device_id and t.day = u.day"
            " where u.network_id = $1 group by u.device_id, u.day",
            self._network,
            [device for device, _ in keys],
            [day for _, day in keys],
        )
        return {(device, day): points for device, day, points in found}

    async def take_unproved(self, sales: Iterable[UUID]) -> list[UnprovedUse]:
        """Forget what these sales redeemed without proof, and return it."""
        found = await fetch(
            self._connection,
            "delete from unproved_use where network_id = $1 and tx_id = any($2::uuid[])"
            " returning device_id, day, tx_id, points",
            self._network,
            list(sales),
        )
        return [UnprovedUse(*row) for row in found]

    async def put_unproved(self, uses: Sequence[UnprovedUse], now: datetime) -> None:
        """Note what sales redeemed without proof."""
        await write(
            self._connection,
            "insert into unproved_use (network_id, noted_at, device_id, day, tx_id, points)"
            " select $1, $2, * from unnest($3::uuid[], $4::integer[], $5::uuid[], $6::bigint[])",
            self._network,
            now,
            [one.device for one in uses],
            [one.day for one in uses],
            [one.tx for one in uses],
            [one.points for one in uses],
        )

    async def late(self, wanted: Sequence[Late]) -> tuple[list[Late], set[UUID]]:
        """As `late.look`."""
        return await late.look(self._connection, self._network, wanted)

    async def reinstate(self, wanted: Sequence[Late], now: datetime) -> None:
        """As `late.reinstate`."""

        async def render(connection: Connection, network: UUID, guests: Sequence[UUID]) -> list[Change]:
            return await self._rows(connection, network, guests, [])

        await late.reinstate(self._connection, self._network, wanted, render, now)


def _columns(uses: Sequence[StepUse]) -> tuple[list[bytes], list[bytes], list[int]]:
    return (
        [one.shown.handle.to_bytes(HANDLE_BYTES, "big") for one in uses],
        [one.shown.root for one in uses],
        [one.shown.step for one in uses],
    )
