from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import chain_hash
from loyalty_desk.store.journal_care import prune
from loyalty_desk.store.verify import BadPlace, Proof, prove, read_only
from tests.loyalty_desk.till_parts import DEVICE_KEY, KEY, Parts, make_parts, sale

SALES = 60


@pytest.fixture
def parts(tmp_path: Path):
    made = make_parts(tmp_path)
    for _ in range(SALES):
        made.recorder.record(sale(earned=2, redeemed=1))
    yield made
    made.journal.close()


def proof(parts: Parts, key: Ed25519PrivateKey | None = DEVICE_KEY) -> Proof:
    with read_only(parts.folder / "journal.db", KEY) as connection:
        return prove(connection, None if key is None else key.public_key())


def altered(parts: Parts, sql: str, *bindings: object) -> None:
    parts.journal._connection.execute(sql, bindings)


def test_a_sound_journal_comes_to_its_own_head_and_totals(parts: Parts) -> None:
    found, head = proof(parts), parts.journal.head()
    assert (found.records, found.signed, found.bad) == (SALES + 1, True, None)
    [epoch] = found.epochs
    assert (epoch.head_seq, epoch.head_hash, epoch.totals) == (head.seq, head.hash, head.totals)
    assert proof(parts, None).signed is False


def test_epochs_follow_their_parent_and_pruned_beginnings_are_vouched_for(parts: Parts) -> None:
    parts.recorder.open_epoch("manual")
    parts.recorder.record(sale(earned=1))
    first = parts.journal.epochs()[0]
    parts.journal.acknowledge(first.epoch, first.head_seq, UUID(int=6), 9)
    parts.journal.settle(9)
    assert prune(parts.journal, parts.trusted.now_ms() + 1) == SALES
    found = proof(parts)
    assert (found.bad, [one.first for one in found.epochs], found.records) == (None, [SALES + 1, 1], 3)
    altered(parts, "UPDATE pruned SET sig = zeroblob(64)")
    assert proof(parts).bad == BadPlace(first.epoch, SALES, "not signed")


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE record SET payload = CAST(payload || x'20' AS BLOB) WHERE seq = 17", "altered"),
        ("UPDATE record SET hash = zeroblob(32) WHERE seq = 17", "altered"),
        ("UPDATE record SET prev = zeroblob(32) WHERE seq = 17", "not chained"),
        ("DELETE FROM record WHERE seq = 17", "missing"),
        ("UPDATE record SET id = zeroblob(16) WHERE seq = 17", "another place"),
    ],
)
def test_the_first_bad_record_is_named(parts: Parts, sql: str, what: str) -> None:
    altered(parts, sql)
    assert proof(parts).bad == BadPlace(parts.journal.head().epoch, 17, what)


def rewritten(parts: Parts, seq: int, old: bytes, new: bytes) -> None:
    """Change a payload and chain everything after it anew, as somebody with the file's key could."""
    connection = parts.journal._connection
    found = connection.execute("SELECT seq, prev, payload FROM record WHERE seq >= ? ORDER BY seq", (seq,)).fetchall()
    before = found[0][1]
    for number, _, payload in found:
        body = re.sub(old, new, payload) if number == seq else payload
        digest = chain_hash(before, body)
        altered(parts, "UPDATE record SET prev=?, hash=?, payload=? WHERE seq=?", before, digest, body, number)
        before = digest


def test_a_chain_made_anew_fails_at_its_signature(parts: Parts) -> None:
    rewritten(parts, 30, rb'"money_total":10000', b'"money_total":90000')
    assert proof(parts).bad == BadPlace(parts.journal.head().epoch, SALES + 1, "not signed")
    assert proof(parts, None).bad is None


def test_totals_that_do_not_grow_are_named(parts: Parts) -> None:
    rewritten(parts, 30, rb'"cum_earned":\d+', b'"cum_earned":1')
    assert proof(parts).bad == BadPlace(parts.journal.head().epoch, 30, "totals")


def test_scenario_58_a_flipped_byte_of_the_file_is_named_by_the_first_record_it_costs(parts: Parts) -> None:
    """Pages are sealed singly: what lies on the damaged one cannot be read, what lies before it holds."""
    parts.journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    path = parts.folder / "journal.db"
    raw = bytearray(path.read_bytes())
    named = set()
    for page in range(2, len(raw) // 4096):
        copy = parts.folder / f"copy{page}.db"
        damaged = bytearray(raw)
        damaged[page * 4096 + 2_000] ^= 1
        copy.write_bytes(damaged)
        try:
            with read_only(copy, KEY) as connection:
                bad = prove(connection).bad
        except Refused as refused:
            assert refused.code == "journal_unreadable"
            continue
        if bad is not None:
            assert bad.what == "unreadable"
            named.add(bad.seq)
    assert len(named) > 3


def test_what_is_no_journal_of_this_key_is_one_sentence(parts: Parts, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk" * 5_000)
    for path, key in ((junk, KEY), (parts.folder / "journal.db", bytes(32)), (tmp_path / "nothing", KEY)):
        with pytest.raises(Refused, match="journal_unreadable"), read_only(path, key):
            pass


def test_reading_changes_nothing(parts: Parts) -> None:
    with read_only(parts.folder / "journal.db", KEY) as connection, pytest.raises(apsw.ReadOnlyError):
        connection.execute("DELETE FROM record")
