"""The page of sales as it is seen: the list, a sale of this till, a sale of another one."""

from __future__ import annotations

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.refund.left import LineLeft
from loyalty_desk.domain.return_contents import ExchangeContents
from loyalty_desk.services.counter_lines import Lines, exchanged_line, return_lines
from loyalty_desk.services.slips import sale_slip
from loyalty_desk.services.sold_checks import SoldCheck
from loyalty_desk.services.tier_withheld import withheld_line
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.counter.page import Page, facts_of
from loyalty_desk.ui.counter.pages.quantities import each
from loyalty_desk.ui.counter.pages.sales_model import (
    AMOUNT,
    EXCHANGE,
    GUEST,
    LINE,
    NEW,
    QUANTITY,
    RECEIPT,
    SALE,
    SLIP,
    VOID,
    WHOSE,
    SalesModel,
    Step,
    Swap,
)
from loyalty_desk.ui.counter.state import CounterState, Fact, Field, Group, Option, SideButton
from loyalty_desk.ui.sale.display.check import sum_lines
from loyalty_desk.wire.v1.lookup import SaleFound

# As on a roll of 58 mm, which has the fewest: so it fits beside the words in a small window too.
SLIP_COLUMNS = 32


def shown(page: Page, model: SalesModel, *, enabled: bool) -> CounterState:
    """Return what is to be seen; `enabled` says whether Enter records."""
    if model.step is Step.LIST:
        return _list(page, model)
    if model.elsewhere is not None:
        return _other_till(page, model, model.elsewhere, enabled=enabled)
    return _one(page, model, enabled=enabled)


def _list(page: Page, model: SalesModel) -> CounterState:
    t, guest = page.words.gettext, page.around.guest()
    options = tuple(_sale(page, sold, model) for sold in model.sales)
    if model.of_guest:
        name = guest.name if guest is not None else ""
        label = t("Sales to {name} at this till").format(name=name or t("this guest"))
    else:
        label = t("The last sales at this till")
    if not options and not page.is_busy:
        label = t("Nothing has been sold here yet.") if not model.of_guest else t("No sale to this guest here.")
    side: tuple[SideButton, ...] = ()
    if guest is not None and guest.guest_id is not None:
        side = (SideButton(WHOSE, t("All sales") if model.of_guest else t("Only this guest’s"), not page.is_busy),)
    return CounterState(
        t("Sales and returns"),
        groups=(Group(SALE, label, options, 1),),
        fields=(page.field(RECEIPT, t("Receipt number, of any till"), "DE71-000123"),),
        facts_label=t("Recorded") if model.outcome else t("Choose a sale, or type the number of its receipt."),
        facts=facts_of(model.outcome, model.outcome_strong),
        button=page.go(t("Find the sale"), enabled=bool(page.text(RECEIPT))),
        side=side,
        focus=RECEIPT,
        fields_first=True,
    )


def _sale(page: Page, sold: SoldCheck, model: SalesModel) -> Option:
    words, t = page.words, page.words.gettext
    record, left, total = sold.record, sold.money_left, sold.contents.claimed.total
    moment = words.moment(from_ms(record.occurred_at), page.around.now())
    detail = t("all of it has come back") if left == 0 and total else ""
    if 0 < left < total:
        detail = t("{left} can come back").format(left=words.money(left))
    if record.kind is RecordKind.EXCHANGE:
        detail = f"{t('exchange')}; {detail}" if detail else t("exchange")
    if not model.of_guest:
        nameless = t("without a guest") if record.guest_id is None else t("a guest")
        whose = model.name_of(record.guest_id) or nameless
        detail = f"{whose}; {detail}" if detail else whose
    title = f"{moment}   {record.receipt_no or ''}   {words.money(total, sign=True)}"
    return Option(str(record.id), title, detail)


