"""A program as a manager writes it. Keys are those of a snapshot; numbers are smallest units, texts as on a price tag.

`"10%"` is 1 000 basis points and `"500 RUB"` 50 000 minor units, in any field but names and lists. Times and dates of
the file's own kind are taken too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from loyalty_desk.domain.canonical import Json, NotCanonical, encode
from loyalty_desk.domain.compiled import compile_program
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.money import CURRENCIES
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.publishing import findings
from loyalty_desk.domain.unread import unread_keys
from loyalty_desk.readable.document import Node, plain

_PERCENT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,2})?) ?%")
_MONEY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([A-Z]{3})")


def snapshot_of(document: Node) -> Mapping[str, Json]:
    """Return the snapshot object of a document, prices and percentages counted out. Raises `BadInput`."""
    code = document.text("currency", None)
    data = _snapshot(plain(document.data), document.file, "", code)
    if not isinstance(data, Mapping):
        raise BadInput("file_not_object", file=document.file)
    try:
        encode(cast("Json", data))
    except NotCanonical as error:
        raise BadInput("program_bytes", file=document.file, reason=str(error)) from error
    return cast("Mapping[str, Json]", data)


def program_of(document: Node) -> Program:
    """Return the program of a document, compiled strictly so that every mistake in it is told. Raises `BadInput`."""
    data = snapshot_of(document)
    try:
        program = Program.from_dict(data)
        compile_program(program)
        unread = unread_keys(data)
    except BadInput as error:
        raise BadInput(error.code, **{"file": document.file, **error.facts}) from error
    for place, key in unread:
        raise BadInput("file_field_unknown", file=document.file, place=place, field=key[:40])
    for one in findings(data):
        if one.code == "segment_unknown":
            known = ", ".join(map(str, cast("list[Json]", one.facts["known"])))
            raise BadInput(one.code, **{"file": document.file, "place": one.place, **one.facts, "known": known})
    return program


def _snapshot(value: object, file: str, place: str, code: str) -> object:
    if isinstance(value, Mapping):
        return {
            key: item if key == "name" else _snapshot(item, file, f"{place}.{key}" if place else key, code)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            item if isinstance(item, str) else _snapshot(item, file, f"{place}[{n}]", code)
            for n, item in enumerate(value, start=1)
        ]
    if isinstance(value, Decimal):
        raise BadInput("file_field_wrong", file=file, place=place, wants="integer")
    return _number(value, file, place, code) if isinstance(value, str) else value


def _number(text: str, file: str, place: str, code: str) -> object:
    rate = _PERCENT.fullmatch(text)
    if rate:
        return int(Decimal(rate[1]).scaleb(2))
    amount = _MONEY.fullmatch(text)
    if amount and amount[2] in CURRENCIES:
        if amount[2] != code:
            raise BadInput("file_two_currencies", file=file, place=place, one=code, other=amount[2])
        minor = Decimal(amount[1]).scaleb(CURRENCIES[code].decimals)
        if minor != minor.to_integral_value():
            raise BadInput("amount_too_precise", file=file, place=place, decimals=CURRENCIES[code].decimals)
        return int(minor)
    return text
