import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.guest_code import CodeKind, ld2, parse
from loyalty_desk.domain.wallet_digits import accepted_counter, rotating_digits

SECRET = b"12345678901234567890"


# RFC 6238, appendix B, the rows of SHA-1.
@pytest.mark.parametrize(
    ("seconds", "digits"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_the_standard(seconds, digits):
    assert rotating_digits(SECRET, seconds // 30) == digits


def test_the_frozen_wallet_pass():
    assert ld2(0x0123456789ABCDEF, "94287082") == "LD204HMASW9NF6YY94287082"
    found = parse("LD204HMASW9NF6YY94287082")
    assert (found.kind, found.handle, found.digits) == (CodeKind.LD2, 0x0123456789ABCDEF, "94287082")


@pytest.mark.parametrize("digits", ["9428708", "942870821", "9428708A", "٩٤٢٨٧٠٨٢"])
def test_a_wallet_pass_shows_eight_digits(digits):
    with pytest.raises(ValueError):
        ld2(1, digits)


@given(st.integers(2, 1 << 40), st.integers(-3, 3), st.integers(0, 29), st.integers(-3, 3))
def test_only_counters_near_now_and_above_the_last_are_taken(counter, away, second, behind):
    digits = rotating_digits(SECRET, counter)
    found = accepted_counter(SECRET, digits, (counter + away) * 30 + second, counter + behind)
    if abs(away) <= 1 and behind < 0:
        assert found == counter
    else:
        assert found != counter


def test_digits_of_another_card_are_not_taken():
    assert accepted_counter(b"another secret 45678", rotating_digits(SECRET, 100), 3_000, 0) is None
