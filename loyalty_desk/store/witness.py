"""`head.wit`: how far the journal went, kept apart from it, so that a journal put back from a copy is noticed."""

from __future__ import annotations

import contextlib
import os
import struct
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec

from loyalty_desk.domain.record import Totals

_LAYOUT = struct.Struct(">4sIQQ32s16sQQQ")
SLOT_BYTES = 128
_MAGIC = b"LDW1"
_CHECK_BYTES = SLOT_BYTES - _LAYOUT.size


class Witnessed(msgspec.Struct, frozen=True):
    """The head of a journal file at one moment; `turn` rises with every write."""

    file_id: UUID
    epoch: int
    seq: int
    hash: bytes
    totals: Totals
    turn: int = 0


class Witness:
    """Two slots written in turn in place, one fdatasync each: a torn write leaves the other slot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = max((seen.turn for seen in self._slots()), default=0)

    def read(self) -> Witnessed | None:
        """Return the newest whole slot, None where there is none."""
        return max(self._slots(), key=lambda seen: seen.turn, default=None)

    def write(self, seen: Witnessed) -> None:
        """Write a head durably before returning."""
        turn = self._turn + 1
        totals = seen.totals
        numbers = (totals.count, totals.earned, totals.redeemed)
        body = _LAYOUT.pack(_MAGIC, turn, seen.epoch, seen.seq, seen.hash, seen.file_id.bytes, *numbers)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            os.lseek(handle, (turn % 2) * SLOT_BYTES, os.SEEK_SET)
            os.write(handle, body + sha256(body).digest()[:_CHECK_BYTES])
            getattr(os, "fdatasync", os.fsync)(handle)
        finally:
            os.close(handle)
        self._turn = turn

    def _slots(self) -> list[Witnessed]:
        data = b""
        with contextlib.suppress(OSError):
            data = self._path.read_bytes()
        found = []
        for start in (0, SLOT_BYTES):
            body, check = data[start : start + _LAYOUT.size], data[start + _LAYOUT.size : start + SLOT_BYTES]
            if len(body) < _LAYOUT.size or check != sha256(body).digest()[:_CHECK_BYTES]:
                continue
            magic, turn, epoch, seq, digest, file_id, count, earned, redeemed = _LAYOUT.unpack(body)
            if magic == _MAGIC:
                totals = Totals(count, earned, redeemed)
                found.append(Witnessed(UUID(bytes=file_id), epoch, seq, digest, totals, turn))
        return found
