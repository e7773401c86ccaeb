"""Every pushed sale is priced again, after its acknowledgement, by the same kernel and the program version it names.

What differs becomes an exception for a person, never a rejection. The queue is a table filled by the posting itself and
emptied by the transaction that stores the finding, so work survives a restart and is done once by however many workers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import Drift, check_from_payload, drift, reprice
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import ExceptionKind, Record
from server.kit.db import Database, fetch
from server.kit.errors import is_outage
from server.ledger import storing
from server.ledger.shelf import ProgramShelf
from server.ledger.standing import program_version
from server.ledger.storing import RaisedRow

_LOG = logging.getLogger(__name__)
_AT_ONCE = 200
_IDLE_S = 30.0
_SHOWN = 20
_QUIET_S = 0.25
_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class _Queued:
    """`record` is None where the stored bytes cannot be read any more."""

    id: UUID
    record: Record | None
    program: Program | None


class Repricer:
    """Prices queued sales again; `wake` it when there may be some, `run` it as a task."""

    def __init__(self, db: Database, shelf: ProgramShelf) -> None:
        self._db = db
        self._shelf = shelf
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled; a database that is away is tried again."""
        while True:
            self._woken.clear()
            try:
                networks = await self._db.networks()
            except Exception as error:  # noqa: BLE001 - the queue keeps what was not done
                _say(error)
                networks = []
            for network in networks:
                try:
                    await self._drain(network)
                except Exception as error:  # noqa: BLE001 - what stops one network must not stop the others
                    _say(error)
            try:
                await asyncio.wait_for(self._woken.wait(), _IDLE_S)
            except TimeoutError:
                continue

    async def _drain(self, network: UUID) -> None:
        done = 1
        while done:
            await self._wait_for_quiet()
            done = await self.step(network)

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
            rows = await fetch(
                connection,
                """
                select q.tx_id, x.payload from reprice_queue q
                join ledger_tx x on x.network_id = q.network_id and x.id = q.tx_id
                where q.network_id = $1 order by q.queued_at limit $2 for update of q skip locked
                """,
                network,
                limit,
            )
            queued: list[_Queued] = []
            for tx_id, payload in rows:
                record = _read(tx_id, bytes(payload))
                version = None if record is None else program_version(record)
                program = None if version is None else await self._shelf.find(connection, network, version)
                queued.append(_Queued(tx_id, record, program))
            if not queued:
                return 0
            # Away from the loop: pushes are answered meanwhile.
            found = await asyncio.to_thread(_findings, queued)
            if found:
                await storing.insert_raised(connection, network, None, found)
            await connection.exec_driver_sql(
                "delete from reprice_queue where network_id = $1 and tx_id = any($2::uuid[])",
                (network, [one.id for one in queued]),
            )
        return len(queued)


def _say(error: Exception) -> None:
    if is_outage(error):
        _LOG.warning("pricing again waits for the database")
    else:
        _LOG.error("pricing again failed", exc_info=error)


def _read(tx_id: UUID, payload: bytes) -> Record | None:
    try:
        return Record.from_payload(payload)
    except Exception:  # noqa: BLE001 - noted beside the sale; it must not keep the others waiting for ever
        _LOG.exception("the stored record of sale %s cannot be read", tx_id)
        return None


def _findings(queued: Sequence[_Queued]) -> list[RaisedRow]:
    found: list[RaisedRow] = []
    for one in queued:
        facts = _finding(one)
        if facts:
            found.append(RaisedRow(ExceptionKind.RULE_DRIFT, one.id, None, facts, "warning"))
    return found


def _finding(one: _Queued) -> Mapping[str, Json]:
    if one.record is None:
        return {"reason": "record_unreadable"}
    check = one.record.check or {}
    if one.program is None:
        return {"reason": "program_unknown", "version": program_version(one.record)}
    try:
        contents = check_from_payload(check)
        at = check.get("at")
        quoted_at = at if isinstance(at, int) and not isinstance(at, bool) else one.record.occurred_at
        differences = drift(contents.claimed, reprice(check, one.program, from_ms(quoted_at)))
    except (ForPerson, OverflowError) as error:
        return {"reason": "check_unreadable", "error": str(error)[:200]}
    except Exception as error:  # noqa: BLE001 - a fault of the kernel is noted beside the sale and stops nothing
        _LOG.exception("pricing sale %s again failed", one.id)
        return {"reason": "fault", "error": type(error).__name__}
    said = (one.record.money_total, one.record.points_earned, one.record.points_redeemed)
    inside = (contents.claimed.total, contents.claimed.earned_points, contents.claimed.redeemed_points)
    for field, outer, inner in zip(("money_total", "points_earned", "points_redeemed"), said, inside, strict=True):
        if outer != inner:
            differences.append(Drift(f"record_{field}", -1 if outer is None else outer, inner))
    if not differences:
        return {}
    return {"count": len(differences), "differences": [asdict(one) for one in differences[:_SHOWN]]}
