"""The line at the top, and the notice under it."""

from __future__ import annotations

from datetime import datetime

from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.services.sentences import sentence_of
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.sale.model import SaleModel
from loyalty_desk.ui.sale.ports import ScannerHealth
from loyalty_desk.ui.sale.state import Badge, HeaderState, MessageState, Tone


def header(model: SaleModel, words: Words, now: datetime) -> HeaderState:
    """Return place, cashier, badges and clock."""
    t = words.gettext
    clock = words.time(now)
    scanner = {
        ScannerHealth.NONE: Badge(t("no scanner"), Tone.INFO, t("No camera or scanner is set up. Codes can be typed.")),
        ScannerHealth.STARTING: Badge(t("scanner…"), Tone.INFO, t("The scanner is starting.")),
        ScannerHealth.READY: Badge(t("scanner"), Tone.GOOD, t("The scanner is ready.")),
        ScannerHealth.LOST: Badge(
            t("no scanner"), Tone.WARN, t("The scanner is gone; looking for it. Codes can be typed.")
        ),
    }[model.scanner]
    status = model.status
    if status is None:
        return HeaderState(place="Loyalty Desk", scanner=scanner, clock=clock)
    if status.online:
        synced = words.moment(status.synced_at, now) if status.synced_at else "—"
        link = Badge(t("online"), Tone.GOOD, t("Connected. Last exchange: {time}").format(time=synced))
    elif status.offline_since is not None:
        when = words.day_or_time(status.offline_since, now)
        link = Badge(
            t("offline since {time}").format(time=when),
            Tone.WARN,
            t("No connection to the server. Sales go on and are kept on this till."),
        )
    else:
        link = Badge(t("connecting…"), Tone.INFO, t("Not connected yet. Sales can be recorded already."))
    waiting = Badge(
        words.ngettext("{n} waiting", "{n} waiting", 0).format(n=0), Tone.PLAIN, t("Everything has been sent.")
    )
    if status.waiting:
        oldest = words.moment(status.oldest_waiting, now) if status.oldest_waiting else "—"
        tip = t("Waiting to be sent, the oldest since {time}. Nothing is lost: they are kept on this till.")
        waiting = Badge(
            words.ngettext("{n} waiting", "{n} waiting", status.waiting).format(n=status.waiting),
            Tone.INFO if status.online else Tone.WARN,
            tip.format(time=oldest),
        )
    place = " · ".join(part for part in (status.store, status.till) if part)
    return HeaderState(place, status.cashier, scanner, link, waiting, clock)


def notice(model: SaleModel, words: Words) -> MessageState:
    """Return the one calm line about the till itself, the gravest first."""
    status = model.status
    t = words.gettext
    if status is None:
        return MessageState()
    if not status.journal_ok:
        return MessageState(
            t("Sales cannot be recorded now: the till’s journal is not available. Call the manager."), Tone.BAD
        )
    if status.clock_conf is ClockConfidence.BAD:
        return MessageState(
            t("This computer’s clock is wrong. Points cannot be used until it is set right."), Tone.WARN
        )
    if status.notices:
        first = sentence_of(status.notices[0].code, status.notices[0].facts, words)
        more = len(status.notices) - 1
        return MessageState(first + (" " + t("({n} more)").format(n=more) if more else ""), Tone.WARN)
    if not status.guests_complete:
        text = t("Guests are loading: {n} so far. Sales can be recorded already.")
        return MessageState(text.format(n=f"{status.guests_loaded:,}".replace(",", "\u00a0")), Tone.INFO)
    return MessageState()
