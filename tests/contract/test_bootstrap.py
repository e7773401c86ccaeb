"""The first load over a real socket, cut again and again while sales are posted: level with the server at its end."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from loyalty_desk.remote.client import HttpLedgerClient
from loyalty_desk.services import bootstrapping
from loyalty_desk.services.bootstrapping import Bootstrap
from loyalty_desk.services.ports.server import NoAnswer
from loyalty_desk.store.snapshot import SnapshotFiles
from loyalty_desk.till import Till
from tests.contract.sales import sell

pytestmark = [pytest.mark.postgres]
CUTS = 20


class Cutting:
    """A client whose connection is cut at every other part."""

    def __init__(self, client: HttpLedgerClient) -> None:
        self._client = client
        self.cuts = 0
        self.asked = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def snapshot_part(self, snapshot: UUID, start: int, size: int) -> bytes:
        self.asked += 1
        part = self._client.snapshot_part(snapshot, start, size)
        if self.asked % 2 and self.cuts < CUTS:
            self.cuts += 1
            raise NoAnswer("cut on the way back")
        return part


def test_scenario_35_a_first_load_cut_twenty_times_while_sales_are_posted_is_level_at_its_end(
    till: Till,
    client: HttpLedgerClient,
    card: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache, journal = till._selling.cache, till._selling.journal
    life = UUID(str(journal.get("incarnation")))
    expected = till.checkout.identify(card).points
    cache.wipe(life)
    monkeypatch.setattr(bootstrapping, "PART_BYTES", 8_192)
    cutting, stopping = Cutting(client), threading.Event()
    outcomes: list[str | None] = ["snapshot_prepared"]

    def load() -> None:
        while outcomes[-1] is not None and not stopping.is_set():
            try:
                outcomes.append(Bootstrap(cutting, SnapshotFiles(cache)).fetch(life, stopping.is_set))
            except NoAnswer:
                continue
            if outcomes[-1] is not None:
                stopping.wait(0.2)

    loading = threading.Thread(target=load)
    loading.start()
    sold = earned = 0
    while loading.is_alive() and sold < 400:
        # It sells by card number alone meanwhile, earning as in the first tier until the guest has arrived; each sale
        # is pushed by whoever syncs, here at the end. Of small checks: on a busy machine they are many, and what one
        # guest earns a day has a limit.
        earned += sell(till, card, amount=100_00).quote.earned_points
        sold += 1
        loading.join(0.02)
    loading.join(60)
    stopping.set()
    assert not loading.is_alive()
    assert cutting.cuts == CUTS
    assert set(outcomes) <= {"snapshot_prepared", None}
    assert cache.state().guests == 5_000
    assert not cache.state().complete
    outcome = till.sync_once()
    # `done` says that rows and digest agree with the server's checkpoint.
    assert outcome.done
    assert outcome.pushed >= sold > 0
    assert earned > 0
    assert cache.state().complete
    assert till.status().notices == ()
    assert till.checkout.identify(card).points == expected + earned
    assert till.status().loading_percent is None


def test_a_till_whose_cursor_is_too_old_finds_its_own_way_to_the_file(
    till: Till,
    client: HttpLedgerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole way by `sync_once`: 410 both for the cursor and from zero, preparing, loading, the delta."""
    from loyalty_desk.remote import client as remote
    from loyalty_desk.services.ports.server import ServerSaid
    from loyalty_desk.wire.v1.sync import PullAnswer

    pull, refused = remote.HttpLedgerClient.pull, [True]

    def too_old(self: HttpLedgerClient, cursor: str | None, limit: int) -> PullAnswer:
        if refused[0]:
            raise ServerSaid(410, "MUST_BOOTSTRAP", "too old")
        return pull(self, cursor, limit)

    install = SnapshotFiles.install

    def installed(self: SnapshotFiles, manifest: object) -> None:
        install(self, manifest)
        refused[0] = False

    monkeypatch.setattr(remote.HttpLedgerClient, "pull", too_old)
    monkeypatch.setattr(SnapshotFiles, "install", installed)
    for _ in range(100):
        outcome = till.sync_once()
        if outcome.done:
            break
        assert outcome.error == "snapshot_prepared"
        assert till._selling.cache.state().guests == 5_000
        threading.Event().wait(0.2)
    assert outcome.done
    assert not refused[0]
    assert till._selling.cache.state().guests == 5_000
