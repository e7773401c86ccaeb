"""What a code in doubt leaves of the limits, and whether an LD4's step has paid already."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from loyalty_desk.domain.code_proof import Doubt, replayed, step_of
from loyalty_desk.domain.record import Decision
from loyalty_desk.domain.signed_codes import SignedCode
from loyalty_desk.services.ports.cache import CredentialState
from loyalty_desk.services.redemption import Allowance, LimitRow

# The reason of a code that only the server can check, and nothing is wrong with it.
NEEDS_SERVER = "code_needs_server"


class RedeemedSteps(Protocol):
    """Which steps have paid at this till; the journal is one."""

    def redeemed_step(self, handle: int, root: bytes) -> int:
        """Return the highest step of a chain that a redemption here has used, 0 where none has."""
        ...


def narrowed(allowed: Allowance, reason: str) -> Allowance:
    """Return an allowance of nothing because of the code, `reason` first: the guest can do something about it."""
    row = LimitRow(Decision.CVM, 0, reason)
    bits = allowed.decision_bits | 1 << Decision.CVM
    return replace(allowed, max_points=0, reason=reason, facts={}, decision_bits=bits, rows=(row, *allowed.rows))


def replay_of(code: SignedCode, row: CredentialState | None, steps: RedeemedSteps) -> Doubt | None:
    """Return `REPLAYED` where this step, or a later one, has paid at this till, or elsewhere as the server told."""
    step = step_of(code)
    if step is None:
        return None
    published = row.step if row is not None and row.root == step.root else 0
    return replayed(code, max(published, steps.redeemed_step(step.handle, step.root)))
