"""Who and where: stores, channels, tiers, segments, tags, named and new guests, the Nth visit."""

# ruff: noqa: ARG002 - all conditions answer the same question, few need all of it

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import NO_GUEST, VISITS, Condition, Reason
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally

OTHER_STORE = Reason("other_store")
NOT_FOR_THIS_GUEST = Reason("not_for_this_guest")


class Stores(Condition):
    """`stores`: only in these stores."""

    __slots__ = ("stores",)

    def __init__(self, f: Fields) -> None:
        self.stores = frozenset(f.texts("stores", needed=True))

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the check's store is named."""
        return tally.basket.store in self.stores

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that it is another store."""
        return OTHER_STORE


class Channels(Condition):
    """`channels`: only at the till, on the web, or through a partner."""

    __slots__ = ("channels",)

    def __init__(self, f: Fields) -> None:
        self.channels = frozenset(f.texts("channels", needed=True))

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the check's channel is named."""
        return tally.basket.channel in self.channels

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that it is another channel."""
        return Reason("other_channel", {"channels": sorted(self.channels)})


class AnyGuest(Condition):
    """`guest`: any known guest."""

    __slots__ = ()

    def __init__(self, f: Fields) -> None:
        del f

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether there is a guest."""
        return tally.guest is not None

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that there is none."""
        return NO_GUEST


class Tiers(Condition):
    """`tiers`: only guests of these tiers, by code."""

    __slots__ = ("reason", "tiers")

    def __init__(self, f: Fields) -> None:
        self.tiers = frozenset(f.texts("tiers", needed=True))
        self.reason = Reason("other_tier", {"tiers": sorted(self.tiers)})

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the guest's tier is named."""
        return tally.guest is not None and tally.guest.tier in self.tiers

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that there is no guest, or one of another tier."""
        return self.reason if tally.guest else NO_GUEST


class Segments(Condition):
    """`segments`: only guests of one of these segments."""

    __slots__ = ("reason", "segments")

    def __init__(self, f: Fields) -> None:
        self.segments = frozenset(f.texts("segments", needed=True))
        self.reason = Reason("other_segment", {"segments": sorted(self.segments)})

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the guest is in one of them."""
        return tally.guest is not None and not self.segments.isdisjoint(tally.guest.segments)

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that there is no guest, or one of other segments."""
        return self.reason if tally.guest else NO_GUEST


class Tags(Condition):
    """`tags`: only guests with one of these tags; the tags are never said aloud."""

    __slots__ = ("tags",)

    def __init__(self, f: Fields) -> None:
        self.tags = frozenset(f.texts("tags", needed=True))

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the guest has one of them."""
        return tally.guest is not None and not self.tags.isdisjoint(tally.guest.tags)

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that there is no guest, or that the offer is for others."""
        return NOT_FOR_THIS_GUEST if tally.guest else NO_GUEST


class Guests(Condition):
    """`guests`: only these guests, by id."""

    __slots__ = ("guests",)

    def __init__(self, f: Fields) -> None:
        self.guests = frozenset(text.lower() for text in f.texts("guests", needed=True))

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the guest is named."""
        return tally.guest is not None and str(tally.guest.guest_id) in self.guests

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that there is no guest, or that the offer is for others."""
        return NOT_FOR_THIS_GUEST if tally.guest else NO_GUEST


class NewGuest(Condition):
    """`new_guest`: the first paid check of a guest."""

    __slots__ = ()

    def __init__(self, f: Fields) -> None:
        del f

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the guest has not paid a check yet."""
        return tally.guest is not None and tally.guest.paid_visits == 0

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that there is no guest, or one who has been here."""
        return Reason("not_first_visit") if tally.guest else NO_GUEST


class NthVisit(Condition):
    """`nth_visit`: the `n`th paid check of a guest, or every `every`th."""

    __slots__ = ("every", "n")

    def __init__(self, f: Fields) -> None:
        self.n = f.integer("n", 0, low=0)
        self.every = f.integer("every", 0, low=0)
        if (self.n == 0) == (self.every == 0):
            raise f.wrong("n", "one_of:n,every")

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether this check is that visit."""
        if tally.guest is None:
            return False
        visit = tally.guest.paid_visits + 1
        return visit == self.n if self.n else visit % self.every == 0

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return which visit this is and how many are missing."""
        if tally.guest is None:
            return NO_GUEST
        visit = tally.guest.paid_visits + 1
        if self.n and visit > self.n:
            return Reason("visit_passed", {"n": self.n, "visit": visit})
        missing = self.n - visit if self.n else -visit % self.every
        facts = {"n": self.n or self.every, "visit": visit, "missing": missing}
        return Reason("visit_nth" if self.n else "visit_every", facts, VISITS, missing)


class Referred(Condition):
    """`referral`: the first paid check of a guest whom a friend brought."""

    __slots__ = ()

    def __init__(self, f: Fields) -> None:
        del f

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the guest was referred and has not paid a check yet."""
        return tally.guest is not None and tally.guest.referred and tally.guest.paid_visits == 0

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that nobody brought this guest, or it is not the first visit."""
        if tally.guest is None:
            return NO_GUEST
        return Reason("not_first_visit") if tally.guest.referred else Reason("not_referred")
