"""Keys lost, machines lost, journals carried: what waited still reaches the server, and nothing is overwritten."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.record import head_is_signed
from loyalty_desk.paths import TillPaths, till_paths
from loyalty_desk.recovery import laid_aside, recover, verify_file
from loyalty_desk.services.ports.server import NoAnswer, ServerSaid
from loyalty_desk.till import Till, open_till
from loyalty_desk.wire.v1.salvage import SalvageAnswer, SalvageRequest
from loyalty_desk.wire.v1.sheets import SheetKind, sheet_text
from loyalty_desk.wire.v1.sync import PushResult, Status
from tests.loyalty_desk.test_till import RECOVERY, _keys_in_a_file, enrolled, sell  # noqa: F401 - the fixture is meant
from tests.loyalty_desk.till_parts import DEVICE, stored_program

SHEET = sheet_text(SheetKind.RECOVERY, RECOVERY.private_bytes_raw())


class FakeSalvage:
    """The salvage of a server that knows the lost till's public key."""

    def __init__(self, public: Ed25519PublicKey) -> None:
        self.public = public
        self.held: dict[UUID, bytes] = {}
        self.biggest = 500
        self.error: Exception | None = None
        self.asked: list[int] = []

    def __call__(self, *_: object) -> FakeSalvage:
        return self

    def close(self) -> None:
        """Nothing is open."""

    def salvage(self, request: SalvageRequest) -> SalvageAnswer:
        self.asked.append(len(request.records))
        if self.error is not None:
            raise self.error
        if len(request.records) > self.biggest:
            raise ServerSaid(413, "TOO_LARGE", "too large")
        results, refused = [], []
        for one in request.records:
            place = (request.network, request.device, request.epoch, one.seq, one.hash, one.sig)
            if not head_is_signed(self.public, *place):
                refused.append(one.seq)
                continue
            status = Status.DUPLICATE if one.id in self.held else Status.POSTED_FLAGGED
            self.held[one.id] = one.payload
            results.append(PushResult(one.seq, status))
        return SalvageAnswer(request.incarnation, results, refused, 5)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSalvage:
    """A till with 20 sales that wait, closed, and the server that will be asked to take them."""
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        till._selling.journal.remember_program(stored_program())
        for _ in range(20):
            sell(till)
        made = FakeSalvage(till._selling.key.public_key())
    monkeypatch.setattr("loyalty_desk.remote.client.HttpLedgerClient", made)
    return made


@pytest.fixture
def paths(tmp_path: Path) -> TillPaths:
    return till_paths(tmp_path)


def ids(till: Till) -> set[UUID]:
    journal = till._selling.journal
    return {r.id for e in journal.epochs() for r in journal.records(e.epoch, 1, 1_000)}


def test_scenario_61_an_emptied_keyring_costs_no_sale(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, expect_log
) -> None:
    expect_log("laid aside")
    with open_till(tmp_path) as till:
        waiting = ids(till)
    (tmp_path / "keys.json").unlink()
    with pytest.raises(Refused, match="journal_key_missing"):
        open_till(tmp_path)
    [aside] = recover(paths, SHEET)
    assert aside.can_open
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        assert not waiting & ids(till)
        done = till.bring(aside.folder / "journal.db")
        assert (done.posted, done.known, done.refused) == (21, 0, 0)
        assert set(server.held) == waiting
        again = till.bring(aside.folder / "journal.db")
        assert (again.posted, again.known) == (0, 21)


def test_scenario_61_without_the_sheet_it_is_laid_aside_and_opens_when_the_sheet_is_found(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, expect_log
) -> None:
    expect_log("laid aside")
    (tmp_path / "keys.json").unlink()
    content = (tmp_path / "journal.db").read_bytes()
    [aside] = recover(paths, None)
    assert not aside.can_open
    assert (aside.folder / "journal.db").read_bytes() == content
    enrolled(tmp_path)
    with open_till(tmp_path) as till, pytest.raises(Refused, match="recovery_needed"):
        till.bring(aside.folder / "journal.db")
    assert recover(paths, SHEET)[0].can_open
    with open_till(tmp_path) as till:
        assert till.bring(aside.folder / "journal.db").posted == 21


