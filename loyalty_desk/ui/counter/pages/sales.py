"""F6 and F7: the sales of this till or of the guest at the counter, and what comes back of one.

Everything is shown before it is done: what goes back in money, which points return and which are taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import BadInput, ForPerson, Refused
from loyalty_desk.domain.money import parse_amount
from loyalty_desk.domain.quote import Quote
from loyalty_desk.domain.refund import Refund, Return
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.services.counter_lines import Lines, exchange_lines, return_lines
from loyalty_desk.services.pins import Member
from loyalty_desk.services.returns import ExchangeDone, ReturnDone
from loyalty_desk.services.sold_checks import LineLeft, SoldCheck
from loyalty_desk.ui.counter.page import Page, facts_of
from loyalty_desk.ui.counter.state import CounterState, Fact, Field, Group, Option, SideButton
from loyalty_desk.wire.v1.lookup import SaleFound

RECEIPT, SALE, LINE, AMOUNT, QUANTITY, NEW = "receipt", "sale", "line", "amount", "quantity", "new"
VOID, EXCHANGE, WHOSE = "F9", "F8", "F6"
MOST_QUANTITY = 10**9


class Step(StrEnum):
    """Where the page stands."""

    LIST = "list"
    SALE = "sale"
    VOID = "void"
    EXCHANGE = "exchange"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class _Read:
    sales: list[SoldCheck]
    of_guest: bool


@dataclass(frozen=True, slots=True)
class _Swap:
    """An exchange worked out; `difference` is what the guest pays, negative where money goes back."""

    draft: CheckDraft
    back: list[Return]
    returned: Refund
    quote: Quote

    @property
    def difference(self) -> int:
        return self.quote.due - self.returned.cash


@dataclass(frozen=True, slots=True)
class _Found:
    here: SoldCheck | None
    elsewhere: SaleFound | None
    needs_manager: bool = False
    managers: tuple[Member, ...] = ()


class SalesPage(Page):
    """Opened by F6 with the guest's sales where a guest is at the counter; by F7 with the receipt's field."""

    name: ClassVar[str] = "F6"

    def begin(self) -> None:
        self._step = Step.LIST
        self._sales: list[SoldCheck] = []
        self._of_guest = False
        self._sold: SoldCheck | None = None
        self._elsewhere: SaleFound | None = None
        self._needs_manager = False
        self._lines: set[str] = set()
        self._preview: Refund | None = None
        self._swap: _Swap | None = None
        guest = self.around.guest()
        self._read(of_guest=guest is not None and guest.guest_id is not None)

    def _read(self, *, of_guest: bool) -> None:
        guest, sold_checks = self.around.guest(), self.around.cases.sold_checks

        def read() -> _Read:
            if of_guest and guest is not None and guest.guest_id is not None:
                return _Read(sold_checks.of_guest(guest.guest_id), of_guest=True)
            return _Read(sold_checks.recent(), of_guest=False)

        def show(found: _Read) -> None:
            self._sales, self._of_guest = found.sales, found.of_guest

        self.work(read, show)

    # -- what is to be seen

    def state(self) -> CounterState:
        if self._step is Step.LIST:
            return self._list()
        return self._other_till() if self._step is Step.ELSEWHERE else self._one()

    def _list(self) -> CounterState:
        t, words, now = self.words.gettext, self.words, self.around.now()
        options = []
        for sold in self._sales:
            record, left = sold.record, sold.money_left
            total = sold.contents.claimed.total
            moment = words.moment(from_ms(record.occurred_at), now)
            detail = t("all of it has come back") if left == 0 and total else ""
            if 0 < left < total:
                detail = t("{left} can come back").format(left=words.money(left))
            title = f"{moment}   {record.receipt_no or ''}   {words.money(total, sign=True)}"
            options.append(Option(str(record.id), title, detail))
        guest = self.around.guest()
        if self._of_guest:
            name = guest.name if guest is not None else ""
            label = t("Sales to {name} at this till").format(name=name or t("this guest"))
        else:
            label = t("The last sales at this till")
        if not options and not self.is_busy:
            label = t("Nothing has been sold here yet.") if not self._of_guest else t("No sale to this guest here.")
        side: tuple[SideButton, ...] = ()
        if guest is not None and guest.guest_id is not None:
            side = (SideButton(WHOSE, t("All sales") if self._of_guest else t("Only this guest’s"), not self.is_busy),)
        return CounterState(
            t("Sales and returns"),
            groups=(Group(SALE, label, tuple(options), 1),),
            fields=(self.field(RECEIPT, t("Receipt number, of any till"), "DE71-000123"),),
            facts_label=t("Choose a sale, or type the number of its receipt."),
            button=self.go(t("Find the sale"), enabled=bool(self.text(RECEIPT))),
            side=side,
            focus=RECEIPT,
            fields_first=True,
        )

    def _one(self) -> CounterState:
        t, words, sold = self.words.gettext, self.words, self._required()
        record, is_void = sold.record, self._step is Step.VOID
        title = t("Sale {receipt}").format(receipt=record.receipt_no or "")
        groups: tuple[Group, ...] = ()
        fields: list[Field] = []
        if not is_void and not sold.is_bare:
            options = tuple(self._line(one) for one in sold.lines)
            groups = (Group(LINE, t("What comes back?"), options, 1),)
            if self._single is not None and self._single.left_milli > MILLI:
                left = _quantity(self._single.left_milli)
                fields = [self.field(QUANTITY, t("How many of {left}").format(left=left), left)]
        elif not is_void:
            left = words.bare_money(sold.money_left)
            fields = [self.field(AMOUNT, t("Money back, at most {left}").format(left=left), left)]
        if self._step is Step.EXCHANGE:
            if sold.is_bare:
                fields = []
            fields.append(self.field(NEW, t("Amount of the new check"), "0"))
        if is_void and self._needs_manager:
            groups = (self.who_group(t("Which manager approves?")),)
            fields = [self.pin_field()]
        done = sold.contents.claimed
        facts: Lines = [
            (t("When"), words.moment(from_ms(record.occurred_at), self.around.now())),
            (t("Paid"), words.money(done.total)),
        ]
        if done.earned_points:
            facts.append((t("Points earned"), words.points(done.earned_points)))
        if done.redeemed_points:
            facts.append((t("Points used"), words.points(done.redeemed_points)))
        shown = facts_of(facts)
        if sold.money_left == 0:
            shown += (Fact(""), Fact(t("All of this sale has come back already.")))
        elif self._swap is not None:
            shown += (Fact(""), Fact(t("The exchange")), *self._swap_facts(self._swap))
        elif self._preview is not None:
            shown += (
                Fact(""),
                Fact(t("What goes back")),
                *facts_of(return_lines(self._preview, words), t("Money back")),
            )
        elif sold.sale is None:
            shown += (Fact(""), Fact(t("The points of this return follow with the next exchange with the server.")))
        side: tuple[SideButton, ...] = ()
        if self._step is Step.SALE and sold.sale is not None and sold.money_left:
            side = (
                SideButton(EXCHANGE, t("Exchange"), not self.is_busy),
                SideButton(VOID, t("Cancel the whole sale"), not self.is_busy),
            )
        return CounterState(
            title,
            groups=groups,
            fields=tuple(fields),
            facts_label=t("The sale"),
            facts=shown,
            button=self.go(self._button(), enabled=self._is_ready),
            side=side,
            focus=NEW if self._step is Step.EXCHANGE else fields[0].key if fields else "",
        )

    def _swap_facts(self, swap: _Swap) -> tuple[Fact, ...]:
        t, words = self.words.gettext, self.words
        last = t("To pay") if swap.difference >= 0 else t("Money back")
        lines: Lines = [
            (t("Came back"), words.money(swap.returned.money)),
            (t("Sold"), words.money(swap.quote.total)),
            (last, words.money(abs(swap.difference))),
        ]
        return facts_of(lines, last)

    def _other_till(self) -> CounterState:
        t, words, found = self.words.gettext, self.words, self._elsewhere
        if found is None:
            raise LookupError("no sale of another till is open")
        left = words.bare_money(found.money_left)
        facts: Lines = [
            (t("When"), words.moment(from_ms(found.at), self.around.now())),
            (t("Paid"), words.money(found.total)),
            (t("Guest"), found.guest_name or t("none")),
        ]
        return CounterState(
            t("Sale {receipt}, of another till").format(receipt=found.receipt),
            fields=(self.field(AMOUNT, t("Money back, at most {left}").format(left=left), left),),
            facts_label=t("The sale"),
            facts=(
                *facts_of(facts),
                Fact(""),
                Fact(t("The points of this return follow with the next exchange with the server.")),
            ),
            button=self.go(self._button(), enabled=self._is_ready),
            focus=AMOUNT,
        )

    def _line(self, line: LineLeft) -> Option:
        t, words = self.words.gettext, self.words
        title = f"{line.product or line.line}   {_quantity(line.quantity_milli)} × {words.money(_each(line))}"
        detail = ""
        if line.left_milli == 0:
            detail = t("has come back")
        elif line.left_milli < line.quantity_milli:
            detail = t("{left} left").format(left=_quantity(line.left_milli))
        return Option(line.line, title, detail, line.line in self._lines, line.left_milli > 0)

    def _button(self) -> str:
        t, words = self.words.gettext, self.words
        if self._step is Step.VOID and self._preview is not None:
            return t("Cancel the sale: {money} back").format(money=words.money(self._preview.money, sign=True))
        if self._step is Step.EXCHANGE:
            if self._swap is None:
                return t("Choose what comes back and type the new check")
            difference = words.money(abs(self._swap.difference), sign=True)
            text = t("Exchange: {money} to pay") if self._swap.difference >= 0 else t("Exchange: {money} back")
            return text.format(money=difference)
        money = self._preview.money if self._preview is not None else self._amount
        if money is None or money <= 0:
            return t("Choose what comes back")
        return t("Return: {money} back").format(money=words.money(money, sign=True))

    @property
    def _is_ready(self) -> bool:
        if self._step is Step.VOID:
            return self._preview is not None and (not self._needs_manager or self.is_signed)
        if self._step is Step.EXCHANGE:
            return self._swap is not None
        if self._step is Step.ELSEWHERE:
            return bool(self._amount)
        sold = self._required()
        if sold.money_left == 0:
            return False
        return self._preview is not None or (sold.sale is None and (bool(self._lines) or bool(self._amount)))

    # -- what the cashier does

    def choose(self, group: str, key: str) -> None:
        if self.is_busy:
            return
        if group == SALE:
            self._find(key)
        elif group == LINE:
            self._lines ^= {key}
            self.texts.pop(QUANTITY, None)
            self._reckon()
        else:
            super().choose(group, key)

    def scanned(self, text: str) -> None:
        if self._step is Step.LIST:
            self.texts[RECEIPT] = text
            self._find(text)

    def press(self, key: str) -> None:
        if self.is_busy:
            return
        if key == VOID and self._step is Step.SALE:
            self._step = Step.VOID
            self._reckon()
        elif key == EXCHANGE and self._step is Step.SALE:
            self._step = Step.EXCHANGE
            self._reckon()
        elif key == WHOSE and self._step is Step.LIST:
            self._read(of_guest=not self._of_guest)

    def back(self) -> bool:
        if self._step is Step.LIST:
            return False
        if self._step in (Step.VOID, Step.EXCHANGE):
            self._step = Step.SALE
            self._reckon()
        else:
            self._forget()
        return True

    def on_change(self, key: str) -> None:
        if key in (AMOUNT, QUANTITY, NEW):
            self._reckon()

    def submit(self) -> None:
        if self._step is Step.LIST:
            if self.text(RECEIPT):
                self._find(self.text(RECEIPT))
            return
        if not self._is_ready:
            return
        returns = self.around.cases.returns
        if self._step is Step.ELSEWHERE:
            found, money = self._elsewhere, self._amount
            if found is not None and money:
                self.record(lambda: returns.refund_elsewhere(found.id, money, found=found), self._done)
            return
        sold = self._required()
        if self._step is Step.VOID:
            self._void(sold)
            return
        if self._step is Step.EXCHANGE:
            self._exchange(sold)
            return
        back, amount = self._wanted(sold)
        self.record(lambda: returns.refund(sold, back, amount), self._done)

    def _void(self, sold: SoldCheck) -> None:
        cases, who = self.around.cases, self.chosen.get("who", "")
        pin = self.text("pin")

        def void() -> ReturnDone:
            approved = cases.pins.manager(who, pin) if self._needs_manager else None
            return cases.returns.void(sold, approved)

        self.record(void, self._done)

    def _exchange(self, sold: SoldCheck) -> None:
        swap, returns = self._swap, self.around.cases.returns
        if swap is not None:
            self.record(lambda: returns.exchange(sold, swap.back, swap.draft, swap.quote), self._swapped)

    def _swapped(self, done: ExchangeDone) -> None:
        said = "; ".join(f"{caption}: {value}" for caption, value in exchange_lines(done, self.words))
        self._forget()
        self.say(self.words.gettext("Recorded. {what}.").format(what=said))
        self.recorded()

    # -- the sale that was chosen

    def _find(self, text: str) -> None:
        cases = self.around.cases

        def find() -> _Found:
            try:
                sold = cases.sold_checks.find(text)
            except Refused as refused:
                if refused.code != "sale_unknown":
                    raise
                return _Found(None, cases.online.sale(text))
            managers = tuple(one for one in cases.pins.members() if one.is_manager)
            return _Found(sold, None, cases.returns.needs_manager(sold), managers)

        self.work(find, self._show)

    def _show(self, found: _Found) -> None:
        self._sold, self._elsewhere, self._needs_manager = found.here, found.elsewhere, found.needs_manager
        self._step = Step.SALE if found.here is not None else Step.ELSEWHERE
        self.take_staff(found.managers)
        self._lines = set()
        self.texts.pop(AMOUNT, None)
        self._reckon()

    def _forget(self) -> None:
        self._step, self._sold, self._elsewhere, self._preview = Step.LIST, None, None, None
        self.texts.clear()
        self._read(of_guest=self._of_guest)

    def _required(self) -> SoldCheck:
        if self._sold is None:
            raise LookupError("no sale is open")
        return self._sold

    @property
    def _single(self) -> LineLeft | None:
        if len(self._lines) != 1 or self._sold is None:
            return None
        return next((one for one in self._sold.lines if one.line in self._lines), None)

    @property
    def _amount(self) -> int | None:
        """Return the money typed, all that is left while the field is empty, None where it cannot be read."""
        left = self._elsewhere.money_left if self._elsewhere is not None else self._required().money_left
        if not self.text(AMOUNT):
            return left if self._elsewhere is not None or self._required().is_bare else None
        try:
            return parse_amount(self.text(AMOUNT), self.words.currency)
        except BadInput:
            return None

    def _wanted(self, sold: SoldCheck) -> tuple[list[Return], int]:
        """Return lines and quantities, or the amount of a check without lines."""
        if sold.is_bare:
            return [], self._amount or 0
        back = [Return(one.line, one.left_milli) for one in sold.lines if one.line in self._lines]
        if len(back) == 1 and self.text(QUANTITY):
            back = [replace(back[0], quantity_milli=_thousandths(self.text(QUANTITY), back[0].line))]
        return back, 0

    def _reckon(self) -> None:
        """Work out what would go back; here, for it is arithmetic on a sale that has been read already."""
        self._preview = self._swap = None
        if self._step is Step.ELSEWHERE or self._sold is None or self._sold.sale is None:
            return
        sold, returns = self._sold, self.around.cases.returns
        if sold.money_left == 0:
            return
        try:
            if self._step is Step.VOID:
                self._preview = returns.void_preview(sold)
                return
            if self._step is Step.EXCHANGE:
                self._swap = self._swap_of(sold)
                return
            back, amount = self._wanted(sold)
            if back or amount:
                self._preview = returns.refund_preview(sold, back, amount)
            elif sold.is_bare and self.text(AMOUNT):
                raise BadInput("return_amount", amount=0)
        except ForPerson as error:
            self.refused(error)

    def _swap_of(self, sold: SoldCheck) -> _Swap | None:
        """Return the exchange as it stands; a check without lines comes back whole."""
        if sold.is_bare:
            back = [Return(one.line, one.left_milli) for one in sold.lines if one.left_milli]
        else:
            back, _ = self._wanted(sold)
        if not back or not self.text(NEW):
            return None
        basket = self.around.basket(parse_amount(self.text(NEW), self.words.currency))
        draft = CheckDraft(basket, self.around.guest(), at=self.around.now())
        returned, quote = self.around.cases.returns.exchange_quote(sold, back, draft)
        return _Swap(draft, back, returned, quote)

    def _done(self, done: ReturnDone) -> None:
        said = "; ".join(f"{caption}: {value}" for caption, value in return_lines(done, self.words))
        self._forget()
        self.say(self.words.gettext("Recorded. {what}.").format(what=said))
        self.recorded()


def _quantity(milli: int) -> str:
    whole, part = divmod(milli, MILLI)
    return f"{whole}.{part:03d}".rstrip("0") if part else f"{whole}"


def _each(line: LineLeft) -> int:
    return line.net * MILLI // line.quantity_milli if line.quantity_milli else 0


def _thousandths(text: str, line: str) -> int:
    """Return a typed quantity in thousandths; raises `BadInput` `return_quantity`."""
    whole, mark, fraction = text.replace(",", ".").partition(".")
    if not whole.isdecimal() or (mark and not fraction.isdecimal()) or len(whole) > 6 or len(fraction) > 3:
        raise BadInput("return_quantity", line=line[:40])
    found = int(whole) * MILLI + int(fraction.ljust(3, "0") or "0")
    if not 0 < found <= MOST_QUANTITY:
        raise BadInput("return_quantity", line=line[:40])
    return found
