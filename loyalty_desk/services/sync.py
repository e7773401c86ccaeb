"""The till's side of the protocol: hello, reconcile when due, push, pull; pure logic over ports.

No answer, whatever it is, makes the till forget a record: only a well-formed push answer of the life of the server that
hello has proved acknowledges, and a pull is asked for only when no push is unanswered, so that a balance never shows an
own sale twice (INV-23).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.services.bootstrapping import Bootstrap
from loyalty_desk.services.leases import INCARNATION
from loyalty_desk.services.ports.cache import Cache
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import PHONE_KEY, EpochHead, Journal
from loyalty_desk.services.ports.machine import Random
from loyalty_desk.services.ports.server import LedgerClient, NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.services.program_in_force import ProgramInForce
from loyalty_desk.services.pulling import Puller
from loyalty_desk.services.pushing import Forked, LedgerShrank, Pusher
from loyalty_desk.services.reconciling import reconcile_epoch
from loyalty_desk.services.recording import Recorder
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trust import Trust
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.signing import NONCE_BYTES
from loyalty_desk.wire.v1.sync import Acked, Command, Head, HelloAnswer, HelloRequest

RECONCILE_EVERY_MS = 24 * 60 * 60 * 1_000
ROUNDS = 4
MOST_ROUNDS = 16
_LOST = "records_only_at_server"


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What one attempt came to. `online` = the ledger answered, whatever it said; `done` = everything is level.

    `error` is a code for people, None where nothing went wrong; `retry_after` is the server's wish in seconds.
    `pushed` counts acknowledged records, `pulled` applied rows.
    """

    online: bool
    done: bool
    pushed: int = 0
    pulled: int = 0
    error: str | None = None
    retry_after: int | None = None


class _Again(Exception):
    """The ground has moved (a new life of the server, a new epoch): begin the round anew."""


