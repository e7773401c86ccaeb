"""What is looked at beside a batch's postings: evidence, steps shown twice, lapsed holds, what weak codes gave.

Nothing here refuses a record. What does not hold becomes an exception, and an offline
redemption that nothing bears is charged to the store that took it instead of the guest.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.code_proof import Doubt, ShownStep
from loyalty_desk.domain.contents import hold_of
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.quote import TIER_RULE
from loyalty_desk.domain.record import ExceptionKind, Record, RecordKind
from loyalty_desk.wire.v1.rows import ProfileRow
from server.holds.service import Settled
from server.kit.feed import Change
from server.ledger.evidence import Card, doubts, needs_proof, step_shown
from server.ledger.guard_store import GuardStore, StepUse, TierUse, UnprovedUse
from server.ledger.late import Reinstate, late_sales
from server.ledger.posting import Fact, Raised, TermsOf
from server.ledger.returns import SALES


class Guards:
    """The guards of one batch; `look` before guests are locked, `weigh` after, `changes` go into the feed with it."""

    def __init__(self, store: GuardStore, now: datetime) -> None:
        self._store = store
        self._now = now
        self._cards: Mapping[int, Card] = {}
        self._doubts: Mapping[UUID, Doubt] = {}
        self._profiles: dict[UUID, ProfileRow] = {}
        self._past: dict[UUID, list[tuple[datetime, ProfileRow]]] = {}
        self.changes: list[Change] = []

    async def look(self, facts: Sequence[Fact], earliest: Mapping[UUID, int]) -> None:
        """Check the evidence of redemptions; `earliest` is before when records cannot have been made, by their ids."""
        spent = [fact for fact in facts if needs_proof(fact.record)]
        if not spent:
            return
        handles = {one.record.credential.handle for one in spent if one.record.credential is not None} - {None}
        self._cards = await self._store.cards(sorted(handle for handle in handles if handle is not None))
        keys = await self._store.key_set()
        # Following a chain to its root is some 20 000 hashes: others are answered meanwhile.
        self._doubts = await asyncio.to_thread(doubts, spent, keys, self._cards, earliest, to_ms(self._now))

    async def weigh(self, facts: Sequence[Fact]) -> list[Fact]:
        """Return the facts with what the guards found; the guests' accounts are locked."""
        holds = await self._end_holds(facts)
        found: dict[UUID, list[Raised]] = {}
        doubts = {**await self._too_much(facts), **self._doubts}
        borne: set[UUID] = set()
        for fact in facts:
            held = holds.get(fact.record.id)
            if held is not None and held.known is not None:
                if _is_borne(fact, held):
                    doubts.pop(fact.record.id, None)
                    borne.add(fact.record.id)
                if not held.in_time:
                    details: dict[str, Json] = {"hold": str(held.hold), "state": held.state}
                    found.setdefault(fact.record.id, []).append(Raised(ExceptionKind.HOLD_EXPIRED, fact.guest, details))
        unproved = {fact.record.id for fact in facts if _is_unproved(fact.record)} - doubts.keys() - borne
        for tx, raised in (await self._too_much_a_day(facts, unproved)).items():
            doubts[tx] = Doubt.MISSING
            found.setdefault(tx, []).append(raised)
        for tx, raised in (await self._steps(facts, holds, doubts)).items():
            found.setdefault(tx, []).append(raised)
        for tx, raised in (await self._stopped(facts)).items():
            found.setdefault(tx, []).append(raised)
        for tx, raised in (await self._tiers(facts)).items():
            found.setdefault(tx, []).append(raised)
        made = [_weighed(fact, found.get(fact.record.id, ()), doubts.get(fact.record.id)) for fact in facts]
        return [_with_sale(fact, doubts) for fact in made]

    async def late(self, facts: list[Fact], terms_of: TermsOf) -> list[Fact]:
        """Flag sales for which expired points came back; raises `Reinstate` where some still have to.

        `facts` are weighed; `terms_of` says how long a sale keeps points alive. The others that are late are marked:
        what they do to points that another one has brought back shows when they are posted.
        """
        wanted = late_sales(facts, terms_of, to_ms(self._now))
        if not wanted:
            return facts
        missing, done = await self._store.late(wanted)
        if missing:
            raise Reinstate(missing)
        made, late, now = [], {one.sale for one in wanted}, to_ms(self._now)
        for fact in facts:
            if fact.record.id in done:
                woken = Raised(ExceptionKind.LATE_EXPIRY, fact.guest, {"at": fact.effective_at})
                made.append(replace(fact, raised=(*fact.raised, woken)))
            else:
                made.append(replace(fact, late_at=now) if fact.record.id in late else fact)
        return made

    async def _end_holds(self, facts: Iterable[Fact]) -> dict[UUID, Settled]:
        """End the holds that sales name and return what became of each, by sale; it is the first one's alone."""
        named = {
            (fact.record.id, fact.record.device): hold for fact in facts if (hold := _hold(fact.record)) is not None
        }
        if not named:
            return {}
        first: dict[UUID, tuple[UUID, UUID]] = {}
        for sale, hold in named.items():
            first.setdefault(hold, sale)
        ended = await self._store.end_holds(first, self._now)
        return {
            sale[0]: ended[hold] if first[hold] == sale else replace(ended[hold], in_time=False)
            for sale, hold in named.items()
        }

    async def _steps(
        self, facts: Iterable[Fact], holds: Mapping[UUID, Settled], doubts: dict[UUID, Doubt]
    ) -> dict[UUID, Raised]:
        """Note the steps that paid, and return which of them had paid before; adds to `doubts` what may pay nothing."""
        uses: list[StepUse] = []
        cursors: dict[UUID, int] = {}
        for fact in facts:
            record = fact.record
            shown = _step(record, holds.get(record.id))
            # What is not proved shows nothing: anybody could use up a guest's steps by naming them.
            if shown is not None and record.id not in doubts:
                uses.append(StepUse(shown, record.id, record.device, fact.effective_at))
                cursors[record.id] = record.cache_feed_seq or 0
        if not uses:
            return {}
        paid = await self._store.put_steps(uses, self._now)
        fresh = [one.tx for one in uses]
        raised: dict[UUID, Raised] = {}
        for place, one in enumerate(uses):
            later = set(fresh[place:])
            before = [(tx, device) for tx, device in paid.get(one.shown, ()) if tx not in later]
            told = self._was_told(one, cursors[one.tx])
            if not before and not told:
                continue
            details: dict[str, Json] = {"step": one.shown.step, "paid_for": [str(tx) for tx, _ in before[:_SHOWN]]}
            raised[one.tx] = Raised(ExceptionKind.REPLAY, None, details)
            if told or any(device == one.device for _, device in before):
                # This till knew it: a step pays once at a till, and never where the till had been told (INV-20).
                doubts[one.tx] = Doubt.REPLAYED
        self.changes += await self._store.put_last_steps(_last(uses))
        return raised

    def _was_told(self, use: StepUse, cursor: int) -> bool:
        card = self._cards.get(use.shown.handle)
        if card is None or card.root != use.shown.root or not card.told_at:
            return False
        return use.shown.step <= card.step and cursor >= card.told_at

    async def _stopped(self, facts: Sequence[Fact]) -> dict[UUID, Raised]:
        """Return the sales at which a card was shown that had been blocked by then: the till could not know of it."""
        shown = {
            fact.record.id: (fact, fact.record.credential.handle)
            for fact in facts
            if fact.record.kind in SALES
            and fact.record.credential is not None
            and fact.record.credential.handle is not None
        }
        stopped = await self._store.stopped({handle for _, handle in shown.values()}) if shown else {}
        return {
            tx: Raised(ExceptionKind.REVOKED, fact.guest, {"stopped_at": at, "points": fact.record.points_redeemed})
            for tx, (fact, handle) in shown.items()
            if (at := stopped.get(handle)) is not None and at <= fact.effective_at
        }

    async def _too_much(self, facts: Iterable[Fact]) -> dict[UUID, Doubt]:
        """Return the redemptions that are more than what was shown may redeem without the server: no till allows it."""
        made: dict[UUID, Doubt] = {}
        for fact in facts:
            record = fact.record
            if record.kind in SALES and record.points_redeemed and not needs_proof(record):
                shown = "" if record.credential is None else record.credential.code.value
                limit, wanted = partial(_of_a_sale, shown), record.points_redeemed
                if wanted > await self._most(record.store, fact.effective_at, wanted, limit):
                    made[record.id] = Doubt.MISSING
        return made

    async def _too_much_a_day(self, facts: Sequence[Fact], unproved: Iterable[UUID]) -> dict[UUID, Raised]:
        """Return the redemptions by which a till has taken more in a day than several outages allow, none of it proved.

        An honest till takes `device_points` between two pulls at most, and asks the server while that answers. One that
        was tampered with pulls as often as it likes and names any guest, so it is held to the day. What the till itself
        has voided since counts no more: its own journal has one order, so whatever way it comes, the same are charged.
        """
        wanted = set(unproved)
        uses = {
            one.record.id: UnprovedUse(
                one.record.device, one.effective_at // _DAY_MS, one.record.id, one.record.points_redeemed
            )
            for one in facts
            if one.record.id in wanted
        }
        voided = {of for one in facts if (of := _voids_own(one)) is not None}
        gone = {one.tx: one for one in await self._store.take_unproved(voided - uses.keys())} if voided else {}
        if not uses:
            return {}
        so_far = Counter(await self._store.unproved({(one.device, one.day) for one in uses.values()}))
        for one in gone.values():
            so_far[one.device, one.day] += one.points
        made: dict[UUID, Raised] = {}
        standing = {**uses, **gone}
        for fact in facts:
            of = _voids_own(fact)
            undone = None if of is None else standing.pop(of, None)
            if undone is not None:
                so_far[undone.device, undone.day] -= undone.points
            use = uses.get(fact.record.id)
            if use is None:
                continue
            so_far[use.device, use.day] += use.points
            taken = so_far[use.device, use.day]
            most = await self._most(fact.record.store, use.day * _DAY_MS, taken, _of_a_day)
            if taken > most:
                details: dict[str, Json] = {"unproved": taken, "limit": most}
                made[use.tx] = Raised(ExceptionKind.VELOCITY, fact.guest, details)
        left = [one for one in uses.values() if one.tx not in voided]
        if left:
            await self._store.put_unproved(left, self._now)
        return made

    async def _most(self, store: UUID, at: int, wanted: int, limit: Callable[[ProfileRow], int]) -> int:
        """Return the limit that `wanted` is held to: where it is above the present one, the highest known at `at`.

        A till redeems by limits that are up to `max_age_hours` old: nobody is charged for what was allowed at the time.
        """
        most = limit(await self._profile(store))
        if wanted <= most:
            return most
        if store not in self._past:
            self._past[store] = await self._store.past_profiles(store)
        known = (one for until, one in self._past[store] if at < to_ms(until) + one.max_age_hours * _HOUR_MS)
        return max([most, *map(limit, known)])

    async def _profile(self, store: UUID) -> ProfileRow:
        if store not in self._profiles:
            self._profiles[store] = await self._store.profile(store)
        return self._profiles[store]

    async def _tiers(self, facts: Iterable[Fact]) -> dict[UUID, Raised]:
        uses: list[TierUse] = []
        limits: dict[UUID, ProfileRow] = {}
        for fact in facts:
            record = fact.record
            amount = _tier_discount(record)
            if fact.guest is None or amount <= 0:
                continue
            profile = await self._profile(record.store)
            if record.credential is None or record.credential.code.value not in profile.tier_codes:
                uses.append(TierUse(fact.guest, record.business_day, record.id, record.device, amount))
                limits[record.id] = profile
        if not uses:
            return {}
        found = await self._store.put_tier_uses(uses, self._now)
        fresh = [one.tx for one in uses]
        raised: dict[UUID, Raised] = {}
        for place, one in enumerate(uses):
            later = set(fresh[place + 1 :])
            day = [other for other in found[one.guest, one.business_day] if other.tx not in later]
            total, limit = sum(other.amount for other in day), limits[one.tx]
            # What one till gives beyond its bounds a manager has confirmed there.
            is_across = len({other.device for other in day}) > 1
            if is_across and (len(day) > limit.tier_checks or total > limit.tier_discount):
                details: dict[str, Json] = {"day": one.business_day, "checks": len(day), "discount": total}
                raised[one.tx] = Raised(ExceptionKind.VELOCITY, one.guest, details)
        return raised


