"""What each kind of exception means and what is to be done about it, for the manager who reads the list."""

from __future__ import annotations

from collections.abc import Mapping

from loyalty_desk.domain.record import ExceptionKind

EXCEPTIONS: Mapping[ExceptionKind, str] = {
    ExceptionKind.OVERDRAFT: (
        "More points were used than there were, at tills that were cut off. What the guest earns next pays it back."
    ),
    ExceptionKind.FORK: "Two copies of a till's journal have sold. If two machines work as one till, pair both anew.",
    ExceptionKind.CLOCK: "A till's clock was wrong. All is posted; set the clock right.",
    ExceptionKind.LATE_EXPIRY: (
        "A sale from before points died came after, and woke them. Woken points stay, also where the sale was cancelled"
        " since ('of' names it): look whether it was meant, and if not take them back by hand (F9 at a till)."
    ),
    ExceptionKind.REPLAY: "One code of a phone has paid twice. Ask the guest whether both purchases are theirs.",
    ExceptionKind.HOLD_EXPIRED: (
        "A sale came after its held points were free again. It is posted all the same; look only where the guest was"
        " overdrawn as well (OVERDRAFT)."
    ),
    ExceptionKind.REVOKED: (
        "A card was shown that had been blocked by then. If points were used, give them back to the guest by hand."
    ),
    ExceptionKind.ID_REUSE: (
        "One record came in two versions. The first stands, the other is in quarantine: somebody has changed it."
    ),
    ExceptionKind.RULE_DRIFT: "The server reckons a sale otherwise than its till did. The till's figures stand.",
    ExceptionKind.EVIDENCE: (
        "What a till says of a guest is not proved. Where points were used the store bears them, not the guest."
    ),
    ExceptionKind.VELOCITY: (
        "More in a day than is usual for one guest or till. Points that wait: loyalty-server held list."
    ),
    ExceptionKind.HOLE: "Records of a till are missing. Look for its old disk or a copy: they can still be brought.",
    ExceptionKind.SALVAGED: "Records were brought by another till or by hand, and are posted.",
    ExceptionKind.UNKNOWN_GUEST: (
        "Points of a guest or card that nobody knows yet. They move by themselves once the guest is known."
    ),
    ExceptionKind.EXCESS_RETURN: "More came back of a sale than it was. The store bears what is above it.",
    ExceptionKind.PHONE_TAKEN: (
        "Somebody registered with a phone or card that another guest has. If it is one person: loyalty-server guests"
        " merge."
    ),
}
