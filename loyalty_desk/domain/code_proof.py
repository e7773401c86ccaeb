"""What a guest's code is worth: whether it is proved, why not, and what may be done with it.

A doubt never stops a sale: whoever can be named earns. It stops points from being spent, and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from uuid import UUID

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.hash_chain import STEP_SECONDS, SeenChains
from loyalty_desk.domain.key_set import CodeKey, KeySet
from loyalty_desk.domain.record import ClockConfidence, Record
from loyalty_desk.domain.signed_codes import IssuedCode, RotatingCode, SignedCode, is_signed, network_tag

# How many steps the phone's clock and the till's may lie apart.
WINDOW = {ClockConfidence.GOOD: 1, ClockConfidence.FAIR: 4}
# A new key and the first codes of it may reach a till whose clock is a little behind the server's.
KEY_SKEW_MS = 4 * STEP_SECONDS * 1_000
# How long after a scan its sale may be recorded: a quote lives as long.
SALE_SECONDS = 15 * 60


class Doubt(StrEnum):
    """Why a code is not proved; each is the code of a sentence."""

    MALFORMED = "code_malformed"
    OTHER_NETWORK = "code_other_network"
    KEY_UNKNOWN = "code_key_unknown"
    KEY_REVOKED = "code_key_revoked"
    SIGNATURE = "code_signature"
    REVOKED = "code_revoked"
    CLOCK = "code_clock"
    EXPIRED = "code_expired"
    STALE = "code_stale"
    AHEAD = "code_ahead"
    REPLAYED = "code_replayed"
    MISSING = "code_missing"


class Permit(IntEnum):
    """What may be done with a code, each with all before it: how many points are the profile's business."""

    NOTHING = 0
    IDENTITY = 1
    LIMITED = 2
    FULL = 3


_OFFLINE = {CodeKind.SHORT: Permit.NOTHING, CodeKind.LD1: Permit.LIMITED, CodeKind.LD3: Permit.LIMITED,
            CodeKind.LD4: Permit.FULL}  # fmt: skip
_ONLINE = {CodeKind.LD1: Permit.LIMITED, CodeKind.LD3: Permit.LIMITED, CodeKind.LD2: Permit.FULL,
           CodeKind.LD4: Permit.FULL, CodeKind.SHORT: Permit.FULL}  # fmt: skip


def permit(kind: CodeKind, doubt: Doubt | None = None, *, online: bool = False) -> Permit:
    """Return what a code of a kind allows: to name the guest, to spend a few points (100 by default), or up to limits.

    `online`: the server has checked it (an LD2's digits, a short code) in place of the till.
    """
    if doubt is Doubt.OTHER_NETWORK:
        return Permit.NOTHING
    if doubt is not None:
        return Permit.IDENTITY
    return (_ONLINE if online else _OFFLINE).get(kind, Permit.IDENTITY)


def doubt_of(
    code: SignedCode,
    network: UUID,
    keys: KeySet,
    at: int,
    clock: ClockConfidence,
    chains: SeenChains,
    lowest_generation: int = 0,
) -> Doubt | None:
    """Return why an LD3 or LD4 proves nothing at `at` (ms UTC), None where it does.

    `lowest_generation` is the credential's, as far as known here; replay is another question (`replayed`).
    """
    if code.tag != network_tag(network):
        return Doubt.OTHER_NETWORK
    key = keys.key(code.kid)
    doubt = _doubt_of_key(key, at)
    if key is None or doubt is not None:
        return doubt
    if not is_signed(network, code, key.public):
        return Doubt.SIGNATURE
    if code.generation < lowest_generation:
        return Doubt.REVOKED
    if clock not in WINDOW:
        return Doubt.CLOCK
    if isinstance(code, IssuedCode):
        return Doubt.EXPIRED if at // 1_000 >= code.expiry else None
    moment = _doubt_of_step(code, (at // 1_000 - code.start) // STEP_SECONDS, WINDOW[clock])
    if moment is not None:
        return moment
    return None if chains.leads_to(code.owner(network), code.root, code.step, code.value) else Doubt.SIGNATURE


def replayed(code: SignedCode | None, highest_step: int) -> Doubt | None:
    """Return `REPLAYED` for an LD4 whose step is not above the highest that has paid for this (handle, root)."""
    return Doubt.REPLAYED if isinstance(code, RotatingCode) and code.step <= highest_step else None


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One value of one chain, which may pay for one redemption at a till; `root` has 16 bytes."""

    handle: int
    root: bytes
    step: int


def step_of(code: SignedCode | None) -> ShownStep | None:
    """Return which step an LD4 shows, None for every other code."""
    return ShownStep(code.handle, code.root, code.step) if isinstance(code, RotatingCode) else None


def read_evidence(kind: CodeKind, evidence: bytes | None) -> SignedCode | None:
    """Return the code in a record's `token_evidence`; None where there is none or its kind carries none.

    Raises `BadInput` `code_malformed`.
    """
    if evidence is None or kind not in (CodeKind.LD3, CodeKind.LD4):
        return None
    return IssuedCode.from_bytes(evidence) if kind is CodeKind.LD3 else RotatingCode.from_bytes(evidence)


def verify_evidence(
    record: Record, keys: KeySet, at: int, chains: SeenChains, lowest_generation: int = 0
) -> Doubt | None:
    """Return why a redemption's evidence does not bear it, None where it does or its code needs none.

    For the server, long after the sale: `at` is the record's effective time (ms UTC), `lowest_generation` what was
    valid then. A key revoked since was good then. A code may have been scanned up to 15 minutes before its sale.
    """
    shown = record.credential
    if record.points_redeemed == 0 or shown is None or shown.code not in (CodeKind.LD3, CodeKind.LD4):
        return None
    try:
        code = read_evidence(shown.code, record.token_evidence)
    except BadInput:
        return Doubt.MALFORMED
    if code is None:
        return Doubt.MISSING
    if code.handle != shown.handle:
        return Doubt.SIGNATURE
    # Of the minutes in which it may have been scanned, the one that fits the code best.
    nearest = (code.start + code.step * STEP_SECONDS if isinstance(code, RotatingCode) else code.expiry - 1) * 1_000
    scanned = max(min(at, nearest), at - SALE_SECONDS * 1_000)
    return doubt_of(code, record.network, keys.as_of(scanned), scanned, record.clock_conf, chains, lowest_generation)


def _doubt_of_key(key: CodeKey | None, at: int) -> Doubt | None:
    if key is None or at + KEY_SKEW_MS < key.not_before or (key.not_after is not None and at > key.not_after):
        return Doubt.KEY_UNKNOWN
    return Doubt.KEY_REVOKED if key.revoked_at is not None else None


def _doubt_of_step(code: RotatingCode, present: int, window: int) -> Doubt | None:
    if present > code.steps + window:
        return Doubt.EXPIRED
    if code.step < present - window:
        return Doubt.STALE
    return Doubt.AHEAD if code.step > present + window else None
