"""Personal data at rest: a data key per guest, wrapped by the master key, which is never in the database.

Every sealed value is version 1 ‖ nonce 12 ‖ AES-256-GCM. What it belongs to (network, guest, field) is authenticated
with it, so a value moved to another guest or field does not open. Destroying a guest's wrapped key erases the guest.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from hmac import digest as hmac_digest
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loyalty_desk.domain.errors import Broken

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12


class CannotOpen(Broken):
    """A sealed value does not open: another master key, or it is damaged or moved."""


class Vault:
    """Seals and opens with keys derived from one master key of 32 bytes."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise Broken(f"the master key must have {KEY_BYTES} bytes")
        self._master = master
        self._wrapping = AESGCM(_derive(master, b"guest data keys"))
        self._own = AESGCM(_derive(master, b"server secrets"))
        self._keys: dict[tuple[bytes, UUID], bytes] = {}

    def new_guest_key(self, network: UUID, guest: UUID) -> tuple[GuestKey, bytes]:
        """Return a fresh data key of a guest and its wrapped form, which is what is stored."""
        key = secrets.token_bytes(KEY_BYTES)
        return GuestKey(network, guest, key), _seal(self._wrapping, key, _place(network, guest, "key"))

    def open_guest_key(self, network: UUID, guest: UUID, wrapped: bytes) -> GuestKey:
        """Return a guest's data key of its wrapped form; raises `CannotOpen`."""
        return GuestKey(network, guest, _open(self._wrapping, wrapped, _place(network, guest, "key")))

    def seal_secret(self, network: UUID, name: str, value: bytes) -> bytes:
        """Return a secret of the network itself, sealed; `name` says which and is authenticated."""
        return _seal(self._own, value, b"LDS1" + network.bytes + name.encode())

    def open_secret(self, network: UUID, name: str, sealed: bytes) -> bytes:
        """Return the secret; raises `CannotOpen`."""
        return _open(self._own, sealed, b"LDS1" + network.bytes + name.encode())

    def own_key(self, purpose: str) -> bytes:
        """Return a key of this server for one purpose, 32 bytes; with another master key it is another."""
        return _derive(self._master, b"own " + purpose.encode())

    def lookup_key(self, network: UUID) -> bytes:
        """Return the key, 32 bytes, of the hashes by which something is found in one network and in no other.

        The network's tills are told it: what must stay at the server is made with `own_hash`.
        """
        return self._key_of(b"lookup ", network)

    def own_hash(self, network: UUID, value: str) -> bytes:
        """Return 32 bytes that follow from the value and that nobody but this server can make."""
        return hmac_digest(self._key_of(b"own hash ", network), value.encode(), "sha256")

    def _key_of(self, purpose: bytes, network: UUID) -> bytes:
        key = self._keys.get((purpose, network))
        if key is None:
            key = self._keys[purpose, network] = _derive(self._master, purpose + network.bytes)
        return key


class GuestKey:
    """One guest's data key: seals and opens the fields of that guest alone."""

    def __init__(self, network: UUID, guest: UUID, key: bytes) -> None:
        self._network, self._guest = network, guest
        self._cipher = AESGCM(key)

    def seal(self, field: str, text: str) -> bytes:
        """Return the text of a field, sealed."""
        return _seal(self._cipher, text.encode(), _place(self._network, self._guest, field))

    def open(self, field: str, sealed: bytes) -> str:
        """Return the text of a field; raises `CannotOpen`."""
        return _open(self._cipher, sealed, _place(self._network, self._guest, field)).decode()


def load_master_key(data: Path, given: str | None) -> bytes:
    """Return the master key: `given` as base64url of 32 bytes, else the file master.key in `data`, made if absent.

    Raises `Broken` for a key that is none, and for a file that others may read.
    """
    if given:
        try:
            key = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
        except ValueError as error:
            raise Broken("LOYALTY_MASTER_KEY is not base64url") from error
        if len(key) != KEY_BYTES:
            raise Broken(f"LOYALTY_MASTER_KEY must be base64url of {KEY_BYTES} bytes")
        return key
    path = data / "master.key"
    data.mkdir(parents=True, exist_ok=True)
    # Written whole under another name first: a crash in between must not leave a short key in the place of a good one.
    half = data / f"master.key.{secrets.token_hex(4)}"
    if not path.exists():
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(half, path)
        half.unlink()
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise Broken(f"{path} can be read by others: run chmod 600 on it")
    return load_master_key(data, path.read_text().strip() or "empty")


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"loyalty-desk " + purpose).derive(master)


def _place(network: UUID, guest: UUID, field: str) -> bytes:
    return b"LDG1" + network.bytes + guest.bytes + field.encode()


def _seal(cipher: AESGCM, data: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + cipher.encrypt(nonce, data, _VERSION + place)


def _open(cipher: AESGCM, sealed: bytes, place: bytes) -> bytes:
    if sealed[:1] != _VERSION:
        raise CannotOpen("a sealed value of an unknown version")
    try:
        return cipher.decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], _VERSION + place)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen("a sealed value does not open with this master key") from error
