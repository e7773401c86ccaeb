"""Phone numbers as one spelling, E.164."""

from __future__ import annotations

import phonenumbers

from loyalty_desk.domain.errors import BadInput


def e164(text: str, region: str = "RU") -> str:
    """Return ``+79161234567`` of what was typed; raises `BadInput` `phone_malformed`."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise BadInput("phone_malformed") from error
    if not phonenumbers.is_possible_number(number):
        raise BadInput("phone_malformed")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