def test_a_wrong_sheet_moves_nothing(tmp_path: Path, paths: TillPaths, server: FakeSalvage) -> None:
    (tmp_path / "keys.json").unlink()
    before = sorted(path.name for path in tmp_path.iterdir())
    other = sheet_text(SheetKind.RECOVERY, X25519PrivateKey.generate().private_bytes_raw())
    with pytest.raises(Refused, match="recovery_key_wrong"):
        recover(paths, other)
    with pytest.raises(BadInput, match="sheet_malformed"):
        recover(paths, SHEET[:-1] + ("0" if SHEET[-1] != "0" else "1"))
    with pytest.raises(BadInput, match="sheet_kind"):
        recover(paths, "nonsense")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_till_with_its_keys_is_not_laid_aside(tmp_path: Path, paths: TillPaths, server: FakeSalvage) -> None:
    with pytest.raises(Refused, match="keys_not_lost"):
        recover(paths, SHEET)
    with open_till(tmp_path), pytest.raises(Refused, match="till_already_open"):
        recover(paths, SHEET)
    assert laid_aside(paths) == []


def test_joining_anew_keeps_the_earlier_journals_sealed_key(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, expect_log
) -> None:
    expect_log("an earlier journal is kept")
    for name in ("till.json", "keys.json"):
        (tmp_path / name).unlink()
    enrolled(tmp_path)
    [kept] = (path for path in tmp_path.glob("journal.db.unreadable-*") if not path.name.endswith(".key"))
    with open_till(tmp_path) as till:
        assert till.bring(kept, SHEET).posted == 21


def test_scenario_55_an_export_carries_what_waits_and_comes_back_once(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage
) -> None:
    carried = tmp_path / "stick" / "till.ldx"
    carried.parent.mkdir()
    with open_till(tmp_path) as till:
        assert till.export(carried) == 21
        with pytest.raises(Refused, match="export_exists"):
            till.export(carried)
        with pytest.raises(Refused, match="export_not_written"):
            till.export(tmp_path / "nowhere" / "till.ldx")
        waiting = ids(till)
        device = str(DEVICE).encode()
        assert device not in carried.read_bytes()
        assert carried.stat().st_mode & 0o077 == 0
        assert till.bring(carried).posted == 21
        assert till.bring(carried).known == 21
    assert set(server.held) == waiting
    other = tmp_path / "other"
    enrolled(other)
    with open_till(other) as till:
        with pytest.raises(Refused, match="recovery_needed"):
            till.bring(carried)
        assert till.bring(carried, SHEET).known == 21


