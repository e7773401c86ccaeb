"""Whose word the till takes: the network's keys, vouched for by its root."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loyalty_desk.domain.canonical import Json, text_to_bytes
from loyalty_desk.domain.key_set import CodeKey, KeySet
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import Journal
from loyalty_desk.wire.v1.rows import keyset_message
from loyalty_desk.wire.v1.signing import hello_message, phones_message
from loyalty_desk.wire.v1.sync import HelloAnswer

_KEY = "keyset"


class Trust:
    """The newest key set signed by the root, kept in the journal: it must outlive a lost cache."""

    def __init__(self, identity: Identity, journal: Journal) -> None:
        self._identity = identity
        self._journal = journal

    def adopt(self, row: Mapping[str, Json]) -> bool:
        """Keep a key set if the root signed it for this network and it is not older; return whether it is in force."""
        document, sig = row.get("document"), row.get("sig")
        if not isinstance(document, Mapping) or not isinstance(sig, str):
            return False
        try:
            root = Ed25519PublicKey.from_public_bytes(self._identity.root)
            root.verify(text_to_bytes(sig), keyset_message(document))
        except (InvalidSignature, ValueError):
            return False
        version = document.get("version")
        if document.get("network") != str(self._identity.network) or not isinstance(version, int):
            return False
        if version < self.version():
            return False
        if version > self.version():
            self._journal.put(_KEY, {"document": document, "sig": sig})
        return True

    def version(self) -> int:
        """Return the version in force, 0 where there is none."""
        version = self._document().get("version", 0)
        return version if isinstance(version, int) else 0

    def keys(self) -> KeySet:
        """Return the keys in force; those that this program cannot read are left out, and prove nothing."""
        listed = self._document().get("keys")
        found = []
        for key in listed if isinstance(listed, list) else []:
            with suppress(ValueError):
                found.append(CodeKey.from_document(key))
        return KeySet(self._identity.network, self.version(), keys=tuple(found))

    def knows(self, kid: int) -> bool:
        """Return whether a key of that id is in force."""
        return self._key(kid) is not None

    def vouches(self, answer: HelloAnswer, nonce: bytes) -> bool:
        """Return whether the network signed this answer to this nonce."""
        message = hello_message(self._identity.network, nonce, answer.server_time, answer.incarnation)
        return self._has_signed(answer.kid, answer.sig, message)

    def vouches_for_phones(self, answer: HelloAnswer, nonce: bytes) -> bool:
        """Return whether the network signed the key of phones that comes with this answer to this nonce."""
        message = phones_message(self._identity.network, nonce, answer.phone_key)
        return self._has_signed(answer.kid, answer.phone_sig, message)

    def _has_signed(self, kid: int, sig: bytes, message: bytes) -> bool:
        key = self._key(kid)
        if key is None:
            return False
        try:
            key.verify(sig, message)
        except InvalidSignature:
            return False
        return True

    def _document(self) -> Mapping[str, Json]:
        kept = self._journal.get(_KEY)
        document = kept.get("document") if isinstance(kept, Mapping) else None
        return document if isinstance(document, Mapping) else {}

    def _key(self, kid: int) -> Ed25519PublicKey | None:
        key = self.keys().key(kid)
        return None if key is None or key.revoked_at is not None else Ed25519PublicKey.from_public_bytes(key.public)
