"""What must hold when a run has come to rest: nothing lost, nothing doubled, the invariants of tests/invariants.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, pairwise
from uuid import UUID, uuid5

from loyalty_desk.domain.check import check_from_payload, drift, priced_at
from loyalty_desk.domain.contents import contents_of
from loyalty_desk.domain.record import BadRecord, Record, RecordKind, chain_hash, genesis
from loyalty_desk.domain.return_contents import ExchangeContents, ReturnContents
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from server.ledger.posting import AccountKind
from server.ledger.returns import RETURNS, SALES
from tests.simulation.faults import REWINDS
from tests.simulation.memory_ledger import Tables
from tests.simulation.world import NETWORK, World


@dataclass(slots=True)
class Verdict:
    """What became of a run. `gone` facts are on no surviving medium."""

    seed: int
    facts: int = 0
    lost: int = 0
    doubled: int = 0
    gone: int = 0
    invariants: list[str] = field(default_factory=list)
    trace: str = ""

    @property
    def good(self) -> bool:
        """Return whether everything holds."""
        return not (self.lost or self.doubled or self.invariants)


def judge(world: World) -> Verdict:
    """Hold a settled run against its facts and the invariants."""
    tables = world.server.tables
    on_media = {one for disk in world.disks for one in disk.kept}
    posted = {(one.id, one.hash) for one in tables.txs.values()}
    aside = {(one.id, one.hash) for one in tables.quarantine.values() if one.state in ("open", "waiting_dependency")}
    lost = on_media - posted - aside
    doubled = len(tables.doubles) + len(posted & aside)
    made = set(world.made.items())
    gone = made - on_media - posted - aside
    invariants = list(world.findings)
    for disk in world.disks:
        forgotten = disk.kept - {(one.id, one.hash) for one in disk.journal.records.values()}
        if forgotten:
            invariants.append(f"INV-4: a till has removed {len(forgotten)} records from its own journal")
    reused = sum(str(kind) == "ID_REUSE" for kind, _ in tables.exceptions)
    if reused:
        invariants.append(f"INV-3: {reused} ids were used twice")
    for check in (
        _quarantined,
        _entries,
        _lots,
        _chains,
        _order,
        _caches,
        _balances,
        _heads,
        _exposure,
        _clones,
        _waiting,
        _priced,
    ):
        check(world, tables, lambda rule, text: invariants.append(f"{rule}: {text}"))
    for key in sorted(str(one[0]) for one in lost):
        world.note("lost", key)
    return Verdict(
        world.seed, len(made), len(lost), doubled, len(gone), invariants, world.trace.hexdigest()[:16]
    )  # fmt: skip


_read = lru_cache(maxsize=4_096)(Record.from_payload)
type _Note = Callable[[str, str], None]


def _quarantined(world: World, tables: Tables, note: _Note) -> None:
    """A record that can be read is posted: a server that sets everything aside loses nothing either."""
    for one in tables.quarantine.values():
        if one.reason == "BAD_SCHEMA" and chain_hash(one.prev, one.raw) == one.hash:
            try:
                record = _read(one.raw)
            except BadRecord:
                continue
            note("GOOD", f"{record.kind.value} {one.seq} can be read and is in quarantine")


def _entries(world: World, tables: Tables, note: _Note) -> None:
    """INV-1, INV-2: entries of a transaction sum to 0, those of an account to its balance."""
    per_tx: Counter[UUID] = Counter()
    per_account: Counter[int] = Counter()
    for entry in tables.entries:
        per_tx[entry.tx] += entry.amount
        per_account[entry.account] += entry.amount
        if entry.amount == 0:
            note("INV-1", f"an entry of {entry.tx} moves nothing")
    for tx, total in per_tx.items():
        if total:
            note("INV-1", f"entries of {tx} sum to {total}")
        if tx not in tables.txs and tx not in tables.claims:
            note("INV-6", f"entries of {tx} without a transaction")
    for number, account in tables.accounts.items():
        if account.posted != per_account[number]:
            note("INV-2", f"{account.key} has {account.posted}, its entries sum to {per_account[number]}")


def _lots(world: World, tables: Tables, note: _Note) -> None:
    """INV-12, INV-15, INV-16: lots less debt are the balance, both never at once; ids follow from the transaction."""
    used: Counter[UUID] = Counter()
    for use in tables.uses:
        used[use.lot_id] += use.amount
    legs = Counter(one.tx for one in tables.entries)
    remaining: Counter[int] = Counter()
    held: Counter[int] = Counter()
    for lot_id, lot in tables.lots.items():
        remaining[lot.account] += lot.remaining
        if lot.held:
            held[lot.account] += lot.remaining
        if lot.remaining != lot.amount - used[lot_id] or lot.remaining < 0:
            note("INV-15", f"lot {lot_id} has {lot.remaining} of {lot.amount}, used {used[lot_id]}")
        name = "held" if lot.held else "lot"
        if not any(lot_id == uuid5(lot.tx, f"{name}:{leg}") for leg in range(legs[lot.tx])):
            note("INV-16", f"lot {lot_id} is not named after its transaction")
    for number, account in tables.accounts.items():
        if account.key.kind is not AccountKind.GUEST:
            continue
        open_lots = remaining[number] - held[number]
        if remaining[number] - account.debt != account.posted or (open_lots and account.debt):
            note("INV-15", f"{account.posted} posted, {remaining[number]} in lots, {account.debt} owed")
        owner = account.key.owner
        if owner is not None and tables.guests[owner].points != account.posted - held[number]:
            note("INV-12", f"the guest's row shows {tables.guests[owner].points}, the account {account.posted}")


def _chains(world: World, tables: Tables, note: _Note) -> None:
    """INV-7, INV-8: every branch is contiguous but for declared holes, chained, and its totals never sink."""
    lines: dict[tuple[UUID, int, int], dict[int, tuple[bytes, bytes, bytes]]] = {}
    for tx in tables.txs.values():
        lines.setdefault((tx.device, tx.epoch, tx.branch), {})[tx.seq] = (tx.prev, tx.hash, tx.payload)
    for (device, epoch, seq, _), one in tables.quarantine.items():
        line = lines.setdefault((device, epoch, one.branch), {})
        line.setdefault(seq, (one.prev, one.hash, one.raw))
    holes = any(kind == "HOLE" for kind, _ in tables.exceptions)
    for key, line in lines.items():
        row = tables.epochs.get(key)
        if row is None:
            note("INV-7", f"epoch {key[1]} branch {key[2]} has records and no head")
            continue
        before: tuple[int, bytes] | None = None
        count = 0
        for seq, (prev, digest, payload) in sorted(line.items()):
            whole = chain_hash(prev, payload) == digest
            if before is not None and before[0] == seq - 1 and prev != before[1]:
                note("INV-7", f"record {seq} of epoch {key[1]} branch {key[2]} is not chained to {before[0]}")
            # A piece of an epoch may be kept with a fork that it does not continue (`branching.place` takes a line that
            # holds nothing around the push for one that agrees): known, nothing of it is lost.
            if before is not None and before[0] != seq - 1 and not holes and key[2] == 0:
                note("INV-7", f"records before {seq} of epoch {key[1]} are missing and nobody said so")
            if whole:
                try:
                    record = _read(payload)
                except BadRecord:
                    count += 1
                else:
                    if record.totals.count < count:
                        note("INV-7", f"the totals of record {seq} of epoch {key[1]} sink")
                    count = record.totals.count
            before = (seq, digest)
        if before is not None and before[0] > row.head_seq:
            note("INV-7", f"epoch {key[1]} branch {key[2]} has {before[0]}, its head says {row.head_seq}")
        if before is not None and before[0] == row.head_seq and before[1] != row.head_hash:
            note("INV-25", f"the head of epoch {key[1]} branch {key[2]} has another hash than its last record")


def _order(world: World, tables: Tables, note: _Note) -> None:
    """INV-9: numbers of the feed are dense in what was given, and none is given twice."""
    numbers = [seq for seq, _ in tables.feed.values()]
    if len(set(numbers)) != len(numbers) or max(numbers, default=0) > tables.n:
        note("INV-9", "two rows of the feed have one number, or one beyond the counter")
    lengths = [n for n, _ in tables.commits]
    if lengths != sorted(lengths) or (lengths and lengths[-1] != tables.n):
        note("INV-9", "commits do not follow the counter")
    digest = 0
    for table, key in tables.feed:
        row = tables.row(table, key)
        if row is not None:
            digest += row_digest(table, key, row)
    if digest % DIGEST_MODULUS != tables.digest:
        note("INV-10", "the feed's digest is not that of its rows")


def _caches(world: World, tables: Tables, note: _Note) -> None:
    """INV-10, INV-11: a till that is level holds the very rows of the server, under its incarnation."""
    wanted = {place: tables.row(*place) for place in tables.feed}
    for till in world.tills:
        state = till.disk.cache.state
        if state.incarnation != tables.life and not world.is_cloned(till):
            note("INV-11", f"{till.name} follows another life of the server")
        elif state.cursor == tables.n and till.disk.cache.rows != wanted:
            note("INV-10", f"{till.name} is level and has other rows")


def _balances(world: World, tables: Tables, note: _Note) -> None:
    """INV-3, INV-19: balances follow from the set of posted facts alone, whatever way and order they came."""
    records = {tx.id: _read(tx.payload) for tx in tables.txs.values() if tx.kind in SALES | RETURNS}
    taken_back = {one.reverses_id for one in records.values() if one.kind in RETURNS}
    expected: Counter[UUID | None] = Counter()
    for record in records.values():
        if record.kind not in SALES or record.id in taken_back:
            continue
        first = record
        while first.kind in RETURNS and first.reverses_id in records:
            # Whose points an exchange moves is said by the sale that it takes back.
            first = records[first.reverses_id]
        shown = None if first.credential is None else first.credential.handle
        guest = first.guest_id or (None if shown is None else tables.credentials.get(shown.to_bytes(8, "big")))
        expected[guest if guest in tables.guests else None] += record.points_earned - record.points_redeemed
    posted = {
        one.key.owner: one.posted
        for one in tables.accounts.values()
        if one.key.kind in (AccountKind.GUEST, AccountKind.SUSPENSE)
    }
    for guest in expected.keys() | posted.keys():
        if posted.get(guest, 0) != expected[guest]:
            note("INV-19", f"the facts come to {expected[guest]}, the account has {posted.get(guest, 0)}")


def _priced(world: World, tables: Tables, note: _Note) -> None:
    """A posted sale, priced again with the program it names, comes to what the till has charged."""
    for tx in tables.txs.values():
        record = _read(tx.payload)
        if record.kind is not RecordKind.SALE or record.check is None or "program_hash" not in record.check:
            continue
        contents = check_from_payload(record.check)
        found = drift(contents.claimed, contents.quoted(world.program, priced_at(record.check, record.occurred_at)))
        claimed = contents.claimed
        said = (claimed.total, claimed.earned_points, claimed.redeemed_points)
        if found or said != (record.money_total, record.points_earned, record.points_redeemed):
            note("DRIFT", f"{record.seq} of epoch {record.epoch} is priced otherwise: {found}")


def _returns(tables: Tables) -> list[Record]:
    """Return what was posted of returns."""
    return [_read(tx.payload) for tx in tables.txs.values() if tx.kind in RETURNS]


def _waiting(world: World, tables: Tables, note: _Note) -> None:
    """A return is posted if its sale is, and waits as long as that is on no surviving medium; never twice a sale."""
    for one in tables.quarantine.values():
        if one.state == "waiting_dependency" and _read(one.raw).reverses_id in tables.txs:
            note("WAIT", f"{one.seq} waits for a sale that is there")
    for record in _returns(tables):
        if record.reverses_id not in tables.txs:
            note("INV-17", f"{record.seq} has taken back a sale that is not there")


def _heads(world: World, tables: Tables, note: _Note) -> None:
    """INV-25: a journal hashed anew arrives at a head that the server has, or at a record that it has."""
    known = {one.hash for one in tables.txs.values()} | {one.hash for one in tables.quarantine.values()}
    for till in world.tills:
        device = till.identity.device
        for epoch, prev in till.disk.journal.opened.items():
            digest = prev
            line = [one for (e, _), one in till.disk.journal.records.items() if e == epoch]
            for one in sorted(line, key=lambda record: record.seq):
                if chain_hash(one.prev, one.payload) != one.hash:
                    break  # a spoilt record: the server has it in quarantine
                if one.prev != digest:
                    note("INV-25", f"the journal of {till.name} is broken at {one.seq}")
                digest = one.hash
            if line and digest not in known and digest not in (prev, genesis(NETWORK, device, epoch)):
                note("INV-25", f"the server has never seen the head of {till.name}'s epoch {epoch}")


def _clones(world: World, tables: Tables, note: _Note) -> None:
    """Where two tills went on with one journal, in turns, a person is told to enrol both anew; else nobody.

    What waited was posted later than it was sold: nobody's turn. A machine that is put back to an epoch before its own,
    with records there that nobody has seen, or of whose lost journal a push arrives late, goes on with two epochs in
    turns all by itself: the server cannot tell it from two.
    """
    machines = Counter(till.identity.device for till in world.tills)
    for device, found in tables.devices.items():
        if found.state == "cloned" and machines[device] == 1 and device not in world.resumed:
            note("CLONE", f"{device} is one machine, and is taken for two")
    waited = {(one.id, one.hash) for one in tables.quarantine.values()}
    for one, other in combinations(world.tills, 2):
        if one.identity.device != other.identity.device or world.is_cloned(one):
            continue
        mine, theirs = ({record.id for record in till.disk.journal.records.values()} for till in (one, other))
        txs = [tables.txs[each] for each in mine ^ theirs if each in tables.txs]
        sold = sorted((tx.recorded_at, tx.id in mine) for tx in txs if (tx.id, tx.hash) not in waited)
        turns = sum(before[1] != after[1] and before[0] != after[0] for before, after in pairwise(sold))
        # A turn in an epoch begun for it may be that of one machine that is put back again and again.
        if turns > len({tx.epoch for tx in txs}):
            note("CLONE", f"{one.name} and {other.name} have sold in {turns} turns as one till, and nobody is told")


def _exposure(world: World, tables: Tables, note: _Note) -> None:
    """INV-14: with honest tills a guest owes at most what the bound allows: N times the offline limit of a code."""
    if world.plan.faults & REWINDS:
        return
    bound = len(world.tills) * 200  # U redemptions of at most the 100 points that LD1 may redeem
    bound += sum(_taken_from_guest(one) for one in _returns(tables))  # earned, spent, and then taken back
    for account in tables.accounts.values():
        if account.debt > bound:
            note("INV-14", f"a guest owes {account.debt}, more than {bound}")


def _taken_from_guest(record: Record) -> int:
    found = contents_of(record)
    return found.returned.earned_reversed if isinstance(found, ExchangeContents | ReturnContents) else 0
