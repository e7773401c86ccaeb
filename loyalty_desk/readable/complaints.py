"""One sentence for everything that can be wrong in a file or a request at the command line, with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping

from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.language import catalogue
from loyalty_desk.language import mark as _
from loyalty_desk.services import formats

COMPLAINTS: Mapping[str, str] = {
    "file_unreadable": _("cannot be read: {reason}"),
    "file_too_large": _("is larger than 1 MB"),
    "file_not_text": _("is not a text in UTF-8"),
    "file_empty": _("is empty"),
    "file_malformed": _("line {line}: this is not {kind}"),
    "file_not_object": _("should be an object with named fields"),
    "file_too_deep": _("is nested too deep or too large"),
    "file_field_twice": _("the field {field} is there twice"),
    "file_field_unknown": _("the field {field} is not known"),
    "file_field_missing": _("the field {field} is missing"),
    "file_field_wrong": _("should be {wants}"),
    "file_two_currencies": _("two currencies in one check: {one} and {other}"),
    "field_missing": _("the field {field} is missing"),
    "field_wrong": _("{field} should be {wants}"),
    "currency_unknown": _("the currency {currency} is not known"),
    "currency_differs": _("the check is in {basket}, the program in {program}"),
    "check_amount_or_lines": _("a check has either lines or an amount"),
    "check_not_sale": _("this is not a quote made with --json"),
    "program_hash_differs": _("the program is not the one that the check was priced with"),
    "sale_differs": _("the sale has been changed: {field} is not what the program gives"),
    "amount_empty": _("the amount is empty"),
    "amount_ambiguous": _("“{text}” can be read in two ways"),
    "amount_negative": _("an amount cannot be negative"),
    "amount_malformed": _("“{text}” is not an amount"),
    "amount_too_precise": _("too many digits after the point: {decimals} at most"),
    "amount_too_large": _("the amount is too large: {limit} at most"),
    "lines_too_many": _("{lines} lines, {limit} at most"),
    "line_negative": _("line {line}: {field} cannot be negative"),
    "line_too_large": _("line {line}: {field} is too large"),
    "line_quantity": _("line {line}: the quantity should be above 0 and at most 1 000 000"),
    "line_text": _("line {line}: {field} holds characters that cannot be recorded"),
    "line_flag_unknown": _("line {line}: the flag {flag} is not known"),
    "line_id_twice": _("line {line}: the id {id} is there twice"),
    "program_bytes": _("the program cannot be written down: {reason}"),
    "rule_id_twice": _("this id is there twice"),
    "segment_unknown": _("nobody can be in the segment {segment}; there are: {known}"),
    "rules_too_many": _("{rules} rules, {limit} at most"),
    "tier_twice": _("the tier {tier} is there twice"),
    "manual_discount": _("a manual discount is either an amount or a percentage up to 100"),
    "manual_discount_line": _("there is no line {line} to discount"),
    "moment_malformed": _("“{text}” is not a time: write it like 2026-03-02T12:00+03:00"),
    "moment_out_of_range": _("this time cannot be counted with: {moment}"),
    "points_negative": _("points cannot be negative"),
    "points_malformed": _("“{text}” is not a number of points"),
    "points_short": _("{asked} points were asked for, {available} are there"),
    "hold_unknown": _("there is no hold {hold}"),
    "entry_unknown": _("there is no such move: {entry}"),
    "return_choose_one": _("choose one of --return, --amount and --void"),
    "return_empty": _("nothing was named to return"),
    "return_malformed": _("“{text}” is not a line to return: write LINE or LINE:QUANTITY"),
    "return_line_unknown": _("the sale has no line {line}"),
    "return_line_none": _("the sale has no line {line}, but: {lines}"),
    "return_quantity": _("line {line}: this quantity cannot be returned"),
    "return_more_than_left": _("more than is left of the sale"),
    "return_nothing_left": _("nothing of the sale is left to return"),
    "return_splits_set": _("a set bought under one offer can only be returned whole"),
    "return_by_lines": _("this sale has lines: name those that come back"),
    "return_amount": _("the amount to return should be above 0"),
    "language_unknown": _("“{text}” is not a language here: ru or en"),
    "stdin_twice": _("only one file can come from standard input"),
    "yaml_absent": _("YAML cannot be read here; use TOML or JSON"),
}
WANTS: Mapping[str, str] = {
    "text": _("a text"),
    "amount": _("an amount of money"),
    "number": _("a number that is not negative"),
    "integer": _("a whole number"),
    "integer_between": _("a whole number from {low} to {high}"),
    "decimals": _("a number with at most {decimals} decimals"),
    "one_of": _("one of: {choices}"),
    "true_or_false": _("true or false"),
    "true_or_false_or_check": _("true, false or “check”"),
    "list_of_texts": _("a list of texts"),
    "list_of_objects": _("a list of objects"),
    "list_of_integers": _("a list of whole numbers"),
    "object": _("an object with named fields"),
    "moment": _("a time like 2026-03-02T12:00+03:00"),
    "date": _("a date like 2026-03-02"),
    "time_of_day": _("a time of day like 08:30"),
    "time_zone": _("a time zone like Europe/Moscow"),
    "uuid": _("an identifier like 01970000-0000-7000-8000-000000000000"),
    "amount_or_percent": _("either an amount or a percent"),
    "own_code": _("a code of your own"),
}
# What would break the sentence's line or speak to the terminal: a name in a file may hold anything.
_OF_NO_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_LONGEST = 200
UNKNOWN = _("this cannot be done ({code})")


def complaint(error: ForPerson, language: str) -> str:
    """Return the sentence of an error: file, place, and what is wrong, ending in a full stop."""
    say = catalogue("commands", language).gettext
    facts = {name: _shown(value, language) for name, value in error.facts.items()}
    if "wants" in facts:
        facts["wants"] = _wants(str(error.facts["wants"]), language)
    found = COMPLAINTS.get(error.code)
    try:
        said = say(found).format(**facts) if found else say(UNKNOWN).format(code=error.code)
    except KeyError:
        said = say(UNKNOWN).format(code=error.code)
    where = [facts[name] for name in ("file", "place") if facts.get(name)]
    text = ": ".join([*where, said]) if where else said[:1].upper() + said[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _wants(wants: str, language: str) -> str:
    say = catalogue("commands", language).gettext
    name, _sep, rest = wants.partition(":")
    if name == "one_of":
        return say(WANTS["one_of"]).format(choices=rest.replace(",", ", ").strip(", "))
    if wants.startswith("integer_from_"):
        low, _sep, high = wants.removeprefix("integer_from_").partition("_to_")
        return say(WANTS["integer_between"]).format(low=low, high=high)
    if wants.startswith("number_with_"):
        return say(WANTS["decimals"]).format(decimals=wants.split("_")[2])
    return say(WANTS[wants]) if wants in WANTS else wants


def _shown(value: object, language: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 9_999:
        return formats.number(value, 0, language)
    text = _OF_NO_LINE.sub("?", str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
