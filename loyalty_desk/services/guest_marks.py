"""What is remembered of a guest at this till until the next sync: a declined redemption, and limits lifted once."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.services.ports.journal import Journal

_DECLINED = "declined"
_LIFTED = "lifted"
_TIER = "tier_lifted"
_MOST = 200


class GuestMarks:
    """Small settings in the journal, by guest; a mark counts while what it was made at still stands."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def declined(self, guest: UUID, synced_at: int | None) -> bool:
        """Return whether the server has declined a redemption of this guest since the last completed pull."""
        return _mark(self._kept(_DECLINED), guest) == [synced_at]

    def decline(self, guest: UUID, synced_at: int | None) -> Mapping[str, Json]:
        """Return the settings that say so until the next pull."""
        return self._with(_DECLINED, guest, [synced_at])

    def lifted(self, guest: UUID, count: int, synced_at: int | None) -> bool:
        """Return whether a manager has lifted the upper consecutive limit for the redemption after `count` of them."""
        return _mark(self._kept(_LIFTED), guest) == [count, synced_at]

    def lift_used(self, guest: UUID, count: int, synced_at: int | None) -> bool:
        """Return whether it was lifted since the last pull, and the redemption made."""
        found = _mark(self._kept(_LIFTED), guest)
        return len(found) == 2 and found[1] == synced_at and isinstance(found[0], int) and found[0] < count

    def lift(self, guest: UUID, count: int, synced_at: int | None) -> Mapping[str, Json]:
        """Return the settings that lift the limit for the next redemption."""
        return self._with(_LIFTED, guest, [count, synced_at])

    def tier_lifted(self, guest: UUID, day: str, checks: int) -> bool:
        """Return whether a manager has let the tier's discount through for the next check of a business day."""
        return _mark(self._kept(_TIER), guest) == [day, checks]

    def lift_tier(self, guest: UUID, day: str, checks: int) -> Mapping[str, Json]:
        """Return the settings that let the tier's discount through once."""
        return self._with(_TIER, guest, [day, checks])

    def _kept(self, name: str) -> Mapping[str, Json]:
        kept = self._journal.get(name)
        return kept if isinstance(kept, Mapping) else {}

    def _with(self, name: str, guest: UUID, mark: list[Json]) -> dict[str, Json]:
        others = {key: value for key, value in self._kept(name).items() if key != _key(guest)}
        # Which of too many go does not matter: a lost mark only asks the server, or for a PIN, again.
        kept = list(others.items())[-(_MOST - 1) :]
        return {name: {**dict(kept), _key(guest): mark}}


def _mark(kept: Mapping[str, Json], guest: UUID) -> list[Json]:
    """Return a guest's mark, an empty list where there is none."""
    found = kept.get(_key(guest))
    return found if isinstance(found, list) else []


def _key(guest: UUID) -> str:
    # A key of canonical JSON has no hyphens.
    return guest.hex
