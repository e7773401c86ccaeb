"""Erasing: the list of who was erased outlives a power cut, and erasing takes its locks in the order of pushes."""

from pathlib import Path
from uuid import uuid4

import pytest

from server.guests import leaving


@pytest.mark.parametrize("torn", [1, 40, 90])
def test_an_entry_after_a_torn_line_is_read(tmp_path: Path, torn: int) -> None:
    path, network, guests = tmp_path / "erased.jsonl", uuid4(), [uuid4() for _ in range(3)]
    leaving._note(path, network, guests[0])
    kept = path.stat().st_size
    leaving._note(path, network, guests[1])
    with path.open("r+b") as file:
        file.truncate(kept + torn)
    leaving._note(path, network, guests[2])
    assert leaving._noted(path) == [(network, guests[0]), (network, guests[2])]
