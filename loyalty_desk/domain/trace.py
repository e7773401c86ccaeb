"""What happened while a check was priced, kept as it is until somebody asks for the explanation."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.compiled import CompiledProgram
from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.earning import Earnings
from loyalty_desk.domain.plan import Plan, PlannedRule
from loyalty_desk.domain.quote import RedemptionNote
from loyalty_desk.domain.tally import Tally


class Trace:
    """The tally at its end and what became of each rule whose turn came.

    `outcomes` by rank: None where the rule applied, else the reason, which only that moment knew. A rule that is not
    in it failed on something that can be looked up at any time, unless rules were `passed_over`: those whose turn
    could not come to anything, which `every_rule` forbids. `candidates` are the plan's rules that can matter to the
    check, as bits. `acted` are the rules that applied and also earn, with their lines. The ids of rules that stand
    alone in the check are in `sole_discount` and `sole_earning`. `redemption`, what points paid of each line, the
    earnings and the points earned come last.
    """

    __slots__ = (
        "acted",
        "candidates",
        "compiled",
        "earned",
        "earnings",
        "every_rule",
        "outcomes",
        "paid_by_points",
        "passed_over",
        "plan",
        "redemption",
        "sole_discount",
        "sole_earning",
        "tally",
        "tier_earn_reason",
        "tier_lines",
        "tier_reason",
    )

    def __init__(self, tally: Tally, compiled: CompiledProgram, plan: Plan, *, every_rule: bool) -> None:
        self.tally, self.compiled, self.plan = tally, compiled, plan
        self.candidates = plan.candidates(tally)
        self.every_rule = every_rule
        self.passed_over = False
        self.outcomes: dict[int, Reason | None] = {}
        self.acted: list[tuple[PlannedRule, Sequence[int]]] = []
        self.sole_discount = ""
        self.sole_earning = ""
        self.tier_reason: Reason | None = None
        self.tier_lines: list[int] = []
        self.redemption: RedemptionNote
        self.paid_by_points: Sequence[int]
        self.earnings: Earnings
        self.earned: int
        self.tier_earn_reason: Reason | None = None
