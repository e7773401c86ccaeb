"""Who somebody at the till is: staff of this store, their PINs, and the pause after wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.ports.cache import Cache
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import Journal, PinLog, PinTries
from loyalty_desk.services.trusted_clock import TrustedClock

TRIES = 5
WITHIN_MS = 10 * 60 * 1_000
LONGEST_MS = 2 * 60 * 60 * 1_000
MANAGERS = frozenset({"manager", "owner"})

type Verify = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who may stand at this till; `has_pin` says whether they can log in here."""

    id: str
    name: str
    role: str
    has_pin: bool

    @property
    def is_manager(self) -> bool:
        """Return whether they may approve what a cashier may not do alone."""
        return self.role in MANAGERS


class Pins:
    """`verify(hash, pin)` is slow on purpose: call these off the main thread.

    Tries are kept in the journal before a PIN is looked at, so that neither a restart nor a pulled plug gives more of
    them: five in ten minutes, then a pause that doubles with every further wrong one, up to two hours.
    """

    def __init__(
        self, identity: Identity, journal: Journal, log: PinLog, cache: Cache, clock: TrustedClock, verify: Verify
    ) -> None:
        self._identity = identity
        self._journal = journal
        self._log = log
        self._cache = cache
        self._clock = clock
        self._verify = verify

    def members(self) -> list[Member]:
        """Return the staff of this store, by name."""
        store = str(self._identity.store)
        found = [
            Member(key, row.name, row.role, bool(row.pin))
            for key, row in self._cache.staff()
            if not row.stores or store in row.stores
        ]
        return sorted(found, key=lambda one: (one.name, one.id))

    def find(self, who: str) -> Member:
        """Return somebody by id or by name; raises `Refused` `staff_unknown`, `staff_ambiguous`."""
        wanted = who.strip()
        members = self.members()
        found = [one for one in members if one.id == wanted] or [
            one for one in members if one.name.casefold() == wanted.casefold()
        ]
        if not found:
            raise Refused("staff_unknown", name=wanted[:40])
        if len(found) > 1:
            raise Refused("staff_ambiguous", name=wanted[:40])
        return found[0]

    def cashier(self, who: str, pin: str) -> Member:
        """Return who that is if the PIN is theirs.

        Raises `Refused` as `find`, and `pin_missing`, `pin_wrong` (`tries` left), `pin_pause` (`until`).
        """
        return self._check(self.find(who), pin)

    def manager(self, who: str, pin: str) -> Member:
        """Return the manager who approves; raises `Refused` as `cashier`, and `not_a_manager` before any try."""
        member = self.find(who)
        if not member.is_manager:
            raise Refused("not_a_manager", name=member.name)
        return self._check(member, pin)

    def _check(self, member: Member, pin: str) -> Member:
        hashed = next((row.pin for key, row in self._cache.staff() if key == member.id), "")
        if not hashed:
            raise Refused("pin_missing", name=member.name)
        now = self._clock.now_ms()
        tries = self._standing(self._log.pin_tries(member.id), now)
        if tries.until > now:
            raise Refused("pin_pause", until=from_ms(tries.until), name=member.name)
        failed = tries.failed + 1
        pause = 0 if failed < TRIES else min(WITHIN_MS << (failed - TRIES), LONGEST_MS)
        # Counted before it is looked at: whoever pulls the plug at the right moment gains no try.
        counted = PinTries(failed, now + pause if pause else 0, tries.since or now)
        self._log.note_pin(member.id, counted)
        if self._verify(hashed, pin):
            self._log.note_pin(member.id, PinTries())
            return member
        if pause:
            self._journal.notify("pin_tried", {"name": member.name, "count": failed}, now)
            raise Refused("pin_pause", until=from_ms(counted.until), name=member.name)
        raise Refused("pin_wrong", tries=TRIES - failed)

    def _standing(self, tries: PinTries, now: int) -> PinTries:
        """Return the tries that still count; a clock that was put back neither ends a pause nor makes it endless."""
        if tries.failed < TRIES:
            return tries if 0 <= now - tries.since <= WITHIN_MS else PinTries()
        if tries.until - now > LONGEST_MS:
            return PinTries(tries.failed, now + LONGEST_MS, now)
        if now - tries.until > LONGEST_MS:
            return PinTries()
        return tries
