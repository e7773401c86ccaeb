"""The set that names a network's signing keys, as tills get it: canonical bytes, signed by the root."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json, bytes_to_text
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.wire.v1 import rows
from server.networks.repository import SigningKey


def signed_document(
    network: UUID, version: int, keys: Sequence[SigningKey], root: Ed25519PrivateKey, now: datetime
) -> tuple[bytes, bytes]:
    """Return the document of a key set and the root's signature of it; private halves are not in it."""
    document: dict[str, Json] = {
        "network": str(network),
        "version": version,
        "issued": to_ms(now),
        "keys": [_named(one) for one in keys],
    }
    return canonical.encode(document), root.sign(rows.keyset_message(document))


def _named(key: SigningKey) -> dict[str, Json]:
    named: dict[str, Json] = {"kid": key.kid, "public": bytes_to_text(key.public), "not_before": to_ms(key.not_before)}
    for name, moment in (("not_after", key.not_after), ("revoked_at", key.revoked_at)):
        if moment is not None:
            named[name] = to_ms(moment)
    return named
