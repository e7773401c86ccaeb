"""How many points a guest may redeem at this till now: each limit of a store's profile, and the lowest that binds."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.money import BASIS_POINTS
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import RedemptionNote
from loyalty_desk.domain.record import ClockConfidence, Decision
from loyalty_desk.services.ports.journal import OfflineUse
from loyalty_desk.wire.v1.rows import OfflineMode, ProfileRow

HOUR_MS = 3_600_000
FLOOR_SHARE = "floor_share"


def binding_of(note: RedemptionNote) -> str:
    """Return what made fewer points of those asked for: the number itself, before what bounds all numbers."""
    if 0 < note.asked <= note.max_points and note.points < note.asked:
        if note.asked < note.minimum:
            return "minimum"
        if note.asked % note.block:
            return "block"
    return note.binding


class LimitRow(msgspec.Struct, frozen=True):
    """One row of the table: at most `points` (smallest point units), for `reason`, with the numbers to say why."""

    decision: Decision | None
    points: int
    reason: str
    facts: Mapping[str, object] = msgspec.field(default_factory=dict)


class Allowance(msgspec.Struct, frozen=True):
    """The most that may be redeemed whatever the check is, and the row that says so.

    `share_bp` is a further limit that depends on the check: at most this share of what it costs, in bp.
    `decision_bits` has the rows that refuse every redemption, and row 2 where the till should go online first.
    """

    max_points: int = 0
    reason: str | None = None
    facts: Mapping[str, object] = msgspec.field(default_factory=dict)
    decision_bits: int = 0
    share_bp: int | None = None
    rows: tuple[LimitRow, ...] = ()

    def bits_for(self, asked: int, share_cap: int | None) -> int:
        """Return `decision_bits` of a record in which `asked` points were wanted."""
        bits = self.decision_bits
        for row in self.rows:
            if row.decision is not None and row.points < asked:
                bits |= 1 << row.decision
        if share_cap is not None and share_cap < asked:
            bits |= 1 << Decision.FLOOR_LIMIT
        return bits


class Basis(msgspec.Struct, frozen=True):
    """What the rows are decided from. Points in smallest units.

    `known_points` = what the server said less what was redeemed here since. `age_ms` is the cache's age, None where it
    has none or the clock ran backwards. `held` = a new epoch has not been reconciled; `checked` = the journal's
    check has passed; `guest_limit` is the guest's own, where the server set one; `lifted` = a manager has lifted the
    upper consecutive limit for the next redemption.
    """

    known_points: int
    use: OfflineUse
    code: CodeKind
    clock: ClockConfidence
    age_ms: int | None
    held: bool
    checked: bool
    complete: bool
    guest_limit: int | None = None
    lifted: bool = False


NOBODY = Allowance(reason="guest_unknown", rows=(LimitRow(None, 0, "guest_unknown"),))
PROVISIONAL = Allowance(reason="provisional", rows=(LimitRow(None, 0, "provisional"),))
LOADING = Allowance(reason="guests_loading", rows=(LimitRow(Decision.STALE_DATA, 0, "guests_loading"),))


def allowance(profile: ProfileRow, basis: Basis) -> Allowance:
    """Return what the table allows; every row is looked at, the tightest one binds, ties to the earlier."""
    rows = tuple(_rows(profile, basis))
    binding = min(rows, key=lambda row: row.points)
    bits = 0
    for row in rows:
        if row.decision is not None and row.points == 0:
            bits |= 1 << row.decision
    if basis.use.guest_count >= profile.lower_consecutive:
        bits |= 1 << Decision.LOWER_CONSECUTIVE
    share = profile.floor_share_bp if profile.mode == OfflineMode.FLOOR else None
    return Allowance(binding.points, binding.reason, binding.facts, bits, share, rows)


def allowance_online(profile: ProfileRow, points: int, code: CodeKind) -> Allowance:
    """Return what the server may be asked to hold of `points` for such a code: it decides, this is what it can grant.

    The till's own limits are for redemptions that nobody can decline.
    """
    limit, known = profile.online_cvm.get(code.value, 0), max(0, points)
    rows = (
        LimitRow(Decision.CVM, limit, "code_limit", {"points": limit, "kind": code.value}),
        LimitRow(Decision.KNOWN_BALANCE, known, "known_balance", {"points": known}),
    )
    binding = min(rows, key=lambda row: row.points)
    return Allowance(binding.points, binding.reason, binding.facts, rows=rows)


def overdraft_bound(profile: ProfileRow, points: int, balance: int) -> int:
    """Return how far a guest's `balance` can be overdrawn by `points` tills (or hubs) that are all cut off.

    The bound of INV-14: N · min(C, U · F) less the balance in floor mode; each till in turn the whole
    balance where what is known may be spent; nothing where nothing is redeemed offline.
    """
    if profile.mode == OfflineMode.FLOOR:
        each = min(profile.split_sale_points, profile.upper_consecutive * profile.floor_points)
        return max(0, points * each - balance)
    return max(0, points - 1) * max(0, balance) if profile.mode == OfflineMode.KNOWN_BALANCE else 0


def share_cap(allowed: Allowance, total: int, program: Program) -> int | None:
    """Return the points that are worth the allowed share of `total` minor units; None where no share is set."""
    if allowed.share_bp is None or program.point_value == 0:
        return None
    return total * allowed.share_bp // BASIS_POINTS * program.point_unit // program.point_value


def _rows(profile: ProfileRow, basis: Basis) -> list[LimitRow]:
    stale, use = Decision.STALE_DATA, basis.use
    rows = (
        [LimitRow(None, 0, "mode_deny")] if profile.mode not in (OfflineMode.FLOOR, OfflineMode.KNOWN_BALANCE) else []
    )
    if not basis.complete:
        rows.append(LimitRow(stale, 0, "guests_loading"))
    if basis.held:
        rows.append(LimitRow(stale, 0, "new_epoch"))
    if not basis.checked:
        rows.append(LimitRow(stale, 0, "journal_checking"))
    if basis.clock is ClockConfidence.BAD:
        rows.append(LimitRow(stale, 0, "clock_bad"))
    if basis.age_ms is None or basis.age_ms > profile.max_age_hours * HOUR_MS:
        hours = None if basis.age_ms is None else basis.age_ms // HOUR_MS
        rows.append(LimitRow(stale, 0, "stale_data", {"hours": hours, "limit_hours": profile.max_age_hours}))
    code_limit = profile.cvm.get(basis.code.value, 0)
    rows.append(LimitRow(Decision.CVM, code_limit, "code_limit", {"points": code_limit, "kind": basis.code.value}))
    if use.guest_count >= profile.upper_consecutive and not basis.lifted:
        facts = {"count": use.guest_count, "limit": profile.upper_consecutive}
        rows.append(LimitRow(Decision.UPPER_CONSECUTIVE, 0, "upper_consecutive", facts))
    if profile.mode == OfflineMode.FLOOR:
        rows.append(
            LimitRow(Decision.FLOOR_LIMIT, profile.floor_points, "floor_limit", {"points": profile.floor_points})
        )
        rows.append(_used_up(Decision.SPLIT_SALE, profile.split_sale_points, use.guest_points, "split_sale"))
    rows.append(_used_up(Decision.CUMULATIVE_DEVICE, profile.device_points, use.device_points, "device_limit"))
    if basis.guest_limit is not None:
        limit = max(0, basis.guest_limit)
        rows.append(LimitRow(Decision.EXCEPTION_FILE, limit, "guest_limit", {"points": limit}))
    known = max(0, basis.known_points - profile.margin)
    rows.append(LimitRow(Decision.KNOWN_BALANCE, known, "known_balance", {"points": known}))
    return rows


def _used_up(decision: Decision, limit: int, used: int, reason: str) -> LimitRow:
    left = max(0, limit - used)
    return LimitRow(decision, left, reason, {"limit": limit, "used": used, "points": left})