_SHOWN = 20
_HOUR_MS = 60 * 60 * 1000
_DAY_MS = 24 * _HOUR_MS
_OUTAGES_A_DAY, _LEAST_AN_OUTAGE = 4, ProfileRow().device_points


def _weighed(fact: Fact, found: Sequence[Raised], doubt: Doubt | None) -> Fact:
    if doubt is None:
        return replace(fact, raised=(*fact.raised, *found)) if found else fact
    points = fact.record.points_redeemed
    evidence = Raised(ExceptionKind.EVIDENCE, fact.guest, {"reason": doubt.value, "points": points})
    return replace(fact, raised=(*fact.raised, *found, evidence), is_stores=True)


def _with_sale(fact: Fact, doubts: Mapping[UUID, Doubt]) -> Fact:
    """Return a return that knows whether its sale, of this very batch, was charged to the store."""
    back = fact.returning
    if back is None or back.original.id not in doubts:
        return fact
    return replace(fact, returning=replace(back, is_stores=True))


def _is_unproved(record: Record) -> bool:
    """Return whether a record spends points with what anybody could have copied or typed: all but a rotating code."""
    shown = record.credential
    spends = record.kind in SALES and record.points_redeemed > 0
    return spends and (shown is None or shown.code is not CodeKind.LD4)


