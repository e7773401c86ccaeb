"""Which tier a guest has and why: windows, upgrades at once, downgrades with grace, manual tiers.

`standing` replays a guest's paid checks. What it says depends on its arguments alone: the same checks give the
same history on every machine, whenever they are asked about.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from itertools import accumulate

from loyalty_desk.domain.days import MONTHS, day_of, end_of, months_later, start_of
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.program import Program, Tier

GRACE_DAYS = 30
INSTANT = timedelta(microseconds=1)
REACHED, FELL, MANUAL, MANUAL_ENDED = "reached", "fell", "manual", "manual_ended"


@dataclass(frozen=True, slots=True)
class Returned:
    """A return: `money` in minor units, `points` taken back; `is_whole` where it leaves nothing of the check."""

    at: datetime
    money: int = 0
    points: int = 0
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class PaidCheck:
    """A check as tiers count it: `net` paid in minor units, `earned` smallest point units, and what came back later."""

    at: datetime
    net: int
    earned: int = 0
    returned: tuple[Returned, ...] = ()


@dataclass(frozen=True, slots=True)
class ManualTier:
    """A tier given by hand from `since` up to `until` (None: for good), with the reason and who gave it."""

    code: str
    since: datetime
    until: datetime | None = None
    reason: str = ""
    operator: str = ""

    def holds(self, at: datetime) -> bool:
        """Return whether it is in force at `at`."""
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class TierChange:
    """One row of history; `cause` is `reached`, `fell`, `manual` or `manual_ended`, `measured` what counted then."""

    at: datetime
    before: str
    after: str
    cause: str
    measured: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A guest's tier at one moment. `measured` is minor units, smallest point units or visits, as `tier_base` says.

    `automatic` is the tier without manual ones. `falls_at` is when grace ends, `falls_to` what is deserved now.
    `next_tier` needs `missing` more.
    """

    tier: str
    automatic: str
    measured: int
    until: datetime | None = None
    falls_at: datetime | None = None
    falls_to: str = ""
    next_tier: str = ""
    missing: int = 0
    history: tuple[TierChange, ...] = ()


def ladder(program: Program) -> list[Tier]:
    """Return the tiers from the lowest threshold to the highest."""
    return sorted(program.tiers, key=lambda tier: tier.threshold)


def reached(program: Program, measured: int) -> str:
    """Return the code of the highest tier whose threshold `measured` reaches (inclusive), empty where none."""
    return next((tier.code for tier in reversed(ladder(program)) if tier.threshold <= measured), "")


def higher(program: Program, one: str, other: str) -> str:
    """Return the higher of two tiers by code; one that the program does not know is below all."""
    codes = ["", *(tier.code for tier in ladder(program))]
    ranks = {code: rank for rank, code in enumerate(codes)}
    return one if ranks.get(one, -1) >= ranks.get(other, -1) else other


def tier_with_check(program: Program, guest: GuestFacts, net: int, earned: int = 0) -> str:
    """Return the tier for a check of `net` minor units that is counted itself (`tier_counts_current`).

    Never below the guest's own: a check cannot cost a guest the tier it was begun with.
    """
    counted = {"spend": guest.spend + net, "earned": guest.earned + earned, "visits": guest.visits + 1}
    return higher(program, guest.tier, reached(program, counted[program.tier_base]))


def window_start(window: str, at: datetime, zone: tzinfo) -> datetime | None:
    """Return from when (inclusive) checks count at `at`, None for all of them."""
    if window == "rolling_12_months":
        local = at.astimezone(zone)
        return datetime.combine(months_later(local.date(), -MONTHS), local.timetz())
    if window == "calendar_year":
        return start_of(date(at.astimezone(zone).year, 1, 1), zone)
    return None


def standing(
    program: Program,
    checks: Iterable[PaidCheck],
    at: datetime,
    zone: tzinfo,
    *,
    manual: Sequence[ManualTier] = (),
) -> Standing:
    """Return where a guest stands at `at`, from all paid checks before it; `zone` is the network's.

    A check lifts the tier at once for the next one. On the first of each month a guest below the tier's threshold is
    given 30 days, after which the tier falls to what is deserved then. Points spent never lower anything.
    """
    replay = _Replay(program, zone, sorted((c for c in checks if c.at < at), key=lambda c: c.at), tuple(manual))
    return replay.until(at)


