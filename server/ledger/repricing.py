"""Every pushed sale is priced again, after its acknowledgement, by the same kernel and the program version it names.

What differs becomes an exception for a person, never a rejection. What a rule may give a limited number of times is
counted on the way, by the pricing that both sides agree on; once nothing is left of a sale that is counted back. The
queue is a table filled by the posting itself and emptied by the transaction that stores what was found, so work
survives a restart and is done once by however many workers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import Drift, check_from_payload, drift, priced_at
from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import ExceptionKind, Record
from loyalty_desk.domain.uses import PROGRAM, CounterKey, counted, counts
from loyalty_desk.wire.v1.payloads import read_stored
from server.kit import feed
from server.kit.db import Connection, Database, fetch, write
from server.kit.errors import is_outage
from server.ledger import counting, storing
from server.ledger.overruns import Gave, exceeded, with_exceeded
from server.ledger.returns import RETURNS, SALES, came_back
from server.ledger.shelf import ProgramShelf
from server.ledger.storing import RaisedRow
from server.ledger.terms import program_version

_LOG = logging.getLogger(__name__)
_AT_ONCE = 200
_IDLE_S = 30.0
_LOOKING_SHARE = 20
_SHOWN = 20
_QUIET_S = 0.25
_PATIENCE_S = 1.0

OLDEST = """
    with oldest as (
        select q.tx_id, q.queued_at
        from reprice_queue q
        -- Each by itself, by the offset, and so in the order of the index: a long queue is neither sorted nor gone
        -- through at every step, whatever PostgreSQL knew of its length when it last looked.
        cross join lateral (
            select x.reverses_id from ledger_tx x where x.network_id = q.network_id and x.id = q.tx_id offset 0
        ) what
        -- What a sale has used is not there to be counted back before it is priced. Left out before the limit is
        -- reached: returns that stand before their sales would keep them out for ever.
        where q.network_id = $1 and (what.reverses_id is null or not exists (
            select 1 from reprice_queue s where s.network_id = q.network_id and s.tx_id = what.reverses_id offset 0
        ))
        order by q.queued_at limit $2 for update of q skip locked
    )
    select q.tx_id, x.payload, coalesce(s.merged_into, x.guest_id) as guest, o.payload as original
    from oldest q
    join ledger_tx x on x.network_id = $1 and x.id = q.tx_id
    left join guest_state s on s.network_id = x.network_id and s.guest_id = x.guest_id
    left join ledger_tx o on o.network_id = x.network_id and o.id = x.reverses_id
    order by q.queued_at
"""
"""Up to $2 queued records of the network $1, the oldest first; a return not before what it takes back is done."""


@dataclass(frozen=True, slots=True)
class _Queued:
    """`record` is None where the stored bytes cannot be read any more; `guest` is who it was posted to, after merges.

    `original` is the sale that a return reverses, `before` what had come back of it already; each `program` is the one
    that its record names.
    """

    id: UUID
    record: Record | None
    program: Program | None
    guest: UUID | None = None
    original: Record | None = None
    original_program: Program | None = None
    before: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class _Priced:
    """What pricing a queued record again has shown: `moved` is what it adds to counters.

    `gave` is what each record took from limits for all together, in order.
    """

    raised: list[RaisedRow]
    moved: Counter[CounterKey]
    gave: list[Gave] = field(default_factory=list)


class Repricer:
    """Prices queued sales again; `wake` it when there may be some, `run` it as a task.

    Nobody wakes one in a process of its own: it looks by itself, every `look_every_s` seconds.
    """

    def __init__(self, db: Database, shelf: ProgramShelf, *, look_every_s: float = _IDLE_S) -> None:
        self._db = db
        self._shelf = shelf
        self._look_every_s = look_every_s
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled; a database that is away is tried again."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            started, worked = loop.time(), 0.0
            try:
                networks = await self._db.networks()
            except Exception as error:  # noqa: BLE001 - the queue keeps what was not done
                _say(error)
                networks = []
            for network in networks:
                begun = loop.time()
                try:
                    if await self._drain(network):
                        worked += loop.time() - begun
                except Exception as error:  # noqa: BLE001 - what stops one network must not stop the others
                    _say(error)
            # Looking into many networks takes long: not more than a share of the time goes into looking in vain. What
            # went into pricing is not rested from: more may have come meanwhile.
            pause = max(self._look_every_s, _LOOKING_SHARE * (loop.time() - started - worked))
            try:
                await asyncio.wait_for(self._woken.wait(), min(pause, _IDLE_S))
            except TimeoutError:
                continue

    async def _drain(self, network: UUID) -> bool:
        """Price until nothing waits; return whether anything did."""
        turns, done = 0, 1
        while done:
            await self._wait_for_quiet()
            done = await self.step(network)
            turns += 1
        return turns > 1

    async def _wait_for_quiet(self) -> None:
        """Let pushes go first: they share the processor. But never wait long: a busy network is priced as well."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_S
        while self._woken.is_set() and loop.time() < deadline:
            self._woken.clear()
            await asyncio.sleep(_QUIET_S)

    async def step(self, network: UUID, limit: int = _AT_ONCE) -> int:
        """Price up to `limit` queued sales of a network again and return how many there were."""
        async with self._db.begin(network) as connection:
            # A plan kept from when the queue was short reads all of a long one.
            await write(connection, "set local plan_cache_mode = force_custom_plan")
            rows = await fetch(connection, OLDEST, network, limit)
            queued: list[_Queued] = []
            programs: dict[int | None, Program | None] = {None: None}
            for tx_id, payload, guest, reversed_payload in rows:
                record = _read(tx_id, bytes(payload))
                original = None if reversed_payload is None else _read(tx_id, bytes(reversed_payload))
                versions = [None if one is None else program_version(one) for one in (record, original)]
                for version in versions:
                    if version not in programs:
                        programs[version] = await self._shelf.find(connection, network, version)
                program, original_program = (programs[version] for version in versions)
                queued.append(_Queued(tx_id, record, program, guest, original, original_program))
            if not queued:
                return 0
            queued = await _with_returns_before(connection, network, queued)
            # Away from the loop: pushes are answered meanwhile.
            found = await asyncio.to_thread(_price, queued)
            counters = await counting.move(connection, network, found.moved)
            raised = found.raised
            if found.gave:
                raised = with_exceeded(raised, await exceeded(connection, network, found.gave))
            if raised:
                await storing.insert_raised(connection, network, None, raised)
            await write(
                connection,
                "delete from reprice_queue where network_id = $1 and tx_id = any($2::uuid[])",
                network,
                [one.id for one in queued],
            )
            if counters:
                await feed.record(connection, network, counters)
        return len(queued)


