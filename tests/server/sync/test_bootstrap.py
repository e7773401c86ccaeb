"""Bootstrap: one immutable file that says what the feed says, in parts, to whoever may read."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
import zstandard

from loyalty_desk.wire.v1.bootstrap import PART_BYTES, SnapshotManifest
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS
from server.guests import leaving
from server.sync import bootstrap
from server.sync.pull import pull
from server.sync.snapshot_file import find
from server.sync.store import PostgresSyncStores
from server.tills.signers import find_signer
from tests.server.fake_till import FakeTill
from tests.server.world import SYNC, World, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def get(world: World, till: FakeTill, path: str = "", **headers: str) -> httpx2.Response:
    target = f"{SYNC}/bootstrap{path}"
    return await world.client.get(target, headers=till.headers("GET", target) | headers)


async def manifest(world: World, till: FakeTill) -> SnapshotManifest:
    """Ask until there is one."""
    for _ in range(200):
        response = await get(world, till)
        if response.status_code != 503:
            return read(SnapshotManifest, response)
        assert refusal(response) == (503, "SNAPSHOT_WAITS")
        assert int(response.headers["retry-after"]) > 0
        await asyncio.sleep(0.05)
    raise AssertionError("never made")


async def whole(world: World, till: FakeTill, found: SnapshotManifest, size: int = PART_BYTES) -> bytes:
    got = b""
    while len(got) < found.packed:
        response = await get(world, till, f"/{found.id}", Range=f"bytes={len(got)}-{len(got) + size - 1}")
        assert response.status_code == 206
        assert response.headers["content-range"] == (
            f"bytes {len(got)}-{len(got) + len(response.content) - 1}/{found.packed}"
        )
        got += response.content
    return got


def opened(packed: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.deserialize(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
    return connection


async def test_the_file_is_what_the_feed_says_and_the_delta_follows_it(world: World) -> None:
    till = await world.till()
    await world.guests(40)
    found = await manifest(world, till)
    packed = await whole(world, till, found, 1_000)
    assert (len(packed), sha256(packed).digest()) == (found.packed, found.sha256)
    file = opened(packed)
    parts = [
        d
        for table in ("guest", "credential", "counter", "document")
        for (d,) in file.execute(f"select digest from {table}")
    ]
    assert len(parts) == found.rows
    assert sum(int.from_bytes(one, "big") for one in parts) % DIGEST_MODULUS == int.from_bytes(found.digest, "big")
    assert file.execute("select count(*) from guest").fetchone() == (40,) == (found.guests,)
    page = await world.pull(till)
    assert (page.checkpoint.n, page.checkpoint.rows, page.checkpoint.digest) == (
        found.feed_seq,
        found.rows,
        found.digest,
    )
    await world.guests(3)
    assert len({row.key for row in (await world.pull(till, found.feed_seq)).rows if row.table == "guest"}) == 3


async def test_all_tills_get_one_file_and_nobody_elses_name_lies_in_the_open(world: World, tmp_path: Path) -> None:
    first, second = await world.till(), await world.till()
    await world.guests(5)
    found = await manifest(world, first)
    assert await manifest(world, second) == found
    files = list((tmp_path / "data" / "snapshots").rglob("*.snap"))
    assert len(files) == 1
    content = b"".join(file.read_bytes() for file in (tmp_path / "data" / "snapshots").rglob("*") if file.is_file())
    assert b"Guest" not in content
    assert files[0].stat().st_mode & 0o077 == 0


async def test_a_part_is_given_only_of_what_is_there_to_whoever_may_read(world: World) -> None:
    till, revoked = await world.till(), await world.till("revoked")
    found = await manifest(world, till)
    assert refusal(await get(world, till, f"/{uuid4()}")) == (404, "NOT_FOUND")
    for asked in ("bytes=-5", "bytes=0-1,3-4", "lines=1-2", f"bytes={found.packed}-", "bytes=5-1", "bytes=" + "9" * 30):
        assert (await get(world, till, f"/{found.id}", Range=asked)).status_code == 416
    assert (await get(world, till, f"/{found.id}")).status_code == 206
    for path in ("", f"/{found.id}"):
        assert refusal(await get(world, revoked, path)) == (403, "DEVICE_REVOKED")
        target = f"{SYNC}/bootstrap{path}"
        unsigned = till.headers("GET", target) | {"LD-Signature": ""}
        assert (await world.client.get(target, headers=unsigned)).status_code == 403
        nobody = {key: value for key, value in till.headers("GET", target).items() if key != "Authorization"}
        assert (await world.client.get(target, headers=nobody)).status_code == 401


async def test_an_erased_guest_is_in_no_file_that_is_still_served(world: World) -> None:
    till = await world.till()
    anna, *_ = await world.guests(3)
    old = await manifest(world, till)
    await leaving.erase(world.ground, world.network, anna.id)
    assert refusal(await get(world, till))[1] == "SNAPSHOT_WAITS"
    assert (await get(world, till, f"/{old.id}")).status_code == 404
    new = await manifest(world, till)
    assert (new.guests, new.id == old.id) == (2, False)


async def test_an_old_file_is_served_until_the_next_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    till = await world.till()
    old = await manifest(world, till)
    monkeypatch.setattr(bootstrap, "MAX_BEHIND", 0)
    await world.guests(10)
    seen: list[UUID] = []
    for _ in range(200):
        seen.append((await manifest(world, till)).id)
        if seen[-1] != old.id:
            break
        await asyncio.sleep(0.05)
    assert seen[0] == old.id != seen[-1]
    # Somebody who looked before the new one was there asks for it a moment later: it is there already.
    folder = world.ground.settings.data_dir / "snapshots" / str(world.network)
    (was,) = [one for one in find(folder, world.ground.vault, world.network) if one.manifest.id == old.id]
    await asyncio.to_thread(bootstrap._make_alone, world.ground, world.network, time.time, was)
    assert (await manifest(world, till)).id == seen[-1]
    # Who was in the middle of the old one can finish it.
    assert (await get(world, till, f"/{old.id}")).status_code == 206


async def test_a_file_of_another_life_is_not_served(world: World) -> None:
    till = await world.till()
    old = await manifest(world, till)
    await PostgresSyncStores(world.ground).rotate("for the test", unless_past=world.incarnation)
    assert refusal(await get(world, till))[1] == "SNAPSHOT_WAITS"
    assert (await manifest(world, till)).incarnation != old.incarnation


async def test_too_many_guests_to_page_from_zero_ask_for_the_file(world: World) -> None:
    till = await world.till()
    await world.guests(3)
    signer = await find_signer(world.ground, world.network, till.device)
    stores = PostgresSyncStores(world.ground)
    assert (await pull(stores, signer, None, from_zero_guests=3)).checkpoint is not None
    with pytest.raises(Exception, match="snapshot") as refused:
        await pull(stores, signer, None, from_zero_guests=2)
    assert refused.value.status == 410


async def test_scenario_37_a_till_of_200_days_ago_is_asked_to_begin_anew_and_its_facts_are_taken(
    world: World, admin: psycopg.Connection
) -> None:
    till = await world.till()
    [anna] = await world.guests(1)
    after = (await world.pull(till)).next
    await world.guests(1)
    admin.execute("update feed_commit set committed_at = committed_at - interval '200 days'")
    assert refusal(await world.get_page(till, after)) == (410, "MUST_BOOTSTRAP")
    till.sale(anna.id, earned=5)
    assert {one.status.value for one in (await world.push(till)).results} == {"posted"}
    assert await world.balance(anna.id) == 5
    # Whoever has seen everything up to the young changes is not sent away.
    assert (await world.get_page(till, (await world.pull(till)).next)).status_code == 200
