"""What of a sale is still with the guest, as a counter offers it."""

from dataclasses import astuple, replace

import pytest

from loyalty_desk.domain.basket import Line
from loyalty_desk.domain.check import CheckContents, check_from_payload, check_to_payload
from loyalty_desk.domain.refund.left import lines_left
from tests.loyalty_desk.domain.refund_parts import EARN, line, program, sold


def contents() -> CheckContents:
    """Two cups at a tenth off, and a cheese by weight whose line has no id."""
    rule = {"effects": [{"type": "percentage", "rate_bp": 1_000}]}
    cheese = Line(product="cheese", unit_price=80_000, quantity_milli=350)
    sale = sold(program(EARN, rule), replace(line("a", 15_000, 2), product="cup"), cheese)
    return check_from_payload(check_to_payload(sale.basket, sale.guest, sale.choices, sale.quote))


def test_what_is_left_is_what_has_not_come_back_line_by_line():
    whole = [("a", "cup", 2_000, 2_000, 27_000), ("#2", "cheese", 350, 350, 25_200)]
    assert [astuple(one) for one in lines_left(contents(), {})] == whole
    assert [one.left_milli for one in lines_left(contents(), {"a": 500, "#2": 100})] == [1_500, 250]
    assert [one.left_milli for one in lines_left(contents(), {"a": 2_000, "#1": 7})] == [0, 350]


def test_nothing_is_left_where_more_is_said_to_have_come_back_than_was_sold():
    assert [one.left_milli for one in lines_left(contents(), {"#2": 999})] == [2_000, 0]


def test_a_sale_whose_lines_and_prices_do_not_match_is_no_sale():
    read = contents()
    broken = replace(read, claimed=replace(read.claimed, lines=read.claimed.lines[:1]))
    with pytest.raises(ValueError, match="shorter"):
        lines_left(broken, {})
