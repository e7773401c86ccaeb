"""A snapshot on the server's disk: sealed part by part, so that nobody's name lies there in the open.

Part i of the packed bytes is AES-256-GCM with nonce i and the snapshot's id as associated data, under a key of this one
snapshot. Key and manifest lie beside it, sealed by the server's vault.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from loyalty_desk.wire.v1.bootstrap import PART_BYTES, SnapshotManifest
from server.kit.crypto import CannotOpen, Vault

LEVEL = 3
_TAG_BYTES = 16


class _Kept(msgspec.Struct, frozen=True):
    """What lies beside the file. `made_at` is seconds of the server's clock."""

    manifest: SnapshotManifest
    key: bytes
    made_at: float


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A finished snapshot."""

    manifest: SnapshotManifest
    made_at: float
    path: Path
    _key: bytes

    def read(self, start: int, size: int) -> bytes:
        """Return up to `size` packed bytes from `start` on; raises `FileNotFoundError` where it has been deleted."""
        end = min(start + size, self.manifest.packed)
        cipher, found = AESGCM(self._key), bytearray()
        with self.path.open("rb") as file:
            for number in range(start // PART_BYTES, -(-end // PART_BYTES)):
                file.seek(number * (PART_BYTES + _TAG_BYTES))
                sealed = file.read(PART_BYTES + _TAG_BYTES)
                found += cipher.decrypt(number.to_bytes(12, "big"), sealed, self.manifest.id.bytes)
        skipped = start - start // PART_BYTES * PART_BYTES
        return bytes(found[skipped : skipped + end - start])

    def delete(self) -> None:
        """Remove it: the key first, which is enough to make the rest unreadable."""
        self.path.with_suffix(".key").unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def write(
    folder: Path, vault: Vault, network: UUID, content: memoryview, manifest: SnapshotManifest, at: float
) -> SnapshotFile:
    """Pack, seal and keep a SQLite file; `packed` and `sha256` of the manifest given are filled in here."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key, path = AESGCM.generate_key(256), folder / f"{manifest.id}.snap"
    cipher, digest, packed = AESGCM(key), sha256(), 0
    half = path.with_suffix(".half")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for number, part in enumerate(_parts(content)):
            digest.update(part)
            packed += len(part)
            file.write(cipher.encrypt(number.to_bytes(12, "big"), part, manifest.id.bytes))
        file.flush()
        os.fsync(file.fileno())
    made = msgspec.structs.replace(manifest, packed=packed, sha256=digest.digest())
    half.replace(path)
    sealed = vault.seal_secret(network, _name(made.id), msgspec.msgpack.encode(_Kept(made, key, at)))
    beside = path.with_suffix(".key.half")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(sealed)
    beside.replace(path.with_suffix(".key"))
    return SnapshotFile(made, at, path, key)


def find(folder: Path, vault: Vault, network: UUID) -> list[SnapshotFile]:
    """Return the snapshots of a network that can be read, newest first."""
    found = []
    for path in folder.glob("*.key"):
        try:
            name = UUID(path.stem)
            kept = msgspec.msgpack.decode(vault.open_secret(network, _name(name), path.read_bytes()), type=_Kept)
        except (ValueError, OSError, CannotOpen, msgspec.MsgspecError):
            continue
        found.append(SnapshotFile(kept.manifest, kept.made_at, path.with_suffix(".snap"), kept.key))
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def _parts(content: memoryview) -> Iterator[bytes]:
    """Yield the packed bytes in parts of `PART_BYTES`, the last one shorter."""
    packer, waiting = zstandard.ZstdCompressor(level=LEVEL).compressobj(size=len(content)), bytearray()
    for start in range(0, len(content), PART_BYTES):
        waiting += packer.compress(content[start : start + PART_BYTES])
        while len(waiting) >= PART_BYTES:
            yield bytes(waiting[:PART_BYTES])
            del waiting[:PART_BYTES]
    waiting += packer.flush()
    for start in range(0, len(waiting), PART_BYTES):
        yield bytes(waiting[start : start + PART_BYTES])


def _name(snapshot: UUID) -> str:
    return f"snapshot {snapshot}"
