"""How what is typed into the one field is read: card, number, phone, code, or amount."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import is_member_number, parse
from loyalty_desk.domain.money import Currency, parse_amount
from loyalty_desk.ui.sale.state import FieldMode

_GROUPING = re.compile(r"[\s\u00a0\u202f-]")
_SPACES = re.compile(r"\s")
_DIGITS = re.compile(r"[0-9]+")
# `1e9` is meant as an amount too, and is refused as one.
_AMOUNT_LIKE = re.compile(r"[.,\u2212\u2013-]+|[.,\u2212\u2013-]?\s?[0-9][0-9.,eE\s\u00a0\u202f\u2009\u2212\u2013-]*")
_PHONE_LIKE = re.compile(r"\+[0-9][0-9\s()\u00a0-]{8,}|[78][\s-]?\([0-9]{3}\)[0-9\s-]{7,}")
MAX_POINTS_DIGITS = 9


class Reading(StrEnum):
    """What a text is taken for."""

    NOTHING = "nothing"
    CARD = "card"
    NUMBER = "number"
    SHORT = "short"
    PHONE = "phone"
    CODE = "code"
    AMOUNT = "amount"
    POINTS = "points"

    @property
    def names_guest(self) -> bool:
        """Return whether Enter looks somebody up."""
        return self in (Reading.CARD, Reading.NUMBER, Reading.SHORT, Reading.PHONE, Reading.CODE)


class Entry(msgspec.Struct, frozen=True):
    """The field's text as it is read; `problem` says why it could not be.

    `units` is the amount in minor units, or the points in smallest units.
    """

    reading: Reading
    text: str = ""
    units: int | None = None
    problem: BadInput | None = None


def read_entry(text: str, mode: FieldMode, *, has_guest: bool, of: Currency, point_decimals: int = 0) -> Entry:
    """Return how a text is read in a mode. With a guest, digits are an amount; F2, F3 and F4 force one reading."""
    typed = text.strip()
    if not typed:
        return Entry(Reading.NOTHING)
    if mode is FieldMode.POINTS:
        return _points(typed, point_decimals)
    if mode is FieldMode.AMOUNT:
        return _amount(typed, of)
    bare = _GROUPING.sub("", typed)
    if mode is FieldMode.GUEST:
        return Entry(_named(bare, typed), typed)
    if _AMOUNT_LIKE.fullmatch(typed):
        named = None if has_guest else _by_digits(typed)
        return Entry(named, typed) if named else _amount(typed, of)
    return Entry(_named(bare, typed), typed)


def _by_digits(typed: str) -> Reading | None:
    """Return what digits alone name when there is no guest yet; grouped digits are an amount, as people write one."""
    if not _DIGITS.fullmatch(typed):
        return None
    if is_member_number(typed):
        return Reading.NUMBER
    return {6: Reading.SHORT, 10: Reading.PHONE, 11: Reading.PHONE}.get(len(typed))


def _named(bare: str, typed: str) -> Reading:
    if _DIGITS.fullmatch(bare):
        return _by_digits(bare) or Reading.CODE
    if _PHONE_LIKE.fullmatch(typed):
        return Reading.PHONE
    try:
        return Reading.CARD if parse(typed).handle is not None else Reading.CODE
    except BadInput as error:
        return Reading.CODE if error.code == "code_foreign" else Reading.CARD


def _amount(typed: str, of: Currency) -> Entry:
    try:
        units = parse_amount(typed, of)
        if units == 0:
            raise BadInput("amount_zero")
        return Entry(Reading.AMOUNT, typed, units=units)
    except BadInput as error:
        return Entry(Reading.AMOUNT, typed, problem=error)


def _points(typed: str, decimals: int) -> Entry:
    whole, mark, fraction = _SPACES.sub("", typed).replace(",", ".").partition(".")
    good = _DIGITS.fullmatch(whole) and (not mark or _DIGITS.fullmatch(fraction or "0")) and len(fraction) <= decimals
    if not good or len(whole) > MAX_POINTS_DIGITS:
        return Entry(Reading.POINTS, typed, problem=BadInput("points_malformed"))
    return Entry(Reading.POINTS, typed, units=int(whole) * 10**decimals + int(fraction.ljust(decimals, "0") or "0"))


NOTHING_TYPED = Entry(Reading.NOTHING)