def _one(page: Page, model: SalesModel, *, enabled: bool) -> CounterState:
    t, sold = page.words.gettext, model.one
    if model.step is Step.SLIP:
        return _slip(page, model, sold)
    is_void = model.step is Step.VOID
    groups: tuple[Group, ...] = ()
    if is_void and model.needs_manager:
        groups = (page.who_group(t("Which manager approves?")),)
    elif not is_void and not sold.is_bare:
        groups = (Group(LINE, t("What comes back?"), tuple(_line(one, model, page.words) for one in sold.lines), 1),)
    fields = _fields(page, model)
    side: tuple[SideButton, ...] = (SideButton(SLIP, t("Slip"), not page.is_busy),) if model.step is Step.SALE else ()
    if model.step is Step.SALE and sold.sale is not None and sold.money_left:
        side = (
            *side,
            SideButton(EXCHANGE, t("Exchange"), not page.is_busy),
            SideButton(VOID, t("Cancel the whole sale"), not page.is_busy),
        )
    return CounterState(
        t("Sale {receipt}").format(receipt=sold.record.receipt_no or ""),
        groups=groups,
        fields=fields,
        facts_label=t("The exchange") if model.swap is not None else t("The sale"),
        facts=_facts(page, sold, model),
        button=page.go(_button(model, page.words), enabled=enabled),
        side=side,
        focus=fields[-1].key if model.step is Step.EXCHANGE else fields[0].key if fields else "",
    )


def _slip(page: Page, model: SalesModel, sold: SoldCheck) -> CounterState:
    """Return the slip as a narrow roll has it."""
    t = page.words.gettext
    go = t("Back to the sale") if model.is_on_paper else t("Print the slip")
    return CounterState(
        t("Slip {receipt}").format(receipt=sold.record.receipt_no or ""),
        paper=tuple(sale_slip(sold, page.place, page.words, SLIP_COLUMNS)),
        facts_label=t("For the guest, where the POS does not print the points itself. No name stands on it."),
        button=page.go(go),
    )


def _facts(page: Page, sold: SoldCheck, model: SalesModel) -> tuple[Fact, ...]:
    """Return the sale and what would come of it; an exchange, which is long, stands before the sale known already."""
    sale = _sale_facts(page, sold, model)
    if model.swap is None:
        return *sale, *_outcome(model, page.words)
    about = Fact(""), Fact(page.words.gettext("The sale"))
    return *_swap_facts(model.swap, page.words), *_alone(page.words), *about, *sale


def _alone(words: Words) -> tuple[Fact, ...]:
    """Return what an exchange does not do."""
    said = words.gettext(
        "Points and promo codes are not used in an exchange. Where the guest wants to use them, return the goods "
        "first, then sell the new ones as a sale."
    )
    return Fact(""), Fact(said)


def _fields(page: Page, model: SalesModel) -> tuple[Field, ...]:
    t, words, sold = page.words.gettext, page.words, model.one
    if model.step is Step.VOID:
        return (page.pin_field(),) if model.needs_manager else ()
    fields: list[Field] = []
    if model.single is not None and model.single.left_milli > MILLI and not sold.is_bare:
        left = words.quantity(model.single.left_milli)
        fields.append(page.field(QUANTITY, t("How many of {left}").format(left=left), left))
    if model.guest_missing:
        fields.append(page.field(GUEST, t("The guest’s card or number")))
    elif model.step is Step.EXCHANGE:
        fields.append(page.field(NEW, t("Amount of the new check"), "0"))
    elif sold.is_bare and sold.money_left:
        fields.append(_amount(page, sold.money_left, words))
    return tuple(fields)


def _amount(page: Page, money_left: int, words: Words) -> Field:
    left = words.money(money_left)
    return page.field(AMOUNT, words.gettext("Money back, at most {left}").format(left=left), left)


def _sale_facts(page: Page, sold: SoldCheck, model: SalesModel) -> tuple[Fact, ...]:
    t, words, done = page.words.gettext, page.words, sold.contents.claimed
    facts: Lines = [
        (t("When"), words.moment(from_ms(sold.record.occurred_at), page.around.now())),
        *([(t("Guest"), name)] if (name := model.name_of(sold.record.guest_id)) else []),
        (t("Paid"), words.money(done.total)),
    ]
    if done.earned_points:
        facts.append((t("Points earned"), words.points(done.earned_points)))
    if done.redeemed_points:
        facts.append((t("Points used"), words.points(done.redeemed_points)))
    before = sold.before
    if before.money:
        facts.append((t("Came back so far"), words.money(before.money)))
    if before.earned_reversed:
        facts.append((t("Points taken back"), words.points(before.earned_reversed)))
    if before.spent_returned:
        facts.append((t("Points given back"), words.points(before.spent_returned)))
    if sold.record.kind is RecordKind.EXCHANGE:
        returned = ExchangeContents.from_check(sold.record.check).returned
        facts.append((t("Came back in exchange"), words.money(returned.money)))
    return facts_of(facts)


