"""What happened while a check was priced, kept as it is until somebody asks for the explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loyalty_desk.domain.compiled import CompiledProgram, CompiledRule
from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.earning import Earnings
from loyalty_desk.domain.tally import Tally


@dataclass(slots=True)
class Trace:
    """The tally at its end and what became of each rule whose turn came.

    `outcomes` by rank: None where the rule applied, else the reason, which only that moment knew. A rule that is not
    in it failed on something that can be looked up at any time. `acted` are the rules that applied and also earn, with
    their lines. The ids of rules that stand alone in the check are in `sole_discount` and `sole_earning`.
    """

    tally: Tally
    compiled: CompiledProgram
    candidates: list[CompiledRule]
    outcomes: dict[int, Reason | None] = field(default_factory=dict)
    acted: list[tuple[CompiledRule, Sequence[int]]] = field(default_factory=list)
    sole_discount: str = ""
    sole_earning: str = ""
    tier_reason: Reason | None = None
    tier_lines: list[int] = field(default_factory=list)
    earnings: Earnings | None = None
    tier_earn_reason: Reason | None = None
