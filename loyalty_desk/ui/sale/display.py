"""From what the sale screen knows to what it shows: every word and number of the window is made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from loyalty_desk.domain.errors import BadInput, ForPerson
from loyalty_desk.domain.money import currency
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import TIER_RULE, Note, Quote
from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.services.checkout import GuestCard, SaleDone
from loyalty_desk.services.explanation import SENTENCES as REASONS
from loyalty_desk.services.explanation import explain, explain_hint
from loyalty_desk.services.sentences import SENTENCES, sentence, sentence_of
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.sale.entry import Reading
from loyalty_desk.ui.sale.model import Action, SaleModel
from loyalty_desk.ui.sale.ports import ScannerHealth
from loyalty_desk.ui.sale.state import (
    Badge,
    ButtonState,
    CheckState,
    Chip,
    DoneState,
    FieldMode,
    FieldState,
    GuestState,
    HeaderState,
    HelpState,
    KeyState,
    MessageState,
    Phase,
    PreviewState,
    SaleState,
    SumLine,
    Tone,
)

__all__ = ["ALL_POINTS", "Display", "Words"]

ALL_POINTS = -1
OTHER_LANGUAGE = {"ru": "en", "en": "ru"}
_STALE = timedelta(hours=24)
_SHOWN_LEFT_OUT = 30
_SUGGESTED_POINTS = 100
_MINUS = "\u2212"


class Display:
    """Makes states. Keeps the words of the language in use, and the parts that a key press cannot change."""

    def __init__(self) -> None:
        self._words: tuple[tuple[object, ...], Words] | None = None

    def words(self, model: SaleModel) -> Words:
        """Return the words for the model's language, currency, points and zone."""
        status, program = model.status, model.program
        code = program.currency if program else status.currency if status else "RUB"
        zone = status.zone if status else "UTC"
        key = (model.language, code, program.point_decimals if program else 0, zone)
        if self._words is None or self._words[0] != key:
            made = Words(model.language, of=currency(code), point_decimals=key[2], zone=_zone(zone))
            self._words = (key, made)
        return self._words[1]

    def state(self, model: SaleModel, now: datetime) -> SaleState:
        """Return the whole screen."""
        words = self.words(model)
        t = words.gettext
        return SaleState(
            phase=model.phase,
            title="Loyalty Desk",
            header=_header(model, words, now),
            notice=_notice(model, words),
            check=self._check(model, words, now),
            guest=self._guest(model, words, now),
            done=self._done(model.done, model.program, words) if model.done else None,
            preview=_preview(model, words),
            entry=_field(model, words),
            message=_message(model, words),
            button=_button(model, words),
            keys=_keys(model, words),
            help=_help(words) if model.help_open else None,
            language_label=model.language.upper(),
            language_tip=t("Language: switch to English")
            if model.language == "ru"
            else t("Language: switch to Russian"),
            theme_label="☀" if model.theme == "light" else "●",
            theme_tip=t("Theme: switch to dark") if model.theme == "light" else t("Theme: switch to light"),
        )

    # -- sentences the presenter asks for

    def no_points(self, model: SaleModel) -> MessageState:
        """Return why points cannot be typed now."""
        t = self.words(model).gettext
        if model.guest is None:
            return MessageState(t("Points belong to a guest. Scan the guest’s code first."), Tone.INFO)
        return MessageState(t("The guest’s data has not arrived yet, so points cannot be used now."), Tone.INFO)

    def guest_changed(self, model: SaleModel, card: GuestCard) -> MessageState:
        """Return the sentence for another guest's card on an open check."""
        words = self.words(model)
        return MessageState(words.gettext("The guest is now {name}.").format(name=_name(card, words)), Tone.INFO)

    def code_taken(self, model: SaleModel, code: str, note: Note) -> MessageState:
        """Return the sentence for a promo code that the program knows, whether or not it helps this check."""
        words = self.words(model)
        if note.applied:
            return MessageState(words.gettext("Promo code {code} applied.").format(code=code), Tone.GOOD)
        why = explain(note, words)
        text = words.gettext("Promo code {code} is known, but does not apply to this check. {why}")
        return MessageState(text.format(code=code, why=why).strip(), Tone.INFO)

    def copied(self, model: SaleModel) -> MessageState:
        """Return the sentence for a discount in the clipboard."""
        return MessageState(self.words(model).gettext("The discount is copied. Paste it into the POS."), Tone.GOOD)

    def our_fault(self, model: SaleModel) -> MessageState:
        """Return the one calm sentence for a fault of ours."""
        t = self.words(model).gettext
        return MessageState(
            t("Something went wrong in the program; a report is saved. Recorded sales are safe. Try again."), Tone.BAD
        )

    def refusal(self, error: ForPerson, model: SaleModel) -> str:
        """Return the sentence for a sale that was not recorded."""
        words = self.words(model)
        if error.code == "redemption_refused":
            why = _limit_reason(str(error.facts.get("reason") or ""), error.facts, words)
            return sentence(type(error)(error.code, **{**error.facts, "why": why}), words)
        return sentence(error, words)

    # -- panels

    def _check(self, model: SaleModel, words: Words, now: datetime) -> CheckState:
        t = words.gettext
        amount = model.amount
        if model.done is not None:
            return CheckState(title=t("RECORDED"))
        if amount is None:
            empty = (
                t("Type the amount of the check.")
                if model.guest
                else t("Scan the guest’s code, or type the amount of the check.")
            )
            return CheckState(title=t("CHECK"), empty=empty, last=_last(model, words, now))
        base = CheckState(title=t("CHECK"), amount_label=t("Amount"), amount=words.money(amount))
        quote = model.quote
        if quote is None:
            return base
        return replace(
            base,
            lines=_lines(quote, words),
            to_pay_label=t("To pay"),
            to_pay=words.money(quote.due, sign=True),
            earns=f"+{words.points(quote.earned_points)}" if quote.earned_points else "",
            hint=_sentence(explain_hint(quote.hint, words)) if quote.hint else "",
        )

    def _guest(self, model: SaleModel, words: Words, now: datetime) -> GuestState:
        t = words.gettext
        card = model.guest
        if model.done is not None:
            return GuestState(title=t("GUEST"))
        if card is None:
            empty = t("No guest yet. Hold the code before the camera, use the scanner, or type the card’s number.")
            return self._with_left_out(GuestState(title=t("GUEST"), empty=empty), model, words)
        known = card.guest_id is not None
        state = GuestState(
            title=t("GUEST"),
            name=_name(card, words),
            tier=_tier_name(card, model.program, words) if known else "",
            member=t("No. {number}").format(number=card.member_no) if card.member_no else "",
            note=""
            if known
            else t("The card is ours; the guest’s data has not arrived yet. The server will add the points."),
        )
        state = self._with_left_out(state, model, words)
        if not known:
            return state
        number = words.points(card.points).split("\u00a0")
        progress, progress_text = _progress(card, model.program, words)
        stale = card.as_of is not None and now - card.as_of > _STALE
        chips = _chips(model, words)
        limit, tone = _limit(model, words)
        return replace(
            state,
            points=words.number_of_points(card.points),
            points_label=number[-1],
            as_of=t("as of {when}").format(when=words.moment(card.as_of, now)) if card.as_of else "",
            as_of_tone=Tone.WARN if stale else Tone.PLAIN,
            progress=progress,
            progress_text=progress_text,
            redeem_label=t("Use points") if chips else "",
            chips=chips,
            limit=limit,
            limit_tone=tone,
        )

    def _with_left_out(self, state: GuestState, model: SaleModel, words: Words) -> GuestState:
        quote = model.quote
        notes = [note for note in quote.explanation if not note.applied and note.rule != TIER_RULE] if quote else []
        if not notes:
            return state
        count = len(notes)
        caption = words.ngettext("Not applied: {n} offer", "Not applied: {n} offers", count).format(n=count)
        texts: tuple[str, ...] = ()
        if model.fold_open:
            shown = [
                f"{_rule_name(note.rule, note, words)}: {explain(note, words)}" for note in notes[:_SHOWN_LEFT_OUT]
            ]
            if count > _SHOWN_LEFT_OUT:
                shown.append(words.gettext("… and {n} more").format(n=count - _SHOWN_LEFT_OUT))
            texts = tuple(shown)
        mark = "▲" if model.fold_open else "▼"
        return replace(state, left_out_label=f"{mark} {caption}", left_out=texts, left_out_open=model.fold_open)

    def _done(self, done: SaleDone, program: Program | None, words: Words) -> DoneState:
        t = words.gettext
        quote = done.quote
        off = quote.gross - quote.total
        details = []
        if quote.discount_total and quote.redeemed_money:
            details.append(SumLine(t("Discounts"), f"{_MINUS}{words.money(quote.discount_total)}"))
            details.append(
                SumLine(
                    t("Points"), f"{_MINUS}{words.money(quote.redeemed_money)}", words.points(quote.redeemed_points)
                )
            )
        return DoneState(
            title=t("Recorded at {time}").format(time=words.time(done.committed_at)),
            receipt=t("receipt {number}").format(number=done.receipt_no) if done.receipt_no else "",
            key_in_label=t("Key into the POS: discount") if off else t("Nothing to key into the POS"),
            key_in=words.money(off) if off else t("no discount"),
            copy_label=t("Copy  (Ctrl+C)"),
            copy_text=words.bare_money(off) if off else "",
            details=tuple(details),
            to_pay_label=t("To pay"),
            to_pay=words.money(quote.due, sign=True),
            tell_title=t("Tell the guest"),
            name=_name(done.guest, words) if done.guest else "",
            tell=_tell(done, program, words),
        )


