"""F6 and F7: the sales of this till or of the guest at the counter, and what comes back of one.

Everything is shown before it is done: what goes back in money, which points return and which are taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from loyalty_desk.domain.errors import BadInput, ForPerson, Refused
from loyalty_desk.domain.money import parse_amount
from loyalty_desk.domain.refund import Return
from loyalty_desk.services.checkout import CheckDraft, GuestCard
from loyalty_desk.services.counter_lines import Lines, exchange_lines, return_lines
from loyalty_desk.services.pins import Member
from loyalty_desk.services.returns import ExchangeDone, ReturnDone
from loyalty_desk.services.sentences import nobody_found, sentence
from loyalty_desk.services.slips import sale_slip
from loyalty_desk.services.sold_checks import SoldCheck
from loyalty_desk.ui.counter.page import PIN, WHO, Page
from loyalty_desk.ui.counter.pages.quantities import thousandths
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
from loyalty_desk.ui.counter.pages.sales_shown import shown
from loyalty_desk.ui.counter.state import CounterState
from loyalty_desk.ui.sale.state import NO_MESSAGE
from loyalty_desk.wire.v1.lookup import SaleFound


@dataclass(frozen=True, slots=True)
class _Found:
    here: SoldCheck | None
    elsewhere: SaleFound | None
    needs_manager: bool = False
    managers: tuple[Member, ...] = ()
    guest_name: str = ""


class SalesPage(Page):
    """Opened by F6 with the guest's sales where a guest is at the counter; by F7 with the receipt's field."""

    name: ClassVar[str] = "F6"

    def begin(self) -> None:
        self._model = SalesModel()
        guest = self.around.guest()
        self._list(of_guest=guest is not None and guest.guest_id is not None)

    def state(self) -> CounterState:
        return shown(self, self._model, enabled=self._is_ready)

    # -- what the cashier does

    def choose(self, group: str, key: str) -> None:
        if self.is_busy:
            return
        if group == SALE:
            self._find(key)
        elif group == LINE:
            self._model.lines ^= {key}
            self.texts.pop(QUANTITY, None)
            self._reckon()
        else:
            super().choose(group, key)

    def scanned(self, text: str) -> None:
        if self._model.step is Step.LIST:
            self.texts[RECEIPT] = text
            self._find(text)
        elif self._model.guest_missing:
            # What is said of it is said of the code, not of digits typed before.
            self.texts.pop(GUEST, None)
            self._bring_guest(text)

    def press(self, key: str) -> None:
        if self.is_busy:
            return
        step = self._model.step
        if key == SLIP and step is Step.SALE:
            self._go(Step.SLIP)
        elif key == VOID and step is Step.SALE:
            self._go(Step.VOID)
        elif key == EXCHANGE and step is Step.SALE:
            self._go(Step.EXCHANGE)
        elif key == WHOSE and step is Step.LIST:
            self._list(of_guest=not self._model.of_guest)

    def back(self) -> bool:
        if self._model.step is Step.LIST:
            return False
        if self._model.step in (Step.VOID, Step.EXCHANGE, Step.SLIP):
            self._model.is_on_paper = False
            self._go(Step.SALE)
        else:
            self._forget()
        return True

    def on_change(self, key: str) -> None:
        if key in (AMOUNT, QUANTITY, NEW):
            self._reckon()

    def submit(self) -> None:
        model = self._model
        if model.step is Step.LIST:
            if self.text(RECEIPT):
                self._find(self.text(RECEIPT))
            return
        if not self._is_ready:
            if model.step is Step.VOID and model.is_ready:
                self.say_what_is_missing()
            return
        if model.guest_missing:
            self._bring_guest(self.text(GUEST))
            return
        returns = self.around.cases.returns
        if model.step is Step.ELSEWHERE:
            found, money = model.elsewhere, model.amount
            if found is not None and money:
                self.record(lambda: returns.refund_elsewhere(found.id, money, found=found), self._returned)
        elif model.step is Step.SLIP:
            self._print(model.one)
        elif model.step is Step.VOID:
            self._void(model.one)
        elif model.step is Step.EXCHANGE:
            self._exchange(model.one)
        else:
            sold = model.one
            back, amount = self._wanted(sold)
            self.record(lambda: returns.refund(sold, back, amount), self._returned)

    @property
    def _is_ready(self) -> bool:
        model = self._model
        if model.step is Step.LIST:
            return bool(self.text(RECEIPT))
        if model.guest_missing:
            return bool(self.text(GUEST))
        return model.is_ready and (model.step is not Step.VOID or not model.needs_manager or self.is_signed)

    def _print(self, sold: SoldCheck) -> None:
        model, place, words = self._model, self.place, self.words

        def done() -> None:
            model.is_on_paper = True

        if model.is_on_paper:
            self.around.leave()
        else:
            name = sold.record.receipt_no or str(sold.record.id)
            self.put_on_paper(name, lambda columns: sale_slip(sold, place, words, columns), done)

    # -- what is recorded

    def _void(self, sold: SoldCheck) -> None:
        cases, who, pin = self.around.cases, self.chosen.get(WHO, ""), self.text(PIN)
        needs_manager = self._model.needs_manager

        def void() -> ReturnDone:
            approved = cases.pins.manager(who, pin) if needs_manager else None
            return cases.returns.void(sold, approved)

        self.record(void, self._returned)

    def _exchange(self, sold: SoldCheck) -> None:
        swap, returns = self._model.swap, self.around.cases.returns
        if swap is not None:
            self.record(lambda: returns.exchange(sold, swap.back, swap.draft, swap.quote), self._swapped)

    def _returned(self, done: ReturnDone) -> None:
        lines = return_lines(done, self.words)
        self._done(lines, lines[0])

    def _swapped(self, done: ExchangeDone) -> None:
        lines = exchange_lines(done, self.words)
        caption = self.words.gettext("To pay") if done.difference >= 0 else self.words.gettext("Money back")
        self._done(lines, next(one for one in lines if one[0] == caption))

    def _done(self, lines: Lines, first: tuple[str, str]) -> None:
        """Say what matters most in a sentence; all of it stays beside the list until something else is opened."""
        self._forget()
        self._model.outcome, self._model.outcome_strong = lines, first[0]
        self.say(self.words.gettext("Recorded. {what}.").format(what=f"{first[0]}: {first[1]}"))
        self.recorded()

    # -- which sale it is of

    def _list(self, *, of_guest: bool) -> None:
        guest, guests, sold_checks = self.around.guest(), self.around.cases.guests, self.around.cases.sold_checks
        whose = guest.guest_id if of_guest and guest is not None else None

        def read() -> tuple[list[SoldCheck], dict[UUID, str]]:
            found = sold_checks.recent() if whose is None else sold_checks.of_guest(whose)
            who = {one.record.guest_id for one in found}
            return found, {one: guests.name_of(one) for one in who if one is not None}

        def show(read: tuple[list[SoldCheck], dict[UUID, str]]) -> None:
            self._model.sales, names = read
            self._model.names |= names
            self._model.of_guest = whose is not None

        self.work(read, show)

    def _find(self, text: str) -> None:
        cases = self.around.cases
        self.message = NO_MESSAGE

        def find() -> _Found:
            try:
                sold = cases.sold_checks.find(text)
            except Refused as refused:
                if refused.code != "sale_unknown":
                    raise
                return _Found(None, cases.online.sale(text))
            managers = tuple(one for one in cases.pins.members() if one.is_manager)
            guest = sold.record.guest_id
            name = "" if guest is None else cases.guests.name_of(guest)
            return _Found(sold, None, cases.returns.needs_manager(sold), managers, name)

        self.work(find, self._open)

    def _open(self, found: _Found) -> None:
        model = self._model
        model.sold, model.elsewhere, model.needs_manager = found.here, found.elsewhere, found.needs_manager
        model.lines = set()
        model.outcome = []
        if found.here is not None and found.here.record.guest_id is not None:
            model.names[found.here.record.guest_id] = found.guest_name
        self.take_staff(found.managers)
        self.texts.pop(AMOUNT, None)
        self._go(Step.SALE if found.here is not None else Step.ELSEWHERE)

    def _bring_guest(self, text: str) -> None:
        """Take the code of the sale's guest: an exchange stays with them, and they may not be on the sale screen."""
        cases, sold, status = self.around.cases, self._model.one, self.around.status()

        def take(card: GuestCard) -> None:
            if card.guest_id != sold.record.guest_id:
                self.refused(Refused("exchange_other_guest"))
                return
            self.texts.pop(GUEST, None)
            self.around.found(card)
            self._reckon()

        self.message = NO_MESSAGE
        answers = status is not None and status.answers
        self.work(lambda: cases.online.identified(cases.guests.identify, text, answers=answers), take)

    def sentence_of(self, error: ForPerson) -> str:
        return sentence(nobody_found(error, self.text(GUEST)), self.words)

    def _forget(self) -> None:
        of_guest = self._model.of_guest
        self._model = SalesModel(sales=self._model.sales, of_guest=of_guest, names=self._model.names)
        self.texts.clear()
        self._list(of_guest=of_guest)

    def _go(self, step: Step) -> None:
        self._model.step = step
        self._reckon()

    # -- what would go back

    def _reckon(self) -> None:
        """Work out what would go back; here, for it is arithmetic on a sale that has been read already."""
        model, returns = self._model, self.around.cases.returns
        model.preview = model.swap = model.amount = None
        model.guest_missing = False
        sold = model.sold
        try:
            model.amount = self._amount()
            if sold is None or sold.sale is None or sold.money_left == 0 or model.step is Step.SLIP:
                return
            if model.step is Step.VOID:
                model.preview = returns.void_preview(sold)
                return
            if model.step is Step.EXCHANGE:
                model.swap = self._swap_of(sold)
                return
            back, amount = self._wanted(sold)
            if back or amount:
                model.preview = returns.refund_preview(sold, back, amount)
            elif sold.is_bare and self.text(AMOUNT):
                raise BadInput("return_amount", amount=0)
        except ForPerson as error:
            self.refused(error)

    def _amount(self) -> int | None:
        model = self._model
        if self.text(AMOUNT):
            return parse_amount(self.text(AMOUNT), self.words.currency)
        if model.elsewhere is not None:
            return model.elsewhere.money_left
        return model.sold.money_left if model.sold is not None and model.sold.is_bare else None

    def _wanted(self, sold: SoldCheck) -> tuple[list[Return], int]:
        """Return lines and quantities, or the amount of a check without lines."""
        if sold.is_bare:
            return [], self._model.amount or 0
        back = [Return(one.line, one.left_milli) for one in sold.lines if one.line in self._model.lines]
        if len(back) == 1 and self.text(QUANTITY):
            back = [replace(back[0], quantity_milli=thousandths(self.text(QUANTITY), back[0].line))]
        return back, 0

    def _swap_of(self, sold: SoldCheck) -> Swap | None:
        """Return the exchange as it stands; a check without lines comes back whole."""
        whose, guest = sold.record.guest_id, self.around.guest()
        if guest is None or guest.guest_id != whose:
            guest = None
        self._model.guest_missing = whose is not None and guest is None
        if self._model.guest_missing:
            return None
        if sold.is_bare:
            back = [Return(one.line, one.left_milli) for one in sold.lines if one.left_milli]
        else:
            back, _ = self._wanted(sold)
        if not back or not self.text(NEW):
            return None
        basket = self.around.basket(parse_amount(self.text(NEW), self.words.currency))
        draft = CheckDraft(basket, guest, at=self.around.now())
        returned, quote = self.around.cases.returns.exchange_quote(sold, back, draft)
        return Swap(draft, back, returned, quote)


class SlipPage(SalesPage):
    """Opened by F5: the slip of the last sale, at once."""

    name: ClassVar[str] = "F5"

    def begin(self) -> None:
        self._model = SalesModel()
        sold_checks = self.around.cases.sold_checks

        def show(sold: SoldCheck) -> None:
            self._model.sold, self._model.step = sold, Step.SLIP

        self.work(sold_checks.newest, show)

    def back(self) -> bool:
        return False
