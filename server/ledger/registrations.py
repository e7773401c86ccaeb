"""Guests whom tills register, and what waited in suspense for them: sales of a guest whom the server did not know yet.

Whoever registers posts alone in its network, so that no sale of the new guest is put into suspense meanwhile unseen.
What waited is moved by a transaction of the server's own for each posting: mirrored leg by leg, named after it, once.
No more than `awaiting.MOST_AT_ONCE` by one of the database's; the rest is moved by the jobs (`taking_up.take_up_left`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from loyalty_desk.domain.canonical import Json, text_to_bytes
from loyalty_desk.domain.contents import RegisterContents
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.ids import derived_id
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.record import ExceptionKind, Record, RecordKind, handle_text
from server.guests.admission import Admission
from server.kit.feed import Change
from server.ledger import awaiting
from server.ledger.awaiting import Ready
from server.ledger.posting import Claim, Fact, Raised
from server.ledger.register_store import RegisterStore


@dataclass(slots=True)
class Registrar:
    """The registrations of a batch: who was admitted, what moves to them, what a person should look at."""

    store: RegisterStore
    guests: list[UUID] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    claims: list[Fact] = field(default_factory=list)
    raised: dict[UUID, tuple[Raised, ...]] = field(default_factory=dict)

    async def admit(self, ready: Sequence[Ready]) -> None:
        """Register the new guests of a batch and gather what has waited for them."""
        found = [one for one in ready if one.record.kind is RecordKind.REGISTER]
        if not found:
            return
        wanted = []
        for one in found:
            fields, wrong = _fields(one)
            wanted.append(_admission(one.record, fields))
            if wrong:
                facts: dict[str, Json] = {"private": wrong}
                self.raised[one.record.id] = (Raised(ExceptionKind.EVIDENCE, one.record.guest_id, facts),)
        owners: dict[str, UUID] = {}
        for one, asked, made in zip(found, wanted, await self.store.admit(wanted), strict=True):
            self.guests.append(made.guest)
            if made.was_known:
                known = Raised(ExceptionKind.EVIDENCE, made.guest, {"guest": "registered before"})
                self.raised[one.record.id] = (known,)
            elif asked.handle is not None and made.card_of is None:
                self.handles.append(asked.handle)
                owners[handle_text(asked.handle)] = made.guest
            taken: dict[str, Json] = {
                name: str(owner) for name, owner in (("phone_of", made.phone_of), ("card_of", made.card_of)) if owner
            }
            if taken:
                raised = Raised(ExceptionKind.PHONE_TAKEN, made.guest, taken)
                self.raised[one.record.id] = (*self.raised.get(one.record.id, ()), raised)
        await self.gather(self.guests, owners)

    async def gather(self, guests: Sequence[UUID], owners: Mapping[str, UUID]) -> None:
        """Gather what has waited for guests, or for their cards by the text of the handle."""
        handles = [int.from_bytes(text_to_bytes(one), "big") for one in owners]
        left = awaiting.MOST_AT_ONCE - len(self.claims)
        for waiting in await self.store.suspended(guests, handles, left) if left > 0 else ():
            guest = waiting.guest or owners[waiting.handle or ""]
            record = waiting.record
            tx = derived_id(record.network, f"claim:{record.id}")
            claim = Claim(record.id, waiting.amounts)
            self.claims.append(Fact(replace(record, id=tx), guest, False, waiting.effective_at, False, claim=claim))

    def claimed(self) -> Mapping[UUID, UUID]:
        """Return who has the points of postings that waited."""
        return {one.claim.of: one.guest for one in self.claims if one.claim is not None and one.guest is not None}

    async def changes(self) -> list[Change]:
        """Return the rows of those admitted, to be asked for when everything else is written."""
        return await self.store.changes(self.guests, self.handles) if self.guests else []


def _admission(record: Record, fields: GuestFields | None) -> Admission:
    assert record.guest_id is not None  # noqa: S101 - it has been read as a registration
    return Admission(record.guest_id, fields, None if record.credential is None else record.credential.handle)


def _fields(one: Ready) -> tuple[GuestFields | None, str]:
    """Return what the guest told, or why it cannot be known: the points have an owner either way."""
    if one.source.private is None:
        return None, "missing"
    try:
        private = Private.from_bytes(one.source.private)
    except BadInput:
        return None, "unreadable"
    if not RegisterContents.from_check(one.record.check).matches(private):
        return None, "another"
    return private.fields, ""
