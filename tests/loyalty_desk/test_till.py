"""A till opened from its folder, as app and command line do, against a server that is a fake behind the enrolment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from loyalty_desk.credentials import unseal_key
from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.services.enrolment import Enrolment
from loyalty_desk.services.ports.server import NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.services.sentences import sentence_of
from loyalty_desk.services.status_lines import status_lines
from loyalty_desk.services.sync import SyncOutcome
from loyalty_desk.services.wording import Words
from loyalty_desk.store.engine import companions
from loyalty_desk.till import Till, open_till
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolledStore, EnrolPending, EnrolStart, Pairing
from loyalty_desk.wire.v1.signing import enrol_message, fingerprint
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer
from tests.loyalty_desk.services.fake_ledger import ROOT, FakeLedger
from tests.loyalty_desk.till_parts import DEVICE, NETWORK, STORE, stored_program

RECOVERY = X25519PrivateKey.from_private_bytes(bytes(31) + b"\x05")
PAIRING = Pairing(bytes(16), NETWORK, ROOT.public_key().public_bytes_raw(), bytes(32), "http://127.0.0.1:9")


class FakeEnrolling:
    """A server that lets one till in once a person has confirmed."""

    def __init__(self) -> None:
        self.confirmed = False
        self.started: EnrolStart | None = None
        self.fault: Exception | None = None
        self.keyset = FakeLedger(NETWORK).keyset(1)

    def start(self, request: EnrolStart) -> EnrolPending:
        if self.fault is not None:
            raise self.fault
        self.started = request
        return EnrolPending(UUID(int=4), b"n" * 16)

    def finish(self, request: EnrolFinish) -> EnrolAnswer | None:
        key = Ed25519PublicKey.from_public_bytes(self.started.pubkey)
        key.verify(request.sig, enrol_message(NETWORK, UUID(int=4), b"n" * 16))
        if not self.confirmed:
            return None
        return EnrolAnswer(
            device=DEVICE,
            token=f"ldt.{NETWORK}.{DEVICE}.secret",
            store=EnrolledStore(STORE, "Пушкинская", "Europe/Moscow", "RUB"),
            keyset=self.keyset,
            recovery_pub=RECOVERY.public_key().public_bytes_raw(),
            profile={},
            incarnation=UUID(int=6),
            name="Касса 1",
            network_name="Две ложки",
        )


@pytest.fixture(autouse=True)
def _keys_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOYALTY_KEYRING", "file")
    monkeypatch.delenv("LOYALTY_TILL_WITNESS", raising=False)
    monkeypatch.setattr("loyalty_desk.store.reserve.RESERVE_BYTES", 4096)
    monkeypatch.setattr("loyalty_desk.store.reserve.Reserve.__init__.__defaults__", (4096,))


def enrolled(folder: Path) -> None:
    """Make a till of the folder."""
    server = FakeEnrolling()
    with open_till(folder) as till:
        enrolment = Enrolment(lambda _: server, till._keep)
        shown = enrolment.start(PAIRING.to_text(), "Касса 1")
        assert shown.characters == fingerprint(server.started.pubkey, b"n" * 16, NETWORK)
        assert enrolment.finish() is None
        assert not (folder / "till.json").exists()
        server.confirmed = True
        assert enrolment.finish().store_name == "Пушкинская"


def sell(till: Till) -> str:
    from datetime import UTC, datetime

    from loyalty_desk.services.checkout import CheckDraft

    draft = CheckDraft(till.checkout.basket(100_00), None, at=datetime.now(UTC))
    return till.checkout.confirm(draft, till.checkout.price(draft)).receipt_no


def test_a_till_joins_sells_and_is_the_same_after_a_restart(tmp_path: Path) -> None:
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        status = till.status()
        assert (status.store, status.till, status.waiting) == ("Пушкинская", "Касса 1", 1)
        assert (status.credential_backend, status.online, status.program_version) == ("file", False, None)
        assert status.network == "Две ложки"
        with pytest.raises(Refused, match="program_missing"):
            sell(till)
        till._selling.journal.remember_program(stored_program())
        assert sell(till) == "DE71-000001"
    with open_till(tmp_path) as till:
        assert sell(till) == "DE71-000002"
        assert till.status().waiting == 3
        with pytest.raises(Refused, match="already_enrolled"):
            till.enrolment.start(PAIRING.to_text(), "again")


def test_every_file_is_for_this_user_alone(tmp_path: Path) -> None:
    enrolled(tmp_path / "till")
    with open_till(tmp_path / "till") as till:
        till.wait_until_checked()
        files = [path for path in (tmp_path / "till").rglob("*") if path.is_file()]
        assert len(files) >= 8
        assert {path.name: oct(path.stat().st_mode & 0o077) for path in files} == dict.fromkeys(
            (path.name for path in files), "0o0"
        )


def test_the_recovery_key_opens_the_sealed_copy(tmp_path: Path) -> None:
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        key = till._selling.journal.key
    sealed = (tmp_path / "journal.key").read_bytes()
    assert unseal_key(sealed, RECOVERY) == key
    assert key not in sealed
    with pytest.raises(Refused, match="recovery_key_wrong"):
        unseal_key(sealed, X25519PrivateKey.generate())


@pytest.mark.parametrize("what", ["gone", "others"])
def test_lost_keys_leave_the_journal_as_it_is(tmp_path: Path, what: str) -> None:
    enrolled(tmp_path)
    before = (tmp_path / "journal.db").read_bytes()
    keys = tmp_path / "keys.json"
    if what == "gone":
        keys.unlink()
    else:
        enrolled(tmp_path / "other")
        text = (tmp_path / "other" / "keys.json").read_text()
        names = [
            (folder / "till.json").read_text().partition('"keys_id": "')[2][:36]
            for folder in (tmp_path / "other", tmp_path)
        ]
        keys.write_text(text.replace(*names))
    with pytest.raises(Refused, match="journal_key_missing"):
        open_till(tmp_path)
    assert (tmp_path / "journal.db").read_bytes() == before


def test_a_journal_put_back_begins_a_new_epoch_before_any_sale(tmp_path: Path) -> None:
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        till._selling.journal.remember_program(stored_program())
        sell(till)
    files = {file: file.read_bytes() for file in companions(tmp_path / "journal.db") if file.exists()}
    with open_till(tmp_path) as till:
        sell(till)
        sell(till)
    for file in companions(tmp_path / "journal.db"):
        file.unlink(missing_ok=True)
    for file, content in files.items():
        file.write_bytes(content)
    with open_till(tmp_path) as till:
        assert len(till._selling.journal.epochs()) == 2
        assert till._selling.journal.redemption_held()
        [notice] = till.status().notices
        assert (notice.code, notice.facts["records"]) == ("journal_rolled_back", 2)
        number = sell(till)
        # A new epoch prints a series of its own, and what the witness knew to be printed is not printed again.
        assert (len(number), number[-7:]) == (15, "-000005")
        till.dismiss(notice.id)
    with open_till(tmp_path) as till:
        assert len(till._selling.journal.epochs()) == 2
        assert till.status().notices == ()


def test_a_damaged_journal_is_set_aside_and_the_till_opens(tmp_path: Path, expect_log) -> None:
    expect_log("set aside|could be taken over")
    enrolled(tmp_path)
    (tmp_path / "journal.db").write_bytes(os.urandom(50_000))
    with open_till(tmp_path) as till:
        assert [notice.code for notice in till.status().notices] == ["journal_set_aside"]
        assert len(list(tmp_path.glob("journal.db.unreadable-*"))) == 1
        till._selling.journal.remember_program(stored_program())
        assert sell(till)


def test_a_damaged_cache_is_made_anew_and_selling_goes_on(tmp_path: Path, expect_log) -> None:
    expect_log("made anew")
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        till._selling.journal.remember_program(stored_program())
    (tmp_path / "cache.db").write_bytes(b"rubbish" * 1_000)
    with open_till(tmp_path) as till:
        assert sell(till)
        assert till.status().guests_complete is False


def test_a_second_till_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    enrolled(tmp_path)
    with open_till(tmp_path):
        code = (
            "import sys\nfrom pathlib import Path\nfrom loyalty_desk.till import open_till\n"
            "from loyalty_desk.domain.errors import Refused\n"
            "try: open_till(Path(sys.argv[1]))\nexcept Refused as error: print(error.code)"
        )
        found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
        assert found.stdout == "till_already_open\n"
    open_till(tmp_path).close()


@pytest.mark.skipif(sys.platform == "win32", reason="folders of Windows are not closed by mode bits")
def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "till"
    folder.mkdir()
    folder.chmod(0o555)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65_534)
    try:
        with pytest.raises(Refused) as refused:
            open_till(folder)
    finally:
        if is_root:
            os.seteuid(0)
    assert (refused.value.code, refused.value.facts["path"]) == ("data_folder_readonly", str(folder))
    assert list(folder.iterdir()) == []


def test_a_till_that_joined_before_networks_had_names_here_goes_on(tmp_path: Path) -> None:
    enrolled(tmp_path)
    file = tmp_path / "till.json"
    kept = json.loads(file.read_text("utf-8"))
    del kept["identity"]["network_name"]
    file.write_text(json.dumps(kept), "utf-8")
    with open_till(tmp_path) as till:
        assert (till.status().network, till.status().till) == ("", "Касса 1")


@pytest.mark.parametrize("content", ["", "{}", '{"identity": {}}', "not json", '{"v":1,"identity":{"network":"x"}}'])
def test_a_damaged_till_file_is_one_sentence(tmp_path: Path, content: str) -> None:
    enrolled(tmp_path)
    (tmp_path / "till.json").write_text(content)
    with pytest.raises(Refused, match="till_file_damaged"):
        open_till(tmp_path)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (NoAnswer("x"), "server_silent"),
        (NotOurServer("x"), "server_foreign"),
        (ServerSaid(403, "PAIRING_CODE", "This pairing code is not valid any more."), "pairing_refused"),
    ],
)
def test_a_server_that_does_not_let_the_till_in_is_a_sentence(tmp_path: Path, fault: Exception, code: str) -> None:
    server = FakeEnrolling()
    server.fault = fault
    with open_till(tmp_path) as till:
        enrolment = Enrolment(lambda _: server, till._keep)
        with pytest.raises(Refused, match=code):
            enrolment.start(PAIRING.to_text(), "x")
        with pytest.raises(Refused, match="pairing_not_started"):
            enrolment.finish()
        with pytest.raises(BadInput, match="pairing_malformed"):
            enrolment.start("LDP1 nonsense", "x")


def test_a_server_without_the_root_of_the_pairing_code_is_foreign(tmp_path: Path) -> None:
    server = FakeEnrolling()
    server.confirmed = True
    other = Pairing(
        bytes(16), NETWORK, Ed25519PrivateKey.generate().public_key().public_bytes_raw(), bytes(32), PAIRING.address
    )
    with open_till(tmp_path) as till:
        enrolment = Enrolment(lambda _: server, till._keep)
        enrolment.start(other.to_text(), "x")
        with pytest.raises(Refused, match="server_foreign"):
            enrolment.finish()
        assert not (tmp_path / "till.json").exists()


def test_joining_again_after_a_crash_half_way_keeps_the_old_journal(tmp_path: Path, expect_log) -> None:
    expect_log("an earlier journal is kept")
    enrolled(tmp_path)
    old = (tmp_path / "journal.db").read_bytes()
    (tmp_path / "till.json").unlink()
    enrolled(tmp_path)
    [kept] = (path for path in tmp_path.glob("journal.db.unreadable-*") if path.suffix != ".key")
    assert kept.read_bytes() == old


@pytest.mark.parametrize("code", ["till_unknown", "till_suspended", "server_refused", "server_unsettled"])
def test_a_server_that_answers_and_refuses_is_not_online(tmp_path: Path, code: str) -> None:
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        till._note(SyncOutcome(online=True, done=False, error=code))
        status = till.status()
        assert (status.online, status.refused, status.sync_error, status.offline_since) == (False, True, code, None)
    with open_till(tmp_path) as again:
        assert again.status().sync_error == code
        again._note(SyncOutcome(online=True, done=True))
        assert (again.status().online, again.status().refused, again.status().sync_error) == (True, False, None)
    with open_till(tmp_path) as well:
        assert well.status().sync_error is None


def test_before_the_first_answer_nobody_says_that_the_till_is_offline(tmp_path: Path) -> None:
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        status = till.status()
        assert (status.tried, status.offline_since, status.refused, status.answers) == (False, None, False, False)
        till._note(SyncOutcome(online=False, done=False, error="server_silent"))
        status = till.status()
        assert (status.tried, status.offline_since is None, status.refused, status.answers) == (
            True,
            False,
            False,
            False,
        )
    with open_till(tmp_path) as again:
        assert (again.status().refused, again.status().offline_since) == (False, None)
        again._note_loading(1, 2)
        assert again.status().answers
        again._note(SyncOutcome(online=True, done=True))
        assert (again.status().online, again.status().answers) == (True, True)


def test_a_journal_begun_anew_does_not_blame_the_clock(tmp_path: Path) -> None:
    enrolled(tmp_path)
    for known, shown in ((False, "not synced yet"), (True, "right")):
        with open_till(tmp_path) as till:
            clock, cache = till._selling.clock, till._selling.cache
            if known:
                clock.learn(clock.now_ms(), clock.monotonic_ms(), clock.monotonic_ms())
            cache.completed(clock.now_ms(), clock.boot_id, clock.monotonic_ms())
            assert till.status().clock_known is known
            assert ("Clock", shown) in status_lines(till.status(), Words("en"), datetime.now(UTC))


@pytest.mark.parametrize(
    ("language", "fresh", "journal"),
    [("en", "not synced yet", "the opening of this till’s journal"), ("ru", "связи ещё не было", "открытие журнала")],
)
def test_a_till_that_has_just_joined_alarms_nobody(tmp_path: Path, language: str, fresh: str, journal: str) -> None:
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        till.wait_until_checked()
        lines = [value for _, value in status_lines(till.status(), Words(language), datetime.now(UTC))]
        assert lines[:3] == ["Две ложки", "Пушкинская", "Касса 1"]
        assert fresh in lines
        assert any(journal in line for line in lines)
        assert not {"wrong", "неверные", "–", ""} & set(lines)
        till._note(SyncOutcome(online=True, done=False, error="till_unknown"))
        said = [value for _, value in status_lines(till.status(), Words(language), datetime.now(UTC))]
        assert sentence_of("till_unknown", {}, Words(language)) in said


@pytest.mark.parametrize("what", ["gone", "gone with its witness", "damaged"])
def test_a_lost_journal_does_not_stop_the_next_sale(tmp_path: Path, what: str, expect_log) -> None:
    """Offline: the rules are in the cache, and nobody has to wait for a connection."""
    expect_log("set aside|could be taken over")
    enrolled(tmp_path)
    program = stored_program()
    row = {"version": 3, "hash": bytes_to_text(program.hash), "bytes": bytes_to_text(program.bytes)}
    with open_till(tmp_path) as till:
        cache = till._selling.cache
        cache.apply(PullAnswer(UUID(int=6), [FeedRow(1, "program", "current", row)], 1, has_more=False))
    journal = tmp_path / "journal.db"
    if what == "damaged":
        journal.write_bytes(os.urandom(8192))
    else:
        for file in companions(journal):
            file.unlink(missing_ok=True)
    if what == "gone with its witness":
        (tmp_path / "witness" / "head.wit").unlink()
    with open_till(tmp_path) as till:
        sell(till)
        status = till.status()
        assert status.journal_ok
        assert [one.code for one in status.notices] == ["journal_set_aside" if what == "damaged" else "journal_lost"]
        assert till._selling.journal.redemption_held()


def test_a_till_whose_disk_was_full_takes_sales_again_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expect_log
) -> None:
    expect_log("takes records again")
    monkeypatch.setattr("loyalty_desk.journal_watch.REGAIN_EVERY_S", 0.02)
    enrolled(tmp_path)
    with open_till(tmp_path) as till:
        till.wait_until_checked()
        journal = till._selling.journal
        journal._full = True
        end = time.monotonic() + 60
        while not journal.usable() and time.monotonic() < end:
            threading.Event().wait(0.01)
        assert (till.status().journal_ok, till.status().disk_full) == (True, False)
