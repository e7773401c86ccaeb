"""Whose code this is, and what the counter may know and do about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text, text_to_bytes
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.code_proof import Doubt, Permit, doubt_of, permit
from loyalty_desk.domain.conditions.when import period_of
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.guest_code import CodeKind, GuestCode, parse
from loyalty_desk.domain.hash_chain import SeenChains
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.record import BadRecord, Credential, Record, SealedRecord
from loyalty_desk.domain.segments import Segmentation
from loyalty_desk.domain.signed_codes import RotatingCode, SignedCode
from loyalty_desk.domain.tiers import reached
from loyalty_desk.services.guest_marks import GuestMarks
from loyalty_desk.services.ports.cache import Cache, CachedGuest, CredentialState
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import PHONE_KEY, Journal, Overlay
from loyalty_desk.services.program_in_force import ProgramInForce
from loyalty_desk.services.proof import NEEDS_SERVER, narrowed, replay_of
from loyalty_desk.services.recording import business_day
from loyalty_desk.services.redemption import (
    LOADING,
    NOBODY,
    PROVISIONAL,
    Allowance,
    Basis,
    allowance,
    allowance_online,
)
from loyalty_desk.services.trust import Trust
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.guest_facts import date_of, facts_of
from loyalty_desk.wire.v1.lookup import LookupBy
from loyalty_desk.wire.v1.phones import e164, phone_hash
from loyalty_desk.wire.v1.rows import GuestRow, ProfileRow

# What carries no proof that a till can check is taken only for what shows such a code: LD1 for what is printed or
# handed over as a card, LD2 for a wallet. LD3 and LD4 are signed for their handle.
_KINDS = {CodeKind.LD1: frozenset({"card", "pass", "import"}), CodeKind.LD2: frozenset({"wallet"})}
_ACTIVE = "active"
_MOBILE = "9"


class OnlyServerKnows(Refused):
    """This till cannot tell whose number or code it is; `by` is how the server is asked."""

    def __init__(self, code: str, by: LookupBy) -> None:
        super().__init__(code)
        self.by = by


@dataclass(frozen=True, slots=True)
class GuestCard:
    """A guest at the counter. `points` = what the server said at the cursor and own effects since, each once (INV-23).

    `guest_id` is None while guests are still loading and only the card's handle is known: no discount of the tier, no
    redemption, points at the first tier's rate (or at that of an LD4's own); the server finds the guest. `tier_name`
    is in the till's language. `shown` is the code as it was scanned, `doubt` why it proves nothing: then it is an
    identity and no more. `asked` are the bytes scanned or typed, for the server; `found` is the guest as the server
    told when asked, where the cache has none. `provisional`: was registered here, and the server has not told of them
    yet. `tier_room` is how much the tier may still take off today with such a code, minor units, None without bounds.
    """

    guest_id: UUID | None
    credential: Credential
    name: str
    tier: str
    tier_name: str
    points: int
    as_of: datetime | None
    member_no: str
    facts: GuestFacts | None
    allowance: Allowance
    shown: GuestCode | None = None
    doubt: Doubt | None = None
    asked: bytes = b""
    found: CachedGuest | None = None
    tier_room: int | None = None
    provisional: bool = False

    @property
    def permit(self) -> Permit:
        """Return what the code allows without the server."""
        return permit(self.credential.code, self.doubt)

    @property
    def evidence(self) -> bytes | None:
        """Return the raw bytes of an LD3 or LD4, which a redemption's record carries; None for other codes."""
        return None if self.shown is None else self.shown.evidence


