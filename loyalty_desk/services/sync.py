"""The till's side of the protocol: hello, reconcile when due, push, pull; pure logic over ports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What one attempt came to. `online` = the ledger answered, whatever it said; `done` = everything is level.

    `error` is a code for people, None where nothing went wrong; `retry_after` is the server's wish in seconds.
    `pushed` counts acknowledged records, `pulled` applied rows.
    """

    online: bool
    done: bool
    pushed: int = 0
    pulled: int = 0
    error: str | None = None
    retry_after: int | None = None