def _lines(quote: Quote, words: Words) -> tuple[SumLine, ...]:
    """Return what came off the check, a line for each rule, and why where the amount does not say it."""
    lines = []
    named = {note.rule: note for note in reversed(quote.explanation) if note.applied and note.amount}
    sums: dict[str, int] = {}
    for line in quote.lines:
        for rule, amount in line.discounts:
            sums[rule] = sums.get(rule, 0) + amount
    for rule, amount in sums.items():
        note = named.get(rule)
        why = explain(note, words) if note is not None and note.code in REASONS else ""
        lines.append(SumLine(_rule_name(rule, note, words), f"{_MINUS}{words.money(amount)}", why))
    if quote.redeemed_money:
        used = words.gettext("{points} are used").format(points=words.points(quote.redeemed_points))
        lines.append(SumLine(words.gettext("Points"), f"{_MINUS}{words.money(quote.redeemed_money)}", used))
    return tuple(lines)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _name(card: GuestCard, words: Words) -> str:
    if card.name:
        return card.name
    if card.member_no:
        return words.gettext("Guest {number}").format(number=card.member_no)
    return words.gettext("Guest")


def _tier_name(card: GuestCard, program: Program | None, words: Words) -> str:
    tier = program.tier(card.tier) if program else None
    return words.name_of(tier.name, card.tier_name) if tier else card.tier_name


