"""What is signed outside the journal: each request by its device, a hello's answer by the network (5, 8)."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text, text_to_bytes

SIGNATURE_HEADER = "LD-Signature"
NETWORK_HEADER = "LD-Network"
DEVICE_HEADER = "LD-Device"
NONCE_BYTES = 16


def request_message(method: str, path_and_query: str, body: bytes) -> bytes:
    """Return the bytes a device signs for a request; `body` is as sent, after compression."""
    return b"LDR1" + method.encode() + b"\n" + path_and_query.encode() + b"\n" + sha256(body).digest()


def hello_message(network: UUID, nonce: bytes, server_time: int, incarnation: UUID) -> bytes:
    """Return the bytes a network key signs for hello's answer; `server_time` is milliseconds UTC."""
    return b"LDT1" + network.bytes + nonce + server_time.to_bytes(8, "big") + incarnation.bytes


def phones_message(network: UUID, nonce: bytes, phone_key: bytes) -> bytes:
    """Return the bytes a network key signs for the key of phones that hello's answer tells."""
    return b"LDT2" + network.bytes + nonce + sha256(phone_key).digest()


def enrol_message(network: UUID, pending: UUID, nonce: bytes) -> bytes:
    """Return the bytes a new device signs to finish its enrolment."""
    return b"LDE1" + network.bytes + pending.bytes + nonce


def fingerprint(public_key: bytes, nonce: bytes, network: UUID) -> str:
    """Return the 8 characters that both screens show while a till is paired: 40 bits of SHA-256."""
    from loyalty_desk.domain.base32 import encode32

    return encode32(sha256(public_key + nonce + network.bytes).digest()[:5])


signature_text = bytes_to_text
signature_from_text = text_to_bytes
