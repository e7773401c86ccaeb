from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.domain.record import Totals
from loyalty_desk.store.witness import SLOT_BYTES, Witness, Witnessed

FILE = UUID(int=5)


def seen(seq: int) -> Witnessed:
    return Witnessed(FILE, (1 << 63) - 1, seq, bytes([seq]) * 32, Totals(seq, 10 * seq, seq))


def test_the_newest_of_two_slots_is_read(tmp_path: Path) -> None:
    witness = Witness(tmp_path / "head.wit")
    assert witness.read() is None
    for seq in (1, 2, 3):
        witness.write(seen(seq))
        assert Witness(tmp_path / "head.wit").read() == Witnessed(
            FILE, (1 << 63) - 1, seq, bytes([seq]) * 32, Totals(seq, 10 * seq, seq), seq
        )
    assert (tmp_path / "head.wit").stat().st_size == 2 * SLOT_BYTES


@pytest.mark.parametrize("torn", [0, 1, 60, SLOT_BYTES - 1])
def test_a_torn_write_leaves_the_slot_before_it(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "head.wit"
    witness = Witness(path)
    for seq in (1, 2):
        witness.write(seen(seq))
    data = bytearray(path.read_bytes())
    data[torn] ^= 0xFF  # turn 2 lies in slot 0
    path.write_bytes(data)
    assert Witness(path).read().seq == 1
    Witness(path).write(seen(3))
    assert Witness(path).read().seq == 3


def test_a_short_or_foreign_file_is_no_witness(tmp_path: Path) -> None:
    path = tmp_path / "head.wit"
    path.write_bytes(b"x" * 77)
    assert Witness(path).read() is None