def _rule_name(rule: str, note: Note | None, words: Words) -> str:
    if rule == TIER_RULE:
        return words.gettext("Tier discount")
    return words.name_of(note.name if note else {}, rule)


def _header(model: SaleModel, words: Words, now: datetime) -> HeaderState:
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


def _notice(model: SaleModel, words: Words) -> MessageState:
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


def _last(model: SaleModel, words: Words, now: datetime) -> str:
    last = model.last
    if last is None:
        return ""
    quote = last.quote
    parts = [
        words.gettext("Last sale {time}: to pay {total}").format(
            time=words.moment(last.committed_at, now), total=words.money(quote.due)
        )
    ]
    off = quote.gross - quote.total
    if off:
        parts.append(words.gettext("discount {amount}").format(amount=words.money(off)))
    if last.guest is not None:
        parts.append(_name(last.guest, words))
    return ", ".join(parts)


def _progress(card: GuestCard, program: Program | None, words: Words) -> tuple[int, str]:
    """Return percent and sentence of the way to the next tier."""
    if program is None or card.facts is None:
        return 0, ""
    have = {"spend": card.facts.spend, "earned": card.facts.earned, "visits": card.facts.visits}[program.tier_base]
    tiers = sorted(program.tiers, key=lambda tier: tier.threshold)
    current = next((tier.threshold for tier in tiers if tier.code == card.tier), 0)
    following = next((tier for tier in tiers if tier.threshold > max(have, current)), None)
    if following is None:
        return 100, words.gettext("The highest tier") if len(tiers) > 1 and card.tier == tiers[-1].code else ""
    missing = following.threshold - have
    name = words.name_of(following.name, following.code)
    if program.tier_base == "visits":
        text = words.ngettext("{n} more visit to {tier}", "{n} more visits to {tier}", missing).format(
            n=missing, tier=name
        )
    else:
        left = words.money(missing) if program.tier_base == "spend" else words.points(missing)
        text = words.gettext("{left} more to {tier}").format(left=left, tier=name)
    return min(99, max(0, have * 100 // following.threshold)), text


def _most_points(model: SaleModel) -> int:
    """Return the most points that can be used as far as is known: by the quote, else by guest and limits."""
    if model.quote is not None:
        return model.quote.redemption.max_points
    card = model.guest
    return max(0, min(card.points, card.allowance.max_points)) if card else 0


def _chips(model: SaleModel, words: Words) -> tuple[Chip, ...]:
    program = model.program
    if program is None or program.redemption is None or program.point_value == 0 or model.guest is None:
        return ()
    t = words.gettext
    most = _most_points(model)
    block = program.redemption.block
    step = _SUGGESTED_POINTS * program.point_unit
    step += -step % block
    asked = model.points_asked
    typing = model.mode is FieldMode.POINTS
    chips = [Chip("0", 0, chosen=asked == 0 and not typing)]
    if step < most:
        chips.append(
            Chip(words.number_of_points(step), step, chosen=asked == step and not model.wants_all and not typing)
        )
    all_label = t("all {points}").format(points=words.number_of_points(most))
    chips.append(Chip(all_label, ALL_POINTS, chosen=bool(model.wants_all and asked and not typing), enabled=most > 0))
    other = (
        typing or (asked not in (0, step) and not model.wants_all) or (asked == step >= most and not model.wants_all)
    )
    label = t("other") if typing or not other else words.number_of_points(asked)
    chips.append(Chip(label, None, chosen=other, enabled=most > 0, tip=t("Type another number of points (F4)")))
    return tuple(chips)


def _limit(model: SaleModel, words: Words) -> tuple[str, Tone]:
    """Return which limit of points is in force, and why; louder where it cut what was asked."""
    card, quote = model.guest, model.quote
    if card is None or model.program is None or model.program.redemption is None:
        return "", Tone.PLAIN
    if quote is None:
        if card.points > 0 and card.allowance.max_points < card.points:
            return _cap(card, card.allowance.max_points, words), Tone.PLAIN
        return "", Tone.PLAIN
    note = quote.redemption
    t = words.gettext
    most = words.points(note.max_points)
    text = ""
    match note.binding:
        case "share":
            text = t("At most {share} of the check: {points}.").format(
                share=words.percent(note.max_share_bp), points=most
            )
        case "check":
            text = t("Not more than the check costs: {points}.").format(points=most)
        case "minimum":
            text = t("Points can be used from {points} on.").format(points=words.points(note.minimum))
        case "block":
            text = t("Points are used in steps of {points}.").format(points=words.points(note.block))
        case "cap":
            text = _cap(card, note.max_points, words, note.reason)
        case "available":
            text = t("All points can be used.") if note.max_points else t("There are no points to use yet.")
        case _:
            pass
    if note.asked > note.points:
        cut = t("{asked} asked, {taken} used.").format(
            asked=words.points(note.asked), taken=words.number_of_points(note.points)
        )
        return f"{cut} {text}", Tone.WARN
    return text, Tone.PLAIN


def _cap(card: GuestCard, most: int, words: Words, reason: str = "") -> str:
    why = _limit_reason(reason or card.allowance.reason or "", card.allowance.facts, words)
    if most == 0:
        return words.gettext("Points cannot be used now: {why}").format(why=why)
    return words.gettext("At most {points} now: {why}").format(points=words.points(most), why=why)


def _limit_reason(code: str, facts: Mapping[str, object], words: Words) -> str:
    key = f"limit_{code}"
    return sentence_of(key if key in SENTENCES else "limit_unknown", facts, words)


def _field(model: SaleModel, words: Words) -> FieldState:
    t = words.gettext
    has_guest = model.guest is not None and model.done is None
    label = {
        FieldMode.AUTO: t("Amount of the check") if has_guest else t("Card, phone, code or amount"),
        FieldMode.GUEST: t("Guest: card, number, phone or code"),
        FieldMode.AMOUNT: t("Amount of the check"),
        FieldMode.POINTS: t("How many points to use"),
    }[model.mode]
    placeholder = {
        FieldMode.AUTO: "0" if has_guest else t("scan or type"),
        FieldMode.GUEST: t("card or number"),
        FieldMode.AMOUNT: "0",
        FieldMode.POINTS: "0",
    }[model.mode]
    entry = model.entry
    reading = {
        Reading.NOTHING: "",
        Reading.CARD: t("a guest’s card"),
        Reading.NUMBER: t("a guest’s number"),
        Reading.SHORT: t("a guest’s 6-digit code · F3 if an amount"),
        Reading.PHONE: t("a phone · F3 if an amount"),
        Reading.CODE: t("a code"),
        Reading.AMOUNT: t("amount {money}").format(money=words.money(entry.units or 0))
        if entry.units is not None
        else "",
        Reading.POINTS: words.points(entry.units) if entry.units is not None else "",
    }[entry.reading]
    return FieldState(
        text=model.typed,
        mode=model.mode,
        label=label,
        placeholder=placeholder,
        reading=reading,
        read_only=model.action is Action.WAIT_RECORD,
    )


def _message(model: SaleModel, words: Words) -> MessageState:
    if model.message.text:
        return model.message
    problem = model.entry.problem or model.problem
    if isinstance(problem, BadInput) or (problem is not None and model.amount is not None):
        return MessageState(sentence(problem, words), Tone.WARN)
    if model.tip and model.phase is Phase.IDLE and not model.typed:
        return MessageState(model.tip, Tone.INFO)
    return MessageState()


def _button(model: SaleModel, words: Words) -> ButtonState:
    t = words.gettext
    total = words.money(model.quote.due, sign=True) if model.quote else ""
    match model.action:
        case Action.WAIT_LOOKUP:
            return ButtonState(t("Looking up the guest…"))
        case Action.WAIT_RECORD:
            return ButtonState(t("Recording…"))
        case Action.NEXT:
            return ButtonState(t("Next guest"), enabled=True)
        case Action.LOOK_UP:
            return ButtonState(t("Find the guest"), enabled=True)
        case Action.USE_POINTS:
            taken = model.quote.redeemed_points if model.quote else model.entry.units or 0
            return ButtonState(t("Use {points}").format(points=words.points(taken)), enabled=True)
        case Action.KEEP_CHECK:
            amount = words.money(model.amount or 0, sign=True)
            return ButtonState(t("Check {amount}, then the guest").format(amount=amount), enabled=True)
        case Action.RECORD:
            return ButtonState(t("Record the sale: {total}").format(total=total), enabled=True)
        case Action.RECORD_WITHOUT_GUEST:
            return ButtonState(t("Record without a guest: {total}").format(total=total), enabled=True)
        case Action.NOTHING:
            return ButtonState(_why_nothing(model, words))


def _why_nothing(model: SaleModel, words: Words) -> str:
    t = words.gettext
    if model.status is not None and not model.status.journal_ok:
        return t("Sales cannot be recorded now")
    if model.mode is FieldMode.POINTS:
        return t("Points cannot be used on this check") if model.entry.units else t("Type how many points")
    if model.mode is FieldMode.GUEST:
        return t("Scan or type the guest’s card")
    if model.problem is not None or model.entry.problem is not None:
        return t("The amount cannot be read") if model.entry.problem else t("This check cannot be priced")
    if model.guest is not None:
        return t("Type the amount of the check")
    return t("Scan the guest or type the amount")


def _keys(model: SaleModel, words: Words) -> tuple[KeyState, ...]:
    t = words.gettext
    points = model.guest is not None and model.guest.guest_id is not None and model.done is None
    return (
        KeyState("F1", t("Help"), active=model.help_open),
        KeyState("F2", t("Guest"), active=model.mode is FieldMode.GUEST),
        KeyState("F3", t("Amount"), active=model.mode is FieldMode.AMOUNT),
        KeyState(
            "F4", t("Points"), points, model.mode is FieldMode.POINTS, "" if points else t("Points belong to a guest.")
        ),
        KeyState("Esc", t("Cancel")),
    )


def _preview(model: SaleModel, words: Words) -> PreviewState:
    if not model.camera:
        return PreviewState()
    t = words.gettext
    text = {
        ScannerHealth.STARTING: t("The camera is starting…"),
        ScannerHealth.LOST: t("No picture. Looking for the camera…"),
    }.get(model.scanner, "")
    return PreviewState(text=text, tip=t("Hold the guest’s code inside the frame."), shown=True)


def _tell(done: SaleDone, program: Program | None, words: Words) -> tuple[str, ...]:
    t = words.gettext
    card, quote = done.guest, done.quote
    if card is None:
        return (t("Sold without a guest: no points."),)
    said = []
    if quote.redeemed_points:
        said.append(t("Used: {points}").format(points=words.points(quote.redeemed_points)))
    if quote.earned_points:
        said.append(t("Earned: {points}").format(points=words.points(quote.earned_points)))
    if done.balance_after is not None:
        said.append(t("On the account now: {points}").format(points=words.points(done.balance_after)))
    if card.guest_id is None:
        said.append(t("The points will be on the account after the till has been online."))
    if card.facts is not None:
        facts = card.facts
        with_this = replace(
            facts,
            spend=facts.spend + quote.total,
            visits=facts.visits + 1,
            earned=facts.earned + quote.earned_points,
        )
        paid = replace(card, facts=with_this)
        _, text = _progress(paid, program, words)
        if text:
            said.append(text)
    return tuple(said) or (t("Thank you for coming!"),)


def _help(words: Words) -> HelpState:
    t = words.gettext
    return HelpState(
        title=t("How to sell"),
        rows=(
            ("1", t("Scan the guest’s code: camera, scanner, or type the card’s number.")),
            ("2", t("Type the amount of the check. The price is there at once.")),
            ("3", t("Ask about points, press a button or F4.")),
            ("Enter", t("Does what the big button says.")),
            ("F2", t("The field takes a guest: card, number, phone or code.")),
            ("F3", t("The field takes an amount, even of six digits.")),
            ("F4", t("The field takes points to use.")),
            ("Esc", t("Takes back one step; at last, the whole check.")),
        ),
        close=t("Close"),
    )
