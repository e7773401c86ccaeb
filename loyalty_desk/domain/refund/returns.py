"""Returns of a sale: by lines and units, by amount, whole.

Everything is worked out from the start of the sale to the state after the return, less what came back before: however a
guest returns a check piece by piece, the pieces sum to the whole, and none exceeds what was paid or spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from loyalty_desk.domain.basket import MILLI, WHOLE_CHECK, Basket, LineFlag
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.money import divide_half_up
from loyalty_desk.domain.quote import Quote
from loyalty_desk.domain.refund.formula import earned_by_formula, earned_on_amount
from loyalty_desk.domain.refund.parts import NOTHING_YET, Refund, Refunded, Return
from loyalty_desk.domain.refund.sale import Sale, line_id
from loyalty_desk.domain.refund.settlement import settled, settled_whole


def refund(sale: Sale, returns: Sequence[Return], before: Refunded = NOTHING_YET) -> Refund:
    """Return what a return by lines gives back; `before` is what came back earlier.

    Raises `BadInput` (`return_empty`, `return_line_unknown`, `return_quantity`) and `Refused`
    (`return_more_than_left`, `return_splits_set`).
    """
    quantities = _quantities(sale, returns, before)
    if all(quantities.get(sold.id) == sold.line.quantity_milli for sold in sale.lines):
        return settled_whole(sale, before, quantities)
    if sale.has_sets and sale.program.settings.partial_bundle_return == "refuse":
        raise Refused("return_splits_set")
    settings = sale.program.settings
    kept = _kept_quote(sale, quantities)
    if sale.has_sets:
        money = sale.quote.total - kept.total
        earned = sale.quote.earned_points - kept.earned_points
        spent = sale.spent - kept.redeemed_points
        if settings.spent_back == "full_refund_only":
            # Points that stay spent go on paying for what is kept, as far as it costs anything.
            money += min(kept.total, sale.quote.redeemed_money - kept.redeemed_money)
    else:
        back = [(sold, quantities.get(sold.id, 0)) for sold in sale.lines]
        money = sum(sold.back(sold.nets, quantity) for sold, quantity in back)
        earned = sum(sold.back(sold.earned, quantity) for sold, quantity in back)
        spent = sum(sold.back(sold.spent, quantity) for sold, quantity in back)
    if settings.spent_back == "full_refund_only":
        spent = 0
    if settings.points_reversal == "formula":
        earned = earned_by_formula(sale, quantities)
    return settled(
        sale,
        before,
        "repriced" if sale.has_sets else "lines",
        replace(before, quantities=quantities, money=money, earned_reversed=earned, spent_returned=spent),
        kept,
    )


def refund_amount(sale: Sale, amount: int, before: Refunded = NOTHING_YET) -> Refund:
    """Return what a return of `amount` minor units of a bare-total check gives back.

    Points come back as floor(points × returned so far ÷ paid) less what came back before. Raises `BadInput`
    (`return_amount`) and `Refused` (`return_by_lines`, `return_more_than_left`).
    """
    if not sale.is_bare_total:
        raise Refused("return_by_lines")
    if amount <= 0:
        raise BadInput("return_amount", amount=amount)
    paid = sale.quote.total
    so_far = before.money + amount
    if so_far > paid:
        raise Refused("return_more_than_left", asked=amount, left=max(0, paid - before.money))
    if so_far == paid:
        return settled_whole(sale, before, {WHOLE_CHECK: sale.basket.lines[0].quantity_milli})
    settings = sale.program.settings
    earned = sale.quote.earned_points * so_far // paid
    if settings.points_reversal == "formula":
        earned = earned_on_amount(sale, so_far)
    spent = sale.spent * so_far // paid if settings.spent_back == "share" else 0
    after = replace(before, money=so_far, earned_reversed=earned, spent_returned=spent)
    return settled(sale, before, "amount", after, None)


def void(sale: Sale, before: Refunded = NOTHING_YET) -> Refund:
    """Return what taking back the whole sale, or what is left of it, gives back. Raises `Refused` where nothing is."""
    quantities = {sold.id: sold.line.quantity_milli for sold in sale.lines}
    if quantities and dict(before.quantities) == quantities:
        raise Refused("return_nothing_left")
    return settled_whole(sale, before, quantities)


def _quantities(sale: Sale, returns: Sequence[Return], before: Refunded) -> dict[str, int]:
    """Return the thousandths of each line that are back after this return."""
    sold = {s.id: s.line for s in sale.lines}
    quantities = dict(before.quantities)
    for back in returns:
        line = sold.get(back.line)
        if line is None:
            raise BadInput("return_line_unknown", line=back.line[:40])
        if back.quantity_milli <= 0 or (not line.is_weighed and back.quantity_milli % MILLI):
            raise BadInput("return_quantity", line=back.line, quantity_milli=back.quantity_milli)
        left = line.quantity_milli - quantities.get(back.line, 0)
        if back.quantity_milli > left:
            raise Refused("return_more_than_left", line=back.line, asked_milli=back.quantity_milli, left_milli=left)
        quantities[back.line] = quantities.get(back.line, 0) + back.quantity_milli
    if quantities == dict(before.quantities):
        raise BadInput("return_empty")
    return quantities


def _kept_quote(sale: Sale, quantities: Mapping[str, int]) -> Quote:
    """Return what is kept priced as the sale was; what was taken off a line by hand is gone with the line."""
    kept = _kept(sale, quantities)
    ids = {line.id for line in kept.lines}
    manual = tuple(one for one in sale.choices.manual_discounts if one.line is None or one.line in ids)
    return sale.quoted(kept, replace(sale.choices, manual_discounts=manual))


def _kept(sale: Sale, quantities: Mapping[str, int]) -> Basket:
    lines = []
    for position, line in enumerate(sale.basket.lines):
        left = line.quantity_milli - quantities.get(line_id(line, position), 0)
        if left:
            tax = None if line.tax is None else divide_half_up(line.tax * left, line.quantity_milli)
            # What is left of a weighed line is still a weighed line, even where it happens to be whole.
            flags = line.flags | {LineFlag.WEIGHED.value} if line.is_weighed else line.flags
            lines.append(replace(line, quantity_milli=left, tax=tax, flags=flags))
    return replace(sale.basket, lines=tuple(lines))
