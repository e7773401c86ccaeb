"""What was done at the counter as lines for people: an X or Z report, a return, points by hand, a registration."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.refund import Refund
from loyalty_desk.services.sentences import limit_reason

if TYPE_CHECKING:
    from loyalty_desk.domain.refund.left import LineLeft
    from loyalty_desk.domain.shift_totals import Sums
    from loyalty_desk.services.approvals import ByHand
    from loyalty_desk.services.guests import GuestCard
    from loyalty_desk.services.registration import Registered
    from loyalty_desk.services.returns import ExchangeDone, ReturnDone
    from loyalty_desk.services.shifts import OpenShift, ShiftReport
    from loyalty_desk.services.sold_checks import SoldCheck
    from loyalty_desk.services.wording import Words

type Lines = list[tuple[str, str]]

GAP = ("", "")


def report_lines(report: ShiftReport, words: Words) -> Lines:
    """Return pairs of a caption and a value: the shift as a whole, then each cashier; two empty texts are a gap."""
    t = words.gettext
    shift, totals = report.shift, report.totals
    title = t("Z report") if report.is_final else t("X report")
    lines = [
        (title, t("shift {n} of {day}").format(n=shift.number, day=words.day(shift.day))),
        (t("Opened"), words.whole_moment(shift.opened_at)),
        (t("Closed") if report.is_final else t("Counted"), words.whole_moment(report.at)),
    ]
    if totals.first_receipt:
        lines.append((t("Receipts"), _receipts(totals.first_receipt, totals.last_receipt)))
    lines += [
        GAP,
        *_sums(totals.whole, words),
        GAP,
        (t("Records waiting to be sent"), words.number(report.waiting)),
        (t("New notices (F12)"), words.number(report.notices)),
    ]
    for who, sums in sorted(totals.by_cashier.items(), key=lambda one: report.names.get(one[0], one[0])):
        lines += [
            GAP,
            (t("Cashier"), report.names.get(who, who) or t("nobody: no shift was open")),
            *_sums(sums, words),
        ]
    return lines


def strong_caption(words: Words) -> str:
    """Return the caption of the report's line that matters most."""
    return words.gettext("Left after returns")


def _receipts(first: str, last: str) -> str:
    """Return from which receipt to which; the letters of the series stand once."""
    if first == last:
        return first
    series, dash, number = last.rpartition("-")
    same = bool(dash) and first.rpartition("-")[0] == series
    return f"{first} – {number if same else last}"


def _sums(sums: Sums, words: Words) -> Lines:
    t = words.gettext
    lines = [
        (t("Sales"), words.number(sums.sales)),
        (t("Before discounts"), words.money(sums.gross)),
        (t("Discounts"), words.money(sums.discounts)),
        *([(t("Paid with points"), words.money(sums.points_money))] if sums.points_money else []),
        (t("Paid"), words.money(sums.money)),
    ]
    came_back = [
        (sums.voids, t("Cancelled"), words.number(sums.voids)),
        (sums.refunds, t("Returns"), words.number(sums.refunds)),
        (sums.returned, t("Money back"), words.money(sums.returned)),
        (sums.exchanges, t("Exchanges"), words.number(sums.exchanges)),
        (sums.exchanges, t("Sold in exchanges"), words.money(sums.exchange_money)),
        (sums.exchanges, t("Came back in exchanges"), words.money(sums.exchange_returned)),
    ]
    optional = [
        (sums.points_earned, t("Points earned"), words.points(sums.points_earned)),
        (sums.points_redeemed, t("Points used"), words.points(sums.points_redeemed)),
        (sums.points_back, t("Points given back"), words.points(sums.points_back)),
        (sums.points_reversed, t("Points taken back"), words.points(sums.points_reversed)),
        (sums.points_follow, t("Returns whose points follow"), words.number(sums.points_follow)),
        (sums.registered, t("Guests registered"), words.number(sums.registered)),
        (sums.credited, t("Points given by hand"), words.points(sums.credited)),
        (sums.debited, t("Points taken by hand"), words.points(sums.debited)),
    ]
    return [
        *lines,
        *((caption, value) for count, caption, value in came_back if count),
        (strong_caption(words), words.money(sums.left)),
        *((caption, value) for count, caption, value in optional if count),
    ]


def opened_line(shift: OpenShift, words: Words) -> str:
    """Return what to say once a shift is open."""
    return words.gettext("Shift {n} is open.").format(n=shift.number)


def return_lines(done: ReturnDone | Refund, words: Words) -> Lines:
    """Return what a return moves or has moved."""
    t = words.gettext
    if isinstance(done, Refund):
        back, taken, follows = done.spent_returned, done.earned_reversed, False
    else:
        back, taken, follows = done.points_back, done.points_taken, done.follows
    lines = [(t("Money back"), words.money(done.money))]
    if follows:
        return [*lines, (t("Points"), t("follow with the next sync with the server"))]
    moved = ((back, t("Points given back")), (taken, t("Points taken back")))
    return [*lines, *((caption, words.points(count)) for count, caption in moved if count)]


