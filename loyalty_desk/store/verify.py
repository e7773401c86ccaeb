"""Proving a whole journal file record by record: hashes, chain, running totals, the heads' signatures (INV-7, 25)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import Totals, chain_hash, genesis, head_is_signed
from loyalty_desk.store.engine import KEY_BYTES, is_damage, row, rows

_CACHE_KIB = 16 * 1024


class _Said(msgspec.Struct):
    """What a record says of its own place."""

    network: UUID
    device: UUID
    epoch: int
    seq: int
    id: UUID
    cum_count: int
    cum_earned: int
    cum_redeemed: int


_SAID = msgspec.json.Decoder(_Said)


@dataclass(frozen=True, slots=True)
class BadPlace:
    """The first record that is not what it should be. `what` is a stable word."""

    epoch: int
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class EpochProof:
    """An epoch as far as it was proved. `first` > 1: what lies before was pruned, or is missing."""

    epoch: int
    first: int
    head_seq: int
    head_hash: bytes
    totals: Totals


@dataclass(frozen=True, slots=True)
class Proof:
    """What was read; `bad` None: all of it holds. `signed` says whether the heads' signatures could be checked."""

    records: int
    epochs: tuple[EpochProof, ...]
    signed: bool
    bad: BadPlace | None


@contextmanager
def read_only(path: Path, key: bytes) -> Iterator[apsw.Connection]:
    """Open a journal file, or a copy of one, without changing it; raises `Refused` `journal_unreadable`."""
    if len(key) != KEY_BYTES:
        raise ValueError("a raw key has 32 bytes")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise Refused("journal_unreadable", path=str(path)) from error
    try:
        connection.pragma("key", f"raw:{key.hex()}")
        connection.pragma("cache_size", -_CACHE_KIB)
        connection.pragma("trusted_schema", 0)
        if row(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'record'") is None:
            raise Refused("journal_unreadable", path=str(path))
        yield connection
    except apsw.Error as error:
        if isinstance(error, apsw.NotADBError | apsw.CantOpenError) or is_damage(error):
            raise Refused("journal_unreadable", path=str(path)) from error
        raise
    finally:
        connection.close()


def prove(connection: apsw.Connection, device_key: Ed25519PublicKey | None = None) -> Proof:
    """Read every record once, in order, holding one at a time; stop at the first that does not hold."""
    proofs: list[EpochProof] = []
    heads: dict[bytes, Totals] = {}
    count = 0
    signed = device_key is not None
    pruned = {}
    if row(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'pruned'") is not None:
        pruned = {one[0]: one for one in rows(connection, "SELECT * FROM pruned")}
    for epoch, opened in rows(connection, "SELECT epoch, prev FROM epoch ORDER BY ordinal"):
        gone = pruned.get(epoch)
        before, seq, totals = opened, 0, heads.get(opened, Totals())
        if gone is not None:
            before, seq, totals = gone[3], gone[1], Totals(*gone[5:8])
        first, last = seq + 1, seq
        network: UUID | None = None
        device: UUID | None = None
        sig = b""
        cursor = connection.execute(
            "SELECT seq, id, prev, hash, sig, payload FROM record WHERE epoch = ? ORDER BY seq", (epoch,)
        )
        while True:
            try:
                found = next(cursor, None)
            except apsw.Error as error:
                if not is_damage(error):
                    raise
                return Proof(count, tuple(proofs), signed, BadPlace(epoch, last + 1, "unreadable"))
            if found is None:
                break
            seq, _, prev, digest, sig, _ = found
            said = _read(epoch, last, before, totals, found)
            if isinstance(said, str):
                place = last + 1 if said == "missing" else seq
                return Proof(count, tuple(proofs), signed, BadPlace(epoch, place, said))
            network, device = said.network, said.device
            # The first epoch's parent may be in a journal that was lost; any other's is in this file.
            if last == 0 and proofs and prev not in heads and prev != genesis(network, device, epoch):
                return Proof(count, tuple(proofs), signed, BadPlace(epoch, seq, "no parent"))
            before, last, count = digest, seq, count + 1
            totals = Totals(said.cum_count, said.cum_earned, said.cum_redeemed)
        if device_key is not None and network is not None and device is not None:
            if not head_is_signed(device_key, network, device, epoch, last, before, sig):
                return Proof(count, tuple(proofs), signed, BadPlace(epoch, last, "not signed"))
            if gone is not None and not head_is_signed(device_key, network, device, epoch, gone[1], gone[3], gone[4]):
                return Proof(count, tuple(proofs), signed, BadPlace(epoch, gone[1], "not signed"))
        heads[before] = totals
        proofs.append(EpochProof(epoch, first, last, before, totals))
    return Proof(count, tuple(proofs), signed, None)


def _read(epoch: int, last: int, before: bytes, totals: Totals, found: tuple[Any, ...]) -> _Said | str:
    """Return what a record says, or the word for what is wrong with it."""
    seq, raw_id, prev, digest, _, payload = found
    if seq != last + 1:
        return "missing"
    if prev != before:
        return "not chained"
    if chain_hash(prev, payload) != digest:
        return "altered"
    try:
        said = _SAID.decode(payload)
    except msgspec.MsgspecError:
        return "no record"
    if (said.epoch, said.seq, said.id.bytes) != (epoch, seq, raw_id):
        return "another place"
    counted = said.cum_count == totals.count + 1
    if not counted or said.cum_earned < totals.earned or said.cum_redeemed < totals.redeemed:
        return "totals"
    return said
