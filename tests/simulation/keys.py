"""Signatures for the simulation: real ones, or keyed hashes that are a hundred times faster and cannot be swapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256, sha512
from typing import Any
from unittest import mock

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class StubPublicKey:
    """Verifies what the `StubPrivateKey` with the same 32 public bytes has signed."""

    def __init__(self, public: bytes) -> None:
        self._public = public

    @classmethod
    def from_public_bytes(cls, public: bytes) -> StubPublicKey:
        return cls(public)

    def public_bytes_raw(self) -> bytes:
        return self._public

    def verify(self, signature: bytes, message: bytes) -> None:
        if signature != sha512(self._public + message).digest():
            raise InvalidSignature


class StubPrivateKey:
    """Signs by a hash over the public bytes: anybody could forge it, nobody signs with another's by accident."""

    def __init__(self, seed: bytes) -> None:
        self._public = sha256(seed).digest()

    def public_key(self) -> StubPublicKey:
        return StubPublicKey(self._public)

    def sign(self, message: bytes) -> bytes:
        return sha512(self._public + message).digest()


def private_key(seed: bytes, *, real: bool) -> Any:
    """Return a private key made of 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed) if real else StubPrivateKey(seed)


@contextmanager
def signatures(*, real: bool) -> Iterator[None]:
    """Let the till read keys of the kind that the simulation makes."""
    if real:
        yield
        return
    with mock.patch("loyalty_desk.services.trust.Ed25519PublicKey", StubPublicKey):
        yield