class Guests:
    """Lookup by code, and the card shown for it."""

    def __init__(
        self,
        identity: Identity,
        journal: Journal,
        cache: Cache,
        clock: TrustedClock,
        programs: ProgramInForce,
        language: str,
    ) -> None:
        self._identity = identity
        self._journal = journal
        self._cache = cache
        self._clock = clock
        self._programs = programs
        self._language = language
        self._trust = Trust(identity, journal)
        self._chains = SeenChains()
        self._marks = GuestMarks(journal)

    @property
    def identity(self) -> Identity:
        """Return who this till is."""
        return self._identity

    def identify(self, data: bytes | str) -> GuestCard:
        """Return whose card, number or code this is; errors as `Checkout.identify`."""
        scanned = data.encode() if isinstance(data, str) else data
        return replace(self._identify(data), asked=scanned.strip())

    def answered(self, credential: Credential, found: CachedGuest, asked: bytes) -> GuestCard:
        """Return the card of a guest whom the server found by what was scanned or typed."""
        known = self._cache.guest(found.id)
        if known is not None:
            return replace(self._card(credential, known), asked=asked)
        return replace(self._card(credential, found), asked=asked, found=found)

    def name_of(self, guest: UUID) -> str:
        """Return what a guest is called as far as is known here, else an empty text."""
        known = self._cache.guest(guest)
        if known is not None:
            return known.row.name
        here = self.registration(guest=guest)
        return "" if here is None else self._registered_name(here)

    def registered(self, guest: UUID, credential: Credential) -> GuestCard:
        """Return the card of a guest registered here; raises `Refused` `card_unknown` where none was."""
        here = self.registration(guest=guest)
        if here is None:
            raise Refused("card_unknown")
        return self._provisional(credential, here)

    def registration(self, handle: int | None = None, guest: UUID | None = None) -> Record | None:
        """Return the newest registration made here of a card or of a guest; None where nobody can read it any more.

        One that was spoilt on the disk before it was sent is posted nowhere: its card can be handed out again.
        """
        sealed = self._journal.registered(handle=handle, guest=guest)
        return None if sealed is None else _readable(sealed)

    def waiting_with_phone(self, phone: str) -> GuestFields | None:
        """Return what a guest told who has this phone and was registered here, and whom the server has not got yet."""
        for sealed in self._journal.registrations_waiting():
            kept = self._journal.private(sealed.id)
            if kept is None or _readable(sealed) is None:
                continue
            fields = Private.from_bytes(kept).fields
            if fields.phone == phone:
                return fields
        return None

    def _identify(self, data: bytes | str) -> GuestCard:
        code = parse(data)
        if code.handle is not None:
            return self._by_handle(code, code.handle)
        if code.kind is CodeKind.NUMBER:
            found = self._cache.by_member_number(code.digits)
            if found is not None:
                return self._card(Credential(code.kind, None), found)
            # One phone in ten, typed without its country, passes for a member number.
            phones = self._of_phone(code.digits) if code.digits.startswith(_MOBILE) else []
            if phones:
                return self._by_phone(phones)
            if self._cache.state().complete:
                raise Refused("number_unknown")
            raise OnlyServerKnows("guests_loading", LookupBy.NUMBER)
        if code.kind is CodeKind.SHORT:
            raise OnlyServerKnows("needs_server", LookupBy.SHORT)
        return self._by_phone(self._of_phone(code.digits))

    def _by_phone(self, found: Sequence[CachedGuest]) -> GuestCard:
        """Return the one who has a phone; who has registered since the last pull is known at the server alone."""
        if len(found) != 1:
            # Of two who share it one may have another by now.
            raise OnlyServerKnows("needs_server", LookupBy.PHONE)
        return self._card(Credential(CodeKind.PHONE, None), found[0])

    def _of_phone(self, phone: str) -> list[CachedGuest]:
        key = self._journal.get(PHONE_KEY)
        try:
            known = text_to_bytes(key) if isinstance(key, str) else b""
        except ValueError:
            # Spoilt on the disk: the server finds the guest, and tells the key again at the next hello.
            known = b""
        return self._cache.by_phone_hash(bytes_to_text(phone_hash(known, e164(phone)))) if known else []

    def refresh(self, card: GuestCard) -> GuestCard:
        """Return the same guest as known now; while guests load again, as known before, without redemption.

        A code is not scanned again: what was in order then stays so, unless it has been revoked or has paid since.
        """
        if card.guest_id is None:
            shown = card.shown or GuestCode(card.credential.code, card.credential.handle)
            return self._of_handle(shown, shown.handle or 0, card.doubt)
        found = self._cache.guest(card.guest_id)
        if found is not None:
            return replace(self._card(card.credential, found, card.shown, card.doubt), asked=card.asked)
        if card.provisional:
            return replace(self.registered(card.guest_id, card.credential), asked=card.asked)
        if card.found is not None:
            return replace(self._card(card.credential, card.found), asked=card.asked, found=card.found)
        if self._cache.state().complete:
            raise Refused("number_unknown" if card.credential.handle is None else "card_unknown")
        return replace(card, allowance=LOADING)

    def online(self, card: GuestCard) -> GuestCard:
        """Return the card with what may be redeemed while the server answers.

        As it is where the server knows no such guest yet, or the till has doubts of the code that it can tell itself.
        """
        needs_server = card.credential.code is CodeKind.LD2
        if card.guest_id is None or card.provisional or (card.doubt is not None and not needs_server):
            return card
        return replace(card, allowance=allowance_online(self.profile(), card.points, card.credential.code))

    def _by_handle(self, code: GuestCode, handle: int) -> GuestCard:
        row = self._credential(handle)
        doubt = None
        if code.signed is not None:
            at, clock = to_ms(self._clock.corrected()), self._clock.confidence()
            lowest = 0 if row is None else row.generation
            network, keys = self._identity.network, self._trust.keys()
            doubt = doubt_of(code.signed, network, keys, at, clock, self._chains, lowest)
        if permit(code.kind, doubt) is Permit.NOTHING:
            raise Refused(doubt or "code_foreign")
        return self._of_handle(code, handle, doubt)

    def _of_handle(self, code: GuestCode, handle: int, doubt: Doubt | None) -> GuestCard:
        credential = Credential(code.kind, handle)
        found = self._cache.by_handle(handle)
        row = found.credential if isinstance(found, CachedGuest) else found
        if row is not None:
            _check(code.kind, row)
        if isinstance(found, CachedGuest):
            return self._card(credential, found, code, doubt)
        here = self.registration(handle=handle) if found is None else None
        if here is not None:
            return self._provisional(credential, here)
        if self._cache.state().complete and (code.signed is None or doubt is not None):
            raise Refused(doubt or "card_unknown")
        return self._unknown(credential, code, doubt)

    def _provisional(self, credential: Credential, registration: Record) -> GuestCard:
        """Return the card of somebody registered here whom the server has not told of yet: earning, never spending."""
        guest = registration.guest_id
        if guest is None:
            raise Refused("card_unknown")
        known = self._cache.guest(guest)
        if known is not None:
            return self._card(credential, known)
        name = self._registered_name(registration)
        program = self._programs.known()
        # Whoever joins has the tier that asks for nothing, from the first check on.
        tier = "" if program is None else reached(program, 0)
        card = self._card(credential, CachedGuest(guest, GuestRow(name=name, tier=tier)))
        return replace(card, allowance=PROVISIONAL, provisional=True)

    def _registered_name(self, registration: Record) -> str:
        """Return the name a guest gave here; it is kept beside the record only as long as it has to be."""
        kept = self._journal.private(registration.id)
        return "" if kept is None else Private.from_bytes(kept).fields.name

    def _credential(self, handle: int) -> CredentialState | None:
        found = self._cache.by_handle(handle)
        return found.credential if isinstance(found, CachedGuest) else found

    def _unknown(self, credential: Credential, code: GuestCode, doubt: Doubt | None) -> GuestCard:
        """Return the card of somebody whose data is not here; an LD4 in order tells the tier, so that it counts.

        Any other earns as in the tier that asks for nothing: with none at all the guest would lose the points of this
        check for good, for what a till records is what the server posts. Its discount waits for who it is.
        """
        told = self._tier_of(code.signed) if doubt is None else ""
        program = self._programs.known()
        tier = told or ("" if program is None else reached(program, 0))
        card = GuestCard(None, credential, "", tier, "", 0, None, "", GuestFacts(tier=tier), NOBODY, code, doubt)
        return card if told else replace(card, tier_room=0)

    def _tier_of(self, code: SignedCode | None) -> str:
        program = self._programs.known()
        if program is None or not isinstance(code, RotatingCode) or code.tier >= len(program.tiers):
            return ""
        return program.tiers[code.tier].code

    def _card(
        self,
        credential: Credential,
        found: CachedGuest,
        shown: GuestCode | None = None,
        doubt: Doubt | None = None,
    ) -> GuestCard:
        state = self._cache.state()
        overlay = self._journal.overlay(found.id, credential.handle, state.cursor)
        points = found.row.points + overlay.earned - overlay.redeemed
        as_of = None if state.synced_at is None else from_ms(state.synced_at)
        use = self._journal.offline_use(found.id, self._clock.now_ms())
        declined = self._marks.declined(found.id, state.synced_at)
        basis = Basis(
            known_points=0 if declined else found.row.points - overlay.redeemed,
            use=use,
            code=credential.code,
            clock=self._clock.confidence(),
            age_ms=None
            if state.synced_at is None
            else self._clock.elapsed_ms(state.synced_at, state.synced_boot, state.synced_monotonic),
            held=self._journal.redemption_held(),
            checked=self._journal.checked(),
            complete=state.complete,
            guest_limit=found.row.offline_limit,
            lifted=self._marks.lifted(found.id, use.guest_count, state.synced_at),
        )
        program = self._programs.known()
        tier = program.tier(found.row.tier) if program is not None else None
        names: Mapping[str, str] = tier.name if tier is not None else {}
        return GuestCard(
            guest_id=found.id,
            credential=credential,
            name=found.row.name,
            tier=found.row.tier,
            tier_name=names.get(self._language) or next(iter(names.values()), found.row.tier),
            points=points,
            as_of=as_of,
            member_no=found.row.member_no,
            facts=facts_of(
                found.id,
                found.row,
                points,
                _used(self._cache.uses(str(found.id)), overlay),
                as_of,
                Segmentation() if program is None else program.segmentation,
            ),
            allowance=self._narrowed(allowance(self.profile(), basis), credential, shown, doubt),
            shown=shown,
            doubt=doubt,
            tier_room=self._tier_room(found.id, credential.code, doubt),
        )

    def _tier_room(self, guest: UUID, code: CodeKind, doubt: Doubt | None) -> int | None:
        """Return how much the tier may take off the next check: a code anybody may have copied gets so much a day."""
        profile = self.profile()
        if not self._is_weak(code, doubt):
            return None
        day = business_day(self._journal, self._clock, self._identity.zone).isoformat()
        checks, given = self._journal.tier_discounts(guest, day)
        if self._marks.tier_lifted(guest, day, checks):
            return None
        return 0 if checks >= profile.tier_checks else max(0, profile.tier_discount - given)

    def is_weak(self, card: GuestCard) -> bool:
        """Return whether a card's code gives the tier's discount within bounds alone: anybody may have copied it."""
        return self._is_weak(card.credential.code, card.doubt)

    def _is_weak(self, code: CodeKind, doubt: Doubt | None) -> bool:
        return code.value not in self.profile().tier_codes or doubt is not None

    def _narrowed(
        self, allowed: Allowance, credential: Credential, shown: GuestCode | None, doubt: Doubt | None
    ) -> Allowance:
        """Return what the code leaves of the limits: nothing where it is in doubt, revoked since, or has paid."""
        if credential.code is CodeKind.LD2:
            return narrowed(allowed, NEEDS_SERVER)
        if doubt is None and shown is not None and shown.signed is not None:
            doubt = self._doubt_since(shown.signed)
        return allowed if doubt is None else narrowed(allowed, doubt)

    def _doubt_since(self, code: SignedCode) -> Doubt | None:
        row, key = self._credential(code.handle), self._trust.keys().key(code.kid)
        if row is not None and code.generation < row.generation:
            return Doubt.REVOKED
        if key is None or key.revoked_at is not None:
            return Doubt.KEY_REVOKED
        return replay_of(code, row, self._journal)

    def profile(self) -> ProfileRow:
        """Return the limits of this store."""
        store = self._cache.store(self._identity.store)
        return self._cache.profile(store.profile if store is not None else "default") or ProfileRow()


def _readable(sealed: SealedRecord) -> Record | None:
    try:
        return Record.from_payload(sealed.payload)
    except BadRecord:
        return None


def _check(kind: CodeKind, row: CredentialState) -> None:
    if row.state != _ACTIVE:
        raise Refused("card_blocked")
    if kind in _KINDS and row.kind not in _KINDS[kind]:
        raise Refused("card_kind")


def _used(uses: list[tuple[str, str, int]], overlay: Overlay) -> dict[tuple[str, str], int]:
    """Return the server's counters of a guest with what this till has added since, by rule and period."""
    used = {(rule, period): count for rule, period, count in uses}
    for rule, day, count in overlay.uses:
        for period in _periods(day):
            used[rule, period] = used.get((rule, period), 0) + count
    return {key: max(0, count) for key, count in used.items()}


def _periods(day: str) -> tuple[str, ...]:
    """Return the periods that a use on a business day counts in, all time among them."""
    on = date_of(day)
    if on is None:
        return ("",)
    local = datetime(on.year, on.month, on.day, tzinfo=UTC)
    return tuple(period_of(local, one) for one in ("", "day", "week", "month", "year"))
