"""How bodies travel: msgpack, ids as 16 raw bytes, optionally zstd."""

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
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadBody(str(error)) from error


def pack(body: bytes) -> bytes:
    """Return the body compressed."""
    return zstandard.ZstdCompressor(level=3).compress(body)


def unpack(body: bytes, limit: int = MAX_UNPACKED_BYTES) -> bytes:
    """Return the body uncompressed; raises `BadBody` for a broken frame and for one of more than `limit` bytes.

    The size is read from the frame's head before anything is unpacked, and libzstd holds the frame to it; a frame
    that does not say its size is refused, because `pack` always says it.
    """
    try:
        size = zstandard.get_frame_parameters(body).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN or size > limit:
            raise BadBody("the body unpacks to more than is allowed, or does not say to how much")
        return zstandard.ZstdDecompressor(max_window_size=1 << 23).decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadBody(f"not zstd: {error}") from error