def exchange_lines(done: ExchangeDone, words: Words) -> Lines:
    """Return what an exchange has moved and what the guest pays or gets for the difference."""
    t = words.gettext
    caption = t("To pay") if done.difference >= 0 else t("Money back")
    off = done.sold.quote.gross - done.sold.quote.total
    points = [
        (done.returned.spent_returned, t("Points given back")),
        (done.returned.earned_reversed, t("Points taken back")),
        (done.sold.quote.earned_points, t("Points earned")),
    ]
    return [
        (t("Receipt"), done.sold.receipt_no),
        (t("Came back"), words.money(done.returned.money)),
        (t("Sold"), words.money(done.sold.quote.total)),
        (caption, words.money(abs(done.difference))),
        *([(t("Discount to key into the POS"), words.money(off))] if off else []),
        *((said, words.points(count)) for count, said in points if count),
    ]


def exchanged_line(words: Words) -> str:
    """Return what cancelling an exchange leaves as it is: no return is ever undone."""
    return words.gettext(
        "This was an exchange: only what was sold in it comes back. What the guest gave back then stays returned; "
        "where they keep it, sell it again."
    )


def by_hand_line(done: ByHand, words: Words) -> str:
    """Return what to say once points have been moved by hand."""
    return words.gettext("Recorded. The guest has {points} now.").format(points=words.points(done.balance_after))


def registered_line(done: Registered, words: Words) -> str:
    """Return what to say once a guest is registered."""
    name = done.card.name or words.gettext("The guest")
    if done.was_asked:
        return words.gettext("{name} is registered.").format(name=name)
    return words.gettext("{name} is registered here; the server learns of it with the next sync.").format(name=name)


def new_card_line(code: str, words: Words) -> str:
    """Return the code by which a guest who was handed no card is known from now on."""
    return words.gettext("Their card, to print or to send: {code}").format(code=code)


def guest_lines(card: GuestCard, words: Words, *, with_limit: bool = True) -> Lines:
    """Return who a guest is, as the counter may know it, and `with_limit` what the till gives alone."""
    t = words.gettext
    lines = [
        (t("Guest"), card.name or (t("not known here yet") if card.guest_id is None else t("gave no name"))),
        (t("Tier"), card.tier_name or card.tier or t("none")),
        (t("Points"), words.number_of_points(card.points)),
    ]
    if with_limit:
        lines.append((t("Can be used without the server"), _usable(card, words)))
    if card.member_no:
        lines.append((t("Card number"), card.member_no))
    return lines


def _usable(card: GuestCard, words: Words) -> str:
    """Return how many points the till gives alone, and why no more where the guest has more or nothing may be used."""
    allowed = card.allowance
    most = words.number_of_points(allowed.max_points)
    if allowed.reason is None or 0 < card.points <= allowed.max_points:
        return most
    return f"{most}: {limit_reason(allowed.reason, allowed.facts, words)}"


def sold_line(sold: SoldCheck, words: Words, now: datetime) -> str:
    """Return one sale in a guest's history."""
    record = sold.record
    total, left = words.money(sold.contents.claimed.total), words.money(sold.money_left)
    moment = words.moment(from_ms(record.occurred_at), now)
    text = (
        words.gettext("{receipt}, {moment}: {total}, of which {left} can come back")
        if sold.money_left
        else words.gettext("{receipt}, {moment}: {total}, all of it has come back")
    )
    return text.format(receipt=record.receipt_no or record.id, moment=moment, total=total, left=left)


def sold_lines(sold: SoldCheck, words: Words) -> list[str]:
    """Return the lines of a sale, each under the number by which a return takes it; none where it has but a total."""
    text = words.gettext("{place}  {product}: {left} of {sold} can come back")
    return [
        text.format(
            place=_place(one, place),
            product=one.product or one.line,
            left=words.quantity(one.left_milli),
            sold=words.quantity(one.quantity_milli),
        )
        for place, one in enumerate(() if sold.is_bare else sold.lines, start=1)
    ]


def named_lines(sold: SoldCheck) -> str:
    """Return the lines of a sale in a sentence: `1 latte, 2 cake`."""
    return ", ".join(f"{_place(one, place)} {one.product}".strip() for place, one in enumerate(sold.lines, start=1))


def _place(line: LineLeft, place: int) -> str:
    """Return a line's place, and its id where that is another: both name it."""
    return f"{place}" if line.line in (f"{place}", f"#{place}") else f"{place} ({line.line})"


def taken_back(sold: SoldCheck, words: Words, now: datetime) -> str:
    """Return which sale comes back, in a line: `DE71-000123, 14:05: 495.45 (latte × 2, cake)`."""
    record, total = sold.record, words.money(sold.contents.claimed.total)
    said = f"{record.receipt_no or record.id}, {words.moment(from_ms(record.occurred_at), now)}: {total}"
    goods = [
        one.product if one.quantity_milli == MILLI else f"{one.product} × {words.quantity(one.quantity_milli)}"
        for one in sold.lines
        if one.product
    ]
    return f"{said} ({', '.join(goods)})" if goods else said


def allowed_line(words: Words) -> str:
    """Return what to say once a limit has been lifted."""
    return words.gettext("Allowed once.")
