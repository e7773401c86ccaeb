"""Ledger steps of a case, played on the lots of one guest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from vector_reading import Inexpressible, decimals_of, scaled

from loyalty_desk.domain.points import PointsLedger

STEP = re.compile(
    r"(?P<verb>credit|debit|earn|redeem|spend|clawback|rollback|expire_lot|expire|advance_days|order)"
    r"(?::(?P<what>[^@ ]+))?(?P<rest>.*)"
)
REST = re.compile(
    r"(?: ?@(?P<at>[0-9T:+Z-]+d?))?(?: exp (?P<exp>[0-9T:+Z-]+d?)| (?P<never>no-exp))?(?: order (?P<order>\w+))?"
    r"(?: earn (?P<earn>[0-9.]+) spend (?P<spend>[0-9.]+))?"
)
VERBS = ("credit", "debit", "earn", "redeem", "spend", "clawback", "rollback", "expire", "advance_days", "order:")


def is_ledger(step: str) -> bool:
    """Return whether a step moves the ledger and not the check; `order` alone pays the check."""
    return step.startswith(VERBS)


def point_numbers(step: str) -> list[str]:
    """Return the numbers of points that a step names."""
    found = STEP.fullmatch(step)
    rest = REST.fullmatch(found["rest"]) if found else None
    if found is None or rest is None:
        return []
    numbers = [rest["earn"], rest["spend"]]
    if found["verb"] not in ("order", "advance_days", "expire"):
        numbers.append(found["what"])
    return [n for n in numbers if n and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", n)]


@dataclass
class Play:
    """The ledger while the steps are played, and what they left behind."""

    now: datetime
    point_unit: int
    expire_days: int | None = None
    may_claw_below_zero: bool = True
    ledger: PointsLedger = field(default_factory=PointsLedger)
    outcome: dict[str, Any] = field(default_factory=dict)
    last_credit: str = ""
    last_redeem: str = ""
    orders: list[str] = field(default_factory=list)
    count: int = 0

    def step(self, text: str) -> None:
        """Play one step; raises `Inexpressible` for one that is not understood."""
        found = STEP.fullmatch(text)
        rest = REST.fullmatch(found["rest"]) if found else None
        if found is None or rest is None:
            raise Inexpressible("steps", f"unknown step {text!r}")
        self.count += 1
        at = self._moment(rest["at"]) if rest["at"] else self.now
        getattr(self, f"_{found['verb']}")(found["what"] or "", at, rest)

    def _points(self, what: str) -> int:
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", what):
            raise Inexpressible("steps", f"not a number of points: {what!r}")
        return scaled(what, self.point_unit, "steps")

    def _moment(self, text: str) -> datetime:
        relative = re.fullmatch(r"([+-][0-9]+)d", text)
        if relative:
            return self.now + timedelta(days=int(relative[1]))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Inexpressible("steps", f"not a time: {text!r}") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _expiry(self, at: datetime, rest: re.Match[str]) -> datetime | None:
        if rest["exp"]:
            return self._moment(rest["exp"])
        if self.expire_days is None or rest["never"]:
            return None
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return day + timedelta(days=self.expire_days + 1)

    def _credit(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        entry = f"credit {self.count}"
        self.ledger.credit(entry, self._points(what), at, expires_at=self._expiry(at, rest))
        self.last_credit = entry

    _earn = _credit

    def _debit(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        self.ledger.debit(f"debit {self.count}", self._points(what), at)

    _spend = _debit

    def _redeem(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        entry = f"redeem {rest['order'] or self.count}"
        known = entry in self.ledger.entries
        taken = self.ledger.redeem(entry, self._points(what), at)
        self.last_redeem = entry
        self._add("redeem_rows", 0 if known else 1)
        self.outcome["redeemed"] = -taken.points

    def _clawback(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        clamp, points = not self.may_claw_below_zero, None
        if what in ("clamp_to_zero", "allow_negative"):
            clamp = what == "clamp_to_zero"
        elif what:
            points = self._points(what)
        entry = f"clawback of {self.last_credit}"
        known = entry in self.ledger.entries
        row = self.ledger.reverse(entry, self.last_credit, at, points, clamp_to_zero=clamp)
        self._add("clawback_rows", 0 if known or row is None else 1)
        if not known:
            self._add("clawback_points", row.points if row is not None else 0)

    def _rollback(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        entry = f"rollback of {self.last_redeem}"
        known = entry in self.ledger.entries
        row = self.ledger.give_back(entry, self.last_redeem, at)
        self._add("rollback_rows", 0 if known or row is None else 1)

    def _expire(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        moment = self.now if what == "now" else self._moment(what)
        rows = self.ledger.expire(moment)
        self._add("expire_rows", len(rows))
        self._add("expire_points", sum(row.points for row in rows))

    def _expire_lot(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        rows = self.ledger.expire(at)
        if [-row.points for row in rows] != [self._points(what)]:
            raise Inexpressible("steps", f"no lot of {what} alone expires then")
        self._add("expire_rows", len(rows))
        self._add("expire_points", sum(row.points for row in rows))

    def _order(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        if not rest["earn"]:
            raise Inexpressible("steps", "an order says what it earns and spends")
        self._credit(rest["earn"], at, rest)
        self._debit(rest["spend"], at, rest)
        self.orders.append(self.last_credit)
        remaining = [self.ledger.lots[lot].remaining for lot in self.orders]
        self.outcome[f"lot_remaining_after_order{len(self.orders)}"] = (
            remaining[0] if len(remaining) == 1 else remaining
        )

    def _advance_days(self, what: str, at: datetime, rest: re.Match[str]) -> None:
        days = int(what) if what.isdigit() else -1
        if days < 0:
            raise Inexpressible("steps", f"not a number of days: {what!r}")
        self.now += timedelta(days=days)
        rows = self.ledger.expire(self.now)
        self._add("expire_rows", len(rows))
        self._add("expire_points", sum(row.points for row in rows))
        self.outcome[f"balance_after_{days}_days"] = self.ledger.balance

    def _add(self, key: str, number: int) -> None:
        self.outcome[key] = self.outcome.get(key, 0) + number

    def results(self, expected: dict[str, Any]) -> dict[str, Any]:
        """Return every result that the ledger can tell, in smallest point units."""
        ledger = self.ledger
        found = self.outcome | {
            "balance_after": ledger.balance,
            "deficit": ledger.debt,
            "open_lots": [lot.remaining for lot in ledger.lots.values() if lot.remaining],
        }
        if isinstance(expected.get("expiring_by"), dict):
            found["expiring_by"] = {day: ledger.expiring_by(self._moment(day)) for day in expected["expiring_by"]}
        if isinstance(expected.get("lots"), dict):
            by_day: dict[str, int] = {}
            for lot in ledger.lots.values():
                name = lot.expires_at.date().isoformat() if lot.expires_at else "never"
                by_day[name] = by_day.get(name, 0) + lot.remaining
            found["lots"] = by_day
        return found


def decimals_in(step: str) -> int:
    """Return the most decimals of any point number in a step."""
    return max((decimals_of(number) for number in point_numbers(step)), default=0)