@dataclass(slots=True)
class _Replay:
    program: Program
    zone: tzinfo
    checks: list[PaidCheck]
    manual: tuple[ManualTier, ...]
    automatic: str = ""
    tier: str = ""
    falls_at: datetime | None = None
    history: list[TierChange] = field(default_factory=list)
    _times: list[datetime] = field(default_factory=list)
    _worths: list[int] = field(default_factory=list)
    _with_returns: list[PaidCheck] = field(default_factory=list)

    def __post_init__(self) -> None:
        base = self.program.tier_base
        self._times = [check.at for check in self.checks]
        self._worths = list(accumulate((_worth(check, base) for check in self.checks), initial=0))
        self._with_returns = [check for check in self.checks if check.returned]

    def until(self, at: datetime) -> Standing:
        """Live through everything up to `at` and say how it stands."""
        self.automatic = self.tier = reached(self.program, 0)
        for moment in self._moments(at):
            self._end_grace(moment)
            self._live(moment)
        self._end_grace(at)
        self._settle(at, MANUAL)
        measured = self._measured(at)
        deserved = self._deserved(at, measured)
        above = [tier for tier in ladder(self.program) if tier.threshold > measured and self._is_above(tier.code)]
        ends = [given.until for given in self.manual if given.holds(at) and given.code == self.tier and given.until]
        return Standing(
            tier=self.tier,
            automatic=self.automatic,
            measured=measured,
            until=None if self.tier == self.automatic else max(ends, default=None),
            falls_at=self.falls_at,
            falls_to=deserved if self.falls_at else "",
            next_tier=above[0].code if above else "",
            missing=above[0].threshold - measured if above else 0,
            history=tuple(self.history),
        )

    def _is_above(self, code: str) -> bool:
        return code != self.tier and higher(self.program, code, self.tier) == code

    def _moments(self, at: datetime) -> list[datetime]:
        """Return, in order, the moments at which something may change: checks, first days of months, manual tiers."""
        moments = {check.at for check in self.checks}
        for given in self.manual:
            moments.update(moment for moment in (given.since, given.until) if moment is not None)
        if self.checks:
            month = day_of(self.checks[0].at, self.zone).replace(day=1)
            while (begins := start_of(month := months_later(month, 1), self.zone)) <= at:
                moments.add(begins)
        return sorted(moment for moment in moments if moment <= at)

    def _live(self, moment: datetime) -> None:
        local = moment.astimezone(self.zone)
        if local.day == 1 and moment == start_of(local.date(), self.zone):
            self._evaluate(moment)
        self._settle(moment, MANUAL)
        after = moment + INSTANT
        deserved = self._deserved(after, self._measured(after))
        if higher(self.program, self.automatic, deserved) != self.automatic:
            self.automatic = deserved
            self._settle(moment, REACHED)
        if deserved == self.automatic:
            self.falls_at = None

    def _evaluate(self, at: datetime) -> None:
        deserved = self._deserved(at, self._measured(at))
        if higher(self.program, self.automatic, deserved) != self.automatic or deserved == self.automatic:
            return
        if self.falls_at is None:
            self.falls_at = end_of(day_of(at, self.zone) + timedelta(days=GRACE_DAYS), self.zone)

    def _end_grace(self, at: datetime) -> None:
        over = self.falls_at
        if over is None or over > at:
            return
        self.falls_at = None
        deserved = self._deserved(over, self._measured(over))
        if higher(self.program, self.automatic, deserved) == self.automatic and deserved != self.automatic:
            self.automatic = deserved
            self._settle(over, FELL)

    def _settle(self, at: datetime, cause: str) -> None:
        """Make the tier in force the higher of the automatic one and those given by hand."""
        tier = self.automatic
        for given in self.manual:
            if given.holds(at):
                tier = higher(self.program, tier, given.code)
        if tier != self.tier:
            if cause == MANUAL and higher(self.program, self.tier, tier) == self.tier:
                cause = MANUAL_ENDED
            self.history.append(TierChange(at, self.tier, tier, cause, self._measured(at + INSTANT)))
            self.tier = tier

    def _deserved(self, at: datetime, measured: int) -> str:
        code = reached(self.program, measured)
        if self.program.window == "calendar_year":
            # What was reached in one year holds to the end of the next.
            year = at.astimezone(self.zone).year
            last = self._sum(start_of(date(year - 1, 1, 1), self.zone), start_of(date(year, 1, 1), self.zone), at)
            code = higher(self.program, code, reached(self.program, last))
        return code

    def _measured(self, at: datetime) -> int:
        return self._sum(window_start(self.program.window, at, self.zone), at, at)

    def _sum(self, start: datetime | None, end: datetime, known_at: datetime) -> int:
        """Return what the checks in [start, end) count for, as far as returns are known at `known_at`."""
        begin = 0 if start is None else bisect_left(self._times, start)
        total = self._worths[bisect_left(self._times, end)] - self._worths[begin]
        base = self.program.tier_base
        for check in self._with_returns:
            if check.at < end and (start is None or start <= check.at):
                total += _worth(check, base, known_at) - _worth(check, base)
        return total


def _worth(check: PaidCheck, base: str, known_at: datetime | None = None) -> int:
    """Return what a check counts for, returns before `known_at` (None: none) taken off."""
    known = [back for back in check.returned if known_at is not None and back.at < known_at]
    match base:
        case "visits":
            return 0 if any(back.is_whole for back in known) else 1
        case "earned":
            return max(0, check.earned - sum(back.points for back in known))
        case _:
            return max(0, check.net - sum(back.money for back in known))
