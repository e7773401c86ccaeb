"""What a manager's PIN allows: points by hand, a transfer, and a limit lifted once.

Every one is a record with both names: who stood at the till and who approved.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from uuid import UUID

from loyalty_desk.domain.contents import (
    AdjustContents,
    AdjustReason,
    Overridden,
    OverrideContents,
    TransferContents,
)
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.private_fields import SALT_BYTES, GuestFields, Private
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.services.guest_marks import GuestMarks
from loyalty_desk.services.guests import GuestCard, Guests
from loyalty_desk.services.pins import Member
from loyalty_desk.services.ports.cache import Cache
from loyalty_desk.services.ports.journal import Journal
from loyalty_desk.services.recording import Fact, Recorder
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trusted_clock import TrustedClock

MOST_POINTS = 1_000_000_000
MOST_COMMENT = 200


@dataclass(frozen=True, slots=True)
class ByHand:
    """An operation by hand that is on the disk; `balance_after` is the guest's as this till knows it."""

    record_id: UUID
    balance_after: int


class Approvals:
    """Operations that a manager has approved; `approved_by` comes from `Pins.manager`. For the db thread."""

    def __init__(
        self, journal: Journal, cache: Cache, guests: Guests, recorder: Recorder, clock: TrustedClock, cashier: Cashier
    ) -> None:
        self._journal = journal
        self._cache = cache
        self._guests = guests
        self._recorder = recorder
        self._clock = clock
        self._cashier = cashier
        self._marks = GuestMarks(journal)

    def adjust(
        self, card: GuestCard, points: int, reason: AdjustReason, approved_by: Member, comment: str = ""
    ) -> ByHand:
        """Credit (above zero) or debit (below) points, smallest units.

        Raises `BadInput` `points_by_hand`, `points_by_hand_most`, `comment_too_long`; `Refused`
        `by_hand_guest_unknown`, `by_hand_too_many` (`points` there are), `approval_needed`, and as `Recorder.record`.
        """
        guest = self._ready(card, abs(points), approved_by, comment)
        if points < 0:
            self._enough(card, -points)
        private = _private(comment)
        recorded = self._recorder.record(
            Fact(
                RecordKind.ADJUST,
                cashier=self._cashier.id(),
                check=AdjustContents(reason, approved_by.id, private.digest if private else None).to_check(),
                guest_id=guest,
                credential=card.credential,
                earned=max(points, 0),
                redeemed=max(-points, 0),
                cache_feed_seq=self._cache.state().cursor,
                known_balance=card.points,
                private=private.to_bytes() if private else None,
            )
        )
        return ByHand(recorded.record.id, self._guests.refresh(card).points)

    def transfer(
        self,
        giver: GuestCard,
        taker: GuestCard,
        points: int,
        reason: AdjustReason,
        approved_by: Member,
        comment: str = "",
    ) -> ByHand:
        """Move points from one guest to another; the taker has them once the server has posted it.

        Raises as `adjust`, and `Refused` `transfer_to_self`.
        """
        guest = self._ready(giver, points, approved_by, comment)
        if taker.guest_id is None:
            raise Refused("by_hand_guest_unknown")
        if taker.guest_id == guest:
            raise Refused("transfer_to_self")
        self._enough(giver, points)
        private = _private(comment)
        contents = TransferContents(taker.guest_id, reason, approved_by.id, private.digest if private else None)
        recorded = self._recorder.record(
            Fact(
                RecordKind.TRANSFER,
                cashier=self._cashier.id(),
                check=contents.to_check(),
                guest_id=guest,
                credential=giver.credential,
                redeemed=points,
                cache_feed_seq=self._cache.state().cursor,
                known_balance=giver.points,
                private=private.to_bytes() if private else None,
            )
        )
        return ByHand(recorded.record.id, self._guests.refresh(giver).points)

    def lift_limit(self, card: GuestCard, approved_by: Member) -> UUID:
        """Lift the upper consecutive limit for this guest's next redemption, once until the next sync.

        Raises `Refused` `by_hand_guest_unknown`, `override_not_needed`, `override_used`, `approval_needed`.
        """
        guest = self._ready(card, 1, approved_by, "")
        use = self._journal.offline_use(guest, self._clock.now_ms())
        synced_at = self._cache.state().synced_at
        if self._marks.lift_used(guest, use.guest_count, synced_at):
            raise Refused("override_used")
        limit = self._guests.profile().upper_consecutive
        if use.guest_count < limit or self._marks.lifted(guest, use.guest_count, synced_at):
            raise Refused("override_not_needed")
        settings = self._marks.lift(guest, use.guest_count, synced_at)
        return self._override(card, Overridden.UPPER_CONSECUTIVE, approved_by, dict(settings))

    def lift_tier_cap(self, card: GuestCard, approved_by: Member) -> UUID:
        """Let the tier's discount through for this guest's next check of the business day; raises as `lift_limit`."""
        guest = self._ready(card, 1, approved_by, "")
        if card.tier_room is None:
            raise Refused("override_not_needed")
        day = self._recorder.business_day().isoformat()
        checks, _ = self._journal.tier_discounts(guest, day)
        settings = self._marks.lift_tier(guest, day, checks)
        return self._override(card, Overridden.TIER_DISCOUNT, approved_by, dict(settings))

    def _override(self, card: GuestCard, what: Overridden, approved_by: Member, settings: dict[str, object]) -> UUID:
        recorded = self._recorder.record(
            Fact(
                RecordKind.OVERRIDE,
                cashier=self._cashier.id(),
                check=OverrideContents(what, approved_by.id).to_check(),
                guest_id=card.guest_id,
                credential=card.credential,
                settings=settings,  # type: ignore[arg-type]
            )
        )
        return recorded.record.id

    def _ready(self, card: GuestCard, points: int, approved_by: Member, comment: str) -> UUID:
        if not approved_by.is_manager:
            raise Refused("approval_needed")
        if card.guest_id is None:
            raise Refused("by_hand_guest_unknown")
        if points <= 0:
            raise BadInput("points_by_hand")
        if points > MOST_POINTS:
            raise BadInput("points_by_hand_most", points=MOST_POINTS)
        if len(comment) > MOST_COMMENT:
            raise BadInput("comment_too_long", limit=MOST_COMMENT)
        return card.guest_id

    def _enough(self, card: GuestCard, points: int) -> None:
        now = self._guests.refresh(card)
        if points > now.points:
            raise Refused("by_hand_too_many", points=max(0, now.points))


def _private(comment: str) -> Private | None:
    """Return free text as it may be kept: beside the record, never in it."""
    text = " ".join(comment.split())
    return Private(os.urandom(SALT_BYTES), GuestFields(comment=text)) if text else None
