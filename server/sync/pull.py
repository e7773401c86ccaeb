"""Pull: the changes a till has not seen, in the order of their commits, and a digest of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import (
    MAX_PULL_ROWS,
    PULL_FROM_ZERO_GUESTS,
    Checkpoint,
    FeedRow,
    FeedTable,
    PullAnswer,
    cursor_from_text,
)
from server.kit import feed
from server.kit.auth import Signer
from server.kit.errors import ApiError
from server.sync.store import SyncStore, SyncStores

_REFUSED = {
    "revoked": (ErrorCode.DEVICE_REVOKED, "This till was removed from the network."),
    "cloned": (ErrorCode.DEVICE_SUSPENDED, "Two tills work with this till's journal. Enrol both again."),
    "suspended": (ErrorCode.DEVICE_SUSPENDED, "This till is suspended. Its sales are still accepted."),
}


def may_read(state: str | None) -> None:
    """Raise `ApiError` 403 for a till that gets no data."""
    if state in _REFUSED:
        raise ApiError(403, *_REFUSED[state])


async def pull(
    stores: SyncStores,
    signer: Signer,
    cursor: str | None,
    limit: int = MAX_PULL_ROWS,
    from_zero_guests: int = PULL_FROM_ZERO_GUESTS,
) -> PullAnswer:
    """Return a page of changes behind `cursor`, read in one snapshot.

    Raises `ApiError`: 400 for a cursor that is none, 403 for a till that gets no data, 410 MUST_BOOTSTRAP for a cursor
    of another life or from before the tombstones' horizon, and without a cursor where there are more than
    `from_zero_guests` guests; 409 STALE_INCARNATION for a cursor beyond the feed's end: the database was put back
    silently. The hello that follows begins a new life.
    """
    async with stores.snapshot(signer.network) as store:
        may_read(await store.state(signer.device))
        life = await store.life()
        if life is None:
            raise ApiError(503, ErrorCode.OUTAGE, "The server is still starting. Try again.", retry_after_s=2)
        total = await store.feed_count()
        after = await _after(store, cursor, life, from_zero_guests)
        page = max(1, min(limit, MAX_PULL_ROWS))
        marks = await store.marks(after, page + 1)
        has_more, marks = len(marks) > page, marks[:page]
        rows = await _rendered(store, marks)
    if after > total.n:
        text = "The server's data was put back to an earlier state. Say hello again."
        raise ApiError(409, ErrorCode.STALE_INCARNATION, text)
    if has_more:
        return PullAnswer(life, rows, rows[-1].seq, has_more=True)
    checkpoint = Checkpoint(total.n, total.rows, total.digest.to_bytes(16, "big"))
    return PullAnswer(life, rows, total.n, has_more=False, checkpoint=checkpoint)


async def _after(store: SyncStore, cursor: str | None, life: UUID, from_zero_guests: int) -> int:
    if not cursor:
        found = await store.guests_up_to(from_zero_guests + 1)
        if found > from_zero_guests:
            text = "There are too many guests to read one by one. Fetch the snapshot."
            raise ApiError(410, ErrorCode.MUST_BOOTSTRAP, text)
        return 0
    try:
        incarnation_of_cursor, after, _ = cursor_from_text(cursor)
    except ValueError as error:
        raise ApiError(400, ErrorCode.BAD_BODY, "The cursor is not one of ours.") from error
    if incarnation_of_cursor != life:
        raise ApiError(410, ErrorCode.MUST_BOOTSTRAP, "The server's data has begun a new life. Read it anew.")
    if await store.is_beyond_horizon(after):
        raise ApiError(410, ErrorCode.MUST_BOOTSTRAP, "This till has been away for too long. Read the data anew.")
    return after


async def _rendered(store: SyncStore, marks: Sequence[feed.Mark]) -> list[FeedRow]:
    keys: dict[str, list[str]] = {}
    for mark in marks:
        if mark.live:
            keys.setdefault(mark.table, []).append(mark.key)
    rows = {table: await store.rows(FeedTable(table), wanted) for table, wanted in keys.items()}
    return [
        FeedRow(mark.seq, mark.table, mark.key, rows[mark.table].get(mark.key) if mark.live else None) for mark in marks
    ]