def _outcome(model: SalesModel, words: Words) -> tuple[Fact, ...]:
    t, sold = words.gettext, model.one
    if sold.money_left == 0:
        return Fact(""), Fact(t("All of this sale has come back already."))
    if model.guest_missing:
        said = t("The exchange stays with the guest of the sale: scan the code of {name}.")
        return Fact(""), Fact(said.format(name=model.name_of(sold.record.guest_id) or t("this guest")))
    if model.step is Step.EXCHANGE:
        return _alone(words)
    if model.preview is not None:
        moved = facts_of(return_lines(model.preview, words), t("Money back"))
        halved: tuple[Fact, ...] = ()
        if model.step is Step.VOID and sold.record.kind is RecordKind.EXCHANGE:
            halved = (Fact(""), Fact(exchanged_line(words)))
        return Fact(""), Fact(t("What goes back")), *moved, *halved
    if sold.sale is None:
        return Fact(""), Fact(t("The points of this return follow with the next sync with the server."))
    return ()


def _swap_facts(swap: Swap, words: Words) -> tuple[Fact, ...]:
    t = words.gettext
    last = t("To pay") if swap.difference >= 0 else t("Money back")
    quote, back = swap.quote, swap.returned
    lines: Lines = [(t("Came back"), words.money(back.money))]
    if back.spent_returned:
        lines.append((t("Points given back"), words.points(back.spent_returned)))
    if back.earned_reversed:
        lines.append((t("Points taken back"), words.points(back.earned_reversed)))
    lines.append((t("The new check"), words.money(quote.gross)))
    lines += [(one.title, one.amount) for one in sum_lines(quote, words)]
    if quote.gross != quote.total:
        lines.append((t("The new check, to pay"), words.money(quote.total)))
    if quote.earned_points:
        lines.append((t("Points earned"), words.points(quote.earned_points)))
    withheld = withheld_line(quote, swap.draft.guest, words)
    facts = facts_of([*lines, (last, words.money(abs(swap.difference)))], last)
    return (*facts, Fact(withheld)) if withheld else facts


def _other_till(page: Page, model: SalesModel, found: SaleFound, *, enabled: bool) -> CounterState:
    t, words = page.words.gettext, page.words
    facts: Lines = [
        (t("When"), words.moment(from_ms(found.at), page.around.now())),
        (t("Paid"), words.money(found.total)),
        (t("Guest"), found.guest_name or t("none")),
    ]
    follow = Fact(t("The points of this return follow with the next sync with the server."))
    return CounterState(
        t("Sale {receipt}, of another till").format(receipt=found.receipt),
        fields=(_amount(page, found.money_left, words),),
        facts_label=t("The sale"),
        facts=(*facts_of(facts), Fact(""), follow),
        button=page.go(_button(model, words), enabled=enabled),
        focus=AMOUNT,
    )


def _line(line: LineLeft, model: SalesModel, words: Words) -> Option:
    t = words.gettext
    title = f"{line.product or line.line}   {words.quantity(line.quantity_milli)} × {words.money(each(line))}"
    detail = ""
    if line.left_milli == 0:
        detail = t("has come back")
    elif line.left_milli < line.quantity_milli:
        detail = t("{left} left").format(left=words.quantity(line.left_milli))
    return Option(line.line, title, detail, line.line in model.lines, line.left_milli > 0)


def _button(model: SalesModel, words: Words) -> str:
    t = words.gettext
    if model.step is Step.VOID and model.preview is not None:
        return t("Cancel the sale: {money} back").format(money=words.money(model.preview.money, sign=True))
    if model.step is Step.EXCHANGE:
        if model.guest_missing:
            return t("Find the guest")
        if model.swap is None:
            return t("Choose what comes back and type the new check")
        difference = words.money(abs(model.swap.difference), sign=True)
        text = t("Exchange: {money} to pay") if model.swap.difference >= 0 else t("Exchange: {money} back")
        return text.format(money=difference)
    money = model.preview.money if model.preview is not None else model.amount
    if money is None or money <= 0:
        return t("Choose what comes back")
    return t("Return: {money} back").format(money=words.money(money, sign=True))
