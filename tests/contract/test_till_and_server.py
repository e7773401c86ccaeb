"""The real till against the real server over a real socket: what both sides read in the contract is the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.demo.stage import Stage
from loyalty_desk.remote.client import HttpLedgerClient
from loyalty_desk.remote.connection import BASE
from loyalty_desk.services.ports.server import NoAnswer, ServerSaid
from loyalty_desk.till import Till
from loyalty_desk.wire.v1.sync import Block, PushedRecord, PushRequest, ReconcileRequest, Status, cursor_text
from tests.contract.sales import sell

pytestmark = [pytest.mark.postgres]


def push_of(till: Till, *, first: int | None = None) -> PushRequest:
    """Return the push that the till would send next."""
    journal, identity = till._selling.journal, till._selling.config.identity
    epoch = journal.epochs()[-1]
    records = journal.records(epoch.epoch, first or epoch.acked_seq + 1, 500)
    return PushRequest(
        identity.network,
        identity.device,
        UUID(str(journal.get("incarnation"))),
        epoch.epoch,
        records[0].seq,
        [PushedRecord(r.seq, r.id, r.prev, r.hash, r.payload) for r in records],
        records[-1].sig,
    )


class Losing:
    """A client whose answers to one call never arrive, though the call did."""

    def __init__(self, client: HttpLedgerClient, lost: str) -> None:
        self._client = client
        self._lost = lost

    def __getattr__(self, name: str) -> Callable[..., object]:
        real = getattr(self._client, name)

        def call(*arguments: object) -> object:
            answer = real(*arguments)
            if name == self._lost:
                raise NoAnswer("lost on the way back")
            return answer

        return call


def test_the_whole_feed_arrives_and_its_digest_agrees(till: Till) -> None:
    state = till._selling.cache.state()
    assert state.complete
    assert state.guests == 5_000
    status = till.status()
    assert status.cashier == ""  # nobody has opened a shift
    assert (status.clock_conf.value, status.program_version, status.notices) == ("good", 1, ())


def test_a_sale_reaches_the_guest_and_comes_back(till: Till, card: str) -> None:
    before = till.checkout.identify(card).points
    done = sell(till, card, points=50)
    assert done.balance_after == before - 50 + done.quote.earned_points
    outcome = till.sync_once()
    assert (outcome.done, outcome.pushed, outcome.error) == (True, 1, None)
    shown = till.checkout.identify(card)
    assert shown.points == done.balance_after
    # Nothing of our own is added any more: this is the server's figure.
    assert till._selling.journal.overlay(shown.guest_id, None, till._selling.cache.state().cursor).earned == 0


@pytest.mark.parametrize("lost", ["hello", "push", "pull"])
def test_a_lost_answer_loses_and_doubles_nothing(till: Till, client: HttpLedgerClient, card: str, lost: str) -> None:
    done = sell(till, card)
    outcome = till._engine(Losing(client, lost)).step()
    assert (outcome.done, outcome.error) == (False, "server_silent")
    assert till.checkout.identify(card).points == done.balance_after
    assert till.sync_once().done
    assert till.checkout.identify(card).points == done.balance_after
    assert till.status().waiting == 0


def test_the_same_push_a_hundred_times_posts_once(till: Till, client: HttpLedgerClient, card: str) -> None:
    done = sell(till, card)
    request = push_of(till)
    answers = [client.push(request) for _ in range(100)]
    assert [answer.results[0].status for answer in answers] == [Status.POSTED] + [Status.DUPLICATE] * 99
    assert till.sync_once().done
    assert till.checkout.identify(card).points == done.balance_after


def test_a_gap_names_what_is_expected_and_closes(till: Till, client: HttpLedgerClient, card: str) -> None:
    sell(till, card)
    sell(till, card)
    head = till._selling.journal.head().seq
    with pytest.raises(ServerSaid) as said:
        client.push(push_of(till, first=head))
    assert (said.value.status, said.value.code, said.value.expected_seq) == (409, "GAP", head - 1)
    assert till.sync_once().done


def test_another_life_of_the_server_is_not_pushed_to(till: Till, client: HttpLedgerClient, card: str) -> None:
    sell(till, card)
    with pytest.raises(ServerSaid) as said:
        client.push(msgspec.structs.replace(push_of(till), incarnation=UUID(int=5)))
    assert (said.value.status, said.value.code) == (409, "STALE_INCARNATION")
    with pytest.raises(ServerSaid) as said:
        client.pull(cursor_text(UUID(int=5), 3), 10)
    assert (said.value.status, said.value.code) == (410, "MUST_BOOTSTRAP")
    assert till.sync_once().done


def test_reconcile_agrees_on_every_block_and_names_what_is_missing(till: Till, client: HttpLedgerClient) -> None:
    journal, identity = till._selling.journal, till._selling.config.identity
    incarnation = UUID(str(journal.get("incarnation")))
    epoch = journal.epochs()[-1]
    from loyalty_desk.services.reconciling import reconcile_epoch

    assert reconcile_epoch(identity, journal, client, incarnation, epoch) is None
    unknown = ReconcileRequest(identity.network, identity.device, incarnation, 77, [Block(1, 2, b"x" * 16)])
    assert [(b.first_seq, b.ids) for b in client.reconcile(unknown).mismatching] == [(1, [])]


def test_only_this_device_may_speak_for_it(till: Till, card: str) -> None:
    selling = till._selling
    sell(till, card)
    forged = HttpLedgerClient(selling.config.identity, Ed25519PrivateKey.generate(), selling.token)
    with pytest.raises(ServerSaid) as said:
        forged.push(push_of(till))
    assert (said.value.status, said.value.code) == (403, "BAD_SIGNATURE")
    forged.close()
    stranger = dataclasses.replace(selling.config.identity, device=UUID(int=9))
    unknown = HttpLedgerClient(stranger, selling.key, selling.token)
    with pytest.raises(ServerSaid) as said:
        unknown.push(push_of(till))
    assert (said.value.status, said.value.code) == (401, "UNKNOWN_DEVICE")
    unknown.close()
    tokenless = HttpLedgerClient(selling.config.identity, selling.key, "ldt.no.such.token")
    with pytest.raises(ServerSaid) as said:
        tokenless.pull(None, 10)
    assert (said.value.status, said.value.code) == (401, "BAD_TOKEN")
    # Facts need the device's signature alone.
    assert tokenless.push(push_of(till)).results
    tokenless.close()
    assert till.sync_once().done


def test_a_push_that_is_none_is_a_sentence(client: HttpLedgerClient) -> None:
    from loyalty_desk.wire.v1.sync import PushAnswer

    with pytest.raises(ServerSaid) as said:
        client._signed(
            "POST", f"{BASE}/sync/push", b"\x93nonsense", {"Content-Type": "application/msgpack"}, PushAnswer
        )
    assert (said.value.status, said.value.code) == (400, "BAD_BODY")
    assert said.value.text


def test_a_backlog_of_more_than_one_batch_drains(till: Till, card: str) -> None:
    # Small checks: what a guest is given above 5 000 points a day is held and cannot be spent.
    for _ in range(620):
        sell(till, card, amount=50_00)
    shown = till.checkout.identify(card).points
    outcome = till.sync_once()
    assert (outcome.done, outcome.pushed) == (True, 620)
    assert till.checkout.identify(card).points == shown


def test_at_the_end_the_ledger_agrees(stage: Stage) -> None:
    said = stage.verify()
    assert said.startswith("verify: ok")
    assert "0 lost, 0 doubled" in said