def _say(error: Exception) -> None:
    if is_outage(error):
        _LOG.warning("pricing again waits for the database")
    else:
        _LOG.error("pricing again failed", exc_info=error)


def _read(tx_id: UUID, payload: bytes) -> Record | None:
    try:
        return read_stored(payload)
    except Exception:  # noqa: BLE001 - noted beside the sale; it must not keep the others waiting for ever
        _LOG.exception("the stored record of sale %s cannot be read", tx_id)
        return None


def _price(queued: Sequence[_Queued]) -> _Priced:
    found = _Priced([], Counter())
    for one in queued:
        facts: Mapping[str, Json] = {}
        if one.record is None:
            facts = {"reason": "record_unreadable"}
        else:
            if one.record.kind in RETURNS:
                _count_back(one, one.record, found.moved)
            if one.record.kind in SALES:
                facts = _finding(one, one.record, found)
        if facts:
            found.raised.append(RaisedRow(ExceptionKind.RULE_DRIFT, one.id, None, facts, "warning"))
    return found


async def _with_returns_before(connection: Connection, network: UUID, queued: Sequence[_Queued]) -> list[_Queued]:
    """Return these with what had come back of the sales whose return may count something back.

    Whoever counts returns takes turns: each of two returns of a sale would take the other for one that is not counted.
    """
    back = [one.id for one in queued if one.original and one.original_program and counts(one.original_program)]
    if not back:
        return list(queued)
    await counting.lock(connection, network)
    found = await fetch(
        connection,
        """
        select b.id, b.reverses_id, b.payload from ledger_tx b
        where b.network_id = $1 and b.kind in ('void', 'refund', 'exchange') and b.reverses_id in
            (select reverses_id from ledger_tx where network_id = $1 and id = any($2::uuid[]))
            and not exists (select 1 from reprice_queue q where q.network_id = $1 and q.tx_id = b.id)
        """,
        network,
        back,
    )
    before: defaultdict[UUID, list[Record]] = defaultdict(list)
    for tx_id, of, payload in found:
        record = _read(tx_id, bytes(payload))
        if record is not None:
            before[of].append(record)
    made = []
    for one in queued:
        if one.original is not None and one.record is not None:
            made.append(replace(one, before=tuple(before[one.original.id])))
            before[one.original.id].append(one.record)
        else:
            made.append(one)
    return made


def _count_back(one: _Queued, record: Record, moved: Counter[CounterKey]) -> None:
    """Take back what a sale has used once nothing is left of it, whichever of its returns came last, of any till."""
    sale, program = one.original, one.original_program
    if sale is None or sale.check is None or program is None:
        return
    try:
        contents = check_from_payload(sale.check)
        quoted = contents.quoted(program, priced_at(sale.check, sale.occurred_at))
        used = counted(program, quoted, one.guest, contents.basket.zone)
        if not used or came_back(sale, program, one.before).is_whole:
            return
        if came_back(sale, program, [*one.before, record]).is_whole:
            for key, count in used.items():
                moved[key] -= count
    except (ForPerson, OverflowError):
        _LOG.warning("the return %s could not be counted back", one.id)


def _finding(one: _Queued, record: Record, found: _Priced) -> Mapping[str, Json]:
    check = record.check or {}
    if one.program is None:
        return {"reason": "program_unknown", "version": program_version(record)}
    try:
        contents = check_from_payload(check)
        quoted = contents.quoted(one.program, priced_at(check, record.occurred_at))
        differences = drift(contents.claimed, quoted)
        used = counted(one.program, quoted, one.guest, contents.basket.zone)
        found.moved.update(used)
        shared = {(key.rule, key.period): count for key, count in used.items() if key.owner == PROGRAM}
        if shared:
            limits = one.program.limits
            found.gave.append(Gave(one.id, record.device, record.epoch, shared, {key: limits[key] for key in shared}))
    except (ForPerson, OverflowError) as error:
        return {"reason": "check_unreadable", "error": str(error)[:200]}
    except Exception as error:  # noqa: BLE001 - a fault of the kernel is noted beside the sale and stops nothing
        _LOG.exception("pricing sale %s again failed", one.id)
        return {"reason": "fault", "error": type(error).__name__}
    said = (record.money_total, record.points_earned, record.points_redeemed)
    inside = (contents.claimed.total, contents.claimed.earned_points, contents.claimed.redeemed_points)
    for name, outer, inner in zip(("money_total", "points_earned", "points_redeemed"), said, inside, strict=True):
        if outer != inner:
            differences.append(Drift(f"record_{name}", -1 if outer is None else outer, inner))
    if not differences:
        return {}
    return {"count": len(differences), "differences": [asdict(one) for one in differences[:_SHOWN]]}
