"""The till's status as lines for a terminal: what somebody on the phone with support reads out."""

from __future__ import annotations

from datetime import datetime

from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.services.sentences import sentence_of
from loyalty_desk.services.status import TillStatus
from loyalty_desk.services.wording import Words


def keys_place(status: TillStatus, words: Words) -> str:
    """Return where the till's keys are; a keyring has a name, as support asks for it."""
    _, found, name = status.credential_backend.partition("keyring:")
    if found:
        return words.gettext("the computer’s keyring ({name})").format(name=name)
    return words.gettext("a file in the till’s folder")


def status_lines(status: TillStatus, words: Words, now: datetime) -> list[tuple[str, str]]:
    """Return pairs of a caption and what it is now; a till that has never exchanged says so instead of alarming."""
    t = words.gettext
    fresh = status.synced_at is None
    not_yet = t("not synced yet")
    clock = {
        ClockConfidence.GOOD: t("right"),
        ClockConfidence.BAD: not_yet if fresh or not status.clock_known else t("wrong"),
    }.get(status.clock_conf, t("not checked since the start"))
    waiting = str(status.waiting)
    if status.oldest_waiting is not None:
        waiting = t("{n}, the oldest since {time}").format(
            n=status.waiting, time=words.moment(status.oldest_waiting, now)
        )
    if fresh and status.waiting == 1 and status.program_version is None:
        waiting = t("1: the opening of this till’s journal, sent with the first sync")
    synced = not_yet if status.synced_at is None else words.moment(status.synced_at, now)
    loaded = words.number(status.guests_loaded)
    guests = loaded if status.guests_complete else t("{n}, loading").format(n=loaded)
    if status.loading_percent is not None:
        guests = t("loading, {percent} % here").format(percent=status.loading_percent)
    return [
        (t("Network"), status.network or (not_yet if fresh else "—")),
        (t("Store"), status.store),
        (t("Till"), status.till),
        (t("Cashier"), status.cashier or t("no shift is open")),
        (t("Last sync"), synced),
        (t("Server"), t("well at the last sync") if not fresh else not_yet)
        if status.sync_error is None
        else (t("Server"), sentence_of(status.sync_error, {}, words)),
        (t("Waiting"), waiting),
        (t("Clock"), clock),
        (t("Guests"), not_yet if fresh and not status.guests_loaded and status.loading_percent is None else guests),
        (t("Program version"), not_yet if status.program_version is None else str(status.program_version)),
        (t("Journal"), t("can be written") if status.journal_ok else t("cannot be written")),
        (t("Keys are kept in"), keys_place(status, words)),
    ]
