"""Slips for paper: a guest's slip of a sale, an X or Z report, as lines for a receipt printer.

What such printers know is code page 866 and a fixed number of columns: 32 on 58 mm paper, 42 or 48 on 80 mm.
No name stands on a guest's slip: paper is left on tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from unicodedata import normalize

from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.return_contents import ExchangeContents
from loyalty_desk.services.counter_lines import Lines, report_lines
from loyalty_desk.services.shifts import ShiftReport
from loyalty_desk.services.sold_checks import SoldCheck
from loyalty_desk.services.wording import Words

CODE_PAGE = "cp866"
_PLAIN = str.maketrans({
    "\u00a0": " ", "\u202f": " ", "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u2019": "'", "\u201c": '"',
    "\u201d": '"', "\u00ab": '"', "\u00bb": '"', "\u2026": "...", "\u20bd": "р.", "\u00d7": "x",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """What stands at the head of every slip."""

    network: str
    store: str
    till: str


def sale_slip(sold: SoldCheck, place: Place, words: Words, width: int) -> list[str]:
    """Return the slip of a sale or an exchange as it was recorded: money, and the points won, spent and left then.

    No line is longer than `width` columns.
    """
    t, record, done = words.gettext, sold.record, sold.contents.claimed
    off = done.gross - done.total - done.redeemed_money
    money: Lines = [(t("Amount"), words.money(done.gross))]
    if off:
        money.append((t("Discounts"), words.money(-off)))
    if done.redeemed_money:
        money.append((t("Paid with points"), words.money(-done.redeemed_money)))
    moved = done.earned_points - done.redeemed_points
    if record.kind is RecordKind.EXCHANGE:
        returned = ExchangeContents.from_check(record.check).returned
        moved += returned.spent_returned - returned.earned_reversed
        difference = done.total - returned.money
        money += [
            (t("The new check, to pay"), words.money(done.total)),
            (t("Came back in exchange"), words.money(-returned.money)),
            (t("To pay") if difference >= 0 else t("Money back"), words.money(abs(difference))),
        ]
    else:
        money.append((t("To pay"), words.money(done.total)))
    points: Lines = []
    if done.redeemed_points:
        points.append((t("Points used"), words.number_of_points(done.redeemed_points)))
    if done.earned_points:
        points.append((t("Points earned"), words.number_of_points(done.earned_points)))
    if record.known_balance is not None:
        points.append((t("Points on the account"), words.number_of_points(record.known_balance + moved)))
    lines = [*_head(place, width), *_pair(t("Receipt"), record.receipt_no or "", width)]
    lines += [words.whole_moment(from_ms(record.occurred_at)), _rule(width), *_pairs(money, width)]
    if points:
        lines += [_rule(width), *_pairs(points, width)]
    if sold.before.money:
        lines += [_rule(width), *_pair(t("Came back so far"), words.money(sold.before.money), width)]
    lines += [_rule(width), *_centred(t("Thank you for coming!"), width)]
    return [_plain(one) for one in lines]


def report_slip(report: ShiftReport, place: Place, words: Words, width: int) -> list[str]:
    """Return an X or Z report in `width` columns."""
    return [_plain(one) for one in (*_head(place, width), *_pairs(report_lines(report, words), width))]


def _head(place: Place, width: int) -> list[str]:
    named = [one for one in (place.network, place.store, place.till) if one]
    return [line for one in named for line in _centred(one, width)] + [_rule(width)]


def _pairs(lines: Lines, width: int) -> list[str]:
    return [line for caption, value in lines for line in (_pair(caption, value, width) if caption else [_rule(width)])]


def _pair(caption: str, value: str, width: int) -> list[str]:
    """Return a caption left and its value right; what does not fit beside each other stands under each other."""
    caption, value = _plain(caption), _plain(value)
    if len(caption) + 1 + len(value) <= width:
        return [f"{caption}{value:>{width - len(caption)}}"]
    return [*wrap(caption, width), *(f"{one:>{width}}" for one in wrap(value, width))]


def _centred(text: str, width: int) -> list[str]:
    return [f"{one:^{width}}".rstrip() for one in wrap(_plain(text), width)]


def _rule(width: int) -> str:
    return "-" * width


def _plain(text: str) -> str:
    """Return a text as a receipt printer can write it: letters it has not without their accents, else a `?`."""
    return "".join(map(_letter, normalize("NFC", text.translate(_PLAIN))))


def _letter(letter: str) -> str:
    if letter.isspace():
        return " "
    # A code page has commands to the printer as well: a name must not cut the paper or open the drawer.
    for form in (letter, normalize("NFKD", letter)[:1]) if letter.isprintable() else ():
        if form.encode(CODE_PAGE, "ignore"):
            return form
    return "?"
