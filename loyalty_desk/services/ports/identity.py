"""Who this till is."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this till is, fixed at enrolment. `root` signs the network's key set; `zone` is an IANA name."""

    network: UUID
    device: UUID
    store: UUID
    root: bytes
    recovery_pub: bytes
    spki_pin: bytes
    address: str
    zone: str
    currency: str
    store_name: str
    till_name: str
    network_name: str = ""
