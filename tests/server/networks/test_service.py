"""A network is made whole or not at all; its private halves are nowhere."""

from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from loyalty_desk.domain.canonical import text_to_bytes
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.program import Program
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import feed
from server.kit.ground import Ground
from server.networks import service
from server.networks.service import MadeNetwork, NewStore, create_network
from server.programs import service as programs

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_the_key_set_is_signed_by_the_root_and_its_key_signs(ground: Ground, made: MadeNetwork) -> None:
    network = made.network
    assert Ed25519PrivateKey.from_private_bytes(made.root_private).public_key().public_bytes_raw() == network.root_pub
    recovery = X25519PrivateKey.from_private_bytes(made.recovery_private).public_key().public_bytes_raw()
    assert recovery == network.recovery_pub
    async with ground.db.begin(network.id) as connection:
        found = await service.feed_rows(connection, network.id, FeedTable.KEYSET, ["current"])
        kid, key = await service.signing_key(connection, network.id, ground.vault, datetime.now(UTC))
    keyset = rows.read(rows.KeysetRow, found["current"])
    root = Ed25519PublicKey.from_public_bytes(network.root_pub)
    root.verify(text_to_bytes(keyset.sig), rows.keyset_message(keyset.document))
    assert keyset.document["network"] == str(network.id)
    (published,) = keyset.document["keys"]  # type: ignore[misc]
    assert published["kid"] == kid  # type: ignore[index,call-overload]
    assert text_to_bytes(published["public"]) == key.public_key().public_bytes_raw()  # type: ignore[index,call-overload,arg-type]


async def test_no_private_key_is_stored_open(ground: Ground, made: MadeNetwork, admin: psycopg.Connection) -> None:
    async with ground.db.begin(made.network.id) as connection:
        _, signing = await service.signing_key(connection, made.network.id, ground.vault, datetime.now(UTC))
    secrets = [made.root_private, made.recovery_private, signing.private_bytes_raw()]
    tables = [row[0] for row in admin.execute("select relname from pg_class where relkind = 'r'"
                                              " and relnamespace = 'public'::regnamespace").fetchall()]  # fmt: skip
    for table in tables:
        for (line,) in admin.execute(f'select t::text from "{table}" t').fetchall():
            assert not any(secret.hex() in line for secret in secrets), table
    assert not any(secret.hex() in repr(made) for secret in secrets)


async def test_the_feed_tells_tills_all_they_need_keys_first(ground: Ground, made: MadeNetwork) -> None:
    async with ground.db.begin(made.network.id) as connection:
        marks = await feed.marks(connection, made.network.id, 0, 100)
    assert [mark.table for mark in marks] == ["keyset", "profile", "store", "program"]
    assert [mark.seq for mark in marks] == [1, 2, 3, 4]


@pytest.mark.parametrize(("kind", "model"), [("restaurant", "discount"), ("shop", "points")])
async def test_each_kind_begins_with_its_program(ground: Ground, kind: str, model: str) -> None:
    made = await create_network(ground, "N", kind, "RUB", "Europe/Moscow", [NewStore("S")])
    async with ground.db.begin(made.network.id) as connection:
        program = await programs.current(connection, made.network.id)
    assert program is not None
    assert (program.model, program.version, program.currency, program.zone) == (model, 1, "RUB", "Europe/Moscow")
    assert [tier.discount_bp for tier in program.tiers] == (
        [500, 1000, 1500, 2000, 2500] if kind == "restaurant" else []
    )
    assert Program.from_bytes(program.to_bytes()).hash == program.hash


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"name": " "}, "network_name"),
        ({"name": "x" * 101}, "network_name"),
        ({"name": "a\nb\x07"}, "network_name"),
        ({"kind": "bar"}, "network_kind"),
        ({"currency": "XXX"}, "currency_unknown"),
        ({"zone": "Mars/Base"}, "zone_unknown"),
        ({"zone": "../../etc/passwd"}, "zone_unknown"),
        ({"stores": []}, "store_missing"),
        ({"stores": [NewStore("")]}, "store_name"),
        ({"program": {"currency": "RUB", "model": "magic"}}, "field_wrong"),
    ],
)
async def test_bad_input_makes_nothing(ground: Ground, changed: dict[str, object], code: str) -> None:
    good = {"name": "N", "kind": "shop", "currency": "RUB", "zone": "UTC", "stores": [NewStore("S")]}
    with pytest.raises(BadInput) as caught:
        await create_network(ground, **(good | changed))  # type: ignore[arg-type]
    assert caught.value.code == code
    assert await ground.db.networks() == []


async def test_a_network_is_made_once(ground: Ground, made: MadeNetwork) -> None:
    with pytest.raises(Refused, match="network_exists"):
        await create_network(ground, "N", "shop", "RUB", "UTC", [NewStore("S")], network_id=made.network.id)
    async with ground.db.begin(made.network.id) as connection:
        assert (await service.get_network(connection, made.network.id)).name == "Test"
        with pytest.raises(Refused, match="store_unknown"):
            await service.get_store(connection, made.network.id, uuid4())
