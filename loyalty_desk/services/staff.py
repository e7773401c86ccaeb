"""Who sells at this till. Until shifts come it is the first cashier of this store in the staff the server sent."""

from __future__ import annotations

from loyalty_desk.services.ports import Cache, Identity, Journal

_KEY = "cashier"


class Cashier:
    """The staff id that records carry; kept in the journal, so that a lost cache does not lose it."""

    def __init__(self, identity: Identity, journal: Journal, cache: Cache) -> None:
        self._identity = identity
        self._journal = journal
        self._cache = cache

    def id(self) -> str | None:
        """Return the staff id, None while no staff has arrived."""
        found = self._find()
        if found is not None:
            return found[0]
        kept = self._journal.get(_KEY)
        return str(kept[0]) if isinstance(kept, list) and kept else None

    def name(self) -> str:
        """Return what people call them, empty while no staff has arrived."""
        found = self._find()
        if found is not None:
            return found[1]
        kept = self._journal.get(_KEY)
        return str(kept[1]) if isinstance(kept, list) and len(kept) == 2 else ""

    def remember(self) -> None:
        """Keep who it is now; called when a pull has completed."""
        found = self._find()
        if found is not None and self._journal.get(_KEY) != list(found):
            self._journal.put(_KEY, list(found))

    def _find(self) -> tuple[str, str] | None:
        store = str(self._identity.store)
        for key, row in self._cache.staff():
            if row.role == "cashier" and (not row.stores or store in row.stores):
                return key, row.name
        return None
