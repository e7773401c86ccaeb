"""Money as integers of minor units: currencies, reading amounts that people type, exact rounding and splitting.

Rates are basis points (10 000 = 100 %). No float enters or leaves any function here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from loyalty_desk.domain.errors import BadInput

BASIS_POINTS = 10_000
MAX_MAJOR = 99_999_999
_SPACES = re.compile(r"[\s\u00a0\u202f\u2009]+")
_GROUPED = {
    " ": re.compile(r"[0-9]{1,3}(?: [0-9]{3})+(?:[.,][0-9]*)?"),
    ",": re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]*|[0-9]{1,3}(?:,[0-9]{3}){2,}"),
    ".": re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]*|[0-9]{1,3}(?:\.[0-9]{3}){2,}"),
}
_PLAIN = re.compile(r"[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+")
_AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 code and how many decimals its minor unit has."""

    code: str
    decimals: int

    @property
    def unit(self) -> int:
        """Return the minor units in one whole unit: 100 for RUB, 1 for JPY."""
        return int(10**self.decimals)


CURRENCIES = {
    code: Currency(code, decimals)
    for decimals, codes in {
        0: "CLP ISK JPY KRW PYG UGX VND XAF XOF",
        2: "AED AMD ARS AUD AZN BGN BRL BYN CAD CHF CNY CZK DKK EGP EUR GBP GEL HKD HUF IDR ILS INR KES KGS KZT MDL "
        "MXN MYR NGN NOK NZD PHP PKR PLN QAR RON RSD RUB SAR SEK SGD THB TJS TRY TWD UAH USD UZS ZAR",
        3: "BHD JOD KWD OMR TND",
    }.items()
    for code in codes.split()
}


# The most that a check may cost, by currency.
LARGEST = {code: of.unit * (MAX_MAJOR + 1) - 1 for code, of in CURRENCIES.items()}


def currency(code: str) -> Currency:
    """Return the currency of an ISO 4217 code; raises `BadInput` `currency_unknown`."""
    try:
        return CURRENCIES[code]
    except KeyError:
        raise BadInput("currency_unknown", currency=code[:8]) from None


def parse_amount(text: str, of: Currency) -> int:
    """Return the minor units of an amount as a person types it: `1,234.56`, `1 234,56`, `1234.5`, `.50`.

    Raises `BadInput`: `amount_empty`, `amount_ambiguous` (`1,234` is a thousand to one reader and one to another),
    `amount_negative`, `amount_malformed`, `amount_too_precise` (`decimals`), `amount_too_large` (`limit`, whole units).
    """
    typed = _SPACES.sub(" ", text.strip())
    if not typed:
        raise BadInput("amount_empty")
    if re.fullmatch(r"[-\u2212\u2013] ?[0-9., ]+", typed):
        raise BadInput("amount_negative")
    if _AMBIGUOUS.fullmatch(typed) and of.decimals != 3:
        raise BadInput("amount_ambiguous", text=typed)
    whole, fraction = _split_amount(typed)
    if len(whole.lstrip("0")) > len(str(MAX_MAJOR)):
        raise BadInput("amount_too_large", limit=MAX_MAJOR)
    if len(fraction.rstrip("0")) > of.decimals:
        raise BadInput("amount_too_precise", decimals=of.decimals)
    return int(whole or "0") * of.unit + int(fraction[: of.decimals].ljust(of.decimals, "0") or "0")


def _split_amount(typed: str) -> tuple[str, str]:
    for separator, pattern in _GROUPED.items():
        if pattern.fullmatch(typed):
            decimal_mark = {" ": "[.,]", ",": r"\.", ".": ","}[separator]
            parts = re.split(decimal_mark, typed.replace(separator, "\x00"))
            return parts[0].replace("\x00", ""), parts[1] if len(parts) > 1 else ""
    if not _PLAIN.fullmatch(typed) or not typed.isascii():
        raise BadInput("amount_malformed", text=typed[:40])
    whole, _, fraction = typed.replace(",", ".").partition(".")
    return whole, fraction


def divide_half_up(numerator: int, denominator: int) -> int:
    """Return the quotient rounded to the nearest integer, halves away from zero; the denominator is positive."""
    if numerator < 0:
        return -((-numerator * 2 + denominator) // (denominator * 2))
    return (numerator * 2 + denominator) // (denominator * 2)


def percent_off(amount: int, rate_bp: int) -> int:
    """Return the discount in minor units of `rate_bp` off `amount` so that the price left rounds half up."""
    return amount - divide_half_up(amount * (BASIS_POINTS - rate_bp), BASIS_POINTS)


def allocate(amount: int, weights: Sequence[int], ceilings: Sequence[int] | None = None) -> list[int]:
    """Split `amount` (any integer unit) over `weights` by largest remainder, ties to the earlier part.

    No part exceeds its ceiling: what does not fit is spread over the others by the same weights until nothing is left
    or all are full, so the parts sum to the smaller of `amount` and the ceilings. Negative amounts split as their
    absolute value; where all weights left are zero the parts are equal. Weights and ceilings are not negative.
    """
    if amount < 0:
        return [-part for part in allocate(-amount, weights, ceilings)]
    if ceilings is None:
        return largest_remainder(amount, weights)
    parts = [0] * len(weights)
    open_parts = [i for i, ceiling in enumerate(ceilings) if ceiling > 0]
    left = amount
    while left > 0 and open_parts:
        shares = largest_remainder(left, [weights[i] for i in open_parts])
        for i, share in zip(open_parts, shares, strict=True):
            taken = min(share, ceilings[i] - parts[i])
            parts[i] += taken
            left -= taken
        open_parts = [i for i in open_parts if parts[i] < ceilings[i]]
    return parts


def largest_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    """Split `amount` (not negative) by largest remainder, ties to the earlier, equally where all weights are zero."""
    if not weights:
        return []
    total = sum(weights)
    if total == 0:
        weights, total = [1] * len(weights), len(weights)
    parts = [amount * weight // total for weight in weights]
    missing = amount - sum(parts)
    if missing:
        remainders = [amount * weight % total for weight in weights]
        if missing == 1:
            parts[remainders.index(max(remainders))] += 1
            return parts
        # A stable sort, so equal remainders keep their order also when it runs from large to small.
        for i in sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)[:missing]:
            parts[i] += 1
    return parts
