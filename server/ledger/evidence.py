"""Whether what a till kept of a guest's code bears the points that were spent with it.

A redemption is a fact and is posted whatever comes of this. Where its evidence fails the guest is not charged: the
store that took it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from loyalty_desk.domain.code_proof import Doubt, ShownStep, read_evidence, step_of, verify_evidence
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.hash_chain import SeenChains
from loyalty_desk.domain.key_set import KeySet
from loyalty_desk.domain.record import Record, RecordKind
from server.ledger.posting import Fact

# Codes that the till itself can check, and keeps what it checked.
_KEPT = frozenset({CodeKind.LD3, CodeKind.LD4})
# Codes that only the server can check: without a hold nobody has.
_ASKED = frozenset({CodeKind.LD2, CodeKind.SHORT})
# What is older bears nothing: programs at tills are taken in for 24 months, and what a code paid for then is forgotten.
OLDEST = timedelta(days=731)
_OLDEST_MS = OLDEST // timedelta(milliseconds=1)
_SPENDS = frozenset({RecordKind.SALE, RecordKind.EXCHANGE})


@dataclass(frozen=True, slots=True)
class Card:
    """A credential as the server knows it: whose it is today, after merges, and the step that paid last.

    `root` has 16 bytes or is None, `told_at` is the feed number at which tills were told of all this, `stopped_at` when
    it was blocked, milliseconds UTC.
    """

    guest: UUID
    generation: int = 0
    root: bytes | None = None
    step: int = 0
    told_at: int = 0
    stopped_at: int | None = None


def needs_proof(record: Record) -> bool:
    """Return whether a record spends points with a code that has to be proved."""
    shown = record.credential
    spends = record.kind in _SPENDS and record.points_redeemed > 0
    return spends and shown is not None and shown.code in _KEPT | _ASKED


def doubts(
    facts: Iterable[Fact], keys: KeySet, cards: Mapping[int, Card], earliest: Mapping[UUID, int], now: int
) -> dict[UUID, Doubt]:
    """Return why the evidence of facts fails, by the record's id; holds are not looked at.

    `earliest` is when each was recorded at the earliest, by the feed it had seen and by what its till wrote down before
    it; times are milliseconds UTC. Some hashing each: not for the event loop.
    """
    chains = SeenChains()
    found: dict[UUID, Doubt] = {}
    for fact in facts:
        if needs_proof(fact.record):
            doubt = _doubt(fact, keys, cards, earliest.get(fact.record.id, 0), now, chains)
            if doubt is not None:
                found[fact.record.id] = doubt
    return found


def step_shown(record: Record) -> ShownStep | None:
    """Return the step of a rotating code that a record spends points with; what cannot be read shows none."""
    shown = record.credential
    if shown is None or shown.code is not CodeKind.LD4 or not needs_proof(record):
        return None
    try:
        return step_of(read_evidence(shown.code, record.token_evidence))
    except BadInput:
        return None


def _doubt(
    fact: Fact, keys: KeySet, cards: Mapping[int, Card], earliest: int, now: int, chains: SeenChains
) -> Doubt | None:
    record, shown = fact.record, fact.record.credential
    assert shown is not None  # noqa: S101 - `needs_proof` has looked
    if shown.code in _ASKED:
        return Doubt.MISSING
    card = None if shown.handle is None else cards.get(shown.handle)
    if card is not None and card.guest != fact.guest:
        # A good code of somebody else proves nothing about whose points these are.
        return Doubt.SIGNATURE
    # What was shown before the card was blocked was good then, whenever it comes.
    is_before = card is None or (card.stopped_at is not None and fact.effective_at < card.stopped_at)
    lowest = 0 if card is None or is_before else card.generation
    # The instant that the server reckons may be off where a machine slept, which stops the clock it is reckoned by.
    # The till's own word holds as well, within what the server knows of it.
    oldest = now - _OLDEST_MS
    claimed = min(max(record.occurred_at, earliest, oldest), now)
    first = verify_evidence(record, keys, max(fact.effective_at, oldest), chains, lowest)
    return first and verify_evidence(record, keys, claimed, chains, lowest)
