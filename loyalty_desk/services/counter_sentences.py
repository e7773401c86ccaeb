"""Sentences of the counter: staff, shifts, returns, points by request, operations by hand, registration."""

from __future__ import annotations

from collections.abc import Mapping

from loyalty_desk.language import mark as _

COUNTER: Mapping[str, str] = {
    # staff and shifts
    "staff_unknown": _("Nobody called “{name}” works in this store."),
    "staff_ambiguous": _("More than one person here is called “{name}”. Choose from the list."),
    "pin_missing": _("{name} has no PIN yet. The manager gives one."),
    "pin_wrong": _("The PIN is wrong. Tries left: {tries}."),
    "pin_pause": _("Too many wrong PINs of {name}. Try again after {until}."),
    "pin_tried": _("Somebody has typed a wrong PIN of {name} {count} times."),
    "not_a_manager": _("{name} is not a manager. Ask a manager to type a PIN."),
    "approval_needed": _("A manager has to approve this."),
    "shift_is_open": _("A shift is open already: number {number} of {day}, since {at}. Close it first."),
    "no_shift_closed": _("No shift has been closed at this till yet."),
    "shift_is_closed": _("No shift is open. Open one first."),
    # returns
    "receipt_malformed": _("This is not a receipt number. Type it as it is printed, like DE71-000123."),
    "sale_unknown": _("There is no sale {receipt} here. Check the number."),
    "no_sale_yet": _("Nothing has been sold at this till yet."),
    "not_a_sale": _("This is not a sale, so it cannot be returned."),
    "slip_not_printed": _("The printer {printer} did not take the slip. Look whether it is on and has paper."),
    "slip_not_written": _("The slip could not be written to {path}."),
    "sale_is_here": _("This sale was made at this till. Return it by its receipt number."),
    "sale_not_priced": _(
        "This sale cannot be worked out here any more. Make a return: its points follow from the server."
    ),
    "void_needs_manager": _(
        "Only the last sale can be cancelled without a manager, and for {minutes} minutes. A manager’s PIN is needed."
    ),
    "return_more_than_left": _("More would come back than is left of this sale."),
    "return_nothing_left": _("All of this sale has come back already."),
    "return_line_unknown": _("There is no line “{line}” in this sale."),
    "return_line_none": _("There is no line “{line}” in this sale. It has: {lines}."),
    "return_lines_named": _("This sale has lines: name with --line those that come back. It has: {lines}."),
    "guest_named_once": _("Name the guest once: by the card’s code, the number or the phone."),
    "return_quantity": _("This quantity cannot come back: whole pieces only, and more than none."),
    "return_amount": _("Type how much money goes back, more than zero."),
    "return_by_lines": _("This sale has lines: choose which of them come back."),
    "return_splits_set": _("These goods were sold as a set and come back only together."),
    "return_empty": _("Choose what comes back."),
    "refund_needs_server": _(
        "A sale of another till is found by the server, which does not answer. Scan the code on the receipt, or wait."
    ),
    "exchange_other_guest": _(
        "An exchange stays with the guest of the sale. Show the same card, or none where there was none."
    ),
    # points by request
    "hold_guest_unknown": _("This guest’s points are not known here yet, so none can be used."),
    "hold_declined": _("The server says that the guest has {points} points now."),
    "hold_refused_code_limit": _(
        "With this code at most {points} points can be used. Ask the guest for the code on the phone."
    ),
    "hold_refused_code_invalid": _("The server does not take this code. Ask the guest to open it again."),
    "hold_refused_confirmation_needed": _(
        "For so many points the guest has to confirm: ask for the 6-digit code from the guest’s page."
    ),
    "hold_refused_guest_unknown": _("The server does not know this guest yet."),
    "hold_refused_guest_blocked": _("This guest’s points are blocked. Call the manager."),
    "hold_refused_other": _("The server does not let points be used now."),
    "hold_other_guest": _("The points are held for another guest. Ask for them again."),
    "hold_lapsed": _("The points were held for too long and are free again. Ask for them once more."),
    "online_needed": _(
        "This redemption has to be confirmed by the server, which does not answer. Sell without points, or try again."
    ),
    "needs_server": _("This needs the server, which does not answer. Use the card or its number."),
    "lookups_too_many": _("Too many searches in a short time. Wait a minute, or use the card."),
    "guest_not_found": _("There is no such guest. Check the number, or register them."),
    "guest_ambiguous": _("{count} guests fit. Type the whole number."),
    "limit_held": _("the server holds no more for this check."),
    "limit_provisional": _("the guest has just been registered: points can be used once the server knows them."),
    "amount_or_lines": _("Give the amount of the check or its lines, not both."),
    "exchange_for_nothing": _("Name with --sell what is sold instead. If nothing is, make a return."),
    "line_malformed": _("“{text}” is not a line. Type product:price:quantity."),
    "reason_unknown": _("Choose a reason: {reasons}."),
    # by hand
    "points_by_hand": _("Type how many points, more than zero."),
    "points_by_hand_most": _("So many points cannot be moved at once: {points} at most."),
    "comment_too_long": _("The comment is too long: {limit} letters at most."),
    "by_hand_guest_unknown": _("Find the guest first."),
    "by_hand_too_many": _("The guest has only {points} points."),
    "transfer_to_self": _("Giver and taker are the same guest."),
    "override_not_needed": _("This limit does not stand in the way now."),
    "override_used": _("This was allowed once already. It can be allowed again after the next sync with the server."),
    # registration
    "register_nothing": _("Type a name or a phone."),
    "register_name": _("The name cannot be kept like this: {limit} letters at most, and no special signs."),
    "register_phone": _("This is not a phone number. Type it like +7 916 123-45-67."),
    "register_birthday": _("This cannot be a date of birth. Type it like 31.12.1990."),
    "register_email": _("This is not an e-mail address."),
    "register_card": _("This cannot be handed out as a card. Scan a new card."),
    "consent_needed": _("The guest has to agree to the rules before registration."),
    "phone_taken": _("This phone belongs to a guest already ({name}). Find them by phone."),
    "phone_registered": _(
        "This phone has just been registered at this till ({name}). Use that card; the phone finds them after a sync."
    ),
    "card_taken": _("This card belongs to somebody already. Take another one."),
}

# Why a record was set aside or flagged, each to stand in brackets; the server’s codes are not words for a till.
REASONS: Mapping[str, str] = {
    "BAD_SCHEMA": _("it cannot be read there"),
    "BAD_HASH": _("it was changed after it was written"),
    "ID_REUSE": _("its number belongs to another sale"),
    "WAITING_DEP": _("it waits for an earlier one"),
    "AFTER_REVOCATION": _("this till had been taken off the network"),
    "OVERDRAFT": _("more points were used than there were"),
    "FORK": _("two copies of this till have sold"),
    "CLOCK": _("the clock was wrong"),
    "LATE_EXPIRY": _("the points had expired meanwhile"),
    "REPLAY": _("the same code was shown twice"),
    "HOLD_EXPIRED": _("the points were held for too long"),
    "REVOKED": _("the card had been replaced"),
    "RULE_DRIFT": _("the server calculates it otherwise"),
    "EVIDENCE": _("the guest’s code was not proved"),
    "VELOCITY": _("the card is used unusually often"),
    "HOLE": _("records are missing before it"),
    "SALVAGED": _("it was brought by another till"),
    "UNKNOWN_GUEST": _("the guest is not known yet"),
    "EXCESS_RETURN": _("more came back than had been sold"),
    "PHONE_TAKEN": _("the phone belongs to another guest"),
}
