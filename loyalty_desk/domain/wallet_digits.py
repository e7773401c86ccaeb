"""The digits that an LD2 shows: TOTP with SHA-1 and 8 digits (RFC 6238), which is what Google Wallet can emit.

The secret (20 bytes a card) stays on the server, so only the server can check them.
"""

from __future__ import annotations

import hmac

SECRET_BYTES = 20
STEP_SECONDS = 30
_DIGITS = 8


def rotating_digits(secret: bytes, counter: int) -> str:
    """Return the 8 digits of a counter: unix seconds div 30."""
    mac = hmac.digest(secret, counter.to_bytes(8, "big"), "sha1")
    place = mac[-1] & 15
    number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"


def accepted_counter(secret: bytes, digits: str, now: int, last: int) -> int | None:
    """Return the counter that `digits` belong to: one step either side of `now` (unix seconds) and above `last`.

    None where they are of another time, of another card, or were accepted before.
    """
    present = now // STEP_SECONDS
    for counter in (present, present - 1, present + 1):
        if counter > last and counter >= 0 and hmac.compare_digest(rotating_digits(secret, counter), digits):
            return counter
    return None