def _of_a_sale(code: str, profile: ProfileRow) -> int:
    return profile.cvm.get(code, 0)


def _of_a_day(profile: ProfileRow) -> int:
    # Several outages in a day are no fraud, and no store is charged for having set little for each.
    return _OUTAGES_A_DAY * max(profile.device_points, _LEAST_AN_OUTAGE)


def _voids_own(fact: Fact) -> UUID | None:
    """Return the sale that a till has voided itself, None where it has not."""
    back = fact.returning
    if fact.record.kind is not RecordKind.VOID or back is None or back.original.device != fact.record.device:
        return None
    return back.original.id


def _hold(record: Record) -> UUID | None:
    if record.kind not in SALES or record.points_redeemed <= 0:
        return None
    try:
        return hold_of(record.check)
    except BadInput:
        return None


def _is_borne(fact: Fact, held: Settled) -> bool:
    """Return whether the server itself saw proof when it gave the hold: for this sale, guest, till and amount."""
    known, record = held.known, fact.record
    return (
        known is not None
        and known.tx == record.id
        and known.guest == fact.guest
        and known.device == record.device
        and known.amount >= record.points_redeemed
    )


def _step(record: Record, held: Settled | None) -> ShownStep | None:
    shown = record.credential
    if held is not None and held.known is not None and held.known.tx == record.id and held.known.root is not None:
        handle = None if shown is None else shown.handle
        step = held.known.step
        return None if handle is None or step is None else ShownStep(handle, held.known.root, step)
    return step_shown(record)


def _last(uses: Sequence[StepUse]) -> list[StepUse]:
    """Return one use for each credential: the one made last, and of those the highest step."""
    made: dict[int, StepUse] = {}
    for one in sorted(uses, key=lambda use: (use.at, use.shown.step)):
        made[one.shown.handle] = one
    return list(made.values())


def _names_tier(check: Mapping[str, Any]) -> bool:
    """Return whether any discount is the tier's: nearly none is, and reading a check with care takes longer."""
    try:
        return any(discount["rule"] == TIER_RULE for line in check["lines"] for discount in line.get("discounts") or ())
    except (AttributeError, KeyError, TypeError):
        return False


def _tier_discount(record: Record) -> int:
    """Return what the guest's tier took off a sale, minor units; a check that cannot be read took nothing."""
    if record.kind not in SALES or not record.check or not _names_tier(record.check):
        return 0
    try:
        lines = Fields(record.check, "check").objects("lines")
        return sum(
            discount.integer("amount", None)
            for line in lines
            for discount in line.objects("discounts")
            if discount.text("rule", None) == TIER_RULE
        )
    except BadInput:
        return 0
