"""A till joins by a one-time code; a code shown twice is worth nothing."""

from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID, uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.errors import BadInput, ForPerson, Refused
from loyalty_desk.wire.v1 import signing
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolPending, EnrolStart, Pairing
from server.kit.ground import Ground
from server.networks.service import MadeNetwork
from server.tills import service
from server.tills.service import OpenPairing

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
ADDRESS = "http://127.0.0.1:8765"


@dataclass
class Joiner:
    """A till that wants in."""

    ground: Ground
    network: UUID
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    async def start(self, code: bytes, name: str = "Till 1") -> EnrolPending:
        return await service.enrol_start(self.ground, EnrolStart(self.network, code, self.public, name))

    async def finish(self, pending: EnrolPending) -> EnrolAnswer:
        sig = self.key.sign(signing.enrol_message(self.network, pending.pending, pending.nonce))
        return await service.enrol_finish(self.ground, EnrolFinish(self.network, pending.pending, sig))


@pytest.fixture
async def opened(ground: Ground, made: MadeNetwork) -> OpenPairing:
    return await service.open_pairing(ground, made.network.id, made.stores[0].id, ADDRESS)


@pytest.fixture
def joiner(ground: Ground, made: MadeNetwork) -> Joiner:
    return Joiner(ground, made.network.id)


async def code_of(step: object) -> str:
    with pytest.raises(ForPerson) as caught:
        await step  # type: ignore[misc]
    return caught.value.code


async def test_a_till_joins_and_is_told_what_it_needs(made: MadeNetwork, joiner: Joiner, opened: OpenPairing) -> None:
    ground, network = joiner.ground, made.network.id
    pairing = Pairing.from_text(opened.pairing.to_text())
    assert (pairing.network, pairing.root, pairing.address) == (network, made.network.root_pub, ADDRESS)
    assert await service.waiting(ground, network, opened.id) is None
    pending = await joiner.start(pairing.code)
    assert await code_of(joiner.finish(pending)) == "pairing_waits"
    waiting = await service.waiting(ground, network, opened.id)
    assert waiting is not None
    assert waiting.characters == signing.fingerprint(joiner.public, pending.nonce, network)
    assert not await service.is_finished(ground, network, opened.id)
    device = await service.confirm(ground, network, opened.id)
    answer = await joiner.finish(pending)
    assert answer.device == device
    assert answer.store.id == made.stores[0].id
    assert answer.recovery_pub == made.network.recovery_pub
    assert answer.profile["floor_points"] == 500
    assert answer.keyset["document"]["network"] == str(network)  # type: ignore[call-overload,index]
    assert await service.is_finished(ground, network, opened.id)
    async with ground.db.begin(network) as connection:
        assert [(till.id, till.state) for till in await service.tills(connection, network)] == [(device, "active")]


async def test_only_hashes_of_code_and_token_are_kept(
    made: MadeNetwork, joiner: Joiner, opened: OpenPairing, admin: psycopg.Connection
) -> None:
    pending = await joiner.start(opened.pairing.code)
    await service.confirm(joiner.ground, made.network.id, opened.id)
    answer = await joiner.finish(pending)
    prefix, network, device, secret = answer.token.split(".")
    assert (prefix, network, device) == ("ldt", str(made.network.id), str(answer.device))
    stored = admin.execute("select token_hash from device").fetchone()
    assert stored == (sha256(secret.encode()).digest(),)
    code = admin.execute("select code_hash from pairing").fetchone()
    assert code is not None
    assert code[0] != opened.pairing.code


async def test_the_same_till_may_repeat_each_step(made: MadeNetwork, joiner: Joiner, opened: OpenPairing) -> None:
    first = await joiner.start(opened.pairing.code)
    assert await joiner.start(opened.pairing.code) == first
    await service.confirm(joiner.ground, made.network.id, opened.id)
    await service.confirm(joiner.ground, made.network.id, opened.id)
    one, two = await joiner.finish(first), await joiner.finish(first)
    assert one.device == two.device
    assert one.token != two.token


