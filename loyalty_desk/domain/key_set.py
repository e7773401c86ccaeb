"""The keys by which a network signs its guests' codes, as plain values.

Whether the network's root signed the set is for whoever receives it: a `KeySet` is what is left afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from loyalty_desk.domain.canonical import Json, bytes_to_text, text_to_bytes

PUBLIC_BYTES = 32
MAX_KID = 255


@dataclass(frozen=True, slots=True)
class CodeKey:
    """One public key (32 bytes, Ed25519) and when it counts; times are milliseconds UTC.

    It signs from `not_before` on, its codes are taken until `not_after` (None: no end); a revoked one proves nothing.
    """

    kid: int
    public: bytes
    not_before: int
    not_after: int | None = None
    revoked_at: int | None = None

    @classmethod
    def from_document(cls, value: Json) -> CodeKey:
        """Return the key of an entry in a key set's document; raises `ValueError` naming what is wrong."""
        if not isinstance(value, Mapping):
            raise ValueError("key")
        kid, public = _number(value, "kid"), text_to_bytes(str(value.get("public")))
        if not 0 <= kid <= MAX_KID:
            raise ValueError("kid")
        if len(public) != PUBLIC_BYTES:
            raise ValueError("public")
        ends = (_number(value, name) if value.get(name) is not None else None for name in ("not_after", "revoked_at"))
        return cls(kid, public, _number(value, "not_before"), *ends)


@dataclass(frozen=True, slots=True)
class KeySet:
    """A network's keys; a higher `version` replaces a lower one. Without any key nothing can be proved."""

    network: UUID
    version: int = 0
    issued: int = 0
    keys: tuple[CodeKey, ...] = ()

    def key(self, kid: int) -> CodeKey | None:
        """Return the key of an id, whatever its state; None where the set names none."""
        return next((key for key in self.keys if key.kid == kid), None)

    def as_of(self, at: int) -> KeySet:
        """Return the set as it was at a moment (ms UTC): a key revoked later was good then."""
        return replace(
            self,
            keys=tuple(
                replace(key, revoked_at=None) if key.revoked_at is not None and key.revoked_at > at else key
                for key in self.keys
            ),
        )

    def to_document(self) -> dict[str, Json]:
        """Return the object that the network's root signs."""
        return {
            "network": str(self.network),
            "version": self.version,
            "issued": self.issued,
            "keys": [_named(key) for key in self.keys],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Json]) -> KeySet:
        """Return the set of a document; raises `ValueError` naming what is wrong. Unknown fields are passed over."""
        keys = document.get("keys")
        if not isinstance(keys, list | tuple):
            raise ValueError("keys")
        found = tuple(CodeKey.from_document(key) for key in keys)
        if len({key.kid for key in found}) != len(found):
            raise ValueError("a key id twice")
        return cls(UUID(str(document.get("network"))), _number(document, "version"), _number(document, "issued"), found)


def _named(key: CodeKey) -> dict[str, Json]:
    named: dict[str, Json] = {"kid": key.kid, "public": bytes_to_text(key.public), "not_before": key.not_before}
    if key.not_after is not None:
        named["not_after"] = key.not_after
    if key.revoked_at is not None:
        named["revoked_at"] = key.revoked_at
    return named


def _number(value: Mapping[str, Json], name: str) -> int:
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ValueError(name)
    return found
