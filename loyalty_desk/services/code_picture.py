"""A code of ours as the dark and light modules of a QR code, for whoever draws it."""

from __future__ import annotations

type Modules = tuple[tuple[bool, ...], ...]


def modules_of(code: str) -> Modules:
    """Return the rows of a QR code at level M with its margin of 4 modules; dark ones are True.

    A card's code is version 1. Level M, not L: what is photographed off a screen is shown again by
    another one.
    """
    # Not needed before the first guest is registered.
    import segno

    made = segno.make_qr(code, error="m", boost_error=False)
    return tuple(tuple(bool(one) for one in row) for row in made.matrix_iter(border=4))