async def test_a_code_shown_by_another_till_voids_the_code_and_the_pending_till(
    made: MadeNetwork, joiner: Joiner, opened: OpenPairing
) -> None:
    ground, network = joiner.ground, made.network.id
    pending = await joiner.start(opened.pairing.code)
    thief = Joiner(ground, network)
    assert await code_of(thief.start(opened.pairing.code)) == "pairing_code"
    assert await code_of(joiner.start(opened.pairing.code)) == "pairing_code"
    assert await code_of(joiner.finish(pending)) == "pairing_void"
    assert await code_of(service.confirm(ground, network, opened.id)) == "pairing_void"
    assert await code_of(service.waiting(ground, network, opened.id)) == "pairing_void"


async def test_a_code_shown_again_after_confirmation_voids_the_till_that_has_no_token_yet(
    made: MadeNetwork, joiner: Joiner, opened: OpenPairing
) -> None:
    pending = await joiner.start(opened.pairing.code)
    await service.confirm(joiner.ground, made.network.id, opened.id)
    assert await code_of(Joiner(joiner.ground, made.network.id).start(opened.pairing.code)) == "pairing_code"
    assert await code_of(joiner.finish(pending)) == "pairing_void"


async def test_a_used_code_shown_again_leaves_an_active_till_alone(
    made: MadeNetwork, joiner: Joiner, opened: OpenPairing
) -> None:
    pending = await joiner.start(opened.pairing.code)
    await service.confirm(joiner.ground, made.network.id, opened.id)
    await joiner.finish(pending)
    assert await code_of(Joiner(joiner.ground, made.network.id).start(opened.pairing.code)) == "pairing_code"
    async with joiner.ground.db.begin(made.network.id) as connection:
        assert [till.state for till in await service.tills(connection, made.network.id)] == ["active"]


async def test_unknown_and_expired_codes(
    made: MadeNetwork, joiner: Joiner, opened: OpenPairing, admin: psycopg.Connection
) -> None:
    assert await code_of(joiner.start(bytes(16))) == "pairing_code"
    assert await code_of(Joiner(joiner.ground, uuid4()).start(opened.pairing.code)) == "pairing_code"
    # Neither of the past, nor given by a clock that was a year ahead.
    for wrong in ("- interval '1 second'", "+ interval '1 year'"):
        admin.execute(f"update pairing set expires_at = now() {wrong}")
        assert await code_of(joiner.start(opened.pairing.code)) == "pairing_code"
        assert await code_of(service.waiting(joiner.ground, made.network.id, opened.id)) == "pairing_expired"


async def test_only_the_key_that_started_may_finish(made: MadeNetwork, joiner: Joiner, opened: OpenPairing) -> None:
    pending = await joiner.start(opened.pairing.code)
    await service.confirm(joiner.ground, made.network.id, opened.id)
    assert await code_of(Joiner(joiner.ground, made.network.id).finish(pending)) == "enrol_signature"
    await joiner.finish(pending)


async def test_a_refused_till_stays_out(made: MadeNetwork, joiner: Joiner, opened: OpenPairing) -> None:
    pending = await joiner.start(opened.pairing.code)
    await service.refuse(joiner.ground, made.network.id, opened.id)
    assert await code_of(joiner.finish(pending)) == "pairing_void"


async def test_an_enrolled_key_does_not_enrol_twice(made: MadeNetwork, joiner: Joiner, opened: OpenPairing) -> None:
    await joiner.start(opened.pairing.code)
    again = await service.open_pairing(joiner.ground, made.network.id, made.stores[0].id, ADDRESS)
    assert await code_of(joiner.start(again.pairing.code)) == "till_known"


async def test_what_cannot_be_paired(ground: Ground, made: MadeNetwork, joiner: Joiner, opened: OpenPairing) -> None:
    with pytest.raises(BadInput, match="pairing_insecure"):
        await service.open_pairing(ground, made.network.id, made.stores[0].id, "http://10.0.0.1:8765")
    with pytest.raises(Refused, match="store_unknown"):
        await service.open_pairing(ground, made.network.id, uuid4(), ADDRESS)
    with pytest.raises(Refused, match="network_unknown"):
        await service.open_pairing(ground, uuid4(), made.stores[0].id, ADDRESS)
    assert await code_of(joiner.start(opened.pairing.code, "\u200b")) == "till_name"
