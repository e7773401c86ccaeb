"""The line at the top, and the notice under it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.services.formats import NBSP
from loyalty_desk.services.sentences import sentence_of
from loyalty_desk.ui.sale.ports import ScannerHealth
from loyalty_desk.ui.sale.state import PARTED, Badge, HeaderState, MessageState, Tone

if TYPE_CHECKING:
    from loyalty_desk.services.ports.journal import Notice
    from loyalty_desk.services.status import TillStatus
    from loyalty_desk.services.wording import Words
    from loyalty_desk.ui.sale.model import SaleModel

_REFUSALS = frozenset({"till_unknown", "till_token", "till_suspended", "till_revoked", "app_too_old"})


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
        link = Badge(t("online"), Tone.GOOD, t("Connected. Last sync: {time}").format(time=synced))
    elif status.refused:
        busy = status.sync_error == "server_busy"
        text = t("server busy") if busy else t("server refuses this till") if _refuses(status) else t("no sync")
        link = Badge(text, Tone.WARN, sync_failed(status, words, now))
    elif status.offline_since is not None:
        when = words.day_or_time(status.offline_since, now)
        link = Badge(
            t("offline since {time}").format(time=when),
            Tone.WARN,
            t("No connection to the server. Sales go on and are kept on this till.")
            + " "
            + _last_sync(status, words, now),
            short=t("offline"),
        )
    else:
        tip = t("Not connected yet. Sales can be recorded already.")
        link = Badge(t("connecting…"), Tone.INFO, tip, short=t("link…"))
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
    place = PARTED.join(part for part in (status.store, status.till) if part)
    return HeaderState(place, status.cashier or t("no shift is open"), scanner, link, waiting, clock)


def sync_failed(status: TillStatus, words: Words, now: datetime) -> str:
    """Return why the server, though it answers, exchanges nothing with this till, and when it last did."""
    return f"{sentence_of(status.sync_error or 'server_refused', {}, words)} {_last_sync(status, words, now)}"


def _last_sync(status: TillStatus, words: Words, now: datetime) -> str:
    if status.synced_at is None:
        return words.gettext("There has been no sync yet.")
    return words.gettext("Last sync: {time}.").format(time=words.moment(status.synced_at, now))


def _refuses(status: TillStatus) -> bool:
    return status.sync_error in _REFUSALS


def notice_to_read(model: SaleModel) -> Notice | None:
    """Return the notice on the line, None where it says something else, which lasts and cannot be put away."""
    status = model.status
    if status is None or not status.journal_ok or _clock_is_wrong(status):
        return None
    if status.refused and status.sync_error != "server_busy":
        return None
    kept = notices_kept(status)
    return kept[0] if kept else None


def notices_kept(status: TillStatus) -> list[Notice]:
    """Return what somebody has still to read: what lasts is told as long as it lasts, and must not outlive its end."""
    return [one for one in status.notices if not (status.online and one.code in _REFUSALS)]


def _clock_is_wrong(status: TillStatus) -> bool:
    """Return whether the clock differs from a server's: one that no server has told the time is blamed for nothing."""
    return status.clock_conf is ClockConfidence.BAD and status.clock_known


def notice(model: SaleModel, words: Words, now: datetime) -> MessageState:
    """Return the one calm line about the till itself, the gravest first."""
    status = model.status
    t = words.gettext
    if status is None:
        return MessageState()
    if status.disk_full:
        return MessageState(
            t("The disk of this computer is full: sales cannot be recorded until there is room. Call the manager."),
            Tone.BAD,
        )
    if not status.journal_ok:
        return MessageState(
            t("Sales cannot be recorded now: the till’s journal is not available. Call the manager."), Tone.BAD
        )
    if _clock_is_wrong(status):
        return MessageState(
            t("This computer’s clock is wrong. Points cannot be used until it is set right."), Tone.WARN
        )
    if status.refused and status.sync_error != "server_busy":
        return MessageState(sync_failed(status, words, now), Tone.WARN)
    kept = notices_kept(status)
    if kept:
        first = sentence_of(kept[0].code, kept[0].facts, words)
        more = len(kept) - 1
        if not more:
            return MessageState(first, Tone.WARN)
        return MessageState(f"{first} {t('({n} more)').format(n=more).replace(' ', NBSP)}", Tone.WARN)
    if status.program_version is None:
        return MessageState(sentence_of("program_missing", {}, words), Tone.WARN)
    if not status.guests_complete:
        text = t("Guests are loading: {n} so far. Sales can be recorded already.")
        return MessageState(text.format(n=words.number(status.guests_loaded)), Tone.INFO)
    return MessageState()
