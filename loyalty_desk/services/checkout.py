"""From a scanned code to a recorded sale: identify, price, confirm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.check import check_to_payload
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote as price_check
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import TIER_RULE, Choices, Quote
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.uses import given
from loyalty_desk.services.guests import GuestCard, Guests
from loyalty_desk.services.points_held import HELD, PointsHeld
from loyalty_desk.services.ports.cache import Cache
from loyalty_desk.services.program_in_force import ProgramInForce
from loyalty_desk.services.recording import Fact, Recorder
from loyalty_desk.services.redemption import FLOOR_SHARE, Allowance, binding_of, share_cap
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trusted_clock import TrustedClock

_LOG = logging.getLogger(__name__)
__all__ = ["Allowance", "CheckDraft", "Checkout", "GuestCard", "SaleDone"]

QUOTE_LIFE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class CheckDraft:
    """A check being put together; `at` is the moment it is priced for, `hold` what the server holds for it."""

    basket: Basket | None = None
    guest: GuestCard | None = None
    points_asked: int = 0
    codes: tuple[str, ...] = ()
    hold: PointsHeld | None = None
    at: datetime = field(default_factory=lambda: datetime(1970, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class SaleDone:
    """A sale that is on the disk. `balance_after` is None where the guest is not known here.

    `tier_withheld` says that the tier gave nothing because such a code has used up its day.
    """

    record_id: UUID
    receipt_no: str
    quote: Quote
    guest: GuestCard | None
    balance_after: int | None
    committed_at: datetime
    tier_withheld: bool = False


@dataclass(frozen=True, slots=True)
class _Priced:
    quote: Quote
    choices: Choices
    share: int | None
    tier_withheld: bool = False


class Checkout:
    """The cashier's use case. `price` belongs to the main thread, the others to the db thread."""

    def __init__(
        self,
        guests: Guests,
        recorder: Recorder,
        cache: Cache,
        clock: TrustedClock,
        programs: ProgramInForce,
        cashier: Cashier,
    ) -> None:
        self._guests = guests
        self._recorder = recorder
        self._cache = cache
        self._clock = clock
        self._programs = programs
        self._cashier = cashier

    def program(self) -> Program | None:
        """Return the program in force, None while none has arrived; main thread."""
        return self._programs.known()

    def basket(self, amount: int) -> Basket:
        """Return a bare total of `amount` minor units in this store; main thread."""
        here = self._guests.identity
        return Basket.of_amount(here.currency, amount, store=str(here.store), zone=ZoneInfo(here.zone))

    def identify(self, data: bytes | str) -> GuestCard:
        """Return whose card, number or code this is.

        Raises `BadInput` as `guest_code.parse` does; `Refused`: `card_unknown`, `card_blocked`, `card_kind`,
        `number_unknown`; `OnlyServerKnows`: `guests_loading` for a number, `needs_server` for a short code and a phone
        that nobody here has, or several have.
        """
        return self._guests.identify(data)

    def price(self, draft: CheckDraft) -> Quote:
        """Return the check priced with the program in force and the guest's allowance; pure and fast.

        Raises `BadInput` of `quote`, and `Refused`: `program_missing`, `check_empty`, `amount_zero`.
        """
        return self._price(draft, self._programs.required()).quote

    def tier_withheld(self, draft: CheckDraft) -> bool:
        """Return whether the tier gives nothing on this check because such a code has used up its day."""
        return self._price(draft, self._programs.required()).tier_withheld

    def _price(self, draft: CheckDraft, program: Program, *, with_limits: bool = True) -> _Priced:
        priced = self._priced(draft, program, with_limits=with_limits)
        guest = draft.guest
        if guest is None or guest.tier_room is None or tier_discount(priced.quote) <= guest.tier_room:
            return priced
        # What is beyond a code that anybody may have copied is a manager's word. Only the discount is: earning
        # is never limited.
        return self._priced(draft, program, with_limits=with_limits, tier_withheld=True)

    def _priced(
        self, draft: CheckDraft, program: Program, *, with_limits: bool = True, tier_withheld: bool = False
    ) -> _Priced:
        if draft.basket is None or not draft.basket.lines:
            raise Refused("check_empty")
        if draft.basket.gross == 0:
            raise Refused("amount_zero")
        facts = None if draft.guest is None else draft.guest.facts or GuestFacts()
        choices = Choices(codes=draft.codes, quotas=self._recorder.leases.left(program), tier_withheld=tier_withheld)
        share = None
        if draft.guest is not None and draft.guest.facts is not None:
            allowed = draft.guest.allowance
            cap, reason = allowed.max_points, allowed.reason
            if draft.hold is not None and draft.hold.is_online:
                cap, reason = draft.hold.amount, HELD
            elif cap > 0 and allowed.share_bp is not None and program.redemption is not None and with_limits:
                without = price_check(draft.basket, facts, program, draft.at, choices)
                share = share_cap(allowed, without.total, program)
                if share is not None and share < cap:
                    cap, reason = share, FLOOR_SHARE
            choices = replace(
                choices, points_asked=draft.points_asked, redemption_cap=cap, redemption_cap_reason=reason
            )  # fmt: skip
        priced = price_check(draft.basket, facts, program, draft.at, choices)
        return _Priced(priced, choices, share, tier_withheld)

    def confirm(
        self,
        draft: CheckDraft,
        quote: Quote,
        *,
        facts_of: Callable[[GuestCard], GuestFacts | None] | None = None,
        joined: Callable[[Fact], Fact] | None = None,
    ) -> SaleDone:
        """Commit the sale durably and return; a raised `Refused` means that nothing was recorded.

        `facts_of` says what the guest is priced as instead, `joined` what is recorded instead: an exchange's both.

        Refused: `quote_stale` where prices, program, guest or what is left of a rule changed since `quote`,
        `redemption_refused` (`reason` and its numbers) where points were asked and none can be had, `check_too_large`,
        `journal_unavailable`, `disk_full`.
        """
        program = self._programs.required()
        guest = None if draft.guest is None else self._guests.refresh(draft.guest)
        if guest is not None and facts_of is not None:
            guest = replace(guest, facts=facts_of(guest))
        # Where no points were asked for, how many could have been had is not worth a second quote.
        priced = self._price(replace(draft, guest=guest), program, with_limits=draft.points_asked > 0)
        hold = draft.hold
        if hold is not None and (guest is None or hold.guest != guest.guest_id):
            raise Refused("hold_other_guest")
        if hold is not None and hold.is_online and self._clock.now_ms() >= hold.until:
            raise Refused("hold_lapsed")
        if draft.points_asked > 0 and priced.quote.redeemed_points == 0:
            raise self._refusal(guest, priced)
        if _figures(priced.quote) != _figures(quote) or abs(self._clock.now() - draft.at) > QUOTE_LIFE:
            raise Refused("quote_stale")
        fact = self._fact(draft, guest, priced, program)
        recorded = self._recorder.record(fact if joined is None else joined(fact))
        after = self._after(guest)
        return SaleDone(
            record_id=recorded.record.id,
            receipt_no=recorded.record.receipt_no or "",
            quote=priced.quote,
            guest=after,
            balance_after=None if after is None or after.guest_id is None else after.points,
            committed_at=from_ms(recorded.record.occurred_at),
            tier_withheld=priced.tier_withheld,
        )

    def _after(self, guest: GuestCard | None) -> GuestCard | None:
        try:
            return None if guest is None else self._guests.refresh(guest)
        except Exception:  # noqa: BLE001 - see below
            # The sale is on the disk. Whatever fails from here on, from a guest that went away at this very moment to a
            # broken cache, must not look as if nothing had been recorded: the cashier would sell it again.
            _LOG.exception("the sale is recorded; its guest could not be read again")
            return None

    def refresh(self, card: GuestCard) -> GuestCard:
        """Return the same guest as known now, after a sync or a sale."""
        return self._guests.refresh(card)

    def _fact(self, draft: CheckDraft, guest: GuestCard | None, priced: _Priced, program: Program) -> Fact:
        # What reads records too: nothing before the first sale needs it.
        from loyalty_desk.domain.contents import with_hold

        quote, basket = priced.quote, draft.basket
        if basket is None:
            raise Refused("check_empty")
        asked = draft.points_asked if guest is not None else 0
        check = check_to_payload(basket, None if guest is None else guest.facts, priced.choices, quote)
        hold = draft.hold if quote.redeemed_points > 0 else None
        is_online = hold is not None and hold.is_online
        bits = guest.allowance.bits_for(asked, priced.share) if guest is not None and asked > 0 and not is_online else 0
        return Fact(
            kind=RecordKind.SALE,
            cashier=self._cashier.id(),
            check=check if hold is None else with_hold(check, hold.id),
            guest_id=None if guest is None else guest.guest_id,
            credential=None if guest is None else guest.credential,
            earned=quote.earned_points,
            redeemed=quote.redeemed_points,
            money_total=quote.total,
            cache_feed_seq=self._cache.state().cursor,
            known_balance=None if guest is None or guest.guest_id is None else guest.points,
            decision_bits=bits if guest is not None and asked > 0 else None,
            uses=dict(quote.uses),
            given=given(program, quote, basket.zone),
            program=program.hash,
            evidence=guest.evidence if guest is not None and quote.redeemed_points > 0 else None,
            hold_until=hold.until if hold is not None and is_online else None,
            tier_discount=tier_discount(quote) if guest is not None and self._guests.is_weak(guest) else 0,
            has_receipt=True,
        )

    def _refusal(self, guest: GuestCard | None, priced: _Priced) -> Refused:
        note = priced.quote.redemption
        binding = binding_of(note)
        if guest is None or binding == "not_offered":
            return Refused("redemption_refused", reason="no_guest" if guest is None else binding)
        if guest.facts is None:
            return Refused("redemption_refused", reason="guest_unknown")
        if binding != "cap":
            facts = {"points": note.max_points, "minimum": note.minimum, "block": note.block}
            return Refused("redemption_refused", reason=binding, **facts)
        reason = note.reason or "cap"
        if reason == FLOOR_SHARE:
            return Refused("redemption_refused", reason=reason, points=priced.share, share_bp=guest.allowance.share_bp)
        return Refused("redemption_refused", reason=reason, **guest.allowance.facts)


def tier_discount(quote: Quote) -> int:
    """Return what the guest's tier takes off a check, in minor units."""
    return sum(amount for line in quote.lines for rule, amount in line.discounts if rule == TIER_RULE)


def _figures(quote: Quote) -> tuple[object, ...]:
    """Return what a cashier has seen of a quote; the same figures from fresher facts are the same quote."""
    return (
        quote.currency,
        quote.program_hash,
        quote.total,
        quote.redeemed_points,
        quote.redeemed_money,
        quote.earned_points,
        quote.lines,
        quote.gifts,
        quote.payments,
    )
