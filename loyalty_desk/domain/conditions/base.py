"""What a condition is: it holds or says why not; some also choose the lines that a rule acts on."""

# ruff: noqa: ARG002 - all conditions answer the same question, few need all of it

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from loyalty_desk.domain.canonical import Json

if TYPE_CHECKING:
    from loyalty_desk.domain.tally import Tally

MONEY, UNITS, VISITS = "money", "units", "visits"

type Test = Callable[[Tally, Sequence[int]], bool]
"""Whether a condition holds for a check and the lines that its rule's choosers picked."""


class Reason(NamedTuple):
    """Why a rule did not apply: a code, its numbers, and what is `missing` of which `kind` where that can be had."""

    code: str
    facts: Mapping[str, Json] = {}
    kind: str = ""
    missing: int = 0


NO_MATCHING_LINES = Reason("no_matching_lines")
NO_GUEST = Reason("no_guest")


class Condition:
    """Base of all conditions. `moving` ones look at prices as they stand when the rule's turn comes.

    Those `of_lines` look at the lines that the rule's choosers picked; all others can be asked without.
    """

    __slots__ = ()
    moving = False
    of_lines = False

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the condition holds; `positions` are the lines that the rule's choosers picked."""
        raise NotImplementedError

    def test(self) -> Test | None:
        """Return the quickest thing to call that says what `holds` says, None where it cannot fail."""
        return self.holds

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return why it does not hold."""
        raise NotImplementedError


class Chooser(Condition):
    """A condition that picks lines; the rule needs at least one."""

    __slots__ = ()

    def picks(self, tally: Tally, i: int) -> bool:
        """Return whether line `i` is one that the rule acts on."""
        raise NotImplementedError

    def picks_any(self, tally: Tally) -> bool:
        """Return whether any line of the check is one that the rule acts on, the other choosers left aside."""
        return any(self.picks(tally, i) for i in tally.all)

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether any line was picked."""
        return bool(positions)

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that no line matches."""
        return NO_MATCHING_LINES
