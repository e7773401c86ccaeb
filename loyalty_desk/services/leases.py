"""What this till may still give of rules that are limited for all guests together.

The server names a sum that this epoch may give of each, the journal keeps the sum that it has given; what is left is
one taken from the other, whether the server has seen those sales or not. The answer in force lies in the journal too,
for once the server was told of a lower sum a power cut must not bring the higher one back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.domain.uses import quotas_of
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import Journal
from loyalty_desk.services.ports.server import NotOurServer
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.leases import Given, LeaseAnswer, LeaseRequest

_KEY = "leases"
# The journal's setting that says which life of the server it is bound to.
INCARNATION = "incarnation"
_NOTHING: Mapping[tuple[str, str], int] = {}


class Leases:
    """One till's; any thread may ask."""

    def __init__(self, journal: Journal, clock: TrustedClock) -> None:
        self._journal = journal
        self._clock = clock

    def left(self, program: Program) -> dict[str, int]:
        """Return what may be given now, as `Choices.quotas` takes it; quick, and from memory."""
        limits = program.limits
        if not limits:
            return {}
        epoch = self._journal.head().epoch
        upto, given = self._upto(epoch), self._journal.given()
        return quotas_of({key: upto.get(key, 0) - given.get((epoch, *key), 0) for key in limits})

    def require(self, epoch: int, given: Mapping[tuple[str, str], int]) -> None:
        """Raise `Refused` `quote_stale` unless a record of `epoch` may give so much.

        Asked while the journal is held for that record: nobody else gives meanwhile, no other answer comes in force.
        """
        upto, so_far = self._upto(epoch), self._journal.given()
        if any(so_far.get((epoch, *key), 0) + count > upto.get(key, 0) for key, count in given.items()):
            raise Refused("quote_stale")

    def request(self, identity: Identity, incarnation: UUID, program: Program | None) -> LeaseRequest | None:
        """Return what to tell the server; None where no rule in force is limited."""
        if program is None or not program.limits:
            return None
        kept, epoch = self._kept(), self._journal.head().epoch
        number = _number(kept, "number") if self._is_of(kept, epoch, str(incarnation)) else 0
        # Behind the number: what was given before that answer came in force is among it.
        given = [Given(*key, amount) for key, amount in sorted(self._journal.given().items())]
        return LeaseRequest(identity.network, identity.device, incarnation, epoch, number, given)

    def accept(self, request: LeaseRequest, answer: LeaseAnswer) -> None:
        """Put an answer in force durably; raises `NotOurServer` for one that does not answer the request."""
        if (answer.incarnation, answer.epoch) != (request.incarnation, request.epoch) or answer.number < request.number:
            raise NotOurServer("the answer is of another life, epoch or time")
        upto: list[Json] = [{"rule": one.rule, "period": one.period, "upto": one.upto} for one in answer.leases]
        self._journal.put_changed(
            _KEY,
            {
                "incarnation": str(answer.incarnation),
                "epoch": answer.epoch,
                "number": answer.number,
                "expires_at": answer.expires_at,
                "upto": upto,
            },
        )

    def give_up(self) -> None:
        """Give nothing any more until the server allows it anew."""
        self._journal.put_changed(_KEY, None)

    def _upto(self, epoch: int) -> Mapping[tuple[str, str], int]:
        kept = self._kept()
        if not self._is_of(kept, epoch, self._journal.get(INCARNATION)):
            return _NOTHING
        if self._clock.confidence() is ClockConfidence.BAD:
            return _NOTHING
        if to_ms(self._clock.corrected()) >= _number(kept, "expires_at"):
            return _NOTHING
        return {(rule, period): upto for rule, period, upto in _leases(kept.get("upto"))}

    def _kept(self) -> Mapping[str, Json]:
        kept = self._journal.get(_KEY)
        return kept if isinstance(kept, Mapping) else {}

    def _is_of(self, kept: Mapping[str, Json], epoch: int, life: Json) -> bool:
        return bool(kept) and kept.get("epoch") == epoch and kept.get("incarnation") == life


def _leases(found: Json) -> Iterator[tuple[str, str, int]]:
    for one in found if isinstance(found, Sequence) and not isinstance(found, str) else ():
        if isinstance(one, Mapping):
            yield str(one.get("rule")), str(one.get("period")), _number(one, "upto")


def _number(kept: Mapping[str, Json], key: str) -> int:
    value = kept.get(key)
    return value if isinstance(value, int) else 0
