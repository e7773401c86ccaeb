"""Whether one machine wrote what the server holds of a till, or two that work with copies of one journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter


@dataclass(frozen=True, slots=True)
class Line:
    """One line of records of a till: an epoch, or what parted from it.

    `parent` is the hash that its first record is chained to, None where that is nothing; `head` that of its last.
    `began` and `ended` say when its first and last record came here, None where none of them tells anything: what
    somebody else brought does not, nor what had to wait for another record.
    """

    epoch: int
    branch: int
    parent: bytes | None
    head: bytes
    began: datetime | None
    ended: datetime | None


def grow_in_turns(lines: Sequence[Line]) -> bool:
    """Return whether a line has grown behind the beginning of a newer one: then two machines write them.

    A till that is put back from a copy leaves its old line where it was. Lines of which one has grown out of the
    other's end are one journal, whichever comes first: a server that was put back gets the old one again behind the
    new one. A second machine that sells on in the old one gives it another end.
    """
    spans = sorted(
        ((one.began, one.branch, one.epoch, one.ended, one) for one in lines if one.began and one.ended),
        key=itemgetter(0, 1),
    )
    for number, (first, _, epoch, ended, older) in enumerate(spans):
        for began, _, of, _, newer in spans[number + 1 :]:
            if began >= ended:
                break
            # Of two that begin at one moment nobody knows which is older, but where one has parted from the other.
            is_newer = began > first or of == epoch
            if is_newer and not _is_past(older, newer, lines) and not _is_past(newer, older, lines):
                return True
    return False


def _is_past(old: Line, line: Line, lines: Sequence[Line]) -> bool:
    """Return whether a line has grown out of the end of an old one, or out of one that has."""
    by_head = {one.head: one for one in lines if one.parent != one.head}
    seen: set[bytes] = set()
    while line.parent is not None and line.parent not in seen and line.parent in by_head:
        seen.add(line.parent)
        line = by_head[line.parent]
        if line is old:
            return True
    return False
