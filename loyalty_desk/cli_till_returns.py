"""`loyalty-desk till void | refund | exchange | history`: what comes back, by the check it was sold with."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from loyalty_desk.cli_till import (
    AsJson,
    DataDir,
    Guest,
    GuestOption,
    Lang,
    Manager,
    approved,
    named_once,
    opened,
    show,
    show_lines,
)
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.record import RecordKind

if TYPE_CHECKING:
    from loyalty_desk.domain.refund import Return
    from loyalty_desk.domain.refund.left import LineLeft
    from loyalty_desk.services.returns import ReturnDone
    from loyalty_desk.services.sold_checks import SoldCheck
    from loyalty_desk.till import Till

Lines = Annotated[
    list[str] | None,
    typer.Option(
        "--line", help="LINE=QUANTITY of what comes back, by the number or id of `history`; all of a line: LINE alone."
    ),
]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (void, refund, exchange, history):
        app.command()(command)


def void(
    receipt: Annotated[str | None, typer.Argument(help="Receipt number or id; absent: the last sale.")] = None,
    manager: Manager = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Take a whole sale back: the last one within ten minutes, any other with a manager."""
    from loyalty_desk.services.counter_lines import exchanged_line, return_lines, taken_back

    with opened(data_dir, lang) as (till, words):
        # An empty one is a number that got lost on the way, not the wish to void whatever came last.
        books = till.counter.sold_checks
        sold = books.newest() if receipt is None else books.find(receipt)
        done = till.counter.returns.void(sold, approved(till, manager))
        lines = [(words.gettext("Cancelled"), taken_back(sold, words, datetime.now(UTC))), *return_lines(done, words)]
        show_lines({**_returned(done), "receipt": sold.record.receipt_no}, lines, as_json)
        if sold.record.kind is RecordKind.EXCHANGE and not as_json:
            typer.echo(exchanged_line(words))


def refund(
    receipt: Annotated[str, typer.Argument(help="Receipt number or id of the sale.")],
    line: Lines = None,
    amount: Annotated[
        str, typer.Option("--amount", help="Money back of a check without lines; absent: all that is left.")
    ] = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Return goods, or an amount of a check without lines; of another till's sale the points follow at the sync."""
    from loyalty_desk.services.counter_lines import named_lines, return_lines

    with opened(data_dir, lang) as (till, words):
        number: str | None = receipt
        money = _money(till, amount)
        try:
            sold = till.counter.sold_checks.find(receipt)
        except Refused as refused:
            if refused.code != "sale_unknown":
                raise
            done = _elsewhere(till, receipt, money)
        else:
            if not line and not money and not sold.is_bare:
                raise Refused("return_lines_named", lines=named_lines(sold))
            back = _returns(sold, line or [])
            done = till.counter.returns.refund(sold, back, 0 if back else money or sold.money_left)
            number = sold.record.receipt_no
        show_lines({**_returned(done), "receipt": number}, return_lines(done, words), as_json)


def exchange(
    receipt: Annotated[str, typer.Argument(help="Receipt number or id of the sale.")],
    line: Lines = None,
    sell: Annotated[
        list[str] | None, typer.Option("--sell", help="PRODUCT:PRICE[:QUANTITY[:CATEGORY]] of what is sold instead.")
    ] = None,
    code: Annotated[str, typer.Option("--code", help="The guest's card or number, that of the sale.")] = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Return goods and sell others in one record."""
    from loyalty_desk.cli_till_sale import make_draft
    from loyalty_desk.cli_till_sale import sold as as_sold
    from loyalty_desk.services.counter_lines import exchange_lines, named_lines

    with opened(data_dir, lang) as (till, words):
        try:
            found = till.counter.sold_checks.find(receipt)
        except Refused as refused:
            if refused.code != "sale_unknown":
                raise
            raise Refused("exchange_elsewhere", receipt=receipt[:40]) from refused
        back = _returns(found, line or [])
        if not back and not found.is_bare:
            raise BadInput("return_lines_named", lines=named_lines(found))
        if not sell:
            raise BadInput("exchange_for_nothing")
        draft = make_draft(till, "", sell or [], code, 0, [])
        _, quote = till.counter.returns.exchange_quote(found, back, draft)
        done = till.counter.returns.exchange(found, back, draft, quote)
        result = {**as_sold(done.sold), "returned": done.returned.to_dict(), "difference": done.difference}
        show_lines(result, exchange_lines(done, words), as_json)


def history(
    code: Guest = "",
    code_option: GuestOption = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Show what a guest has bought at this till and what can still come back."""
    from loyalty_desk.cli_till_sale import guest_of
    from loyalty_desk.services.counter_lines import sold_line, sold_lines

    with opened(data_dir, lang) as (till, words):
        guest = guest_of(till, named_once(code, code_option))
        found = [] if guest.guest_id is None else till.counter.sold_checks.of_guest(guest.guest_id)
        sales = [
            {
                "id": str(one.record.id),
                "receipt": one.record.receipt_no,
                "at": one.record.occurred_at,
                "total": one.contents.claimed.total,
                "money_left": one.money_left,
                "lines": [{"line": of.line, "product": of.product, "left_milli": of.left_milli} for of in one.lines],
            }
            for one in found
        ]
        now = datetime.now(UTC)
        text = [
            line
            for one in found
            for line in (sold_line(one, words, now), *(f"  {of}" for of in sold_lines(one, words)))
        ]
        show({"sales": sales}, "\n".join(text), as_json)


def _elsewhere(till: Till, receipt: str, money: int) -> ReturnDone:
    """Record a return of another till's sale; by its number alone only the server knows which sale that is."""
    try:
        found = till.counter.online.sale(receipt)
    except Refused as refused:
        if refused.code != "needs_server":
            raise
        try:
            return till.counter.returns.refund_elsewhere(UUID(receipt.strip()), money)
        except ValueError:
            raise Refused("refund_needs_server") from refused
    return till.counter.returns.refund_elsewhere(found.id, money or found.money_left, found=found)


def _returns(sold: SoldCheck, lines: list[str]) -> list[Return]:
    from loyalty_desk.domain.basket import MILLI
    from loyalty_desk.domain.refund import Return
    from loyalty_desk.services.counter_lines import named_lines

    back = []
    for text in lines:
        name, given, quantity = text.partition("=")
        found = _line(sold, name)
        if found is None:
            raise BadInput("return_line_none", line=name[:40], lines=named_lines(sold))
        try:
            thousandths = Decimal(quantity) * MILLI if given else Decimal(found.left_milli)
        except ArithmeticError:
            thousandths = Decimal(0)
        if thousandths <= 0 or thousandths % 1 or thousandths > 10**9:
            raise BadInput("return_quantity", line=name[:40])
        back.append(Return(found.line, int(thousandths)))
    return back


def _line(sold: SoldCheck, name: str) -> LineLeft | None:
    """Return the line of this id, else the one at this place, as a person counts them."""
    by_id = next((one for one in sold.lines if one.line == name), None)
    if by_id is not None or not (name.isascii() and name.isdigit() and len(name) <= 6):
        return by_id
    return dict(enumerate(sold.lines, start=1)).get(int(name))


def _money(till: Till, amount: str) -> int:
    from loyalty_desk.domain.money import currency, parse_amount

    status = till.status()
    return parse_amount(amount, currency(status.currency)) if amount and status is not None else 0


def _returned(done: ReturnDone) -> dict[str, object]:
    return {
        "id": str(done.record_id),
        "money": done.money,
        "points_back": done.points_back,
        "points_taken": done.points_taken,
        "is_whole": done.is_whole,
        "follows": done.follows,
    }
