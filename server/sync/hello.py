"""Hello: who lives here, what time it is, how far each epoch has come."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loyalty_desk.domain.canonical import INT64_MAX, INT64_MIN
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import Broken
from loyalty_desk.domain.record import MAX_PAYLOAD_BYTES, head_is_signed
from loyalty_desk.wire.v1 import signing
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import Acked, Block, Command, FeedTable, Head, HelloAnswer, HelloRequest
from server.kit.errors import ApiError
from server.sync.clones import grow_in_turns
from server.sync.lives import end_life
from server.sync.store import BranchHead, SyncStore, SyncStores

_LOG = logging.getLogger(__name__)
MIN_APP = "0.1.0"
_DATA_REFUSED = ("suspended", "revoked", "cloned")


async def hello(stores: SyncStores, message: HelloRequest, now: datetime, key: Ed25519PublicKey) -> HelloAnswer:
    """Answer a till, whose key is `key`, and remember where its clock stands.

    Raises `ApiError` 409 STALE_INCARNATION where the till has seen more of the feed than there is, or was told that
    more of its records are held: the database was put back without telling anybody, so a new life begins and every
    till reconciles. A till that has said so a moment ago and stands alone with it again is told 429 to wait.
    """
    network, device = message.network, message.device
    if not INT64_MIN <= message.monotonic_ms <= INT64_MAX:
        raise ApiError(400, ErrorCode.BAD_BODY, "monotonic_ms does not fit 64 bits.")
    async with stores.begin(network) as store:
        life = await store.life()
        if life is None:
            raise ApiError(503, ErrorCode.OUTAGE, "The server is still starting. Try again.", retry_after_s=2)
        found = await store.heads(device)
        beyond = message.acked_in == life and await _lacks(store, device, found, list(_proved(message, key)))
        if not beyond and message.cursor is not None and message.incarnation == life:
            beyond = message.cursor > (await store.feed_count()).n
        if not beyond:
            state = await store.see(device, now, message.boot_id, message.monotonic_ms)
            heads, forked = _heads(found, message.epochs)
            if state == "active" and len(found) > 1 and grow_in_turns(await store.lines(device)):
                await store.mark_cloned(device)
                state = "cloned"
            try:
                kid, network_key = await store.signing_key(now)
            except Broken as error:
                # Before the network's first key its clock cannot stand; a till that believed the answer would be led.
                _LOG.error("%s: is the server's clock right? It says %s", error, f"{now:%Y-%m-%d %H:%M}")
                text = "The server's clock is wrong: it stands before this network was made."
                raise ApiError(503, ErrorCode.OUTAGE, text, retry_after_s=60) from error
            keyset = await store.keyset_version()
            newer = None
            if message.keyset_version is not None and message.keyset_version < keyset:
                newer = (await store.rows(FeedTable.KEYSET, ["current"])).get("current")
            phone_key = b"" if state in _DATA_REFUSED else store.phone_key()
    if beyond:
        await end_life(stores, network, device, life, now)
        text = "The server's data was put back to an earlier state. Say hello again."
        raise ApiError(409, ErrorCode.STALE_INCARNATION, text)
    commands = [Command.ROTATE_EPOCH.value] if forked else []
    if state in _DATA_REFUSED:
        commands.append(Command.SUSPEND.value)
    if state == "revoked":
        # Beside `suspend`, which tills from before this command obey: they get no data either.
        commands.append(Command.REVOKE.value)
    server_time = to_ms(now)
    sig = network_key.sign(signing.hello_message(network, message.nonce, server_time, life))
    phone_sig = network_key.sign(signing.phones_message(network, message.nonce, phone_key)) if phone_key else b""
    known = (keyset, MIN_APP, MAX_PAYLOAD_BYTES, kid, sig)
    return HelloAnswer(life, server_time, heads, *known, commands, newer, phone_key, phone_sig)


def _proved(message: HelloRequest, key: Ed25519PublicKey) -> Iterator[Acked]:
    """Give those claims whose record this till has really written."""
    place = (key, message.network, message.device)
    for one in message.acked:
        if one.hash and one.sig and head_is_signed(*place, one.epoch, one.seq, one.hash, one.sig):
            yield one


async def _lacks(store: SyncStore, device: UUID, found: Sequence[BranchHead], acked: Sequence[Acked]) -> bool:
    """Return whether an acknowledged record is not held any more: its epoch ends before it, or another has its place.

    Two tills that write one journal go on with one epoch: it may be as long as ever when the end of one's is lost.
    """
    ends: dict[int, int] = {}
    for one in found:
        ends[one.epoch] = max(one.seq, ends.get(one.epoch, 0))
    if any(one.seq > ends.get(one.epoch, 0) for one in acked):
        return True
    heads = {(one.epoch, one.hash) for one in found}
    for claim in acked:
        if (claim.epoch, claim.hash) not in heads:
            (there,) = await store.held(device, claim.epoch, [Block(claim.seq, 1, b"")])
            if all(digest != claim.hash for _, digest in there):
                return True
    return False


def _heads(found: Sequence[BranchHead], theirs: Sequence[Head]) -> tuple[list[Head], bool]:
    """Return our heads, of a forked epoch the branch that is the till's, and whether it has to begin a new epoch."""
    said = {(one.epoch, one.head_hash) for one in theirs}
    heads: dict[int, Head] = {}
    forked: set[int] = set()
    for one in found:
        if one.epoch not in heads or (one.epoch, one.hash) in said:
            heads[one.epoch] = Head(one.epoch, one.seq, one.hash)
        if one.branch > 0:
            forked.add(one.epoch)
    # A till that names an epoch not seen here has begun a new one already.
    latest = found[-1].epoch if found else None
    return list(heads.values()), latest in forked and all(one.epoch in heads for one in theirs)
