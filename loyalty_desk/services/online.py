"""Asking the server while the guest waits: points held for a check, whose a code is, what is left of a sale.

A link that answers makes every redemption a request that may be declined; silence falls
back to the till's own limits. Every outcome is journalled, so that a server that lost its last minutes can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.contents import HoldOutcome, HoldResultContents
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.money import BASIS_POINTS
from loyalty_desk.domain.record import Credential, Decision, RecordKind, handle_from_text
from loyalty_desk.services.guest_marks import GuestMarks
from loyalty_desk.services.guests import GuestCard, Guests, OnlyServerKnows
from loyalty_desk.services.points_held import PointsHeld
from loyalty_desk.services.ports.cache import Cache, CachedGuest
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import Journal
from loyalty_desk.services.ports.machine import Random
from loyalty_desk.services.ports.server import NoAnswer, NotOurServer, RequestClient, ServerSaid
from loyalty_desk.services.recording import Fact, Recorder
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.holds import HOLD_TTL_S, HoldAnswer, HoldDecision, HoldRequest, HoldState, HoldVoid
from loyalty_desk.wire.v1.lookup import FoundGuest, GuestLookup, LookupBy, SaleFound, SaleLookup
from loyalty_desk.wire.v1.rows import GuestRow, read

WAIT_S = 3.0
# Who is told so by the server itself gets no points by waiting for another answer.
_UNABLE = {
    ErrorCode.DEVICE_SUSPENDED: "till_suspended",
    ErrorCode.DEVICE_REVOKED: "till_revoked",
    ErrorCode.UNKNOWN_DEVICE: "till_unknown",
    ErrorCode.BAD_SIGNATURE: "till_unknown",
    ErrorCode.BAD_TOKEN: "till_token",
    ErrorCode.MIN_APP: "app_too_old",
}
_REASONS = frozenset({"code_limit", "code_invalid", "confirmation_needed", "guest_unknown", "guest_blocked"})


@dataclass(frozen=True, slots=True)
class _Asked:
    answer: HoldAnswer | None
    said: ServerSaid | None = None


class Online:
    """Requests of the counter. `client` makes one when first needed; call these off the main thread."""

    def __init__(
        self,
        identity: Identity,
        journal: Journal,
        cache: Cache,
        guests: Guests,
        recorder: Recorder,
        clock: TrustedClock,
        cashier: Cashier,
        random: Random,
        client: Callable[[], RequestClient],
    ) -> None:
        self._identity = identity
        self._journal = journal
        self._cache = cache
        self._guests = guests
        self._recorder = recorder
        self._clock = clock
        self._cashier = cashier
        self._random = random
        self._client = client
        self._marks = GuestMarks(journal)

    def hold(self, card: GuestCard, amount: int) -> PointsHeld:
        """Ask for points to be held and return them, or the same without the server where none answers in time.

        Raises `Refused`: `hold_guest_unknown`, `hold_declined` (`points` left), `hold_refused_…`, `online_needed`,
        and the server's own refusals of this till.
        """
        if card.guest_id is None or card.provisional:
            raise Refused("hold_guest_unknown")
        profile = self._guests.profile()
        request = HoldRequest(
            self._identity.network,
            self._identity.device,
            self._recorder.new_id(),
            card.guest_id,
            amount,
            card.credential.code.value,
            HOLD_TTL_S,
            card.evidence or card.asked or None,
        )
        until = self._clock.now_ms() + HOLD_TTL_S * 1_000
        asked = self._ask(request, WAIT_S)
        if asked.answer is None and asked.said is None and self._chosen(profile.random_online_bp):
            # Whoever pulls the cable to spend the same points at every till meets one that waits, and then refuses.
            asked = self._ask(request, max(0.0, profile.random_online_wait_s - WAIT_S))
            if asked.answer is None and asked.said is None:
                self._note(card, request, HoldOutcome.TIMED_OUT, bits=1 << Decision.RANDOM_ONLINE)
                raise Refused("online_needed")
        if asked.said is not None:
            self._note(card, request, HoldOutcome.REFUSED)
            raise Refused(_UNABLE.get(ErrorCode(asked.said.code), "server_refused"))
        if asked.answer is None:
            self._note(card, request, HoldOutcome.TIMED_OUT)
            return PointsHeld(request.id, card.guest_id, amount, until, is_online=False)
        return self._decided(card, request, asked.answer, until)

    def release(self, held: PointsHeld) -> bool:
        """Give held points back: the check is not paid. False where nobody answered: they lapse by themselves."""
        request = HoldVoid(self._identity.network, self._identity.device, held.id)
        try:
            self._client().void_hold(request, WAIT_S)
        except (NoAnswer, NotOurServer, ServerSaid):
            return False
        return True

    def identify(self, by: LookupBy, text: str) -> GuestCard:
        """Return the guest whom the server finds; raises `Refused` as `find`, `guest_not_found`, `guest_ambiguous`."""
        found = self.find(by, text)
        if not found:
            raise Refused("guest_not_found")
        if len(found) > 1:
            raise Refused("guest_ambiguous", count=len(found))
        return self.card(found[0], text)

    def identified(self, here: Callable[[bytes | str], GuestCard], data: bytes | str, *, answers: bool) -> GuestCard:
        """Return whose code, number or phone this is: what `here` cannot tell, the server is asked.

        A phone that nobody here has is asked for in any case; while guests are still loading, cards and numbers too
        where the link `answers`. A card that the server cannot tell either goes on as it is, earning by its handle.
        Raises as `here` (`Checkout.identify`) and as `identify`.
        """
        text = (data.decode("utf-8", "replace") if isinstance(data, bytes) else data).strip()
        try:
            card = here(data)
        except OnlyServerKnows as unknown:
            if unknown.by is LookupBy.NUMBER and not answers:
                raise
            return self.identify(unknown.by, text)
        if card.guest_id is not None or card.doubt is not None or not answers:
            return card
        try:
            return replace(self.identify(LookupBy.CODE, text), shown=card.shown)
        except Refused:
            return card

    def find(self, by: LookupBy, text: str) -> list[FoundGuest]:
        """Return whom it may be; raises `Refused` `needs_server`, `lookups_too_many` and the server's refusals."""
        request = GuestLookup(self._identity.network, self._identity.device, by.value, text)
        missing = Refused("guest_not_found")
        return list(self._answered(lambda client: client.guests(request, WAIT_S), missing).guests)

    def card(self, found: FoundGuest, text: str) -> GuestCard:
        """Return the card of one whom the server has found by `text`."""
        try:
            code, row = CodeKind(found.code), read(GuestRow, found.row)
            handle = handle_from_text(found.handle) if found.handle else None
        except (ValueError, msgspec.ValidationError) as error:
            raise Refused("server_refused") from error
        return self._guests.answered(Credential(code, handle), CachedGuest(found.guest, row), text.encode())

    def sale(self, text: str) -> SaleFound:
        """Return a sale of any till by its receipt number or id; raises `Refused` `sale_unknown` and as `find`."""
        wanted = text.strip().upper()
        sale_id = None
        if len(wanted) in (32, 36):
            try:
                sale_id = UUID(wanted)
            except ValueError:
                sale_id = None
        network, device = self._identity.network, self._identity.device
        request = SaleLookup(network, device, sale_id, "" if sale_id else wanted[:40])
        missing = Refused("sale_unknown", receipt=wanted[:40])
        return self._answered(lambda client: client.sale(request, WAIT_S), missing)

    def _answered[T](self, ask: Callable[[RequestClient], T], missing: Refused) -> T:
        try:
            return ask(self._client())
        except (NoAnswer, NotOurServer) as error:
            raise Refused("needs_server") from error
        except ServerSaid as said:
            if said.code == ErrorCode.NOT_FOUND:
                raise missing from said
            if said.status == 429:
                raise Refused("lookups_too_many") from said
            known = next((text for code, text in _UNABLE.items() if code == said.code), "needs_server")
            raise Refused(known) from said

    def _ask(self, request: HoldRequest, wait_s: float) -> _Asked:
        try:
            answer = self._client().hold(request, wait_s)
        except (NoAnswer, NotOurServer):
            return _Asked(None)
        except ServerSaid as said:
            return _Asked(None, said if said.code in _UNABLE else None)
        return _Asked(answer if answer.id == request.id else None)

    def _chosen(self, basis_points: int) -> bool:
        return self._random.random() * BASIS_POINTS < basis_points

    def _decided(self, card: GuestCard, request: HoldRequest, answer: HoldAnswer, until: int) -> PointsHeld:
        is_held = answer.outcome == HoldDecision.PENDING or (
            answer.outcome == HoldDecision.EXISTS and answer.state == HoldState.PENDING
        )
        if is_held and answer.amount >= request.amount:
            outcome = HoldOutcome.EXISTS if answer.outcome == HoldDecision.EXISTS else HoldOutcome.PENDING
            self._note(card, request, outcome)
            return PointsHeld(request.id, request.guest, request.amount, until, is_online=True)
        if answer.outcome == HoldDecision.INSUFFICIENT:
            settings = self._marks.decline(request.guest, self._cache.state().synced_at)
            self._note(card, request, HoldOutcome.INSUFFICIENT, settings=settings)
            raise Refused("hold_declined", points=max(0, answer.available))
        self._note(card, request, HoldOutcome.REFUSED)
        if answer.reason == "code_limit" and not answer.limit:
            raise Refused("redemption_refused", reason="code_limit_number")
        reason = answer.reason if answer.reason in _REASONS else "other"
        raise Refused(f"hold_refused_{reason}", points=answer.limit or 0)

    def _note(
        self,
        card: GuestCard,
        request: HoldRequest,
        outcome: HoldOutcome,
        *,
        bits: int | None = None,
        settings: Mapping[str, Json] | None = None,
    ) -> None:
        self._recorder.record(
            Fact(
                RecordKind.HOLD_RESULT,
                cashier=self._cashier.id(),
                check=HoldResultContents(request.id, request.amount, outcome).to_check(),
                guest_id=card.guest_id,
                credential=card.credential,
                cache_feed_seq=self._cache.state().cursor,
                known_balance=card.points,
                decision_bits=bits,
                settings=settings or {},
            )
        )
