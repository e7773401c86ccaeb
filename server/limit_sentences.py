"""What each limit of a store means, for the manager who reads it, beside what `set-profile --limit` takes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.money import Currency
from loyalty_desk.wire.v1.rows import OfflineMode, ProfileRow
from server.cli_terminal import count, counted, money_text

MODES: Mapping[str, str] = {
    OfflineMode.FLOOR: "Without the server guests can use points, within all the limits below.",
    OfflineMode.KNOWN_BALANCE: (
        "Without the server guests can use what the till knows of; the next three limits do not hold."
    ),
    OfflineMode.DENY: "Without the server guests use no points.",
}
LIMITS: Mapping[str, str] = {
    "floor_points": "Without the server a sale takes {points}.",
    "floor_share_bp": "Without the server points pay up to {share} of a check.",
    "split_sale_points": "Until a till reaches the server again, one guest can use {points} at it.",
    "lower_consecutive": (
        "After {sales} of a guest with points and without the server the next is marked in its record; none is refused."
    ),
    "upper_consecutive": "After {sales} of a guest with points and without the server the next needs a manager's PIN.",
    "device_points": "Until a till reaches the server again, all guests together can use {points} at it.",
    "max_age_hours": "At a till that has heard nothing from the server for {hours} nobody can use points.",
    "margin": "Of the points that a till knows of, {number} are kept back without the server.",
    "cvm": "Without the server {code} can use {points} a sale.",
    "online_cvm": "With the server {code} can use {points} a sale.",
    "confirm_points": "Above {number} points a day the guest confirms with a short code.",
    "random_online_bp": "Where no answer comes in time, {share} of the sales with points wait for one, or take none.",
    "random_online_wait_s": "They wait up to {seconds}.",
    "tier_codes": "The tier's discount is given every time to: {codes}.",
    "tier_checks": "Any other code gives it on {checks} a day at a till; then a manager's PIN does.",
    "tier_discount": "Any other code gives up to {money} of it a day at a till; then a manager's PIN does.",
    "granted_points": "Above {number} points given to a guest in a day they wait for: loyalty-server held approve.",
}
CODES: Mapping[str, str] = {
    CodeKind.LD1: "a card",
    CodeKind.LD2: "a wallet pass",
    CodeKind.LD3: "a signed code",
    CodeKind.LD4: "a phone's rotating code",
    CodeKind.SHORT: "a short code",
    CodeKind.NUMBER: "a member number",
    CodeKind.PHONE: "a phone number",
}
_ANY = 10**9


def spelled(profile: ProfileRow) -> dict[str, str]:
    """Return all limits by name as they are typed; those of a code apart, as `cvm.ld1`."""
    made: dict[str, str] = {}
    for name, value in msgspec.structs.asdict(profile).items():
        if isinstance(value, Mapping):
            made |= {f"{name}.{code}": str(value.get(code, 0)) for code in CodeKind}
        else:
            made[name] = ",".join(value) if isinstance(value, list) else str(value)
    return made


def limit_sentence(name: str, typed: str, unit: Currency) -> str:
    """Return what a limit of `spelled` means; amounts are in `unit`."""
    field, _, code = name.partition(".")
    if field == "mode":
        return MODES.get(typed, typed)
    number = int(typed) if typed.isdigit() else 0
    whole, part = divmod(number, 100)
    return LIMITS[field].format(
        number=count(number),
        points="any number of points"
        if number >= _ANY
        else f"up to {counted(number, 'point')}"
        if number
        else "no points",
        share=f"{whole}.{part:02}%" if part else f"{whole}%",
        money=f"{money_text(number, unit)} {unit.code}",
        sales=counted(number, "sale"),
        checks=counted(number, "check"),
        hours=counted(number, "hour"),
        seconds=counted(number, "second"),
        code=CODES.get(code, code),
        codes=", ".join(CODES.get(one, one) for one in typed.split(",")) if typed else "nothing that is shown",
    )
