"""Who sells at this till: whoever is logged in; in no shift, the first cashier of this store the server sent."""

from __future__ import annotations

from loyalty_desk.services.ports.cache import Cache
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import Journal

CASHIER_NOW = "cashier_now"
_KEY = "cashier"


class Cashier:
    """The staff id that records carry; kept in the journal, so that a lost cache does not lose it."""

    def __init__(self, identity: Identity, journal: Journal, cache: Cache) -> None:
        self._identity = identity
        self._journal = journal
        self._cache = cache

    def id(self) -> str | None:
        """Return the staff id, None while no staff has arrived."""
        found = self._known()
        return None if found is None else found[0]

    def name(self) -> str:
        """Return what people call who has the shift, empty while none is open."""
        found = _pair(self._journal.get(CASHIER_NOW))
        return "" if found is None else found[1]

    def remember(self) -> None:
        """Keep who it is now; called when a pull has completed."""
        found = self._find()
        if found is not None and self._journal.get(_KEY) != list(found):
            self._journal.put(_KEY, list(found))

    def _known(self) -> tuple[str, str] | None:
        return _pair(self._journal.get(CASHIER_NOW)) or self._find() or _pair(self._journal.get(_KEY))

    def _find(self) -> tuple[str, str] | None:
        store = str(self._identity.store)
        for key, row in self._cache.staff():
            if row.role == "cashier" and (not row.stores or store in row.stores):
                return key, row.name
        return None


def _pair(kept: object) -> tuple[str, str] | None:
    return (str(kept[0]), str(kept[1])) if isinstance(kept, list) and len(kept) == 2 else None
