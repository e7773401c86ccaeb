"""How bodies travel: msgpack, ids as 16 raw bytes, optionally zstd (ledger-and-sync.md, section 5)."""

from __future__ import annotations

import msgspec
import zstandard

CONTENT_TYPE = "application/msgpack"
MAX_BODY_BYTES = 512 * 1024
MAX_UNPACKED_BYTES = 4 * 1024 * 1024
_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")


class BadBody(ValueError):
    """The body is not what the contract says; the text names the first place."""


def encode(message: object) -> bytes:
    """Return the message's bytes."""
    return _ENCODER.encode(message)


def decode[T](kind: type[T], body: bytes) -> T:
    """Return the message of its bytes; raises `BadBody`."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadBody(str(error)) from error


def pack(body: bytes) -> bytes:
    """Return the body compressed."""
    return zstandard.ZstdCompressor(level=3).compress(body)


def unpack(body: bytes, limit: int = MAX_UNPACKED_BYTES) -> bytes:
    """Return the body uncompressed, reading no further than `limit`; raises `BadBody`."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=1 << 23).stream_reader(body) as reader:
            data = reader.read(limit + 1)
            if len(data) > limit or reader.read(1):
                raise BadBody("the body unpacks to more than is allowed")
    except zstandard.ZstdError as error:
        raise BadBody(f"not zstd: {error}") from error
    return data
