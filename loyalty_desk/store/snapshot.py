"""A snapshot on its way: gathered in a sealed file, then made the cache. No plain page touches the disk."""

from __future__ import annotations

import hmac
import logging
import os
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import apsw
import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.ports.cache import CacheState, SnapshotSpoiled
from loyalty_desk.store.cache import VERSION, SqliteCache
from loyalty_desk.store.engine import companions, transaction
from loyalty_desk.store.engine import rows as every
from loyalty_desk.store.migrations.cache import OWN_LAYOUT
from loyalty_desk.wire.v1.bootstrap import SnapshotManifest
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS

_MAGIC = b"LDSN1"
_SALT_BYTES = 16
_LENGTH = struct.Struct(">I")
_LOG = logging.getLogger(__name__)


class SnapshotFiles:
    """`SnapshotRoom` beside the cache: one file `cache.part`, of boxes of ChaCha20-Poly1305, the manifest in the first.

    A box is its length and its bytes; its nonce is its number, under a key of this one file.
    """

    def __init__(self, cache: SqliteCache) -> None:
        self._cache = cache
        self._path = cache.path.with_name("cache.part")
        self._cipher: ChaCha20Poly1305 | None = None
        self._manifest: SnapshotManifest | None = None
        self._boxes = 0
        self._there = 0
        self._load()

    def begun(self) -> SnapshotManifest | None:
        """Return the snapshot that is being fetched, None where none is."""
        return self._manifest

    def begin(self, manifest: SnapshotManifest) -> int:
        """Return how many bytes of this snapshot are here; of another one nothing is kept."""
        if self._manifest != manifest:
            self.discard()
            salt = os.urandom(_SALT_BYTES)
            self._cipher, self._manifest = self._cipher_of(salt), manifest
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(_MAGIC + salt)
            self._append(msgspec.msgpack.encode(manifest))
        return self._there

    def add(self, part: bytes) -> int:
        """Keep the next bytes durably; return how many are here."""
        self._append(part)
        self._there += len(part)
        return self._there

    def install(self, manifest: SnapshotManifest) -> None:
        """Make the whole snapshot the cache; raises `SnapshotSpoiled`.

        The cache then stands at the snapshot's place in the feed; what has changed since is pulled.
        """
        made = self._cache.path.with_name("cache.new")
        for old in companions(made):
            old.unlink(missing_ok=True)
        try:
            self._write_encrypted(self._unpacked(manifest), manifest, made)
        except (InvalidTag, zstandard.ZstdError, apsw.Error, ValueError) as error:
            _LOG.exception("the snapshot cannot be used")
            self.discard()
            if isinstance(error, apsw.FullError):
                raise Refused("disk_full", path=str(self._path.parent)) from error
            raise SnapshotSpoiled from error
        self._cache.replace_by(made)
        self.discard()

    def discard(self) -> None:
        """Throw away what is here."""
        self._path.unlink(missing_ok=True)
        self._cipher, self._manifest = None, None
        self._boxes = self._there = 0

    def _append(self, content: bytes) -> None:
        if self._cipher is None:
            raise ValueError("no snapshot has been begun")
        box = self._cipher.encrypt(self._boxes.to_bytes(12, "big"), content, _MAGIC)
        try:
            with self._path.open("ab") as file:
                file.write(_LENGTH.pack(len(box)) + box)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            # The room that it takes is given back: a full disk must not keep a sale from being recorded.
            self.discard()
            raise Refused("disk_full", path=str(self._path.parent)) from error
        self._boxes += 1

    def _load(self) -> None:
        """Find what an earlier process has fetched, and cut off a box that was not written to its end."""
        try:
            with self._path.open("r+b") as file:
                head = file.read(len(_MAGIC) + _SALT_BYTES)
                if head[: len(_MAGIC)] != _MAGIC:
                    raise ValueError("no snapshot")
                self._cipher = self._cipher_of(head[len(_MAGIC) :])
                end = file.tell()
                for box in _boxes(file.read):
                    content = self._cipher.decrypt(self._boxes.to_bytes(12, "big"), box, _MAGIC)
                    if self._boxes == 0:
                        self._manifest = msgspec.msgpack.decode(content, type=SnapshotManifest)
                    else:
                        self._there += len(content)
                    self._boxes += 1
                    end += _LENGTH.size + len(box)
                file.truncate(end)
        except FileNotFoundError:
            return
        except (OSError, ValueError, InvalidTag, msgspec.MsgspecError):
            _LOG.info("what had been fetched of a snapshot cannot be used and is fetched anew")
            self.discard()
        if self._manifest is None:
            self.discard()

    def _cipher_of(self, salt: bytes) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(hmac.digest(self._cache.key, b"cache.part" + salt, "sha256"))

    def _unpacked(self, manifest: SnapshotManifest) -> bytearray:
        if self._cipher is None:
            raise ValueError("no snapshot has been begun")
        unpacker, digest, content = zstandard.ZstdDecompressor().decompressobj(), sha256(), bytearray()
        with self._path.open("rb") as file:
            file.seek(len(_MAGIC) + _SALT_BYTES)
            for number, box in enumerate(_boxes(file.read)):
                part = self._cipher.decrypt(number.to_bytes(12, "big"), box, _MAGIC)
                if number == 0:
                    continue
                digest.update(part)
                content += unpacker.decompress(part)
                if len(content) > manifest.size:
                    break
        if digest.digest() != manifest.sha256 or len(content) != manifest.size:
            raise ValueError("the bytes are not those of the manifest")
        return content

    def _write_encrypted(self, content: bytearray, manifest: SnapshotManifest, made: Path) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(":memory:", flags=flags)
        try:
            connection.deserialize("main", content)
            content.clear()
            connection.execute(OWN_LAYOUT)
            state = CacheState(
                incarnation=manifest.incarnation,
                cursor=manifest.feed_seq,
                rows=manifest.rows,
                digest=manifest.digest,
                guests=manifest.guests,
            )
            if _counted(connection) != (state.rows, state.digest, state.guests):
                raise ValueError("the rows are not those of the manifest")
            with transaction(connection):
                SqliteCache.write_state(connection, state)
                connection.pragma("user_version", VERSION)
            connection.execute("VACUUM INTO ?", (f"file:{made}?key=raw:{self._cache.key.hex()}",))
        finally:
            connection.close()
        made.chmod(0o600)


def _boxes(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while len(head := read(_LENGTH.size)) == _LENGTH.size:
        [size] = _LENGTH.unpack(head)
        box = read(size)
        if len(box) < size:
            return
        yield box


def _counted(connection: apsw.Connection) -> tuple[int, bytes, int]:
    """Return live rows, their digest and the guests among them, counted from the rows themselves."""
    rows = total = 0
    for table in ("guest", "credential", "counter", "document"):
        for (digest,) in connection.execute(f"SELECT digest FROM {table}"):  # noqa: S608 - one of ours
            rows += 1
            total += int.from_bytes(digest, "big")
    [(guests,)] = every(connection, "SELECT count(*) FROM guest")
    return rows, (total % DIGEST_MODULUS).to_bytes(16, "big"), guests
