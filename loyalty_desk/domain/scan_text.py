"""What a scanner or a keyboard meant: framing, AIM identifiers and a foreign keyboard layout taken away.

Sources: the AIM identifiers of ISO/IEC 15424, the framing that makers of scanners use (STX, ETX, CR, LF, NUL), and
the Russian layout of Windows, key by key.
"""

from __future__ import annotations

import re

from loyalty_desk.domain.errors import BadInput

MAX_SCAN_BYTES = 4096
# A Russian layout turns LD1AB into ДВ1ФИ: the same keys, other letters.
_CYRILLIC = "йцукенгшщзхъфывапролджэячсмитьбюё"
_LATIN, _LATIN_SHIFTED = "QWERTYUIOP[]ASDFGHJKL;'ZXCVBNM,.`", 'QWERTYUIOP{}ASDFGHJKL:"ZXCVBNM<>~'
# Keys that send a sign in both layouts, and another one: `"` is shifted 2 there, `.` the key beside the right Shift.
_SIGNS, _SIGNS_MEANT = '."№;:?,', "/@#$^&?"
_LAYOUT = str.maketrans(_CYRILLIC + _CYRILLIC.upper() + _SIGNS, _LATIN + _LATIN_SHIFTED + _SIGNS_MEANT)
_HAS_CYRILLIC = re.compile("[А-Яа-яЁё]")
# AIM symbology identifiers of QR, Code 128, Data Matrix, EAN, ITF, PDF417, Aztec: `]Q1` and the like.
_AIM = re.compile(r"\A\][A-Za-z][0-9A-Za-z]")
_AIM_OF_GOODS = re.compile(r"\A\](E[0-9]|d2|Q3|C1|e0)")
_FRAMING = "\x02\x03\x00\r\n\t \ufeff"
# GS1 with a trade item number first, as product marking writes it; a plain EAN-13, UPC-A or EAN-8 by its check digit.
_GS1 = re.compile(r"\A01[0-9]{14}(\Z|[^0-9A-Za-z]|21|17|10|11)")
_EAN = re.compile(r"\A([0-9]{8}|[0-9]{12,13})\Z")


def clean_scan(data: bytes | str) -> str:
    """Return what a scanner meant: framing, AIM identifier and a foreign keyboard layout removed.

    Raises `BadInput`: `scan_empty`, `scan_too_long`, `scan_not_text`, `code_of_goods` for a barcode of a product.
    """
    if len(data) > MAX_SCAN_BYTES:
        raise BadInput("scan_too_long", limit=MAX_SCAN_BYTES)
    if isinstance(data, bytes):
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise BadInput("scan_not_text") from error
    else:
        text = data
    framed = text.strip(_FRAMING)
    text = _AIM.sub("", framed).strip(_FRAMING)
    if not text:
        raise BadInput("scan_empty")
    if _AIM_OF_GOODS.match(framed) or _is_of_goods(text):
        raise BadInput("code_of_goods")
    return text.translate(_LAYOUT) if _HAS_CYRILLIC.search(text) else text


def _is_of_goods(text: str) -> bool:
    if "\x1d" in text or _GS1.match(text):
        return True
    return bool(_EAN.match(text)) and _ean_check(text)


def _ean_check(digits: str) -> bool:
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))) % 10 == 0
