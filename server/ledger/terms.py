"""What a program says about a guest's points and tier once a sale is posted."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.expiry import ExpiryPolicy, usable_at
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Record
from loyalty_desk.domain.tiers import higher, reached
from server.ledger.posting import FOR_EVER, GuestState, Terms

_VERSION_LIMIT = 1 << 31


def program_version(record: Record) -> int | None:
    """Return the version of the program that a record was priced with, None where it names none."""
    version = None if record.check is None else record.check.get("program_version")
    if isinstance(version, int) and not isinstance(version, bool) and 0 < version < _VERSION_LIMIT:
        return version
    return None


def terms_of(program: Program | None, earned_at: int) -> Terms:
    """Return how long points earned at `earned_at` (milliseconds UTC) live and from when they can be spent."""
    if program is None:
        return FOR_EVER
    policy, zone, at = ExpiryPolicy.of(program), ZoneInfo(program.zone), from_ms(earned_at)
    try:
        expires_at = policy.expires_at(at, zone)
    except OverflowError:  # beyond the calendar is as good as never
        expires_at = None
    return Terms(_ms(expires_at), _ms(usable_at(program.settings, at, zone)), policy.restarts, zone)


def tier_of(program: Program | None, state: GuestState) -> str:
    """Return the tier of the next check: the highest whose threshold is reached, never below the present one."""
    if program is None or not program.tiers:
        return state.tier
    measured = {"spend": state.spend, "earned": state.earned, "visits": state.visits}[program.tier_base]
    return higher(program, state.tier, reached(program, measured))


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)
