"""Hello: who lives here, what time it is, how far each epoch has come (ledger-and-sync.md, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.canonical import INT64_MAX, INT64_MIN
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.record import MAX_PAYLOAD_BYTES
from loyalty_desk.wire.v1 import signing
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import Command, Head, HelloAnswer, HelloRequest
from server.kit import feed, incarnation
from server.kit.db import fetch, fetch_value
from server.kit.errors import ApiError
from server.kit.ground import Ground
from server.networks import service as networks

MIN_APP = "0.1.0"
_DATA_REFUSED = ("suspended", "revoked")


async def hello(ground: Ground, message: HelloRequest, now: datetime) -> HelloAnswer:
    """Answer a till and remember where its clock stands.

    Raises `ApiError` 409 STALE_INCARNATION where the till has seen more of the feed than there is: the database was put
    back without telling anybody, so a new life begins and every till reconciles.
    """
    network, device = message.network, message.device
    if not INT64_MIN <= message.monotonic_ms <= INT64_MAX:
        raise ApiError(400, ErrorCode.BAD_BODY, "monotonic_ms does not fit 64 bits.")
    async with ground.db.begin(network) as connection:
        life = await incarnation.current(connection)
        if life is None:
            raise ApiError(503, ErrorCode.OUTAGE, "The server is still starting. Try again.", retry_after_s=2)
        beyond = False
        if message.cursor is not None and message.incarnation == life.id:
            beyond = message.cursor > (await feed.count(connection, network)).n
        if not beyond:
            state = await fetch_value(
                connection,
                """
                update device set last_seen = $3, clock_boot = $4, clock_ms = $5, clock_at = $6
                where network_id = $1 and id = $2 returning state
                """,
                network,
                device,
                now,
                message.boot_id,
                message.monotonic_ms,
                to_ms(now),
            )
            heads, forked = await _heads(connection, network, device, message.epochs)
            kid, key = await networks.signing_key(connection, network, ground.vault, now)
            keyset = await networks.keyset_version(connection, network)
    if beyond:
        async with ground.db.without_network() as connection:
            await incarnation.rotate(connection, "a till has seen more than is here", unless_past=life.id)
        text = "The server's data was put back to an earlier state. Say hello again."
        raise ApiError(409, ErrorCode.STALE_INCARNATION, text)
    commands = [Command.ROTATE_EPOCH.value] if forked else []
    if state in _DATA_REFUSED:
        commands.append(Command.SUSPEND.value)
    server_time = to_ms(now)
    sig = key.sign(signing.hello_message(network, message.nonce, server_time, life.id))
    return HelloAnswer(life.id, server_time, heads, keyset, MIN_APP, MAX_PAYLOAD_BYTES, kid, sig, commands)


async def _heads(
    connection: AsyncConnection, network: UUID, device: UUID, theirs: Sequence[Head]
) -> tuple[list[Head], bool]:
    """Return our heads, of a forked epoch the branch that is the till's, and whether it has to begin a new epoch."""
    found = await fetch(
        connection,
        """
        select epoch, branch, head_seq, head_hash from device_epoch
        where network_id = $1 and device_id = $2 order by opened_at, epoch, branch
        """,
        network,
        device,
    )
    said = {(one.epoch, one.head_hash) for one in theirs}
    heads: dict[int, Head] = {}
    forked: set[int] = set()
    for row in found:
        mine = Head(row.epoch, row.head_seq, bytes(row.head_hash))
        if row.epoch not in heads or (mine.epoch, mine.head_hash) in said:
            heads[row.epoch] = mine
        if row.branch > 0:
            forked.add(row.epoch)
    # A till that names an epoch not seen here has begun a new one already.
    latest = found[-1].epoch if found else None
    return list(heads.values()), latest in forked and all(one.epoch in heads for one in theirs)
