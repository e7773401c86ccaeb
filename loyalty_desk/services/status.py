"""What the header, the offline badge and `loyalty-desk till status` show."""

from __future__ import annotations

from datetime import datetime

import msgspec

from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.services.ports.journal import Notice


class TillStatus(msgspec.Struct, frozen=True):
    """The till at one moment. Times are aware UTC; `oldest_waiting` and `offline_since` are None where nothing waits.

    `journal_ok` False means that no sale can be recorded now, `disk_full` that it is for want of room. `guests_loaded`
    counts guests in the cache, `guests_complete` says whether all have arrived. `credential_backend` names where the
    keys are kept.

    `clock_known` False means that no server has told this journal the time yet, so that `clock_conf` blames nobody.

    `loading_percent` is how much of the guests' first load has arrived, None where none is under way.

    `online` means that the last exchange with the server came to its end, `synced_at` is when one last did;
    `sync_error` is the code of why the last one did not. Where the server answered all the same, `offline_since` is
    None. Until the first exchange since the start has been `tried` to its end, nobody knows which of these holds.
    """

    network: str
    store: str
    till: str
    cashier: str
    online: bool
    offline_since: datetime | None
    waiting: int
    oldest_waiting: datetime | None
    clock_conf: ClockConfidence
    guests_loaded: int
    guests_complete: bool
    program_version: int | None
    notices: tuple[Notice, ...]
    journal_ok: bool
    credential_backend: str
    synced_at: datetime | None = None
    sync_error: str | None = None
    currency: str = "RUB"
    zone: str = "UTC"
    point_decimals: int = 0
    loading_percent: int | None = None
    clock_known: bool = True
    disk_full: bool = False
    tried: bool = True

    @property
    def refused(self) -> bool:
        """Return whether the server answers and will not exchange with this till: neither online nor offline."""
        return self.tried and not self.online and self.offline_since is None and self.sync_error is not None

    @property
    def answers(self) -> bool:
        """Return whether a server is known to answer, whatever it says: also while the guests are still loading."""
        return self.loading_percent is not None or (self.tried and self.offline_since is None)
