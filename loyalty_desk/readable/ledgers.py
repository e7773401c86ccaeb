"""A ledger of points as a person writes it: what was earned and spent when, replayed into lots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.expiry import KINDS, ExpiryPolicy
from loyalty_desk.domain.points import PointsLedger
from loyalty_desk.readable.document import Node

MOVES = ("earn", "spend", "redeem", "hold", "release", "capture", "reverse", "return", "expire")
_NEEDS_POINTS = ("earn", "spend", "redeem", "hold")
_NEEDS_OF = ("release", "capture", "reverse", "return")


@dataclass(frozen=True, slots=True)
class ReadLedger:
    """The lots as they stand, and how points and times are to be written."""

    ledger: PointsLedger
    point_decimals: int
    zone: tzinfo


def ledger_of(document: Node, at: datetime | None) -> ReadLedger:
    """Return the ledger of a document as it stood at `at` (None: after all moves). Raises `BadInput` or `Refused`.

    Moves run in order of time, those of one moment as written. An `earn` keeps the `expires_at` it names; without one
    it follows the document's `expiry`, and under `inactivity` every later earn gives it its whole life again.
    """
    document.only("zone", "point_decimals", "expiry", "moves")
    zone = document.zone(UTC)
    decimals = document.integer("point_decimals", high=2)
    policy = _policy(document.node("expiry"))
    if not document.has("moves"):
        raise document.missing("moves")
    moves = [(_when(node, zone), node) for node in document.nodes("moves")]
    ledger = PointsLedger()
    for when, node in sorted(moves, key=lambda move: move[0]):
        if at is None or when <= at:
            try:
                _move(ledger, node, when, decimals, zone, policy)
            except (BadInput, Refused) as error:
                facts = {"file": document.file, "place": node.place, **error.facts}
                raise type(error)(error.code, **facts) from error
    return ReadLedger(ledger, decimals, zone)


def _policy(node: Node) -> ExpiryPolicy:
    node.only("type", "days", "months", "periods")
    kind = node.text("type", "never")
    if kind not in KINDS:
        raise node.wrong("type", "one_of:" + ",".join(KINDS))
    field = {"days": "days", "inactivity": "days", "months": "months"}.get(kind, "periods")
    low = 0 if field == "periods" else 1
    return ExpiryPolicy(kind, node.integer(field, 0 if field == "periods" else None, low=low, high=3_650))


def _move(ledger: PointsLedger, node: Node, at: datetime, decimals: int, zone: tzinfo, policy: ExpiryPolicy) -> None:
    node.only("move", "id", "at", "points", "of", "expires_at", "usable_at", "clamp_to_zero")
    kind = node.text("move", None)
    if kind not in MOVES:
        raise node.wrong("move", "one_of:" + ",".join(MOVES))
    name = node.text("id") or node.place
    points = node.scaled("points", decimals, None if kind in _NEEDS_POINTS else 0)
    of = node.text("of", None if kind in _NEEDS_OF else "")
    match kind:
        case "earn":
            own = node.moment("expires_at", zone)
            expires = own or policy.expires_at(at, zone)
            if policy.restarts:
                ledger.restart(at, policy.expires_at(at, zone))
            usable = node.moment("usable_at", zone)
            ledger.credit(name, points, at, expires_at=expires, usable_at=usable, own_expiry=own is not None)
        case "spend":
            ledger.debit(name, points, at)
        case "redeem":
            ledger.redeem(name, points, at)
        case "hold":
            ledger.hold(name, points, at)
        case "release":
            ledger.release(of, at)
        case "capture":
            ledger.capture(of, name, at)
        case "reverse":
            wanted = points if node.has("points") else None
            ledger.reverse(name, of, at, wanted, clamp_to_zero=node.flag("clamp_to_zero"))
        case "return":
            ledger.give_back(name, of, at, points if node.has("points") else None)
        case _:
            ledger.expire(at)


def _when(node: Node, zone: tzinfo) -> datetime:
    found = node.moment("at", zone)
    if found is None:
        raise node.missing("at")
    return found
