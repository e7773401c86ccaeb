"""Another reading of records, sharing no line with ours: prove an exported journal with hashlib and json alone.

    python tests/scenarios/independent_verify.py FILE.ldx KEY_HEX

Says `RECORDS HEAD EARNED REDEEMED`, or `bad EPOCH SEQ`, with exit code 1. Only the cipher of the file is borrowed.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import apsw


def main(export: str, key: str) -> int:
    """Unpack, read every record once, in order, and compare what it says with what came before it."""
    with tempfile.TemporaryDirectory() as room, Path(export).open("rb") as file:
        assert file.read(4) == b"LDX1"
        file.read(struct.unpack(">I", file.read(4))[0])
        copy = Path(room, "journal.db")
        with copy.open("wb") as target:
            while part := file.read(1 << 20):
                target.write(part)
        base = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)
        base.pragma("key", f"raw:{key}")
        records, head, earned, redeemed = 0, b"", 0, 0
        for epoch, opened in base.execute("SELECT epoch, prev FROM epoch ORDER BY ordinal").fetchall():
            head, expected = opened, 1
            every = "SELECT seq, hash, payload FROM record WHERE epoch = ? ORDER BY seq"
            for seq, written, payload in base.execute(every, (epoch,)):
                head = sha256(b"LDJ1" + head + sha256(payload).digest()).digest()
                records += 1
                if (seq, written) != (expected, head):
                    print("bad", epoch, min(seq, expected))
                    return 1
                said = json.loads(payload)
                count, earned, redeemed = after(said, earned, redeemed)
                totals = (records, earned, redeemed, seq, epoch)
                if (count, said["cum_earned"], said["cum_redeemed"], said["seq"], said["epoch"]) != totals:
                    print("bad", epoch, seq)
                    return 1
                expected += 1
        base.close()
    print(records, head.hex(), earned, redeemed)
    return 0


def after(said: dict[str, int], earned: int, redeemed: int) -> tuple[int, int, int]:
    """Return the running totals as a record must have them: sales and exchanges add, nothing subtracts."""
    if said["kind"] in ("sale", "exchange"):
        points: dict[str, int] = said.get("points") or {}  # type: ignore[assignment]
        earned, redeemed = earned + points.get("earned", 0), redeemed + points.get("redeemed", 0)
    return said["cum_count"], earned, redeemed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
