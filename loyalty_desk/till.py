"""A till put together: files, keys, journal, cache, services; no window. `app` and `cli` start here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from loyalty_desk.services.checkout import Checkout
from loyalty_desk.services.enrolment import Enrolment
from loyalty_desk.services.status import TillStatus
from loyalty_desk.services.sync import SyncOutcome


@dataclass
class Till:
    """An open till. Not enrolled: `checkout` is None and only `enrolment` works; after it `reopen` is called.

    Opening needs neither network nor keyring backend beyond its own file, and takes milliseconds; the HTTP client is
    imported by `run_sync`, which is the sync thread's whole life.
    """

    checkout: Checkout | None
    enrolment: Enrolment

    def status(self) -> TillStatus | None:
        """Return what the header shows, None while not enrolled; cheap, from any thread."""
        raise NotImplementedError

    def run_sync(self, on_step: Callable[[SyncOutcome], None] | None = None) -> None:
        """Sync until `stop_sync`; call it in a thread of its own. `on_step` hears of every attempt, there."""
        raise NotImplementedError

    def wake_sync(self) -> None:
        """Sync now rather than at the next turn; from any thread."""
        raise NotImplementedError

    def stop_sync(self) -> None:
        """Make `run_sync` return after the request under way; from any thread."""
        raise NotImplementedError

    def dismiss(self, notice: int) -> None:
        """Forget a notice that somebody has read; db thread."""
        raise NotImplementedError

    def close(self) -> None:
        """Write the witness, close the files and release the lock."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_till(data_dir: Path | None = None, *, language: str = "en") -> Till:
    """Open the till of a data folder (default: `LOYALTY_TILL_DIR` or the platform's).

    Raises `Refused`: `till_already_open`, `data_folder_readonly` (`path`), `journal_key_missing`, `journal_newer`.
    """
    raise NotImplementedError
