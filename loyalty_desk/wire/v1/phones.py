"""Phones as one spelling, and the hash by which a guest is found by one, at the server and at a till cut off from it.

The network's key for it is derived at the server and told at hello, to tills that get data. A till keeps it in its
journal, encrypted as the guests in its cache are, in no copy of that, and forgets it with the cache when it is revoked.
Who takes a till's disk and the key of its journal can try all phones of a country against the guests on it. Another key
would take nothing from him: it opens only the guests that he has, and a revoked till gets no others. So there is none.
"""

from __future__ import annotations

from hmac import digest

from loyalty_desk.domain.errors import BadInput


def e164(text: str, region: str = "RU") -> str:
    """Return ``+79161234567`` of what was typed; raises `BadInput` `phone_malformed`, also of one without its area."""
    # Its tables of the world's numbers take longer to load than a till may take to start.
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise BadInput("phone_malformed") from error
    # Seven digits without their area are possible too, but somebody's in every town.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise BadInput("phone_malformed")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone_hash(key: bytes, phone: str) -> bytes:
    """Return the 32 bytes by which a phone in E.164 is found in the network whose key this is."""
    return digest(key, phone.encode(), "sha256")
