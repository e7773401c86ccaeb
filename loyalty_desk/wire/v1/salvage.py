"""`POST /sync/salvage`: somebody else brings the records of a till that cannot push them itself."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from loyalty_desk.wire.v1.sync import MAX_PUSH_RECORDS, Digest, Natural, Positive, PushResult, Signature


class SalvagedRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record as its own journal held it, with the signature of the till that made it."""

    seq: Positive
    id: UUID
    prev: Digest
    hash: Digest
    sig: Signature
    payload: bytes
    private: bytes | None = None


class SalvageRequest(msgspec.Struct, frozen=True):
    """Records of one epoch of `device`, seq rising, holes allowed. The request is signed by whoever brings them."""

    network: UUID
    device: UUID
    incarnation: UUID
    epoch: Natural
    records: Annotated[list[SalvagedRecord], Meta(min_length=1, max_length=MAX_PUSH_RECORDS)]


class SalvageAnswer(msgspec.Struct, frozen=True):
    """What became of each record that is stored now; `refused` are those that this till never signed."""

    incarnation: UUID
    results: list[PushResult]
    refused: list[Positive]
    feed_seq: Natural
