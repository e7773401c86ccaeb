"""A ledger in memory that obeys the contract of `wire.v1`, and a network that fails as told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.canonical import Json, bytes_to_text
from loyalty_desk.domain.record import Record, RecordKind, block_digest, chain_hash, handle_text, head_is_signed
from loyalty_desk.services.ports.server import NoAnswer, ServerSaid
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.leases import Lease, LeaseAnswer, LeaseRequest
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, keyset_message, row_digest
from loyalty_desk.wire.v1.signing import hello_message, phones_message
from loyalty_desk.wire.v1.sync import (
    BlockIds,
    Checkpoint,
    FeedRow,
    Head,
    HelloAnswer,
    HelloRequest,
    PullAnswer,
    PushAnswer,
    PushedRecord,
    PushRequest,
    PushResult,
    ReconcileAnswer,
    ReconcileRequest,
    Status,
    cursor_from_text,
)
from tests.loyalty_desk.till_parts import DEVICE_KEY

ROOT = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
FIRST_LIFE = UUID("1ca20000-0000-4000-8000-000000000001")


@dataclass
class Held:
    """A record as the ledger holds it."""

    record: PushedRecord
    status: Status = Status.POSTED
    reason: str | None = None


@dataclass
class FakeLedger:
    """One network. `faults` are taken one a call: each is "cut", "lost", an exception, or a function of the answer."""

    network: UUID
    incarnation: UUID = FIRST_LIFE
    server_time: int = 1_772_452_800_000
    keys: dict[int, Ed25519PrivateKey] = field(
        default_factory=lambda: {1: Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")}
    )
    kid: int = 1
    min_app: str = "0.1.0"
    page_rows: int = 5_000
    commands: list[str] = field(default_factory=list)
    faults: deque[object] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    branches: dict[tuple[int, int], list[Held]] = field(default_factory=dict)
    rows: dict[tuple[str, str], tuple[int, dict[str, Json] | None]] = field(default_factory=dict)
    n: int = 0
    quarantine: Callable[[Record], str | None] = lambda _: None
    flag: Callable[[Record], int] = lambda _: 0
    wrong_digest: bool = False
    biggest_push: int = 500
    carries: int = 500
    key_set: dict[str, Json] = field(default_factory=dict)
    key_set_version: int = 0
    tells_key_set: bool = True
    phone_key: bytes = b""
    allowed: dict[tuple[str, str], int] = field(default_factory=dict)
    told: list[LeaseRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publish_keys(1)

    # -- what the back office does ---------------------------------------------------------------------------------

    def put(self, table: str, key: str, row: dict[str, Json] | None) -> None:
        """Change one row of the feed."""
        self.n += 1
        self.rows[table, key] = (self.n, row)

    def publish_keys(self, version: int) -> None:
        """Put the key set into the feed."""
        self.key_set, self.key_set_version = self.keyset(version), version
        self.put("keyset", "current", self.key_set)

    def keyset(self, version: int) -> dict[str, Json]:
        """Return the key set signed by the root."""
        keys: list[Json] = [
            {"kid": kid, "public": bytes_to_text(key.public_key().public_bytes_raw()), "not_before": 0}
            for kid, key in sorted(self.keys.items())
        ]
        document: dict[str, Json] = {"network": str(self.network), "version": version, "issued": 0, "keys": keys}
        return {"document": document, "sig": bytes_to_text(ROOT.sign(keyset_message(document)))}

    def restore(self, *, keep: int) -> None:
        """Be put back to a copy in which every epoch has its first `keep` records; a new life begins."""
        self.incarnation = UUID(int=self.incarnation.int + 1)
        points = {key: row for (table, key), (_, row) in self.rows.items() if table == "guest"}
        for branch in self.branches.values():
            for held in branch[keep:]:
                self._points(Record.from_payload(held.record.payload), points, -1)
            del branch[keep:]

    def posted(self) -> list[UUID]:
        """Return the ids of everything held, in order."""
        return [held.record.id for branch in self.branches.values() for held in branch]

    # -- the contract ----------------------------------------------------------------------------------------------

    def hello(self, request: HelloRequest) -> HelloAnswer:
        """Say who lives here."""
        return self._served("hello", request, HelloRequest, self._hello)

    def push(self, request: PushRequest) -> PushAnswer:
        """Hold records."""
        return self._served("push", request, PushRequest, self._push)

    def reconcile(self, request: ReconcileRequest) -> ReconcileAnswer:
        """Compare."""
        return self._served("reconcile", request, ReconcileRequest, self._reconcile)

    def pull(self, cursor: str | None, limit: int) -> PullAnswer:
        """Return a page."""
        return self._served("pull", (cursor, limit), None, lambda _: self._pull(cursor, limit))

    def leases(self, request: LeaseRequest) -> LeaseAnswer:
        """Allow what is `allowed`, for an hour."""
        return self._served("leases", request, LeaseRequest, self._leases)

    def _leases(self, request: LeaseRequest) -> LeaseAnswer:
        self.told.append(request)
        leases = [Lease(*key, upto) for key, upto in self.allowed.items()]
        expires_at = self.server_time + 3_600_000
        return LeaseAnswer(self.incarnation, request.epoch, len(self.told), expires_at, leases)

    def _served[Q, A](self, name: str, request: Q, kind: type[Q] | None, work: Callable[[Q], A]) -> A:
        self.calls.append(name)
        fault = self.faults.popleft() if self.faults else None
        if fault == "cut":
            raise NoAnswer("cut before it arrived")
        if isinstance(fault, Exception):
            raise fault
        if kind is not None:
            request = codec.decode(kind, codec.encode(request))
        answer = work(request)
        if fault == "lost":
            raise NoAnswer("cut after it was done")
        # Through the wire, so that only what the contract carries arrives.
        answer = codec.decode(type(answer), codec.encode(answer))
        return fault(answer) if callable(fault) else answer

    def _hello(self, request: HelloRequest) -> HelloAnswer:
        message = hello_message(self.network, request.nonce, self.server_time, self.incarnation)
        heads = [
            Head(epoch, held[-1].record.seq, held[-1].record.hash)
            for (epoch, branch), held in self.branches.items()
            if branch == 0 and held
        ]
        phone_key = b"" if self.commands else self.phone_key
        phone_sig = self.keys[self.kid].sign(phones_message(self.network, request.nonce, phone_key))
        is_behind = request.keyset_version is not None and request.keyset_version < self.key_set_version
        return HelloAnswer(
            incarnation=self.incarnation,
            server_time=self.server_time,
            epochs=heads,
            keyset_version=self.key_set_version,
            min_app=self.min_app,
            max_payload=65_536,
            kid=self.kid,
            sig=self.keys[self.kid].sign(message),
            commands=list(self.commands),
            keyset=self.key_set if is_behind and self.tells_key_set else None,
            phone_key=phone_key,
            phone_sig=phone_sig if phone_key else b"",
        )

    def _push(self, request: PushRequest) -> PushAnswer:
        if len(request.records) > self.carries:
            raise NoAnswer("the link is too slow for so much")
        if request.incarnation != self.incarnation:
            raise ServerSaid(409, "STALE_INCARNATION")
        if len(request.records) > self.biggest_push:
            raise ServerSaid(413, "TOO_LARGE")
        last = request.records[-1]
        assert [r.seq for r in request.records] == list(range(request.from_seq, last.seq + 1))
        key = DEVICE_KEY.public_key()
        assert head_is_signed(
            key, request.network, request.device, request.epoch, last.seq, last.hash, request.head_sig
        )
        branch = self.branches.setdefault((request.epoch, 0), [])
        head = branch[-1].record.seq if branch else 0
        covered = max((hole.last for hole in request.holes), default=0)
        if request.from_seq > head + 1 and covered < request.from_seq - 1:
            raise ServerSaid(409, "GAP", expected_seq=head + 1)
        forked = any(
            mine.record.hash != theirs.hash
            for theirs in request.records
            for mine in branch
            if mine.record.seq == theirs.seq
        )
        if forked:
            side = self.branches.setdefault((request.epoch, 1), [])
            for record in request.records:
                if record.id not in self.posted():
                    self._hold(side, record)
            raise ServerSaid(409, "FORK", epoch=request.epoch)
        known = {held.record.id: held for held in branch}
        results = []
        for record in request.records:
            if record.id in known:
                results.append(PushResult(record.seq, Status.DUPLICATE))
                continue
            held = self._hold(branch, record)
            flags = self.flag(Record.from_payload(record.payload))
            status = Status.POSTED_FLAGGED if flags and held.status is Status.POSTED else held.status
            results.append(PushResult(record.seq, status, flags, held.reason))
        return PushAnswer(self.incarnation, results, self.n)

    def _hold(self, branch: list[Held], record: PushedRecord) -> Held:
        assert chain_hash(record.prev, record.payload) == record.hash
        if branch and record.seq == branch[-1].record.seq + 1:
            assert branch[-1].record.hash == record.prev
        fact = Record.from_payload(record.payload)
        reason = self.quarantine(fact)
        held = Held(record, Status.QUARANTINED if reason else Status.POSTED, reason)
        branch.append(held)
        if reason is None:
            self._points(fact, {key: row for (table, key), (_, row) in self.rows.items() if table == "guest"}, 1)
        return held

    def _points(self, fact: Record, guests: dict[str, dict[str, Json] | None], sign: int) -> None:
        key = str(fact.guest_id)
        if fact.guest_id is None and fact.credential is not None and fact.credential.handle is not None:
            _, row = self.rows.get(("credential", handle_text(fact.credential.handle)), (0, None))
            key = str(row["guest"]) if row else key
        row = self.rows.get(("guest", key), (0, None))[1]
        if fact.kind is RecordKind.SALE and row is not None:
            moved = sign * (fact.points_earned - fact.points_redeemed)
            self.put("guest", key, {**row, "points": int(str(row["points"])) + moved})

    def _reconcile(self, request: ReconcileRequest) -> ReconcileAnswer:
        if request.incarnation != self.incarnation:
            raise ServerSaid(409, "STALE_INCARNATION")
        held = [h.record for (epoch, _), branch in self.branches.items() if epoch == request.epoch for h in branch]
        mismatching = []
        for block in request.blocks:
            mine = [r for r in held if block.first_seq <= r.seq < block.first_seq + block.count]
            if block_digest([(r.id, r.hash) for r in mine]) != block.xor:
                mismatching.append(BlockIds(block.first_seq, [r.id for r in mine]))
        return ReconcileAnswer(self.incarnation, mismatching)

    def _pull(self, cursor: str | None, limit: int) -> PullAnswer:
        after = 0
        if cursor is not None:
            life, after, _ = cursor_from_text(cursor)
            if life != self.incarnation:
                raise ServerSaid(410, "MUST_BOOTSTRAP")
        changes = sorted((seq, table, key, row) for (table, key), (seq, row) in self.rows.items() if seq > after)
        page = changes[: min(limit, self.page_rows)]
        more = len(changes) > len(page)
        live = [(table, key, row) for (table, key), (_, row) in self.rows.items() if row is not None]
        digest = sum(row_digest(*one) for one in live) % DIGEST_MODULUS ^ self.wrong_digest
        checkpoint = None if more else Checkpoint(self.n, len(live), digest.to_bytes(16, "big"))
        rows = [FeedRow(*change) for change in page]
        return PullAnswer(self.incarnation, rows, rows[-1].seq if more else self.n, more, checkpoint=checkpoint)
