"""Points that pay: how many may, how many do, and which limit binds."""

from __future__ import annotations

from loyalty_desk.domain.basket import LineFlag
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.money import BASIS_POINTS, allocate, largest_remainder
from loyalty_desk.domain.program import Program, RedemptionPolicy
from loyalty_desk.domain.quote import NOT_OFFERED, Choices, RedemptionNote
from loyalty_desk.domain.tally import GOODS, Tally, left_out


def redeem(tally: Tally, asked: int, at_hand: int, cap: int | None) -> tuple[RedemptionNote, list[int]]:
    """Take the points `asked` for off the tally; return the note, and the minor units that points paid of each line.

    `at_hand` are the guest's points, `cap` the till's own limit, both in smallest units and less what rewards cost.
    """
    program = tally.program
    lines: list[int] = []
    if program.redemption is not None and tally.guest is not None:
        excluded = program.exclusions.redemption
        lines = [
            i
            for i, line in enumerate(tally.lines)
            if tally.may[i] == GOODS and LineFlag.NO_REDEEM not in line.flags and not left_out(line, excluded)
        ]
    costs, total = sum([tally.room(i) for i in lines]), sum(tally.left)
    note = paying(program, tally.guest, tally.choices, asked, at_hand, cap, costs=costs, total=total)
    return note, _take(tally, lines, note.money) if note.money else [0] * len(tally.lines)


def paying(
    program: Program,
    guest: GuestFacts | None,
    choices: Choices,
    asked: int,
    at_hand: int,
    cap: int | None,
    *,
    costs: int,
    total: int,
) -> RedemptionNote:
    """Return how many of the points `asked` for pay, and how many may, as `redeem` is told them.

    What can be paid with points `costs` so many minor units, the whole check `total`.
    """
    asked = max(0, asked)
    policy = program.redemption
    if policy is None or program.point_value == 0:
        return RedemptionNote(asked=asked) if asked else NOT_OFFERED
    if guest is None:
        return _note(policy, asked, binding="no_guest")
    available = max(0, at_hand)
    share = total * policy.max_share_bp // BASIS_POINTS
    limits = [
        (available, "available"),
        (_points_for(costs, program), "check"),
        (_points_for(share, program), "share"),
    ]
    if cap is not None:
        limits.append((max(0, cap), "cap"))
    most, binding = min(limits, key=lambda limit: limit[0])
    max_points = _usable(most, policy, program)
    if max_points == 0 and most > 0:
        binding = "minimum" if most < policy.minimum else "block"
    points = _usable(min(asked, most), policy, program)
    reason = (choices.redemption_cap_reason or "") if binding == "cap" else ""
    return _note(policy, asked, points, program.points_money(points), max_points, binding, reason, available)


def _take(tally: Tally, lines: list[int], money: int) -> list[int]:
    parts = [0] * len(tally.lines)
    left = [tally.left[i] for i in lines]
    split = (
        allocate(money, left, [tally.room(i) for i in lines]) if tally.has_floors else largest_remainder(money, left)
    )
    for i, part in zip(lines, split, strict=True):
        parts[i] = part
    tally.take_points(parts)
    return parts


def _usable(points: int, policy: RedemptionPolicy, program: Program) -> int:
    """Return the points down to a whole block and to the least that buys the same money; zero below the minimum."""
    points -= points % policy.block
    if points < policy.minimum:
        return 0
    money = program.points_money(points)
    cheapest = -(-money * program.point_unit // program.point_value)
    cheapest += -cheapest % policy.block
    cheapest = max(cheapest, min(points, policy.minimum + -policy.minimum % policy.block))
    return cheapest if money else 0


def _points_for(money: int, program: Program) -> int:
    """Return the most points whose worth does not exceed `money`."""
    return ((money + 1) * program.point_unit - 1) // program.point_value


def _note(
    policy: RedemptionPolicy,
    asked: int,
    points: int = 0,
    money: int = 0,
    max_points: int = 0,
    binding: str = "available",
    reason: str = "",
    available: int = 0,
) -> RedemptionNote:
    return RedemptionNote(
        asked=asked,
        points=points,
        money=money,
        max_points=max_points,
        binding=binding,
        reason=reason,
        minimum=policy.minimum,
        block=policy.block,
        max_share_bp=policy.max_share_bp,
        available=available,
    )
