"""What support staff hear at the till's command line: joining, exchanging, journals proved, carried and laid aside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loyalty_desk.domain.quote import Note
from loyalty_desk.language import mark as _
from loyalty_desk.recovery import LaidAside
from loyalty_desk.services.checkout import SaleDone
from loyalty_desk.services.explanation import explain
from loyalty_desk.services.salvaging import Brought
from loyalty_desk.services.sentences import sentence_of
from loyalty_desk.services.sync import SyncOutcome
from loyalty_desk.services.wording import Words
from loyalty_desk.store.verify import Proof

# Why a record does not hold, by the word that `store.verify` has for it.
_FAULTS: Mapping[str, str] = {
    "missing": _("it is missing"),
    "not chained": _("it is not chained to the one before"),
    "altered": _("it was altered"),
    "no record": _("it cannot be understood"),
    "another place": _("it belongs to another place"),
    "totals": _("its running totals do not follow"),
    "no parent": _("its epoch follows none that is here"),
    "not signed": _("its signature is not this till’s"),
    "unreadable": _("it cannot be read from the disk"),
}
_ROLES: Mapping[str, str] = {"cashier": _("cashier"), "manager": _("manager"), "owner": _("owner")}


def role_name(role: str, words: Words) -> str:
    """Return what somebody at the till is."""
    return words.gettext(_ROLES.get(role, role))


def compare_line(characters: str, words: Words) -> str:
    """Return what to compare while a till joins."""
    return words.gettext("Compare with the server’s screen: {characters}").format(
        characters=f"{characters[:4]} {characters[4:]}"
    )


def same_question(words: Words) -> str:
    """Return what a person answers while a till joins."""
    return words.gettext("Are they the same there?")


def not_joined_line(words: Words) -> str:
    """Return what to say where the characters differ."""
    return words.gettext("Not joined. The code is used up: make a new one.")


def awaited_line(words: Words) -> str:
    """Return what is waited for while a till joins."""
    return words.gettext("Waiting for the server’s side to confirm.")


def joined_line(till: str, store: str, words: Words) -> str:
    """Return what to say once a till has joined."""
    return words.gettext("Joined: {till} in {store}.").format(till=till, store=store)


def alone_line(words: Words) -> str:
    """Return what a folder is that is no till yet."""
    return words.gettext("This till has not joined a network.")


def sale_line(done: SaleDone, words: Words) -> str:
    """Return a sale in a line: what to key into the POS, what to take, and what the guest has used and earned."""
    t, quote = words.gettext, done.quote
    said = [t("to pay {total}").format(total=words.money(quote.total))]
    if quote.gross > quote.total:
        off = words.money(quote.gross - quote.total)
        said.insert(0, t("discount to key into the POS {off}").format(off=off))
    if quote.redeemed_points:
        said.append(t("used {points}").format(points=words.points(quote.redeemed_points)))
    if done.guest is not None or quote.earned_points:
        said.append(t("earned {points}").format(points=words.points(quote.earned_points)))
    return f"{done.receipt_no}: {', '.join(said)}"


def promo_line(code: str, note: Note, words: Words) -> str:
    """Return why a promo code that the program knows did not help a check."""
    text = words.gettext("Promo code {code} is known, but does not apply to this check. {why}")
    return text.format(code=code, why=explain(note, words)).strip()


def sync_line(outcome: SyncOutcome, waiting: int, words: Words) -> str:
    """Return what an exchange has come to, and why it did not come to its end."""
    said = words.gettext("Sent: {pushed}. Received: {pulled}. Waiting: {waiting}.").format(
        pushed=outcome.pushed, pulled=outcome.pulled, waiting=waiting
    )
    if outcome.done or outcome.error is None:
        return said
    return f"{said} {sentence_of(outcome.error, {}, words)}"


def proof_lines(proof: Proof, words: Words) -> list[str]:
    """Return what was proved of a journal, the first bad place last."""
    t = words.gettext
    lines = [
        t("Epoch {epoch}: records {first} to {last}, earned {earned}, redeemed {redeemed}, head {head}").format(
            epoch=one.epoch,
            first=one.first,
            last=one.head_seq,
            earned=one.totals.earned,
            redeemed=one.totals.redeemed,
            head=one.head_hash.hex()[:16],
        )
        for one in proof.epochs
    ]
    if proof.bad is not None:
        why = t(_FAULTS.get(proof.bad.what, proof.bad.what))
        said = t("Record {seq} of epoch {epoch} does not hold: {why}.")
        return [*lines, said.format(seq=proof.bad.seq, epoch=proof.bad.epoch, why=why)]
    lines.append(t("Records that hold: {n}.").format(n=proof.records))
    if not proof.signed:
        lines.append(t("The signatures were not checked: that takes the till’s own keys."))
    return lines


def exported_line(file: Path, waiting: int, words: Words) -> str:
    """Return what was written to be carried away."""
    return words.gettext("{file}: the whole journal. Waiting for the server in it: {waiting}.").format(
        file=file, waiting=waiting
    )


def brought_line(file: Path, done: Brought, words: Words) -> str:
    """Return what the server has made of another journal."""
    said = words.gettext("{file}: posted {posted}, known already {known}, set aside {quarantined}.").format(
        file=file, posted=done.posted, known=done.known, quarantined=done.quarantined
    )
    if not done.refused:
        return said
    return f"{said} {words.gettext('Not signed by their till, and refused: {n}.').format(n=done.refused)}"


def aside_lines(found: list[LaidAside], words: Words) -> list[str]:
    """Return the tills that a folder was before, and what to do now."""
    t = words.gettext
    if not found:
        return [t("Nothing is laid aside.")]
    kinds = {True: t("{folder}: can be opened"), False: t("{folder}: needs the recovery sheet")}
    return [
        *(kinds[one.can_open].format(folder=one.folder) for one in found),
        t("Now: loyalty-desk till enrol, then loyalty-desk till import."),
    ]


def leave_question(till: str, store: str, words: Words) -> str:
    """Return what a person answers before a till leaves."""
    return words.gettext("Take {till} in {store} off its network?").format(till=till, store=store)


def left_line(folder: Path, words: Words) -> str:
    """Return what to say once a till has left."""
    return words.gettext(
        "This is no till any more. Its journal is kept in {folder}. Revoke the till at the server."
    ).format(folder=folder)
