"""The left panel: the check as it is priced, and, once recorded, what to key into the POS and tell the guest."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import structs

from loyalty_desk.services.explanation import SENTENCES as REASONS
from loyalty_desk.services.explanation import explain, explain_hint
from loyalty_desk.ui.sale.display.guest import way_to_next_tier
from loyalty_desk.ui.sale.display.names import MINUS, as_sentence, guest_name, rule_name
from loyalty_desk.ui.sale.state import CheckState, DoneState, SumLine

if TYPE_CHECKING:
    from loyalty_desk.domain.program import Program
    from loyalty_desk.domain.quote import Quote
    from loyalty_desk.services.checkout import SaleDone
    from loyalty_desk.services.wording import Words
    from loyalty_desk.ui.sale.model import SaleModel
    from loyalty_desk.ui.sale.past_sale import PastSale


def check(model: SaleModel, words: Words, now: datetime) -> CheckState:
    """Return the left panel while a check is put together."""
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
        return CheckState(title=t("CHECK"), empty=empty, last=last_sale(model, words, now))
    base = CheckState(title=t("CHECK"), amount_label=t("Amount"), amount=words.money(amount))
    quote = model.quote
    if quote is None:
        return base
    return structs.replace(
        base,
        lines=sum_lines(quote, words),
        to_pay_label=t("To pay"),
        to_pay=words.money(quote.due, sign=True),
        earns=f"+{words.points(quote.earned_points)}" if quote.earned_points else "",
        hint=as_sentence(explain_hint(quote.hint, words)) if quote.hint else "",
    )


def sum_lines(quote: Quote, words: Words) -> tuple[SumLine, ...]:
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
        lines.append(SumLine(rule_name(rule, note, words), f"{MINUS}{words.money(amount)}", why))
    if quote.redeemed_money:
        used = words.gettext("{points} are used").format(points=words.points(quote.redeemed_points))
        lines.append(SumLine(words.gettext("Points"), f"{MINUS}{words.money(quote.redeemed_money)}", used))
    return tuple(lines)


def last_sale(model: SaleModel, words: Words, now: datetime) -> str:
    """Return the last sale in a line, empty where there was none."""
    last = model.last
    if last is None:
        return _past_sale(model.past, words, now) if model.past is not None else ""
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
        parts.append(guest_name(last.guest, words))
    return ", ".join(parts)


def _past_sale(past: PastSale, words: Words, now: datetime) -> str:
    t = words.gettext
    text = t("Last sale {time}: to pay {total}")
    if past.is_exchange:
        text = t("Last exchange {time}: to pay {total}") if past.due >= 0 else t("Last exchange {time}: {total} back")
    parts = [text.format(time=words.moment(past.at, now), total=words.money(abs(past.due)))]
    if past.off:
        parts.append(t("discount {amount}").format(amount=words.money(past.off)))
    if past.guest:
        parts.append(past.guest)
    if past.receipt:
        parts.append(t("receipt {number}").format(number=past.receipt))
    if past.came_back:
        parts.append(t("{amount} came back").format(amount=words.money(past.came_back)))
    return ", ".join(parts)


def recorded(done: SaleDone, program: Program | None, words: Words) -> DoneState:
    """Return what to key into the POS and what to tell the guest about a recorded sale."""
    t = words.gettext
    quote = done.quote
    off = quote.gross - quote.total
    details = []
    if quote.discount_total:
        details.append(SumLine(t("Discounts"), f"{MINUS}{words.money(quote.discount_total)}"))
    if quote.redeemed_money:
        details.append(
            SumLine(t("Points"), f"{MINUS}{words.money(quote.redeemed_money)}", words.points(quote.redeemed_points))
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
        name=guest_name(done.guest, words) if done.guest else "",
        tell=tell(done, program, words),
    )


def tell(done: SaleDone, program: Program | None, words: Words) -> tuple[str, ...]:
    """Return what to tell the guest, a line each."""
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
        _, text = way_to_next_tier(paid, program, words)
        if text:
            said.append(text)
    return tuple(said) or (t("Thank you for coming!"),)