def test_a_damaged_export_is_one_sentence(tmp_path: Path, paths: TillPaths, server: FakeSalvage) -> None:
    carried = tmp_path / "till.ldx"
    with open_till(tmp_path) as till:
        till.export(carried)
        whole = carried.read_bytes()
        for content in (b"", b"LDX1", whole[:300], b"LDX1" + bytes(50), whole[: len(whole) // 2]):
            carried.write_bytes(content)
            with pytest.raises(Refused) as refused:
                till.bring(carried, SHEET)
            assert refused.value.code in ("export_unreadable", "journal_unreadable", "recovery_needed")


def test_a_server_that_refuses_or_is_silent_is_said_so(tmp_path: Path, server: FakeSalvage) -> None:
    with open_till(tmp_path) as till:
        till.export(tmp_path / "till.ldx")
        server.error = NoAnswer("silent")
        with pytest.raises(Refused, match="server_silent"):
            till.bring(tmp_path / "till.ldx")
        server.error = ServerSaid(503, "OUTAGE", "Nothing can be stored.")
        with pytest.raises(Refused, match="salvage_refused"):
            till.bring(tmp_path / "till.ldx")
        server.error, server.biggest = None, 3
        assert till.bring(tmp_path / "till.ldx").posted == 21
        assert max(server.asked[-9:]) <= 3


def test_a_file_is_verified_by_whichever_key_opens_it(tmp_path: Path, paths: TillPaths, server: FakeSalvage) -> None:
    with open_till(tmp_path) as till:
        assert till.prove().bad is None
        till.export(tmp_path / "till.ldx")
    for file in (tmp_path / "journal.db", tmp_path / "till.ldx"):
        found = verify_file(file, paths)
        assert (found.records, found.signed, found.bad) == (21, True, None)
    (tmp_path / "keys.json").unlink()
    with pytest.raises(Refused, match="recovery_needed"):
        verify_file(tmp_path / "till.ldx", paths)
    found = verify_file(tmp_path / "till.ldx", paths, SHEET)
    assert (found.records, found.signed, found.bad) == (21, False, None)
    assert json.loads((tmp_path / "till.json").read_bytes())["identity"]


def test_scenario_55_a_till_with_records_that_wait_does_not_leave_before_they_are_carried(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, expect_log
) -> None:
    expect_log("laid aside")
    carried = tmp_path / "till.ldx"
    with open_till(tmp_path) as till:
        waiting = ids(till)
        with pytest.raises(Refused) as refused:
            till.leave()
        assert (refused.value.code, refused.value.facts) == ("records_wait", {"count": 21})
        with pytest.raises(Refused, match="export_not_written"):
            till.leave(tmp_path / "nowhere" / "till.ldx")
        sell(till)
        folder = till.leave(carried)
        with pytest.raises(Refused, match="not_enrolled"):
            till.leave()
    names = {path.name for path in tmp_path.iterdir()}
    assert not names & {"journal.db", "till.json", "keys.json", "journal.key", "cache.db"}
    assert {path.name for path in folder.iterdir()} >= {"journal.db", "till.json", "journal.key", "carried.json"}
    assert not (folder / "keys.json").exists(), "the device's key and token are gone"
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        assert not waiting & ids(till)
        # From the file that was carried, and from what was laid aside: the same, once.
        assert till.bring(carried, SHEET).posted == 22
        assert till.bring(folder / "journal.db").known == 22
    assert waiting < set(server.held)


def test_a_till_that_left_with_a_damaged_journal_leaves_its_mark_behind_as_well(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, expect_log
) -> None:
    expect_log("laid aside")
    (tmp_path / "keys.json").unlink()
    (tmp_path / "journal.db.damaged").touch()
    recover(paths, SHEET)
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        assert till.status().notices == ()
        assert till.status().waiting == 1


@pytest.mark.parametrize("step", range(3))
def test_a_recovery_that_is_killed_at_any_file_is_done_again(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, expect_log, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    expect_log("laid aside|an earlier journal is kept")
    (tmp_path / "keys.json").unlink()
    real, left = Path.replace, [step]

    def killed(self: Path, to: Path) -> Path:
        if self.parent == tmp_path:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        return real(self, to)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        recover(paths, SHEET)
    monkeypatch.setattr(Path, "replace", real)
    recover(paths, SHEET)
    enrolled(tmp_path)
    found = laid_aside(paths)
    assert [one.can_open for one in found] == [True]
    with open_till(tmp_path) as till:
        assert till.bring(found[0].folder / "journal.db").posted == 21


@pytest.mark.parametrize("step", range(4))
def test_a_leaving_that_is_killed_at_any_file_loses_nothing_and_is_done_again(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, expect_log, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    expect_log("laid aside")
    real, left = Path.replace, [step]

    def killed(self: Path, to: Path) -> Path:
        if self.parent == tmp_path:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        return real(self, to)

    with open_till(tmp_path) as till:
        till.export(tmp_path / "till.ldx")
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt), open_till(tmp_path) as till:
        till.leave(tmp_path / "till2.ldx")
    monkeypatch.setattr(Path, "replace", real)
    if paths.identity.exists():
        if (tmp_path / "keys.json").exists():
            with open_till(tmp_path) as till:
                till.leave(tmp_path / "till3.ldx")
        else:
            recover(paths, SHEET)
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        assert till.bring(tmp_path / "till.ldx", SHEET).posted == 21
        for one in laid_aside(paths):
            assert one.can_open
            till.bring(one.folder / "journal.db")


def test_a_sealed_key_that_was_taken_away_is_sealed_anew(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, expect_log
) -> None:
    expect_log("laid aside")
    paths.sealed_key.unlink()
    with open_till(tmp_path):
        pass
    (tmp_path / "keys.json").unlink()
    assert recover(paths, SHEET)[0].can_open


def test_a_journal_in_a_folder_that_may_only_be_read_is_proved_with_what_its_wal_has(
    tmp_path: Path, paths: TillPaths, server: FakeSalvage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    with open_till(tmp_path) as till:
        sell(till)
        for path in tmp_path.glob("journal.db*"):
            (stick / path.name).write_bytes(path.read_bytes())
        assert (stick / "journal.db-wal").stat().st_size
    before = {path.name: path.read_bytes() for path in stick.iterdir()}
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != stick and real(path, mode))
    found = verify_file(stick / "journal.db", paths)
    assert (found.records, found.bad) == (22, None)
    assert {path.name: path.read_bytes() for path in stick.iterdir()} == before
