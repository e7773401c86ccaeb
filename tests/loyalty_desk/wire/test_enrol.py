from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.wire.v1.enrol import Pairing

LOCAL = Pairing(
    code=bytes(range(16)),
    network=UUID("01900000-0000-7000-8000-000000000001"),
    root=bytes(range(32)),
    spki_pin=bytes(32),
    address="http://127.0.0.1:8765",
)
FROZEN = (
    "LDP1040020G30G2GC1R81450P30D1R7G340000000W00G000000000002001081G81860W40J2GB1G6GW3RG249165"
    "0N2RBHG68T3CE1T7GZ0000000000000000000000000000000000000000000000000006GX3ME0X2YBSH68VJWC1E"
    "60Q32EHR6WV3AMT"
)


def test_frozen_text():
    assert LOCAL.to_text() == FROZEN


def test_pasted_text_is_read_however_it_was_broken():
    text = LOCAL.to_text()
    assert Pairing.from_text(text.lower()) == LOCAL
    assert Pairing.from_text("\n".join(text[i : i + 30] for i in range(0, len(text), 30)) + "\n") == LOCAL


@given(st.binary(min_size=16, max_size=16), st.uuids(), st.binary(min_size=32, max_size=32), st.integers(1, 65535))
def test_every_pairing_is_read_back(code, network, root, port):
    pairing = Pairing(code, network, root, b"\x01" * 32, f"https://ledger.example:{port}")
    assert Pairing.from_text(pairing.to_text()) == pairing


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "pairing_malformed"),
        ("LD104HMASW9NF6YY54", "pairing_malformed"),
        ("LDP1", "pairing_malformed"),
        ("LDP100", "pairing_malformed"),
        (
            LOCAL.to_text()[:30] + ("0" if LOCAL.to_text()[30] != "0" else "1") + LOCAL.to_text()[31:],
            "pairing_malformed",
        ),
        (LOCAL.to_text()[:-40], "pairing_malformed"),
        (LOCAL.to_text()[:20] + "U" + LOCAL.to_text()[21:], "pairing_malformed"),
        (replace(LOCAL, address="http://10.0.0.5").to_text(), "pairing_insecure"),
        (replace(LOCAL, address="http://127.0.0.1.evil.example").to_text(), "pairing_insecure"),
        (replace(LOCAL, spki_pin=b"\x01" * 32).to_text(), "pairing_insecure"),
        (replace(LOCAL, address="ftp://127.0.0.1").to_text(), "pairing_malformed"),
        (replace(LOCAL, address="http://127.0.0.1/a?b").to_text(), "pairing_malformed"),
    ],
)
def test_a_pairing_that_will_not_do_says_so(text, code):
    with pytest.raises(BadInput) as caught:
        Pairing.from_text(text)
    assert caught.value.code == code
