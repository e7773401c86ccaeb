from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.domain.record import handle_text
from loyalty_desk.services.ports.cache import CachedGuest, CacheState, CredentialState
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer
from tests.loyalty_desk.till_parts import GUEST, HANDLE, KEY, STORE

INCARNATION = UUID(int=7)
SURVIVOR = UUID(int=1234)


def page(*rows: tuple[str, str, dict | None], after: int = 0, more: bool = False, **rest) -> PullAnswer:
    changes = [FeedRow(after + n, table, key, row) for n, (table, key, row) in enumerate(rows, start=1)]
    return PullAnswer(INCARNATION, changes, after + len(rows), more, **rest)


def digest_of(*live: tuple[str, str, dict]) -> bytes:
    return (sum(row_digest(*row) for row in live) % DIGEST_MODULUS).to_bytes(16, "big")


ANNA = ("guest", str(GUEST), {"name": "Анна", "points": 250, "member_no": "1000000016", "phone_hash": "aa"})
CARD = ("credential", handle_text(HANDLE), {"guest": str(GUEST), "kind": "card"})
SHOP = ("store", str(STORE), {"name": "Pushkin Street", "zone": "Europe/Moscow", "currency": "RUB"})


@pytest.fixture
def cache(tmp_path: Path):
    made = SqliteCache(tmp_path / "cache.db", KEY)
    yield made
    made.close()


def test_a_guest_is_found_by_every_way(cache: SqliteCache) -> None:
    cache.apply(page(ANNA, CARD, SHOP))
    found = cache.by_handle(HANDLE)
    assert isinstance(found, CachedGuest)
    assert (found.id, found.row.name, found.row.points) == (GUEST, "Анна", 250)
    assert found.credential == CredentialState("card", "active")
    for same in (cache.by_member_number("1000000016"), cache.guest(GUEST), *cache.by_phone_hash("aa")):
        assert same == CachedGuest(GUEST, found.row)
    assert cache.store(STORE).zone == "Europe/Moscow"
    assert (cache.by_handle(1), cache.by_member_number("1"), cache.by_phone_hash("bb")) == (None, None, [])


def test_the_digest_follows_changes_and_tombstones(cache: SqliteCache) -> None:
    cache.apply(page(ANNA, CARD, SHOP, ("weather", "x", {"new": 1})))
    assert cache.state() == CacheState(
        INCARNATION, 4, False, 4, digest_of(ANNA, CARD, SHOP, ("weather", "x", {"new": 1})), 1
    )
    richer = ("guest", str(GUEST), {"name": "Анна", "points": 300})
    cache.apply(page(richer, ("credential", CARD[1], None), ("weather", "x", {"new": 2}), after=4))
    assert cache.state().digest == digest_of(richer, SHOP, ("weather", "x", {"new": 2}))
    assert (cache.state().rows, cache.state().guests) == (3, 1)
    assert cache.by_member_number("1000000016") is None
    cache.apply(page(("guest", str(GUEST), None), ("guest", str(UUID(int=5)), None), after=7))
    assert (cache.state().rows, cache.state().guests, cache.guest(GUEST)) == (2, 0, None)


@pytest.mark.parametrize(
    "changed", [{"points": 9}, {"member_no": "1000000024"}, {"member_no": ""}, {"phone_hash": "bb"}, {"phone_hash": ""}]
)
def test_a_changed_guest_is_found_by_what_is_true_now(cache: SqliteCache, changed: dict) -> None:
    cache.apply(page(ANNA))
    row = ANNA[2] | changed
    cache.apply(page(("guest", str(GUEST), row), after=1))
    state, found = cache.state(), cache.guest(GUEST)
    assert (state.rows, state.guests, state.digest) == (1, 1, digest_of(("guest", str(GUEST), row)))
    assert found.row.points == row["points"]
    for number in ("1000000016", "1000000024"):
        assert cache.by_member_number(number) == (found if number == row["member_no"] else None)
    for phone in ("aa", "bb"):
        assert cache.by_phone_hash(phone) == ([found] if phone == row["phone_hash"] else [])


def test_a_page_twice_is_the_page_once(cache: SqliteCache) -> None:
    cache.apply(page(ANNA, CARD))
    once = cache.state()
    cache.apply(page(ANNA, CARD))
    assert cache.state() == once


def test_a_credential_whose_guest_is_missing_is_told_apart(cache: SqliteCache) -> None:
    cache.apply(page(CARD))
    assert cache.by_handle(HANDLE) == CredentialState("card", "active")


def test_a_merged_guest_leads_to_the_survivor(cache: SqliteCache) -> None:
    merged = ("guest", str(GUEST), {"name": "Анна", "merged_into": str(SURVIVOR)})
    cache.apply(page(merged, CARD, ("guest", str(SURVIVOR), {"name": "Anna", "points": 9})))
    assert cache.by_handle(HANDLE).id == cache.guest(GUEST).id == SURVIVOR
    cache.apply(page(("guest", str(SURVIVOR), {"merged_into": str(GUEST)}), after=3))
    assert cache.guest(GUEST) is None


def test_rows_of_a_newer_server_are_kept_by_digest(cache: SqliteCache, expect_log) -> None:
    expect_log("cannot be read by this program")
    odd = ("guest", str(GUEST), {"points": "many"})
    added = ("profile", "default", {"mode": "deny", "from_the_future": 1})
    cache.apply(page(odd, added))
    assert (cache.guest(GUEST), cache.state().digest) == (None, digest_of(odd, added))
    assert cache.profile("default").mode == "deny"
    cache.apply(page(ANNA, after=2))
    assert (cache.guest(GUEST).row.name, cache.state().digest) == ("Анна", digest_of(ANNA, added))


