"""What the page of sales knows: which sale is open, what of it is chosen to come back, and what that comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from loyalty_desk.domain.quote import Quote
from loyalty_desk.domain.refund import Refund, Return
from loyalty_desk.domain.refund.left import LineLeft
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.services.counter_lines import Lines
from loyalty_desk.services.sold_checks import SoldCheck
from loyalty_desk.wire.v1.lookup import SaleFound

RECEIPT, SALE, LINE, AMOUNT, QUANTITY, NEW, GUEST = "receipt", "sale", "line", "amount", "quantity", "new", "guest"
SLIP, VOID, EXCHANGE, WHOSE = "F5", "F9", "F8", "F6"


class Step(StrEnum):
    """Where the page stands."""

    LIST = "list"
    SALE = "sale"
    VOID = "void"
    EXCHANGE = "exchange"
    SLIP = "slip"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Swap:
    """An exchange worked out; `difference` is what the guest pays, negative where money goes back."""

    draft: CheckDraft
    back: list[Return]
    returned: Refund
    quote: Quote

    @property
    def difference(self) -> int:
        """Return what the guest pays, in minor units."""
        return self.quote.due - self.returned.cash


@dataclass(slots=True)
class SalesModel:
    """`sales` are listed; `sold` is the one of this till that is open, `elsewhere` the one of another till.

    `lines` of it are chosen; `preview` and `swap` are what a return or an exchange would move. `amount` is the money
    typed, all that is left while the field is empty, None where it cannot be read. `names` are of the guests of all
    these; `outcome` is what was recorded last. `guest_missing`: an exchange waits for the sale's guest to be scanned.
    `is_on_paper`: its slip has been printed.
    """

    step: Step = Step.LIST
    sales: list[SoldCheck] = field(default_factory=list)
    of_guest: bool = False
    sold: SoldCheck | None = None
    elsewhere: SaleFound | None = None
    needs_manager: bool = False
    lines: set[str] = field(default_factory=set)
    amount: int | None = None
    preview: Refund | None = None
    swap: Swap | None = None
    names: dict[UUID, str] = field(default_factory=dict)
    outcome: Lines = field(default_factory=list)
    outcome_strong: str = ""
    guest_missing: bool = False
    is_on_paper: bool = False

    @property
    def one(self) -> SoldCheck:
        """Return the sale of this till that is open."""
        if self.sold is None:
            raise LookupError("no sale is open")
        return self.sold

    def name_of(self, guest: UUID | None) -> str:
        """Return what the guest of a sale is called, empty where that is not known here."""
        return self.names.get(guest, "") if guest is not None else ""

    @property
    def single(self) -> LineLeft | None:
        """Return the line chosen where it is the only one."""
        if len(self.lines) != 1 or self.sold is None:
            return None
        return next((one for one in self.sold.lines if one.line in self.lines), None)

    @property
    def is_ready(self) -> bool:
        """Return whether there is anything to record; a void that needs a manager waits for the PIN besides."""
        if self.step is Step.SLIP:
            return True
        if self.step is Step.VOID:
            return self.preview is not None
        if self.step is Step.EXCHANGE:
            return self.swap is not None
        if self.step is Step.ELSEWHERE:
            return bool(self.amount)
        sold = self.one
        if sold.money_left == 0:
            return False
        return self.preview is not None or (sold.sale is None and (bool(self.lines) or bool(self.amount)))
