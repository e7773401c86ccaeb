"""Our own cases: a program, a check, a guest and choices in; what each line costs and how it is said, out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from loyalty_desk.domain.check import check_from_payload
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import Quote, quote
from loyalty_desk.domain.program import Program
from loyalty_desk.services.explanation import explain, explain_hint
from loyalty_desk.services.wording import Words

CLAIMED = {
    "program_version": 0,
    "program_hash": "",
    "gross": 0,
    "discount_total": 0,
    "redeemed_points": 0,
    "redeemed_money": 0,
    "total": 0,
    "earned_points": 0,
}


def quoted(case: Mapping[str, Any]) -> Quote:
    """Return the quote of a case; its basket and choices are written as in a record's check."""
    basket = case["basket"]
    lines = [{"net": 0, **line} for line in basket["lines"]]
    check = check_from_payload({**CLAIMED, **basket, "lines": lines, "choices": case.get("choices", {})})
    guest = GuestFacts.from_dict(case["guest"]) if "guest" in case else None
    return quote(
        check.basket, guest, Program.from_dict(case["program"]), datetime.fromisoformat(case["at"]), check.choices
    )


def priced(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return what comes out of a case: nets in minor units, points, and what is said in both languages."""
    found = quoted(case)
    said: dict[str, Any] = {"lines": [line.net for line in found.lines], "total": found.total}
    for key in ("earned_points", "redeemed_points", "gift_value"):
        if getattr(found, key):
            said[key] = getattr(found, key)
    for key in ("stamps", "coupons_issued", "loads", "uses"):
        if getattr(found, key):
            said[key] = [list(pair) for pair in getattr(found, key)]
    if "units" in case["covers"]:
        said["units"] = [
            [[run.price, run.units] for run in found.units(position)] for position in range(len(found.lines))
        ]
    if found.rejected:
        said["rejected"] = [list(pair) for pair in found.rejected]
    for language in ("en", "ru"):
        words = Words(language)
        said[language] = [f"{note.rule}: {explain(note, words)}".replace("\u00a0", " ") for note in found.explanation]
        if found.hint is not None:
            said[language].append(explain_hint(found.hint, words).replace("\u00a0", " "))
    return said
