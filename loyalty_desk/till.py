"""A till put together: files, keys, journal, cache, services; no window. `app` and `cli` start here."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import UUID

from loyalty_desk import __version__
from loyalty_desk.config import load_config
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import Refused
from loyalty_desk.paths import TillPaths, till_paths
from loyalty_desk.selling import Selling, make_files, open_selling
from loyalty_desk.services.enrolment import Enrolled, Enrolment
from loyalty_desk.services.ports.server import EnrolClient, NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.services.status import TillStatus
from loyalty_desk.store.lock import ProcessLock

if TYPE_CHECKING:
    from loyalty_desk.counter import Counter
    from loyalty_desk.services.checkout import Checkout
    from loyalty_desk.services.salvaging import Brought
    from loyalty_desk.services.sync import SyncEngine, SyncOutcome
    from loyalty_desk.services.sync_loop import SyncLoop
    from loyalty_desk.store.verify import Proof
    from loyalty_desk.wire.v1.enrol import Pairing

_SYNC_ERROR = "sync_error"


class Till:
    """An open till. Not enrolled: `checkout` is None and only `enrolment` works; close and open it again after.

    Opening needs no network and takes milliseconds; a keyring is asked only where the keys are in one. What syncs, the
    HTTP client too, is imported by `run_sync`, which is the sync thread's whole life; what carries journals about, when
    somebody asks for it.
    """

    def __init__(self, paths: TillPaths, lock: ProcessLock, language: str) -> None:
        """Open what is there; `open_till` is the way in."""
        self.paths = paths
        self._lock = lock
        self._selling: Selling | None = None
        self._loop: SyncLoop | None = None
        self._stopped = False
        self._online = False
        self._offline_since: datetime | None = None
        self._tried = False
        self._sync_error: str | None = None
        self._loading: int | None = None
        self.enrolment = Enrolment(_connect, self._keep)
        config = load_config(paths.identity)
        if config is not None:
            self.enrolment.is_done(config.identity)
            self._selling = open_selling(paths, config, language)
            kept = self._selling.journal.get(_SYNC_ERROR)
            self._sync_error = str(kept) if kept is not None else None

    @property
    def checkout(self) -> Checkout | None:
        """Return the counter's use case, None while not enrolled."""
        return None if self._selling is None else self._selling.checkout

    @property
    def counter(self) -> Counter:
        """Return what the counter does beside selling; raises `Refused` `not_enrolled`."""
        return self._joined().counter

    def _joined(self) -> Selling:
        if self._selling is None:
            raise Refused("not_enrolled")
        return self._selling

    def _keep(self, enrolled: Enrolled) -> None:
        make_files(self.paths, enrolled)

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
            tried=self._tried,
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
        from loyalty_desk.services.sync_loop import SyncLoop

        if self._selling is None:
            return
        client = self._selling.ledger_client()

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
        client = self._joined().ledger_client()
        try:
            outcome = self._engine(client).step()
        finally:
            client.close()
        self._note(outcome)
        return outcome

    def prove(self) -> Proof:
        """Prove the whole journal, record by record, while it is in use; raises `Refused` `not_enrolled`."""
        from loyalty_desk.store.verify import prove, read_only

        selling = self._joined()
        with read_only(self.paths.journal, selling.journal.key) as connection:
            return prove(connection, selling.key.public_key())

    def export(self, to: Path) -> int:
        """Write the whole journal, encrypted, into a file that can be carried away; return how many records wait in it.

        Raises `Refused` `not_enrolled`, `export_exists`, `export_not_written`.
        """
        from loyalty_desk.store import portable

        journal = self._joined().journal
        portable.write(journal, self.paths.backups, self.paths.sealed_key.read_bytes(), to)
        return journal.waiting().count

    def leave(self, export: Path | None = None, *, closing: Callable[[], object] = lambda: None) -> Path:
        """Take this till off its network, here, and close it; return where its journal lies from now on.

        `closing` is called once nothing can be refused any more: whoever uses the till in a thread ends that there.
        What waits for the server is written into `export` first. Raises `Refused` `not_enrolled`, `records_wait`
        (`count`) where something waits and no export is asked for, and as `export`; then nothing has changed.
        """
        from loyalty_desk.recovery import leave

        journal = self._joined().journal
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
        from loyalty_desk.domain.record import BadRecord, Record
        from loyalty_desk.recovery import opened_file
        from loyalty_desk.services.salvaging import Brought, bring
        from loyalty_desk.store import portable
        from loyalty_desk.store.verify import read_only

        selling = self._joined()
        network, life = selling.config.identity.network, UUID(str(selling.journal.get("incarnation")))
        client = selling.ledger_client()
        with opened_file(file, self.paths, sheet) as found, read_only(found.copy, found.key) as connection:
            try:
                records = portable.records_of(connection)
                first = next(records, None)
                if first is None:
                    return Brought()
                lost = Record.from_payload(first[0].payload)
                if lost.network != network:
                    raise Refused("other_network")
                return bring(client, network, lost.device, life, chain([first], records))
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
        from loyalty_desk.services.bootstrapping import Bootstrap
        from loyalty_desk.services.sync import SyncEngine
        from loyalty_desk.store.snapshot import SnapshotFiles

        selling = self._joined()
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
        self._tried = True
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
            self._selling.watch.wait_until_checked()

    def close(self) -> None:
        """Write the witness, close the files and release the lock."""
        self._close_files()
        self._lock.release()

    def _close_files(self) -> None:
        self.stop_sync()
        if self._selling is not None:
            self._selling.close()
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


def _connect(pairing: Pairing) -> EnrolClient:
    from loyalty_desk.remote.client import HttpEnrolClient

    return HttpEnrolClient(pairing)


def _network_name(text: str) -> str:
    try:
        UUID(text)
    except ValueError:
        return text
    return ""
