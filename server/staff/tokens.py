"""Tokens of people who manage: a JWT (HS256) for fifteen minutes, and a secret to get the next one with, used once."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from server.kit.lifetimes import holds_at

ACCESS_LIVES = timedelta(minutes=15)
_HEADER = {"alg": "HS256", "typ": "JWT"}
_MOST = 2_048


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what, until when."""

    network: UUID
    staff: UUID
    session: UUID
    role: str
    expires_at: int


def sign(key: bytes, access: Access) -> str:
    """Return the token of an access."""
    claims = {
        "net": str(access.network),
        "sub": str(access.staff),
        "sid": str(access.session),
        "role": access.role,
        "exp": access.expires_at,
    }
    said = f"{_text(_HEADER)}.{_text(claims)}"
    return f"{said}.{_encoded(_mac(key, said))}"


def read(key: bytes, token: str, now: datetime) -> Access | None:
    """Return the access of a token, None for one that is not ours, was changed or is over.

    The algorithm is the one here, whatever the token's header says.
    """
    said, _, signature = token.rpartition(".")
    if len(token) > _MOST or not token.isascii() or not hmac.compare_digest(_encoded(_mac(key, said)), signature):
        return None
    try:
        header, claims = (json.loads(_decoded(part)) for part in said.split("."))
        made = Access(UUID(claims["net"]), UUID(claims["sub"]), UUID(claims["sid"]), claims["role"], claims["exp"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    ends = datetime.fromtimestamp(made.expires_at, UTC)
    return made if header == _HEADER and holds_at(now, ends, ACCESS_LIVES) else None


def _mac(key: bytes, said: str) -> bytes:
    return hmac.digest(key, said.encode(), sha256)


def _text(value: dict[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
