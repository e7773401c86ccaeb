"""A refund made from what is back in all and what was back before: every part between nothing and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from loyalty_desk.domain.basket import MILLI, LineFlag
from loyalty_desk.domain.money import allocate, divide_half_up
from loyalty_desk.domain.quote import Quote
from loyalty_desk.domain.refund.parts import Refund, Refunded, ReturnedLine
from loyalty_desk.domain.refund.sale import Sale


def settled_whole(sale: Sale, before: Refunded, quantities: Mapping[str, int]) -> Refund:
    """Return the refund after which nothing of the sale is left; `quantities` are all its lines' thousandths."""
    after = replace(
        before,
        quantities=quantities,
        money=sale.quote.total,
        earned_reversed=sale.quote.earned_points,
        spent_returned=sale.spent,
    )
    return settled(sale, before, "whole", after, None, is_whole=True)


def settled(
    sale: Sale, before: Refunded, how: str, after: Refunded, kept: Quote | None, *, is_whole: bool = False
) -> Refund:
    """Return the refund from totals before and after; each part is between nothing and what is left."""
    q = sale.quote
    money = _between(after.money - before.money, q.total - before.money)
    earned = _between(after.earned_reversed - before.earned_reversed, q.earned_points - before.earned_reversed)
    spent = _between(after.spent_returned - before.spent_returned, sale.spent - before.spent_returned)
    stamps = _less(_whole_or_kept(q.stamps, kept.stamps if kept else q.stamps, is_whole=is_whole), before.stamps)
    issued = _whole_or_kept(q.coupons_issued, kept.coupons_issued if kept else q.coupons_issued, is_whole=is_whole)
    withdrawn = _less(issued, before.coupons_withdrawn)
    paid_back = before.money
    back_to: list[tuple[str, int]] = []
    for identifier, amount in q.payments:
        due = max(0, amount - paid_back)
        part = min(due, money - sum(given for _, given in back_to))
        paid_back = max(0, paid_back - amount)
        if part:
            back_to.append((identifier, part))
    lines = _lines(sale, before, after, money, earned, spent)
    return Refund(
        how=how,
        money=money,
        earned_reversed=earned,
        spent_returned=spent,
        lines=lines,
        is_whole=is_whole,
        after=Refunded(
            quantities=dict(after.quantities),
            money=before.money + money,
            earned_reversed=before.earned_reversed + earned,
            spent_returned=before.spent_returned + spent,
            stamps=_plus(before.stamps, stamps),
            coupons_withdrawn=_plus(before.coupons_withdrawn, withdrawn),
        ),
        back_to=tuple(back_to),
        cards=_cards(sale, before, after),
        uses=q.uses if is_whole else (),
        stamps=stamps,
        coupons_freed=_coupons_freed(sale) if is_whole else (),
        coupons_withdrawn=withdrawn,
    )


def _lines(
    sale: Sale, before: Refunded, after: Refunded, money: int, earned: int, spent: int
) -> tuple[ReturnedLine, ...]:
    """Return each line's part, the totals being split by what the returned units paid, earned and spent."""
    moved = [(sold, after.quantities.get(sold.id, 0), before.quantities.get(sold.id, 0)) for sold in sale.lines]
    moved = [(sold, now, then) for sold, now, then in moved if now > then]
    parts = [
        allocate(amount, [max(0, sold.back(of, now) - sold.back(of, then)) for (sold, now, then), of in zipped])
        for amount, zipped in (
            (money, [(row, row[0].nets) for row in moved]),
            (earned, [(row, row[0].earned) for row in moved]),
            (spent, [(row, row[0].spent) for row in moved]),
        )
    ]
    return tuple(
        ReturnedLine(sold.id, now - then, *numbers) for (sold, now, then), *numbers in zip(moved, *parts, strict=True)
    )


def _between(amount: int, most: int) -> int:
    return max(0, min(amount, most))


def _whole_or_kept(
    had: Sequence[tuple[str, int]], kept: Sequence[tuple[str, int]], *, is_whole: bool
) -> dict[str, int]:
    left = {} if is_whole else dict(kept)
    return {rule: count - left.get(rule, 0) for rule, count in had}


def _less(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    counts = {rule: count - before.get(rule, 0) for rule, count in now.items()}
    return tuple((rule, count) for rule, count in counts.items() if count)


def _plus(before: Mapping[str, int], more: Sequence[tuple[str, int]]) -> dict[str, int]:
    return {**before, **{rule: before.get(rule, 0) + count for rule, count in more}}


def _cards(sale: Sale, before: Refunded, after: Refunded) -> tuple[tuple[str, int], ...]:
    """Return what gift cards sold lose again: what was loaded on the units returned, their price before discounts."""
    found = []
    for sold in sale.lines:
        now, then = (state.quantities.get(sold.id, 0) for state in (after, before))
        if LineFlag.GIFT_CARD in sold.line.flags and now > then:
            found.append((sold.id, divide_half_up(sold.line.unit_price * (now - then), MILLI)))
    return tuple(found)


def _coupons_freed(sale: Sale) -> tuple[str, ...]:
    """Return the coupons presented, but for those that a used rule keeps after a void."""
    used = {rule for rule, _ in sale.quote.uses} | {note.rule for note in sale.quote.explanation if note.applied}
    kept: set[str] = set()
    owned = {} if sale.guest is None else {c.code.strip().casefold(): c.rule for c in sale.guest.coupons}
    for rule in sale.program.rules:
        for condition in rule.conditions:
            if rule.id in used and condition.data.get("type") == "coupon":
                if condition.flag("reusable_after_void", default=True):
                    continue
                kept |= {code.strip().casefold() for code in condition.texts("codes")}
                kept |= {code for code, of in owned.items() if of == rule.id}
    return tuple(code for code in sale.choices.coupons if code.strip().casefold() not in kept)