def test_counters_are_read_by_owner(cache: SqliteCache) -> None:
    cache.apply(
        page(("counter", f"{GUEST}:cake:day:2026-03-02", {"used": 2}), ("counter", "program:cake:", {"used": 9}))
    )
    assert cache.uses(str(GUEST)) == [("cake", "day:2026-03-02", 2)]
    assert cache.uses("program") == [("cake", "", 9)]


def test_everything_survives_reopening(cache: SqliteCache, tmp_path: Path) -> None:
    cache.apply(page(ANNA, CARD))
    cache.completed(5_000, UUID(int=3), 77)
    before = cache.state()
    cache.close()
    again = SqliteCache(tmp_path / "cache.db", KEY)
    assert again.state() == before
    assert again.by_handle(HANDLE).row.name == "Анна"
    assert not again.rebuilt
    again.close()


def test_another_life_of_the_server_needs_a_wipe(cache: SqliteCache) -> None:
    cache.apply(page(ANNA))
    other = PullAnswer(UUID(int=8), [], 0, False)
    with pytest.raises(ValueError, match="another life"):
        cache.apply(other)
    cache.wipe(UUID(int=8))
    assert (cache.guest(GUEST), cache.state()) == (None, CacheState(incarnation=UUID(int=8)))
    cache.apply(other)
    assert cache.state().cursor == 0


@pytest.mark.parametrize("damage", ["junk", "other key", "flipped bytes", "cut short"])
def test_a_damaged_file_is_made_anew(cache: SqliteCache, tmp_path: Path, expect_log, damage: str) -> None:
    expect_log("made anew")
    cache.apply(page(ANNA, CARD))
    cache.close()
    path = tmp_path / "cache.db"
    raw = bytearray(path.read_bytes())
    if damage == "junk":
        path.write_bytes(b"junk" * 5_000)
    elif damage == "flipped bytes":
        raw[100:200] = bytes(100)
        path.write_bytes(raw)
    elif damage == "cut short":
        path.write_bytes(raw[:3_000])
    key = bytes(32) if damage == "other key" else KEY
    again = SqliteCache(path, key)
    assert again.rebuilt
    assert (again.by_handle(HANDLE), again.state()) == (None, CacheState())
    again.apply(page(ANNA, CARD))
    assert again.by_handle(HANDLE).id == GUEST
    again.close()


def test_damage_met_while_running_empties_the_cache_and_nothing_else(tmp_path: Path, expect_log) -> None:
    expect_log("made anew")
    made = SqliteCache(tmp_path / "cache.db", KEY)
    many = [("guest", str(UUID(int=n)), {"name": "x" * 300, "member_no": str(n)}) for n in range(1, 3_000)]
    made.apply(page(*many))
    made.close()
    path = tmp_path / "cache.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 & ~4095)
        file.write(bytes(4096 * 20))
    again = SqliteCache(path, KEY)
    for n in range(1, 3_000):
        again.by_member_number(str(n))
    assert again.rebuilt
    assert again.state() == CacheState()
    again.apply(page(ANNA, CARD))
    assert again.by_handle(HANDLE).id == GUEST
    again.close()


@pytest.mark.parametrize("body", [b"\x91\x01", b"", b"\xc1", b"\xdc\x00\x40" + b"\xc0" * 64])
def test_guests_written_in_another_format_are_asked_for_anew(cache: SqliteCache, body: bytes, expect_log) -> None:
    expect_log("made anew")
    for find in (
        lambda: cache.by_handle(HANDLE),
        lambda: cache.by_member_number("1000000016"),
        lambda: cache.guest(GUEST),
        lambda: cache.by_phone_hash("aa") or None,
    ):
        cache.apply(page(ANNA, CARD, SHOP))
        cache._writer.execute("UPDATE guest SET row = ?", (body,))
        assert find() is None
        assert (cache.rebuilt, cache.state()) == (True, CacheState())
    cache.apply(page(ANNA, CARD, SHOP))
    assert cache.guest(GUEST).row.name == "Анна"


@pytest.mark.parametrize("row", ["[1]", "{", '{"name": 5}'])
def test_documents_written_in_another_format_are_asked_for_anew(cache: SqliteCache, row: str, expect_log) -> None:
    expect_log("made anew")
    cache.apply(page(ANNA, SHOP, ("staff", "anna", {"name": "Anna", "role": "cashier", "stores": []})))
    cache._writer.execute("UPDATE document SET row = ?", (row,))
    assert (cache.store(STORE), cache.state()) == (None, CacheState())


@pytest.mark.parametrize("version", [0, 1, 99])
def test_a_cache_of_any_other_version_is_made_anew(tmp_path: Path, version: int, expect_log) -> None:
    expect_log("made anew")
    path = tmp_path / "cache.db"
    old = SqliteCache(path, KEY)
    old.apply(page(ANNA, CARD))
    old._writer.pragma("user_version", version)
    old.close()
    made = SqliteCache(path, KEY)
    assert (made.rebuilt, made.state().guests) == (True, 0)
    made.close()
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".bak")] == []
    again = SqliteCache(path, KEY)
    assert not again.rebuilt
    again.close()
