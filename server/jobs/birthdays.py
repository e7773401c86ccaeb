"""Points for a birthday, where the program names them: once a guest and year, credited before the day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.bonuses import BirthdayBonus, birthday_bonus
from loyalty_desk.domain.days import day_of, end_of
from loyalty_desk.domain.expiry import ExpiryPolicy
from loyalty_desk.domain.program import Program
from server.guests import service as guests
from server.jobs.bench import Bench, guests_behind
from server.kit.db import Connection
from server.ledger.own import OwnPosting
from server.ledger.posting import PROMO_COST


async def birthdays_page(
    bench: Bench, connection: Connection, network: UUID, now: datetime, after: UUID | None
) -> tuple[UUID | None, int]:
    """Credit the bonus to those of a page of guests whose birthday comes; see `go_through`."""
    program = await bench.program(connection, network)
    bonus = None if program is None else birthday_bonus(program)
    if program is None or bonus is None:
        return None, 0
    page = await guests_behind(connection, network, after, bench.page)
    if not page:
        return None, 0
    today = day_of(now, ZoneInfo(program.zone))
    due: dict[UUID, date] = {}
    for guest, birthday in (await guests.birthdays(connection, network, bench.vault, page)).items():
        day = bonus.birthday_of(birthday, today)
        if day is not None:
            due[guest] = day
    posting = await OwnPosting.lock(connection, network, due, now)
    names = {f"birthday:{guest}:{due[guest].year}": guest for guest in posting.accounts}
    ends = _ends(program, bonus, now)
    for name in sorted(await posting.unposted(names)):
        posting.credit(
            names[name], name, "adjust", bonus.points, PROMO_COST, {"reason": "birthday"},
            expires_at=ends, own_expiry=bonus.lives_days is not None,
        )  # fmt: skip
    return page[-1], await posting.write(bench.render)


def _ends(program: Program, bonus: BirthdayBonus, now: datetime) -> datetime | None:
    zone = ZoneInfo(program.zone)
    if bonus.lives_days is not None:
        return end_of(day_of(now, zone) + timedelta(days=bonus.lives_days), zone)
    return ExpiryPolicy.of(program).expires_at(now, zone)
