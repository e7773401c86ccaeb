from __future__ import annotations

import pytest

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.wire.v1.phones import e164, phone_hash


@pytest.mark.parametrize(
    ("typed", "phone"),
    [
        ("+7 916 123-45-67", "+79161234567"),
        ("8 (916) 123-45-67", "+79161234567"),
        ("9161234567", "+79161234567"),
        ("+44 20 7946 0958", "+442079460958"),
    ],
)
def test_a_phone_has_one_spelling(typed: str, phone: str) -> None:
    assert e164(typed) == phone


@pytest.mark.parametrize("typed", ["", "12", "call me", "+7 916 123-45-67-89-01-23", "8 916 555-55", "1234567"])
def test_what_is_no_phone_is_said_to_be_none(typed: str) -> None:
    with pytest.raises(BadInput, match="phone_malformed"):
        e164(typed)


def test_the_hash_is_the_one_that_is_kept_of_guests_since_the_first_version() -> None:
    digest = "f51f4aa8fdb7fe1a4c85b818f981e5bfe1737068c128fe69c4e0ddfb09b8529d"
    assert phone_hash(bytes(32), "+79161234567").hex() == digest
