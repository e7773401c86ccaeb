"""Voids, refunds and exchanges by the original check.

A sale of this till's own journal is worked out here in full, with its own program. Of another till's sale only goods
and money are recorded; the server computes the points, which follow at sync.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from msgspec import structs

from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.quote import Quote
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.refund import Refund, Return, Sale, guest_after, refund, refund_amount, void
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, FollowedLine, ReturnContents
from loyalty_desk.services.checkout import CheckDraft, Checkout, SaleDone
from loyalty_desk.services.pins import Member
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.recording import Fact, Recorder
from loyalty_desk.services.sold_checks import SoldCheck, SoldChecks
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.lookup import SaleFound

VOID_ALONE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ReturnDone:
    """A return that is on the disk: money back, and points given back and taken back, 0 where they `follow`."""

    record_id: UUID
    money: int
    points_back: int
    points_taken: int
    is_whole: bool
    follows: bool = False


@dataclass(frozen=True, slots=True)
class ExchangeDone:
    """An exchange that is on the disk; `difference` is what the guest pays, negative where money goes back."""

    sold: SaleDone
    returned: Refund
    difference: int


class Returns:
    """The cashier's use case for goods that come back. For the db thread."""

    def __init__(
        self,
        identity: Identity,
        sold_checks: SoldChecks,
        recorder: Recorder,
        checkout: Checkout,
        clock: TrustedClock,
        cashier: Cashier,
    ) -> None:
        self._identity = identity
        self._sold_checks = sold_checks
        self._recorder = recorder
        self._checkout = checkout
        self._clock = clock
        self._cashier = cashier

    def void_preview(self, sold: SoldCheck) -> Refund:
        """Return what taking back all that is left would move; raises `Refused` as `domain.refund.void`."""
        return void(self._priced(sold), sold.before)

    def needs_manager(self, sold: SoldCheck) -> bool:
        """Return whether a void needs a manager: it is not the last sale, or more than ten minutes old."""
        passed = self._clock.now() - from_ms(sold.record.occurred_at)
        return not sold.is_newest or not timedelta(0) <= passed <= VOID_ALONE

    def void(self, sold: SoldCheck, approved_by: Member | None = None) -> ReturnDone:
        """Take a whole sale back, or what is left of it.

        Raises `Refused` `void_needs_manager`, as `void_preview` and as `Recorder.record`.
        """
        if self.needs_manager(sold) and (approved_by is None or not approved_by.is_manager):
            raise Refused("void_needs_manager", minutes=VOID_ALONE // timedelta(minutes=1))
        sold = self._again(sold)
        return self._record_return(sold, self.void_preview(sold), RecordKind.VOID, approved_by)

    def refund_preview(self, sold: SoldCheck, returns: Sequence[Return], amount: int = 0) -> Refund:
        """Return what a return by lines, or of `amount` minor units of a bare total, would move.

        Raises as `domain.refund.refund` and `refund_amount`.
        """
        sale = self._priced(sold)
        return refund_amount(sale, amount, sold.before) if not returns else refund(sale, returns, sold.before)

    def refund(self, sold: SoldCheck, returns: Sequence[Return] = (), amount: int = 0) -> ReturnDone:
        """Return lines, or an amount of a bare total; a sale that cannot be priced again here has its points follow.

        Raises `Refused` as `refund_preview` and as `Recorder.record`.
        """
        sold = self._again(sold)
        if sold.sale is None:
            return self._follow_own(sold, returns, amount)
        return self._record_return(sold, self.refund_preview(sold, returns, amount), RecordKind.REFUND, None)

    def refund_elsewhere(
        self, sale: UUID, money: int, lines: Sequence[FollowedLine] = (), found: SaleFound | None = None
    ) -> ReturnDone:
        """Record goods and money of a sale of another till; `found` is what the server said of it, if it was asked.

        Raises `BadInput` `return_amount`, `Refused` `sale_is_here`, `return_more_than_left`, and as `Recorder.record`.
        """
        if self._sold_checks.is_here(sale):
            raise Refused("sale_is_here")
        if money <= 0 or sum(line.money for line in lines) not in (0, money):
            raise BadInput("return_amount", amount=money)
        before = self._sold_checks.money_back(sale)
        if found is not None:
            # What this till gave back before is perhaps not with the server yet: both are below what was paid.
            left = min(found.money_left, max(0, found.total - before))
            if found.voided or money > left:
                raise Refused("return_more_than_left", asked=money, left=0 if found.voided else left)
        contents = FollowContents(self._identity.currency, self._clock.now(), money, tuple(lines))
        recorded = self._recorder.record(
            Fact(
                RecordKind.REFUND,
                cashier=self._cashier.id(),
                check=contents.to_check(),
                guest_id=None if found is None else found.guest,
                money_total=money,
                reverses_id=sale,
            )
        )
        return ReturnDone(recorded.record.id, money, 0, 0, is_whole=False, follows=True)

    def exchange_quote(self, sold: SoldCheck, returns: Sequence[Return], draft: CheckDraft) -> tuple[Refund, Quote]:
        """Return what comes back, and the new check priced for the guest as the return leaves them."""
        sale = self._priced(sold)
        returned = refund(sale, returns, sold.before)
        return returned, self._checkout.price(self._after_return(draft, sale, returned))

    def exchange(self, sold: SoldCheck, returns: Sequence[Return], draft: CheckDraft, quote: Quote) -> ExchangeDone:
        """Return goods and sell others in one record.

        Raises `Refused` as `exchange_quote`, `exchange_other_guest`, and as `Checkout.confirm`.
        """
        sold = self._again(sold)
        guest = None if draft.guest is None else draft.guest.guest_id
        if guest != sold.record.guest_id:
            raise Refused("exchange_other_guest")
        sale = self._priced(sold)
        returned = refund(sale, returns, sold.before)

        def joined(fact: Fact) -> Fact:
            check = ExchangeContents.to_check(fact.check or {}, returned)
            uses = dict(fact.uses)
            for rule, count in returned.uses:
                uses[rule] = uses.get(rule, 0) - count
            return structs.replace(
                fact,
                kind=RecordKind.EXCHANGE,
                check=check,
                reverses_id=sold.record.id,
                returned=ExchangeContents.from_check(check).returned,
                uses=uses,
            )

        done = self._checkout.confirm(
            draft, quote, facts_of=lambda card: guest_after(card.facts, sale, returned), joined=joined
        )
        return ExchangeDone(done, returned, done.quote.due - returned.cash)

    def _after_return(self, draft: CheckDraft, sale: Sale, returned: Refund) -> CheckDraft:
        if draft.guest is None:
            return draft
        return replace(draft, guest=replace(draft.guest, facts=guest_after(draft.guest.facts, sale, returned)))

    def _record_return(
        self, sold: SoldCheck, returned: Refund, kind: RecordKind, approved_by: Member | None
    ) -> ReturnDone:
        record = sold.record
        check = ReturnContents.to_check(
            sold.contents.basket.currency,
            self._clock.now(),
            returned,
            is_void=kind is RecordKind.VOID,
            approved_by="" if approved_by is None else approved_by.id,
        )
        recorded = self._recorder.record(
            Fact(
                kind,
                cashier=self._cashier.id(),
                check=check,
                guest_id=record.guest_id,
                credential=record.credential,
                earned=returned.spent_returned,
                redeemed=returned.earned_reversed,
                money_total=returned.money,
                reverses_id=record.id,
                uses={rule: -count for rule, count in returned.uses},
                uses_day=record.business_day,
            )
        )
        return ReturnDone(
            recorded.record.id,
            returned.money,
            returned.spent_returned,
            returned.earned_reversed,
            returned.is_whole,
        )

    def _follow_own(self, sold: SoldCheck, returns: Sequence[Return], amount: int) -> ReturnDone:
        lines = tuple(_followed(sold, one) for one in returns)
        money = amount or sum(line.money for line in lines)
        if money <= 0:
            raise BadInput("return_amount", amount=money)
        if money > sold.money_left:
            raise Refused("return_more_than_left", asked=money, left=sold.money_left)
        contents = FollowContents(sold.contents.basket.currency, self._clock.now(), money, lines)
        recorded = self._recorder.record(
            Fact(
                RecordKind.REFUND,
                cashier=self._cashier.id(),
                check=contents.to_check(),
                guest_id=sold.record.guest_id,
                credential=sold.record.credential,
                money_total=money,
                reverses_id=sold.record.id,
            )
        )
        return ReturnDone(recorded.record.id, money, 0, 0, is_whole=money == sold.money_left, follows=True)

    def _again(self, sold: SoldCheck) -> SoldCheck:
        """Return the sale as it stands now: another return may have been recorded since it was shown."""
        return self._sold_checks.of(sold.record)

    def _priced(self, sold: SoldCheck) -> Sale:
        if sold.sale is None:
            raise Refused("sale_not_priced")
        return sold.sale


def _followed(sold: SoldCheck, back: Return) -> FollowedLine:
    line = next((one for one in sold.lines if one.line == back.line), None)
    if line is None:
        raise BadInput("return_line_unknown", line=back.line[:40])
    if not 0 < back.quantity_milli <= line.left_milli:
        raise Refused(
            "return_more_than_left", line=back.line, asked_milli=back.quantity_milli, left_milli=line.left_milli
        )
    return FollowedLine(back.line, back.quantity_milli, line.net * back.quantity_milli // line.quantity_milli)
