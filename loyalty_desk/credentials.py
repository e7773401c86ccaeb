"""The till's secrets: in the system's keyring, or in a file of this user alone where there is none; and a way back.

A lost keyring must not lose a sale: the journal's key also lies beside the journal, sealed to the recovery key of the
network, whose private half was printed once and is on no machine.
"""

from __future__ import annotations

import json
import logging
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loyalty_desk.config import write_whole
from loyalty_desk.domain.errors import Refused

KEYRING = "LOYALTY_KEYRING"
FILE = "file"
_SERVICE = "loyalty-desk"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The key of the journal, the device's Ed25519 seed, the bearer token. Never printed."""

    journal_key: bytes
    device_key: bytes
    token: str

    def to_text(self) -> str:
        """Return the form they are kept in."""
        return json.dumps(
            {
                "journal": b64encode(self.journal_key).decode(),
                "device": b64encode(self.device_key).decode(),
                "token": self.token,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> Secrets:
        """Return the secrets of their kept form; raises `ValueError`."""
        try:
            data = json.loads(text)
            secrets = cls(b64decode(data["journal"]), b64decode(data["device"]), str(data["token"]))
        except (KeyError, TypeError) as error:
            raise ValueError("not a till's secrets") from error
        if len(secrets.journal_key) != 32 or len(secrets.device_key) != 32:
            raise ValueError("a key has 32 bytes")
        return secrets


class SecretStore(Protocol):
    """Where secrets are kept. `name` is what the screen says, and what `open_store` takes."""

    @property
    def name(self) -> str:
        """Return `file` or `keyring:` and the backend."""
        ...

    def load(self, keys_id: str) -> Secrets | None:
        """Return the secrets, None where there are none any more."""
        ...

    def save(self, keys_id: str, secrets: Secrets) -> None:
        """Keep the secrets; raises `Refused` `keys_not_kept`."""
        ...

    def forget(self, keys_id: str) -> None:
        """Keep the secrets no longer, as far as the store lets it."""
        ...


class FileStore:
    """A file that only this user may read."""

    name = FILE

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, keys_id: str) -> Secrets | None:
        """Return the secrets, None where there are none any more."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            return Secrets.from_text(data[keys_id])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, keys_id: str, secrets: Secrets) -> None:
        """Keep the secrets; raises `Refused` `keys_not_kept`."""
        try:
            write_whole(self._path, json.dumps({keys_id: secrets.to_text()}).encode())
        except OSError as error:
            raise Refused("keys_not_kept", path=str(self._path)) from error

    def forget(self, keys_id: str) -> None:
        """Delete the file, if these are what it keeps."""
        if self.load(keys_id) is not None:
            self._path.unlink(missing_ok=True)


class KeyringStore:
    """The system's keyring: Windows Credential Manager, macOS Keychain, Secret Service."""

    def __init__(self) -> None:
        import keyring

        self._backend = keyring.get_keyring()

    @property
    def is_real(self) -> bool:
        """Return whether there is a keyring at all; plain-text stand-ins of other packages are none."""
        return self._backend.priority >= 1

    @property
    def name(self) -> str:
        """Return `keyring:` and the backend."""
        return f"keyring:{type(self._backend).__module__.rpartition('.')[2]}"

    def load(self, keys_id: str) -> Secrets | None:
        """Return the secrets, None where there are none any more."""
        from keyring.errors import KeyringError

        try:
            text = self._backend.get_password(_SERVICE, keys_id)
            return None if text is None else Secrets.from_text(text)
        except (KeyringError, ValueError):
            _LOG.exception("the keyring did not give the till's keys")
            return None

    def save(self, keys_id: str, secrets: Secrets) -> None:
        """Keep the secrets; raises `Refused` `keys_not_kept`."""
        from keyring.errors import KeyringError

        try:
            self._backend.set_password(_SERVICE, keys_id, secrets.to_text())
        except KeyringError as error:
            raise Refused("keys_not_kept", path=self.name) from error

    def forget(self, keys_id: str) -> None:
        """Delete the entry; a keyring that does not let go of it is logged."""
        from keyring.errors import KeyringError

        try:
            self._backend.delete_password(_SERVICE, keys_id)
        except KeyringError:
            _LOG.warning("the keyring still has the keys of a till that has left its network", exc_info=True)


def choose_store(file: Path) -> SecretStore:
    """Return where a new till's secrets go: the keyring, a file where there is none or `LOYALTY_KEYRING=file`."""
    if os.environ.get(KEYRING, "") != FILE:
        try:
            store = KeyringStore()
        except Exception:  # noqa: BLE001 - a broken desktop service raises anything; the file is always there
            _LOG.info("no keyring can be used here")
        else:
            if store.is_real:
                return store
    return FileStore(file)


def open_store(name: str, file: Path) -> SecretStore:
    """Return the store that a till's keys were put into; keyring is imported only where it is one."""
    return FileStore(file) if name == FILE else KeyringStore()


def key_id(journal_key: bytes) -> str:
    """Return a name of a key that tells nothing of it: a wrong key and a damaged file can be told apart."""
    return sha256(b"LDKI" + journal_key).hexdigest()[:16]


def seal_key(journal_key: bytes, recovery_pub: bytes) -> bytes:
    """Return the file content that keeps a journal's key for the holder of the network's recovery key."""
    once = X25519PrivateKey.generate()
    once_pub = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(recovery_pub))
    # A key drawn for one message: the nonce may be constant.
    sealed = ChaCha20Poly1305(_derived(shared, once_pub, recovery_pub)).encrypt(bytes(12), journal_key, b"LDSK1")
    data = {
        "v": 1,
        "key_id": key_id(journal_key),
        "pub": b64encode(once_pub).decode(),
        "box": b64encode(sealed).decode(),
    }
    return json.dumps(data).encode()


def unseal_key(content: bytes, recovery: X25519PrivateKey) -> bytes:
    """Return the journal's key; raises `Refused` `recovery_key_wrong`."""
    try:
        data = json.loads(content)
        once_pub, sealed = b64decode(data["pub"]), b64decode(data["box"])
        shared = recovery.exchange(X25519PublicKey.from_public_bytes(once_pub))
        key = _derived(shared, once_pub, recovery.public_key().public_bytes_raw())
        return ChaCha20Poly1305(key).decrypt(bytes(12), sealed, b"LDSK1")
    except (InvalidTag, ValueError, KeyError, TypeError) as error:
        raise Refused("recovery_key_wrong") from error


def sealed_key_id(content: bytes) -> str:
    """Return which key a sealed file holds, empty where it cannot be read."""
    try:
        return str(json.loads(content)["key_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def _derived(shared: bytes, once_pub: bytes, recovery_pub: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"LDSK1" + once_pub + recovery_pub).derive(shared)
