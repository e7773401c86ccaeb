"""The same world on a real PostgreSQL: a few short runs here, any number by `make simulate STORE=postgres`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.faults import Fault, Plan
from tests.simulation.postgres_server import Cluster, PostgresServer, open_cluster
from tests.simulation.run import main, play
from tests.simulation.world import World

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with open_cluster() as running:
        yield running


@pytest.mark.parametrize(
    "faults",
    [
        {Fault.LOST_ANSWER, Fault.CRASH_MID_BATCH, Fault.POISON},
        {Fault.CLONE, Fault.ROLLBACK_UNSEEN, Fault.SUSPEND},
        {Fault.FAILOVER, Fault.SILENT_RESTORE},
    ],
    ids=lambda faults: "+".join(sorted(faults)),
)
def test_nothing_is_lost_on_a_real_database(cluster: Cluster, faults: set[Fault]) -> None:
    plan = Plan(tills=2, guests=2, steps=15, trouble=0.3, faults=frozenset(faults), gifts=True)
    verdict = play(1, plan, cluster=cluster)
    assert verdict.good, verdict
    assert verdict.facts > 5


def test_damage_in_the_database_is_seen(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is judged is what the tables hold, not what the server said."""
    settle = World.settle

    def settle_and_spoil(world: World) -> None:
        settle(world)
        server = world.server
        assert isinstance(server, PostgresServer)
        # A sale that has earned, and was not taken back.
        statement = (
            "set session_replication_role = replica; delete from ledger_tx t where id = (select e.tx_id from entry e"
            " join ledger_tx x on x.id = e.tx_id where x.kind = 'sale' and not exists"
            " (select from ledger_tx r where r.reverses_id = e.tx_id) order by x.seq limit 1); delete from entry"
        )
        cluster.execute(statement, (), server._present)
        server._look()

    monkeypatch.setattr(World, "settle", settle_and_spoil)
    verdict = play(1, Plan(tills=1, guests=1, steps=12, trouble=0, faults=frozenset()), cluster=cluster)
    assert verdict.lost == 1
    assert {text.split(":")[0] for text in verdict.invariants} == {"INV-2", "INV-7", "INV-16", "INV-19"}


def test_a_store_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["STORE=paper"]) == 2
    assert main(["STORE=postgres", "MUTATION=ttl_dedupe"]) == 2
    assert capsys.readouterr().out == (
        "STORE is memory or postgres.\nThe defects are put into the store in memory: leave out STORE or MUTATION.\n"
    )
