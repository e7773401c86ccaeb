"""How many points a guest may redeem at this till now: the rows of ledger-and-sync.md, section 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loyalty_desk.domain.record import Decision


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One row of the table: at most `points` (smallest point units), for `reason`, with the numbers to say why."""

    decision: Decision | None
    points: int
    reason: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The most that may be redeemed whatever the check is, and the row that says so.

    `share_bp` is a further limit that depends on the check: at most this share of what it costs, in bp.
    `decision_bits` has the rows that refuse every redemption, and row 2 where the till should go online first.
    """

    max_points: int = 0
    reason: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    decision_bits: int = 0
    share_bp: int | None = None
    rows: tuple[LimitRow, ...] = ()