class SyncEngine:
    """One till against one ledger. Not for two threads at once; it holds nothing that a restart may not lose."""

    def __init__(
        self,
        identity: Identity,
        journal: Journal,
        cache: Cache,
        client: LedgerClient,
        clock: TrustedClock,
        recorder: Recorder,
        random: Random,
        *,
        app: str,
        bootstrap: Bootstrap | None = None,
    ) -> None:
        self._identity = identity
        self._journal = journal
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._random = random
        self._app = app
        self._trust = Trust(identity, journal)
        self._programs = ProgramInForce(journal)
        self._pusher = Pusher(identity, journal, client, clock)
        cashier = Cashier(identity, journal, cache)
        self._puller = Puller(journal, cache, client, clock, self._trust, cashier, random, bootstrap)
        self._reconciled_at: int | None = None
        self._resynced = False
        self._proved = False
        self._lacking: list[tuple[int, int]] = []

    def step(self, stopping: Callable[[], bool] = lambda: False) -> SyncOutcome:
        """Do one attempt to be level with the server; `stopping` is looked at between requests."""
        self._pusher.acknowledged = self._puller.applied = 0
        self._pusher.has_told = False
        self._proved = False
        self._journal.witness()
        try:
            fruitless = 0
            for _ in range(MOST_ROUNDS):
                if fruitless == ROUNDS:
                    break
                level = self._pusher.acknowledged
                try:
                    error = self._round(stopping)
                    return self._outcome(online=True, done=error is None and not stopping(), error=error)
                except ServerSaid as said:
                    if said.code != ErrorCode.STALE_INCARNATION:
                        raise
                    fruitless += level == self._pusher.acknowledged
                except _Again:
                    fruitless += level == self._pusher.acknowledged
        except NoAnswer:
            return self._outcome(online=False, error="server_silent")
        except NotOurServer:
            return self._outcome(online=False, error="server_foreign")
        except ServerSaid as said:
            return self._said(said)
        return self._outcome(online=True, error="server_unsettled")

    def _outcome(
        self, *, online: bool, done: bool = False, error: str | None = None, retry_after: int | None = None
    ) -> SyncOutcome:
        return SyncOutcome(online, done, self._pusher.acknowledged, self._puller.applied, error, retry_after)

    def _said(self, said: ServerSaid) -> SyncOutcome:
        if said.code == ErrorCode.DEVICE_REVOKED:
            if not self._proved:
                # Errors are not signed: a server that hello has not proved cannot take a till off the network.
                return self._outcome(online=False, error="server_foreign")
            return self._outcome(online=True, error=self._give_up_data(), retry_after=said.retry_after)
        known = {
            ErrorCode.DEVICE_SUSPENDED: "till_suspended",
            ErrorCode.UNKNOWN_DEVICE: "till_unknown",
            ErrorCode.BAD_SIGNATURE: "till_unknown",
            ErrorCode.BAD_TOKEN: "till_token",
            ErrorCode.MUST_BOOTSTRAP: "network_too_large",
            ErrorCode.MIN_APP: "app_too_old",
        }
        code = next((text for name, text in known.items() if name == said.code), "server_refused")
        if said.status in (429, 503):
            code = "server_busy"
        return self._outcome(online=True, error=code, retry_after=said.retry_after)

    def _give_up_data(self) -> str:
        """Be a revoked till: it keeps its facts and gives up everybody's data."""
        self._cache.wipe(None)
        self._journal.put_changed(PHONE_KEY, "")
        self._recorder.leases.give_up()
        self._notify("till_revoked")
        return "till_revoked"

    def _round(self, stopping: Callable[[], bool]) -> str | None:
        answer = self._hello()
        proved = self._trust.knows(answer.kid)
        if not proved:
            # Signed by a key younger than our last pull: the key set, signed by the root, has to come first.
            self._puller.pull(self._cache_of(answer.incarnation), stopping, final=False)
            if not self._trust.knows(answer.kid):
                raise NotOurServer("hello is signed by a key that the root has not signed")
            raise _Again
        self._proved = True
        self._meet(answer.incarnation)
        self._journal.put_changed("max_payload", answer.max_payload)
        self._obey(answer)
        if self._differs(answer) or self._reconcile_due():
            self._reconcile(answer.incarnation)
        try:
            self._pusher.push_all(answer.incarnation, stopping)
        except Forked as fork:
            self._notify("till_forked")
            self._reconciled_at = None
            if fork.epoch == self._journal.head().epoch:
                self._recorder.open_epoch("fork")
            raise _Again from fork
        except LedgerShrank as shrank:
            raise _Again from shrank
        if stopping():
            return None
        if Command.REVOKE in answer.commands:
            return self._give_up_data()
        if Command.SUSPEND in answer.commands:
            self._recorder.leases.give_up()
            self._notify("till_suspended")
            return "till_suspended"
        if _older(self._app, answer.min_app):
            self._notify("app_too_old")
            return "app_too_old"
        error = self._puller.pull(answer.incarnation, stopping)
        if error is None and not stopping() and not self._reconcile_due():
            self._journal.clear_redemption_hold()
        if error is None and not stopping():
            self._renew_leases(answer.incarnation)
        return error

    def _renew_leases(self, incarnation: UUID) -> None:
        """Tell what was given of limited rules and take what may be: everything of it is pushed by now."""
        request = self._recorder.leases.request(self._identity, incarnation, self._programs.known())
        if request is None:
            return
        try:
            answer = self._client.leases(request)
        except ServerSaid as said:
            # A server from before there were leases: limited rules give nothing here, all else goes on.
            if said.status == HTTPStatus.NOT_FOUND:
                return
            raise
        self._recorder.leases.accept(request, answer)

    def _hello(self) -> HelloAnswer:
        nonce = self._random.getrandbits(8 * NONCE_BYTES).to_bytes(NONCE_BYTES, "big")
        state, known = self._cache.state(), self._journal.get(INCARNATION)
        epochs = self._journal.epochs()
        asked = self._clock.monotonic_ms()
        request = HelloRequest(
            network=self._identity.network,
            device=self._identity.device,
            nonce=nonce,
            boot_id=self._clock.boot_id,
            monotonic_ms=asked,
            app=self._app,
            epochs=[Head(one.epoch, one.head_seq, one.head_hash) for one in epochs],
            incarnation=state.incarnation,
            cursor=state.cursor,
            acked=[self._acked(one) for one in epochs if one.acked_seq > 0],
            acked_in=None if known is None else UUID(str(known)),
            keyset_version=self._trust.version(),
        )
        answer = self._client.hello(request)
        if answer.keyset is not None and not self._trust.adopt(answer.keyset):
            self._notify("keyset_refused")
        if self._trust.vouches(answer, nonce):
            self._clock.learn(answer.server_time, asked, self._clock.monotonic_ms())
            if answer.phone_key and self._trust.vouches_for_phones(answer, nonce):
                self._journal.put_changed(PHONE_KEY, bytes_to_text(answer.phone_key))
        elif self._trust.knows(answer.kid):
            raise NotOurServer("hello is not signed by the network")
        return answer

    def _acked(self, epoch: EpochHead) -> Acked:
        """Return how far the server said it holds an epoch, proved by the record itself where it is still here."""
        for one in self._journal.records(epoch.epoch, epoch.acked_seq, 1):
            if one.seq == epoch.acked_seq:
                return Acked(one.epoch, one.seq, one.hash, one.sig)
        return Acked(epoch.epoch, epoch.acked_seq)

    def _cache_of(self, incarnation: UUID) -> UUID:
        if self._cache.state().incarnation not in (None, incarnation):
            self._cache.wipe(incarnation)
        return incarnation

    def _meet(self, incarnation: UUID) -> None:
        """Bind what is known to the server's present life; what only an earlier life held is pushed again."""
        known = self._journal.get(INCARNATION)
        self._cache_of(incarnation)
        if known == str(incarnation):
            return
        if known is not None:
            self._reconcile(incarnation)
            self._journal.rebind(incarnation)
        self._journal.put(INCARNATION, str(incarnation))

    def _obey(self, answer: HelloAnswer) -> None:
        if Command.RESYNC_CACHE in answer.commands:
            if not self._resynced:
                self._cache.wipe(answer.incarnation)
            self._resynced = True
        else:
            self._resynced = False
        current = self._journal.epochs()[-1]
        if Command.ROTATE_EPOCH in answer.commands and current.acked_seq > 0:
            self._recorder.open_epoch("fork")
            self._reconciled_at = None

    def _differs(self, answer: HelloAnswer) -> bool:
        """Tell people what only the server holds; return whether it newly lacks what it had acknowledged."""
        theirs = {head.epoch: head.head_seq for head in answer.epochs}
        mine = {epoch.epoch: epoch for epoch in self._journal.epochs()}
        beyond = {epoch: seq - mine[epoch].head_seq if epoch in mine else seq for epoch, seq in theirs.items()}
        lost = sum(count for count in beyond.values() if count > 0)
        if lost and self._journal.get(_LOST) != lost:
            self._journal.notify("journal_behind_server", {"records": lost}, self._clock.now_ms())
        self._journal.put_changed(_LOST, lost)
        lacking = [(key, theirs.get(key, 0)) for key, one in mine.items() if theirs.get(key, 0) < one.acked_seq]
        new, self._lacking = lacking != self._lacking and bool(lacking), lacking
        return new

    def _reconcile_due(self) -> bool:
        return (
            self._reconciled_at is None or self._clock.monotonic_ms() - self._reconciled_at > RECONCILE_EVERY_MS
        )  # fmt: skip

    def _reconcile(self, incarnation: UUID) -> None:
        for epoch in self._journal.epochs():
            if epoch.acked_seq >= epoch.first_seq:
                reconcile_epoch(self._identity, self._journal, self._client, incarnation, epoch)
        self._reconciled_at = self._clock.monotonic_ms()

    def _notify(self, code: str) -> None:
        self._journal.notify(code, {}, self._clock.now_ms())


def _older(app: str, least: str) -> bool:
    """Return whether a version `1.2.3` is below another; what cannot be read is not."""
    try:
        mine, theirs = ([int(part) for part in text.split(".")] for text in (app, least))
    except ValueError:
        return False
    return mine < theirs
