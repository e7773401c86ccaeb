"""LD3 and LD4, the codes that a till can check alone: their bytes, what is signed of them, and the signature.

Integers are big-endian. A signature covers the code's prefix, the 16-byte id of the network, which is not transmitted,
and all fields before it. Frozen vectors: ``tests/loyalty_desk/domain/test_signed_codes.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import ClassVar
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from loyalty_desk.domain.base32 import decode32, encode32
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.hash_chain import MAX_STEPS, VALUE_BYTES, ChainOwner, walk

SIGNATURE_BYTES = 64
# The tier byte of a guest without a tier: a program has at most 255.
NO_TIER = 255
MAX_BALANCE = (1 << 24) - 1
_LD3 = Struct(">BB2sQIB")
_LD4 = Struct(">B2sQIHBB3s16s")
_SHOWN = Struct(">H16s")


def network_tag(network: UUID) -> bytes:
    """Return the 2 bytes by which a code says which network it is of; they prove nothing."""
    return sha256(network.bytes).digest()[:2]


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """LD3: a code that is handed out and stays as it is. `expiry` is unix seconds, `tier` an index in `tiers`."""

    PREFIX: ClassVar[str] = "LD3"
    SIZE: ClassVar[int] = _LD3.size + SIGNATURE_BYTES

    generation: int
    kid: int
    tag: bytes
    handle: int
    expiry: int
    tier: int
    signature: bytes = b""

    def fields(self) -> bytes:
        """Return the 17 bytes before the signature."""
        return _LD3.pack(self.generation, self.kid, self.tag, self.handle, self.expiry, self.tier)

    def to_bytes(self) -> bytes:
        """Return the 81 bytes of the code."""
        return self.fields() + self.signature

    @classmethod
    def from_bytes(cls, data: bytes) -> IssuedCode:
        """Return the code of its bytes; raises `BadInput` `code_malformed`."""
        if len(data) != cls.SIZE:
            raise BadInput("code_malformed", part="length")
        generation, kid, tag, handle, expiry, tier = _LD3.unpack_from(data)
        return cls(generation, kid, tag, handle, expiry, tier, data[_LD3.size :])


@dataclass(frozen=True, slots=True)
class RotatingCode:
    """LD4: what the server signed of a phone's chain, and the step and value that the phone shows.

    `start` is unix seconds, a step lasts 30 s; `balance` is whole points at `start`, `tier` an index in `tiers`.
    """

    PREFIX: ClassVar[str] = "LD4"
    SIZE: ClassVar[int] = _LD4.size + SIGNATURE_BYTES + _SHOWN.size

    kid: int
    tag: bytes
    handle: int
    start: int
    steps: int
    generation: int
    tier: int
    balance: int
    root: bytes
    signature: bytes = b""
    step: int = 0
    value: bytes = bytes(VALUE_BYTES)

    def fields(self) -> bytes:
        """Return the 38 bytes before the signature."""
        balance = self.balance.to_bytes(3, "big")
        return _LD4.pack(
            self.kid, self.tag, self.handle, self.start, self.steps, self.generation, self.tier, balance, self.root
        )

    def to_bytes(self) -> bytes:
        """Return the 120 bytes of the code."""
        return self.fields() + self.signature + _SHOWN.pack(self.step, self.value)

    def owner(self, network: UUID) -> ChainOwner:
        """Return whose chain the code belongs to."""
        return ChainOwner(network, self.handle, self.generation)

    @classmethod
    def from_bytes(cls, data: bytes) -> RotatingCode:
        """Return the code of its bytes; raises `BadInput` `code_malformed`, also for a step outside the chain."""
        if len(data) != cls.SIZE:
            raise BadInput("code_malformed", part="length")
        kid, tag, handle, start, steps, generation, tier, balance, root = _LD4.unpack_from(data)
        shown_at = _LD4.size + SIGNATURE_BYTES
        step, value = _SHOWN.unpack_from(data, shown_at)
        code = cls(
            kid, tag, handle, start, steps, generation, tier, int.from_bytes(balance, "big"), root,
            data[_LD4.size : shown_at], step, value,
        )  # fmt: skip
        if not 1 <= code.steps <= MAX_STEPS:
            raise BadInput("code_malformed", part="steps")
        if not 1 <= step <= code.steps:
            raise BadInput("code_malformed", part="step")
        return code


type SignedCode = IssuedCode | RotatingCode


def code_text(code: SignedCode) -> str:
    """Return the characters that a QR code carries: 133 of an LD3, 195 of an LD4."""
    return code.PREFIX + encode32(code.to_bytes())


def read_issued(body: str) -> IssuedCode:
    """Return the LD3 of the text after its prefix; raises `BadInput` `code_malformed`."""
    return IssuedCode.from_bytes(decode32(body, IssuedCode.SIZE))


def read_rotating(body: str) -> RotatingCode:
    """Return the LD4 of the text after its prefix; raises `BadInput` `code_malformed`."""
    return RotatingCode.from_bytes(decode32(body, RotatingCode.SIZE))


def signed_message(network: UUID, code: SignedCode) -> bytes:
    """Return the bytes that the network's key signs."""
    return code.PREFIX.encode() + network.bytes + code.fields()


def is_signed(network: UUID, code: SignedCode, public: bytes) -> bool:
    """Return whether a public key of 32 bytes signed this code for this network."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(code.signature, signed_message(network, code))
    except (InvalidSignature, ValueError):
        return False
    return True


def issue(
    network: UUID, key: Ed25519PrivateKey, kid: int, *, handle: int, generation: int, expiry: int, tier: int = NO_TIER
) -> IssuedCode:
    """Return an LD3 signed with the network's key `kid`; `expiry` is unix seconds."""
    bare = IssuedCode(generation, kid, network_tag(network), handle, expiry, tier)
    return IssuedCode.from_bytes(bare.fields() + key.sign(signed_message(network, bare)))


def begin_chain(
    network: UUID,
    key: Ed25519PrivateKey,
    kid: int,
    *,
    handle: int,
    generation: int,
    start: int,
    steps: int,
    root: bytes,
    balance: int = 0,
    tier: int = NO_TIER,
) -> RotatingCode:
    """Return what the server signs of a phone's chain; `shown` makes a code of it. `balance` is whole points.

    Raises `ValueError` for a chain of no or too many steps.
    """
    if not 1 <= steps <= MAX_STEPS or len(root) != VALUE_BYTES:
        raise ValueError(f"a chain has 1 to {MAX_STEPS} steps and a root of {VALUE_BYTES} bytes")
    clamped = max(0, min(balance, MAX_BALANCE))
    bare = RotatingCode(kid, network_tag(network), handle, start, steps, generation, tier, clamped, root)
    return shown(bare, key.sign(signed_message(network, bare)), 0, bytes(VALUE_BYTES))


def shown(code: RotatingCode, signature: bytes, step: int, value: bytes) -> RotatingCode:
    """Return the code as the phone shows it at a step."""
    return RotatingCode(
        code.kid, code.tag, code.handle, code.start, code.steps, code.generation, code.tier, code.balance, code.root,
        signature, step, value,
    )  # fmt: skip


def chain_values(owner: ChainOwner, last: bytes, steps: int) -> list[bytes]:
    """Return v[0] to v[steps] of a chain whose last value a phone has drawn."""
    values = [last]
    for step in range(steps, 0, -1):
        values.append(walk(owner, step, values[-1], step - 1))
    values.reverse()
    return values
