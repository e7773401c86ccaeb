"""The set that names a network's signing keys, as tills get it: canonical bytes, signed by the root."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain import canonical
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.key_set import CodeKey, KeySet
from loyalty_desk.wire.v1 import rows
from server.networks.repository import SigningKey


def signed_document(
    network: UUID, version: int, keys: Sequence[SigningKey], root: Ed25519PrivateKey, now: datetime
) -> tuple[bytes, bytes]:
    """Return the document of a key set and the root's signature of it; private halves are not in it."""
    document = KeySet(network, version, to_ms(now), tuple(_public(one) for one in keys)).to_document()
    return canonical.encode(document), root.sign(rows.keyset_message(document))


def _public(key: SigningKey) -> CodeKey:
    ends = (None if moment is None else to_ms(moment) for moment in (key.not_after, key.revoked_at))
    return CodeKey(key.kid, key.public, to_ms(key.not_before), *ends)
