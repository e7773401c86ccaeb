"""What a till that has joined a network sells with, opened at every start: its keys, journal, cache and services."""

from __future__ import annotations

import hmac
import logging
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.clock import SystemClock
from loyalty_desk.config import TillConfig, save_config, write_whole
from loyalty_desk.counter import Counter
from loyalty_desk.credentials import Secrets, choose_store, key_id, open_store, seal_key, sealed_key_id
from loyalty_desk.domain.errors import Refused
from loyalty_desk.journal_watch import JournalWatch
from loyalty_desk.paths import TillPaths
from loyalty_desk.services.checkout import Checkout
from loyalty_desk.services.enrolment import Enrolled
from loyalty_desk.services.guests import Guests
from loyalty_desk.services.program_in_force import ProgramInForce
from loyalty_desk.services.recording import Recorder
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.store.boot import Finding, examine, open_journal, renew, with_room
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.journal_file import set_aside
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.witness import Witness
from loyalty_desk.wire.v1.sync import FeedTable

if TYPE_CHECKING:
    from loyalty_desk.remote.client import HttpLedgerClient, HttpRequestClient

_LOG = logging.getLogger(__name__)


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
class Selling:
    """What exists once a till has joined a network; `close` it before the till's lock is released."""

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
    watch: JournalWatch
    cashier_name: str = ""

    def ledger_client(self) -> HttpLedgerClient:
        """Return a connection to the server for the thread that syncs; whoever asks closes it."""
        from loyalty_desk.remote.client import HttpLedgerClient

        return HttpLedgerClient(self.config.identity, self.key, self.token)

    def close(self) -> None:
        """Write the witness and close the files."""
        self.watch.close()
        self.asking.close()
        self.journal.close()
        self.cache.close()


def open_selling(paths: TillPaths, config: TillConfig, language: str) -> Selling:
    """Open the files of a till and put its services over them; raises as `open_till`."""
    secrets = open_store(config.keys_in, paths.keys).load(config.keys_id)
    if secrets is None or not _is_key_of_journal(paths, secrets.journal_key):
        raise Refused("journal_key_missing", path=str(paths.folder))
    _reseal(paths, secrets.journal_key, config.identity.recovery_pub)
    witness = Witness(paths.witness)
    key_bytes, reserve = secrets.journal_key, Reserve(paths.reserve)
    journal, aside = with_room(reserve, lambda: open_journal(paths.journal, key_bytes, witness, reserve))
    try:
        cache = with_room(reserve, lambda: SqliteCache(paths.cache, _cache_key(key_bytes)))
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

    def connect() -> HttpRequestClient:
        from loyalty_desk.remote.client import HttpRequestClient

        return HttpRequestClient(config.identity, key, secrets.token)

    journal.on_damage(mend)
    programs = ProgramInForce(journal)
    cashier = Cashier(config.identity, journal, cache)
    guests = Guests(config.identity, journal, cache, clock, programs, language)
    checkout = Checkout(guests, recorder, cache, clock, programs, cashier)
    asking = Asking(connect)
    return Selling(
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
        counter=Counter(config.identity, journal, cache, clock, recorder, guests, checkout, cashier, asking.client),
        asking=asking,
        watch=JournalWatch(journal, paths, clock),
        cashier_name=cashier.name(),
    )


def make_files(paths: TillPaths, enrolled: Enrolled) -> None:
    """Make the files of a till that has just joined; until `till.json`, the last, nothing has happened."""
    secrets = Secrets(os.urandom(32), enrolled.device_key.private_bytes_raw(), enrolled.answer.token)
    if paths.journal.exists():
        aside = set_aside(paths.journal)
        if paths.sealed_key.exists():
            # Without it nobody could ever open what is kept here.
            paths.sealed_key.replace(aside.with_name(f"{aside.name}.key"))
        _LOG.warning("an earlier journal is kept as %s", aside.name)
    paths.witness.unlink(missing_ok=True)
    paths.cache.unlink(missing_ok=True)
    store, keys_id = choose_store(paths.keys), str(uuid4())
    store.save(keys_id, secrets)
    write_whole(paths.sealed_key, seal_key(secrets.journal_key, enrolled.identity.recovery_pub))
    journal = SqliteJournal(paths.journal, secrets.journal_key, Witness(paths.witness))
    try:
        clock = TrustedClock(SystemClock(), journal)
        journal.put("keyset", enrolled.answer.keyset)
        journal.put("incarnation", str(enrolled.answer.incarnation))
        journal.put("network", str(enrolled.identity.network))
        Recorder(enrolled.identity, enrolled.device_key, journal, clock, random.SystemRandom()).open_epoch("enrol")
    finally:
        journal.close()
    save_config(paths.identity, TillConfig(enrolled.identity, store.name, keys_id))


def _is_key_of_journal(paths: TillPaths, journal_key: bytes) -> bool:
    """Return whether this key made the journal, as far as the file beside it knows: junk and a lost key differ."""
    try:
        made_with = sealed_key_id(paths.sealed_key.read_bytes())
    except OSError:
        return True
    return made_with in ("", key_id(journal_key))


def _reseal(paths: TillPaths, journal_key: bytes, recovery_pub: bytes) -> None:
    """Seal the journal's key anew where the file was taken away: without it a lost keyring would lose sales."""
    if paths.sealed_key.exists():
        return
    try:
        write_whole(paths.sealed_key, seal_key(journal_key, recovery_pub))
    except (OSError, ValueError):
        _LOG.exception("the journal's key cannot be sealed anew")


def _go_on(finding: Finding, journal: SqliteJournal, recorder: Recorder, clock: TrustedClock) -> None:
    """Open a new epoch where the old one cannot be continued, and tell people why."""
    if finding.reason is not None:
        journal.skip_receipts(finding.receipts)
        recorder.open_epoch(finding.reason)
    if finding.notice is not None:
        journal.notify(finding.notice, finding.facts, clock.now_ms())


def _adopt_program(journal: SqliteJournal, cache: SqliteCache) -> None:
    """Let a journal that had to begin anew sell by the rules that the cache still has, before any connection."""
    if journal.program() is not None:
        return
    from loyalty_desk.services.pulling import program_of_row

    row = cache.document(FeedTable.PROGRAM)
    stored = program_of_row(row) if row is not None else None
    if stored is not None:
        journal.remember_program(stored)


def _cache_key(journal_key: bytes) -> bytes:
    """Return the cache's own key: one secret to keep, two files that cannot be swapped."""
    return hmac.digest(journal_key, b"cache.db", "sha256")
