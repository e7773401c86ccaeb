"""The chain of hashes behind a rotating code: each value is shown once, and reveals only earlier ones (S/KEY, TESLA).

v[j-1] = SHA-256("LD4C" ‖ network ‖ handle ‖ generation ‖ j as u16 ‖ v[j])[:16]; v[0] is the root that is signed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from uuid import UUID

VALUE_BYTES = 16
STEP_SECONDS = 30
MAX_STEPS = 20_160
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class ChainOwner:
    """Whose chain it is; every hash covers it, so that no value fits another network, credential or generation."""

    network: UUID
    handle: int
    generation: int

    @property
    def prefix(self) -> bytes:
        """Return what every hash of the chain begins with."""
        return b"LD4C" + self.network.bytes + self.handle.to_bytes(8, "big") + bytes((self.generation,))


def walk(owner: ChainOwner, step: int, value: bytes, down_to: int = 0) -> bytes:
    """Return v[down_to] of v[step]; 0 ≤ `down_to` ≤ `step` ≤ `MAX_STEPS`."""
    if not 0 <= down_to <= step <= MAX_STEPS:
        raise ValueError(f"no such way along a chain: {step} to {down_to}")
    prefix = owner.prefix
    for j in range(step, down_to, -1):
        value = sha256(prefix + j.to_bytes(2, "big") + value).digest()[:VALUE_BYTES]
    return value


class SeenChains:
    """How far each chain has been followed, so that the next code of a guest costs a few hashes instead of thousands.

    A first sight hashes down to the root: 20 160 hashes, some 20 ms. Belongs to one thread.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[ChainOwner, bytes], tuple[int, bytes]] = OrderedDict()

    def leads_to(self, owner: ChainOwner, root: bytes, step: int, value: bytes) -> bool:
        """Return whether `value` is v[step] of the chain of `root`."""
        place = (owner, root)
        known_step, known = self._seen.get(place, (0, root))
        if step >= known_step:
            right = compare_digest(walk(owner, step, value, known_step), known)
        else:
            right = compare_digest(walk(owner, known_step, known, step), value)
        if right and step >= known_step:
            self._seen[place] = (step, value)
            self._seen.move_to_end(place)
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return right
