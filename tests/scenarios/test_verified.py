"""An export is proved record by record, by us and by a reading that shares no code with ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import cast
from uuid import UUID

import pytest

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import ClockConfidence, Credential, Record, RecordKind, SealedRecord, Totals, seal
from loyalty_desk.services.ports.journal import Effect
from loyalty_desk.store import portable
from loyalty_desk.till import Till, open_till
from tests.loyalty_desk.test_till import enrolled
from tests.scenarios.counts import count

RECORDS, EPOCHS = count(12_000, 1_000_000), 4
# What a process needs that proves records one at a time, whatever their number: Python and our modules are 60 MiB.
MOST_KIB = 200 * 1024
# The process's own peak: what the kernel adds up for children begins with the size of whoever started them.
_MEASURED = """
import sys
from pathlib import Path
from loyalty_desk.cli import main
try:
    main()
finally:
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], file=sys.stderr)
"""
SCRIPT = Path(__file__).with_name("independent_verify.py")


@dataclass(frozen=True, slots=True)
class Made:
    """A record as a journal takes it over."""

    sealed: SealedRecord
    record: Record
    effect: Effect


@pytest.fixture(scope="module")
def till() -> Iterator[Till]:
    """A till with a long journal."""
    with tempfile.TemporaryDirectory() as room, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOYALTY_KEYRING", "file")
        patch.delenv("LOYALTY_TILL_WITNESS", raising=False)
        enrolled(Path(room, "till"))
        with open_till(Path(room, "till")) as made:
            made.wait_until_checked()
            source = Random(58)
            for _ in range(EPOCHS):
                # All of an epoch in one transaction: how a journal grows by itself is proved elsewhere.
                journal = made._selling.journal
                epoch, head = source.getrandbits(62), journal.head()
                found = records(made, epoch, head.hash, head.totals, source, RECORDS // EPOCHS)
                journal.take_over(epoch, head.hash, 1, cast("Sequence[Made]", found))
            yield made


def records(till: Till, epoch: int, prev: bytes, totals: Totals, source: Random, many: int) -> Iterator[Made]:
    """Yield an epoch's records, chained and signed by the till."""
    identity, key = till._selling.config.identity, till._selling.key
    for seq in range(1, many + 1):
        kind = RecordKind.EPOCH_OPEN if seq == 1 else RecordKind.SALE if seq % 10 else RecordKind.REFUND
        earned, redeemed = (0, 0) if seq == 1 else (source.randrange(50), source.randrange(5))
        totals = totals.after(kind, earned, redeemed)
        record = Record(
            network=identity.network,
            id=UUID(int=source.getrandbits(128), version=4),
            device=identity.device,
            epoch=epoch,
            seq=seq,
            kind=kind,
            store=identity.store,
            occurred_at=1_790_000_000_000 + seq,
            boot_id=UUID(int=7),
            monotonic_ms=seq,
            clock_conf=ClockConfidence.GOOD,
            business_day="2026-11-21",
            totals=totals,
            points_earned=earned,
            points_redeemed=redeemed,
            **(
                {"opened_reason": "manual"}
                if seq == 1
                else {"guest_id": UUID(int=9), "credential": Credential(CodeKind.LD1, 5), "money_total": 100_00}
            ),
        )
        sealed = seal(record, prev, key)
        prev = sealed.hash
        yield Made(sealed, record, Effect())


def prove(file: Path, till: Till) -> tuple[int, dict[str, object], int]:
    """Run `loyalty-desk verify-journal FILE`; return exit code, what it found and the memory it took at most, KiB."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, "verify-journal", str(file), "--json"],
        env={**os.environ, "LOYALTY_TILL_DIR": str(till.paths.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, int(done.stderr.split()[-1])


def independently(file: Path, till: Till) -> tuple[int, str]:
    """Run the other reading."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(file), till._selling.journal.key.hex()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout.strip()


def test_an_export_is_proved_in_little_memory_and_by_another_reading(till: Till, tmp_path: Path) -> None:
    file, head = tmp_path / "till.ldx", till._selling.journal.head()
    till.export(file)
    code, found, memory = prove(file, till)
    assert (code, found["bad"], found["signed"], found["records"]) == (0, None, True, RECORDS + 1)
    last = found["epochs"][-1]
    assert (last["head"], last["earned"], last["redeemed"]) == (
        head.hash.hex(),
        head.totals.earned,
        head.totals.redeemed,
    )
    assert 30_000 < memory < MOST_KIB
    assert independently(file, till) == (
        0,
        f"{RECORDS + 1} {head.hash.hex()} {head.totals.earned} {head.totals.redeemed}",
    )


@pytest.mark.parametrize("place", [0.1, 0.9])
def test_a_flipped_byte_is_named_at_its_record_by_both(till: Till, tmp_path: Path, place: float) -> None:
    journal, file = till._selling.journal, tmp_path / "flipped.ldx"
    epoch = journal.epochs()[-2].epoch
    seq = max(2, int(RECORDS // EPOCHS * place))
    [record] = journal.records(epoch, seq, 1)
    payload = bytearray(record.payload)
    payload[Random(seq).randrange(len(payload))] ^= 1
    change = "UPDATE record SET payload = ? WHERE epoch = ? AND seq = ?"
    journal._connection.execute(change, (bytes(payload), epoch, seq))
    try:
        portable.write(journal, tmp_path / "room", till.paths.sealed_key.read_bytes(), file)
    finally:
        journal._connection.execute(change, (record.payload, epoch, seq))
    code, found, _ = prove(file, till)
    assert (code, found["bad"]) == (1, {"epoch": epoch, "seq": seq, "what": "altered"})
    assert independently(file, till) == (1, f"bad {epoch} {seq}")


def test_a_flipped_byte_of_the_file_itself_is_found(till: Till, tmp_path: Path) -> None:
    file = tmp_path / "damaged.ldx"
    till.export(file)
    with file.open("r+b") as raw:
        raw.seek(file.stat().st_size // 2)
        byte = raw.read(1)[0]
        raw.seek(-1, os.SEEK_CUR)
        raw.write(bytes([byte ^ 1]))
    code, found, _ = prove(file, till)
    assert code in (1, 2)
    if code == 1:
        assert found["bad"]["what"] == "unreadable"
        assert found["records"] < RECORDS + 1
