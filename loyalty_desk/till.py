"""A till put together: files, keys, journal, cache, services; no window. `app` and `cli` start here."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import UUID, uuid4

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk import __version__
from loyalty_desk.config import TillConfig, load_config, save_config, write_whole
from loyalty_desk.counter import Counter, make_counter
from loyalty_desk.credentials import Secrets, choose_store, key_id, open_store, seal_key, sealed_key_id
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import BadRecord, Record
from loyalty_desk.paths import TillPaths, till_paths
from loyalty_desk.recovery import leave, opened_file
from loyalty_desk.services.bootstrapping import Bootstrap
from loyalty_desk.services.checkout import Checkout
from loyalty_desk.services.enrolment import Enrolled, Enrolment
from loyalty_desk.services.guests import Guests
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.server import EnrolClient, NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.services.program_in_force import ProgramInForce
from loyalty_desk.services.pulling import program_of_row
from loyalty_desk.services.recording import Recorder
from loyalty_desk.services.salvaging import Brought, bring
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.status import TillStatus
from loyalty_desk.services.sync import SyncEngine, SyncOutcome
from loyalty_desk.services.sync_loop import SyncLoop
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.store import portable
from loyalty_desk.store.boot import Finding, examine, open_journal, renew, with_room
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.journal_care import care_for, copy_of
from loyalty_desk.store.journal_file import set_aside
from loyalty_desk.store.lock import ProcessLock
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.snapshot import SnapshotFiles
from loyalty_desk.store.verify import Proof, prove, read_only
from loyalty_desk.store.witness import Witness
from loyalty_desk.wire.v1.enrol import Pairing
from loyalty_desk.wire.v1.sync import FeedTable

if TYPE_CHECKING:
    from loyalty_desk.remote.client import HttpRequestClient

_LOG = logging.getLogger(__name__)
CARE_EVERY_S = 3_600.0
REGAIN_EVERY_S, REGAIN_AT_LEAST_EVERY_S = 5.0, 60.0
_SYNC_ERROR = "sync_error"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The machine's clock. Where the system does not name its boots, each process counts as one."""

    def __init__(self) -> None:
        try:
            self.boot_id = UUID(_BOOT_ID.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            self.boot_id = uuid4()

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic_ms(self) -> int:
        """Return milliseconds that never run backwards within one boot."""
        return time.monotonic_ns() // 1_000_000


class Asking:
    """The connection of the counter's requests, apart from the sync's, made when something is first asked."""

    def __init__(self, make: Callable[[], HttpRequestClient]) -> None:
        self._make = make
        self._made: HttpRequestClient | None = None

    def client(self) -> HttpRequestClient:
        """Return the client."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def close(self) -> None:
        """Close the sockets."""
        if self._made is not None:
            self._made.close()


@dataclass(slots=True)
class _Selling:
    """What exists once a till has joined a network."""

    config: TillConfig
    key: Ed25519PrivateKey
    token: str
    journal: SqliteJournal
    cache: SqliteCache
    clock: TrustedClock
    recorder: Recorder
    cashier: Cashier
    programs: ProgramInForce
    checkout: Checkout
    counter: Counter
    asking: Asking
    checking: threading.Thread
    care: threading.Thread
    ended: threading.Event
    cashier_name: str = ""


class Till:
    """An open till. Not enrolled: `checkout` is None and only `enrolment` works; close and open it again after.

    Opening needs no network and takes milliseconds; a keyring is asked only where the keys are in one; the HTTP client
    is imported by `run_sync`, which is the sync thread's whole life.
    """

    def __init__(self, paths: TillPaths, lock: ProcessLock, language: str) -> None:
        """Open what is there; `open_till` is the way in."""
        self.paths = paths
        self._lock = lock
        self._language = language
        self._selling: _Selling | None = None
        self._loop: SyncLoop | None = None
        self._stopped = False
        self._online = False
        self._offline_since: datetime | None = datetime.now(UTC)
        self._sync_error: str | None = None
        self._loading: int | None = None
        self.enrolment = Enrolment(_connect, self._keep)
        config = load_config(paths.identity)
        if config is not None:
            self.enrolment.is_done(config.identity)
            self._selling = self._open(config)
            kept = self._selling.journal.get(_SYNC_ERROR)
            self._sync_error = str(kept) if kept is not None else None

    @property
    def checkout(self) -> Checkout | None:
        """Return the counter's use case, None while not enrolled."""
        return None if self._selling is None else self._selling.checkout

    @property
    def counter(self) -> Counter:
        """Return what the counter does beside selling; raises `Refused` `not_enrolled`."""
        if self._selling is None:
            raise Refused("not_enrolled")
        return self._selling.counter

    def _open(self, config: TillConfig) -> _Selling:
        secrets = open_store(config.keys_in, self.paths.keys).load(config.keys_id)
        if secrets is None or not self._is_key_of_journal(secrets.journal_key):
            raise Refused("journal_key_missing", path=str(self.paths.folder))
        self._reseal(secrets.journal_key, config.identity.recovery_pub)
        witness = Witness(self.paths.witness)
        key_bytes, reserve = secrets.journal_key, Reserve(self.paths.reserve)
        journal, aside = with_room(reserve, lambda: open_journal(self.paths.journal, key_bytes, witness, reserve))
        try:
            cache = with_room(reserve, lambda: SqliteCache(self.paths.cache, _cache_key(key_bytes)))
        except BaseException:
            journal.close()
            raise
        clock = TrustedClock(SystemClock(), journal)
        key = Ed25519PrivateKey.from_private_bytes(secrets.device_key)
        recorder = Recorder(config.identity, key, journal, clock, random.SystemRandom())
        _go_on(examine(journal, witness, aside), journal, recorder, clock)
        _adopt_program(journal, cache)

        def mend() -> None:
            _go_on(renew(journal, key_bytes, witness), journal, recorder, clock)
            _adopt_program(journal, cache)

        journal.on_damage(mend)
        programs = ProgramInForce(journal)
        cashier = Cashier(config.identity, journal, cache)
        guests = Guests(config.identity, journal, cache, clock, programs, self._language)
        checkout = Checkout(guests, recorder, cache, clock, programs, cashier)
        asking = Asking(lambda: _request_client(config.identity, key, secrets.token))
        counter = make_counter(
            config.identity, journal, cache, clock, recorder, guests, checkout, cashier, asking.client
        )
        checking = threading.Thread(target=_check, args=(journal, self.paths, clock), name="check", daemon=True)
        checking.start()
        ended = threading.Event()
        care = threading.Thread(
            target=_care, args=(journal, self.paths.backups, clock, checking, ended), name="care", daemon=True
        )
        care.start()
        return _Selling(
            config=config,
            key=key,
            token=secrets.token,
            journal=journal,
            cache=cache,
            clock=clock,
            recorder=recorder,
            cashier=cashier,
            programs=programs,
            checkout=checkout,
            counter=counter,
            asking=asking,
            checking=checking,
            care=care,
            ended=ended,
            cashier_name=cashier.name(),
        )

    def _is_key_of_journal(self, journal_key: bytes) -> bool:
        """Return whether this key made the journal, as far as the file beside it knows: junk and a lost key differ."""
        try:
            made_with = sealed_key_id(self.paths.sealed_key.read_bytes())
        except OSError:
            return True
        return made_with in ("", key_id(journal_key))

    def _reseal(self, journal_key: bytes, recovery_pub: bytes) -> None:
        """Seal the journal's key anew where the file was taken away: without it a lost keyring would lose sales."""
        if self.paths.sealed_key.exists():
            return
        try:
            write_whole(self.paths.sealed_key, seal_key(journal_key, recovery_pub))
        except (OSError, ValueError):
            _LOG.exception("the journal's key cannot be sealed anew")

    def _keep(self, enrolled: Enrolled) -> None:
        """Make the files of a till that has just joined; until `till.json`, the last, nothing has happened."""
        secrets = Secrets(os.urandom(32), enrolled.device_key.private_bytes_raw(), enrolled.answer.token)
        if self.paths.journal.exists():
            aside = set_aside(self.paths.journal)
            if self.paths.sealed_key.exists():
                # Without it nobody could ever open what is kept here.
                self.paths.sealed_key.replace(aside.with_name(f"{aside.name}.key"))
            _LOG.warning("an earlier journal is kept as %s", aside.name)
        self.paths.witness.unlink(missing_ok=True)
        self.paths.cache.unlink(missing_ok=True)
        store, keys_id = choose_store(self.paths.keys), str(uuid4())
        store.save(keys_id, secrets)
        write_whole(self.paths.sealed_key, seal_key(secrets.journal_key, enrolled.identity.recovery_pub))
        journal = SqliteJournal(self.paths.journal, secrets.journal_key, Witness(self.paths.witness))
        try:
            clock = TrustedClock(SystemClock(), journal)
            journal.put("keyset", enrolled.answer.keyset)
            journal.put("incarnation", str(enrolled.answer.incarnation))
            journal.put("network", str(enrolled.identity.network))
            Recorder(enrolled.identity, enrolled.device_key, journal, clock, random.SystemRandom()).open_epoch("enrol")
        finally:
            journal.close()
        save_config(self.paths.identity, TillConfig(enrolled.identity, store.name, keys_id))

    # -- what the window asks --------------------------------------------------------------------------------------

    def status(self) -> TillStatus | None:
        """Return what the header shows, None while not enrolled; from memory, so that any thread may ask."""
        selling = self._selling
        if selling is None:
            return None
        identity, journal, state = selling.config.identity, selling.journal, selling.cache.state()
        waiting, stored, program = journal.waiting(), journal.program(), selling.programs.known()
        return TillStatus(
            network=identity.network_name or _network_name(program.network if program is not None else ""),
            store=identity.store_name,
            till=identity.till_name,
            cashier=selling.cashier_name,
            online=self._online,
            offline_since=self._offline_since,
            waiting=waiting.count,
            oldest_waiting=None if waiting.oldest is None else from_ms(waiting.oldest),
            clock_conf=selling.clock.confidence(),
            clock_known=selling.clock.is_known(),
            guests_loaded=state.guests,
            guests_complete=state.complete,
            program_version=None if stored is None else stored.version,
            notices=tuple(journal.notices()),
            journal_ok=journal.usable(),
            disk_full=journal.is_full(),
            credential_backend=selling.config.keys_in,
            synced_at=None if state.synced_at is None else from_ms(state.synced_at),
            sync_error=self._sync_error,
            loading_percent=self._loading,
            currency=identity.currency,
            zone=identity.zone,
            point_decimals=0 if program is None else program.point_decimals,
        )

    def note_cashier(self) -> None:
        """Read anew who has the shift, for `status`; db or sync thread."""
        if self._selling is not None:
            self._selling.cashier_name = self._selling.cashier.name()

    def dismiss(self, notice: int) -> None:
        """Forget a notice that somebody has read; db thread."""
        if self._selling is not None:
            self._selling.journal.dismiss(notice)

    # -- sync ------------------------------------------------------------------------------------------------------

    def run_sync(self, on_step: Callable[[SyncOutcome], None] | None = None) -> None:
        """Sync until `stop_sync`; call it in a thread of its own. `on_step` hears of every attempt, there."""
        if self._selling is None:
            return
        from loyalty_desk.remote.client import HttpLedgerClient

        selling = self._selling
        client = HttpLedgerClient(selling.config.identity, selling.key, selling.token)

        def stepped(outcome: SyncOutcome) -> None:
            self._note(outcome)
            if on_step is not None:
                on_step(outcome)

        try:
            self._loop = SyncLoop(self._engine(client), random.SystemRandom(), stepped)
            if self._stopped:
                self._loop.stop()
            self._loop.run()
        finally:
            client.close()

    def sync_once(self) -> SyncOutcome:
        """Do one attempt now, in this thread."""
        if self._selling is None:
            raise Refused("not_enrolled")
        from loyalty_desk.remote.client import HttpLedgerClient

        client = HttpLedgerClient(self._selling.config.identity, self._selling.key, self._selling.token)
        try:
            outcome = self._engine(client).step()
        finally:
            client.close()
        self._note(outcome)
        return outcome

    def prove(self) -> Proof:
        """Prove the whole journal, record by record, while it is in use; raises `Refused` `not_enrolled`."""
        if self._selling is None:
            raise Refused("not_enrolled")
        with read_only(self.paths.journal, self._selling.journal.key) as connection:
            return prove(connection, self._selling.key.public_key())

    def export(self, to: Path) -> int:
        """Write the whole journal, encrypted, into a file that can be carried away; return how many records wait in it.

        Raises `Refused` `not_enrolled`, `export_exists`, `export_not_written`.
        """
        if self._selling is None:
            raise Refused("not_enrolled")
        portable.write(self._selling.journal, self.paths.backups, self.paths.sealed_key.read_bytes(), to)
        return self._selling.journal.waiting().count

    def leave(self, export: Path | None = None, *, closing: Callable[[], object] = lambda: None) -> Path:
        """Take this till off its network, here, and close it; return where its journal lies from now on.

        `closing` is called once nothing can be refused any more: whoever uses the till in a thread ends that there.
        What waits for the server is written into `export` first. Raises `Refused` `not_enrolled`, `records_wait`
        (`count`) where something waits and no export is asked for, and as `export`; then nothing has changed.
        """
        if self._selling is None:
            raise Refused("not_enrolled")
        journal = self._selling.journal
        if export is not None:
            self.export(export)
        elif waiting := journal.waiting().count:
            raise Refused("records_wait", count=waiting)
        closing()
        self._close_files()
        try:
            return leave(self.paths, journal.key)
        finally:
            self._lock.release()

    def bring(self, file: Path, sheet: str | None = None) -> Brought:
        """Hand the records of another journal, an export or a till laid aside over to the server.

        Done again it changes nothing. Raises as `recovery.opened_file`, `Refused` `not_enrolled`, `other_network`, and
        `server_silent`, `server_foreign`, `salvage_refused` where it could not be handed over.
        """
        if self._selling is None:
            raise Refused("not_enrolled")
        from loyalty_desk.remote.client import HttpLedgerClient

        identity, life = self._selling.config.identity, UUID(str(self._selling.journal.get("incarnation")))
        client = HttpLedgerClient(identity, self._selling.key, self._selling.token)
        with opened_file(file, self.paths, sheet) as found, read_only(found.copy, found.key) as connection:
            try:
                records = portable.records_of(connection)
                first = next(records, None)
                if first is None:
                    return Brought()
                lost = Record.from_payload(first[0].payload)
                if lost.network != identity.network:
                    raise Refused("other_network")
                return bring(client, lost.network, lost.device, life, chain([first], records))
            except NoAnswer as error:
                raise Refused("server_silent") from error
            except NotOurServer as error:
                raise Refused("server_foreign") from error
            except ServerSaid as error:
                raise Refused("salvage_refused", text=error.text) from error
            except BadRecord as error:
                raise Refused("journal_unreadable", path=str(file)) from error
            finally:
                client.close()

    def wake_sync(self) -> None:
        """Sync now rather than at the next turn; from any thread."""
        if self._loop is not None:
            self._loop.wake()

    def stop_sync(self) -> None:
        """Make `run_sync` return after the request under way; from any thread."""
        self._stopped = True
        if self._loop is not None:
            self._loop.stop()

    def _engine(self, client: object) -> SyncEngine:
        selling = self._selling
        if selling is None:
            raise Refused("not_enrolled")
        return SyncEngine(
            selling.config.identity,
            selling.journal,
            selling.cache,
            client,  # type: ignore[arg-type]
            selling.clock,
            selling.recorder,
            random.SystemRandom(),
            app=__version__,
            bootstrap=Bootstrap(client, SnapshotFiles(selling.cache), self._note_loading),  # type: ignore[arg-type]
        )

    def _note_loading(self, there: int, whole: int) -> None:
        self._loading = None if there >= whole else 100 * there // whole

    def _note(self, outcome: SyncOutcome) -> None:
        if outcome.online:
            self._offline_since = None
        elif self._offline_since is None:
            self._offline_since = datetime.now(UTC)
        self._online, self._sync_error = outcome.online and outcome.error is None, outcome.error
        if self._selling is not None:
            # Kept, so that the next start and `till status` do not take a refused till for a good one.
            self._selling.journal.put_changed(_SYNC_ERROR, outcome.error)
            self.note_cashier()

    # -- end -------------------------------------------------------------------------------------------------------

    def wait_until_checked(self) -> None:
        """Wait for the check of the journal that runs behind the opening; redemption waits for it."""
        if self._selling is not None:
            self._selling.checking.join()

    def close(self) -> None:
        """Write the witness, close the files and release the lock."""
        self._close_files()
        self._lock.release()

    def _close_files(self) -> None:
        self.stop_sync()
        if self._selling is not None:
            self._selling.ended.set()
            self._selling.checking.join()
            self._selling.care.join()
            self._selling.asking.close()
            self._selling.journal.close()
            self._selling.cache.close()
            self._selling = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_till(data_dir: Path | None = None, *, language: str = "en") -> Till:
    """Open the till of a data folder (default: `LOYALTY_TILL_DIR` or the platform's).

    Raises `Refused`: `till_already_open`, `data_folder_readonly` (`path`), `data_folder_unusable`, `till_file_damaged`,
    `journal_key_missing`, `journal_newer`.
    """
    paths = till_paths(data_dir)
    paths.prepare()
    lock = ProcessLock(paths.lock)
    try:
        return Till(paths, lock, language)
    except BaseException:
        lock.release()
        raise


def _request_client(identity: Identity, key: Ed25519PrivateKey, token: str) -> HttpRequestClient:
    from loyalty_desk.remote.client import HttpRequestClient

    return HttpRequestClient(identity, key, token)


def _connect(pairing: Pairing) -> EnrolClient:
    from loyalty_desk.remote.client import HttpEnrolClient

    return HttpEnrolClient(pairing)


def _go_on(finding: Finding, journal: SqliteJournal, recorder: Recorder, clock: TrustedClock) -> None:
    """Open a new epoch where the old one cannot be continued, and tell people why."""
    if finding.reason is not None:
        journal.skip_receipts(finding.receipts)
        recorder.open_epoch(finding.reason)
    if finding.notice is not None:
        journal.notify(finding.notice, finding.facts, clock.now_ms())


def _adopt_program(journal: SqliteJournal, cache: SqliteCache) -> None:
    """Let a journal that had to begin anew sell by the rules that the cache still has, before any connection."""
    row = cache.document(FeedTable.PROGRAM) if journal.program() is None else None
    stored = program_of_row(row) if row is not None else None
    if stored is not None:
        journal.remember_program(stored)


def _check(journal: SqliteJournal, paths: TillPaths, clock: TrustedClock) -> None:
    """Read the whole journal and take the reserve, behind the counter's back."""
    if not journal.check_whole():
        # Telling it also replaces the file: from here on the till sells into a sound one.
        journal.notify("journal_damaged", {}, clock.now_ms())
        journal.check_whole()
    if not Reserve(paths.reserve).hold():
        journal.notify("disk_nearly_full", {}, clock.now_ms())


def _care(
    journal: SqliteJournal, folder: Path, clock: TrustedClock, checking: threading.Thread, ended: threading.Event
) -> None:
    """Copy and prune the journal once a day while the till runs, never before its check has ended.

    Where the disk refused a record it is asked again, at first every few seconds: selling goes on once there is room.
    """
    checking.join()
    due, pause = 0.0, REGAIN_EVERY_S
    while not ended.wait(0):
        if journal.usable():
            pause = REGAIN_EVERY_S
        elif journal.regain():
            _LOG.warning("the journal takes records again")
        else:
            # A disk that is gone rather than full leaves a line in the log each time.
            pause = min(2 * pause, REGAIN_AT_LEAST_EVERY_S)
        if time.monotonic() < due:
            ended.wait(pause)
            continue
        due = time.monotonic() + CARE_EVERY_S
        today = clock.now().date()
        if journal.usable() and not copy_of(folder, today).exists():
            try:
                care_for(journal, folder, today, clock.now_ms())
            except (Refused, apsw.Error):
                _LOG.exception("the journal's care was broken off; it is done again in an hour")


def _cache_key(journal_key: bytes) -> bytes:
    """Return the cache's own key: one secret to keep, two files that cannot be swapped."""
    import hmac

    return hmac.digest(journal_key, b"cache.db", "sha256")


def _network_name(text: str) -> str:
    try:
        UUID(text)
    except ValueError:
        return text
    return ""
