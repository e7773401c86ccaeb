"""Sealed personal data: opens with the right key in the right place, and nowhere else."""

import base64
import os
import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.errors import Broken
from loyalty_desk.wire.v1.phones import phone_hash
from server.kit.crypto import CannotOpen, Vault, load_master_key

NETWORK, GUEST = UUID(int=1), UUID(int=2)
vault = Vault(bytes(range(32)))


@given(st.text(max_size=200))
def test_what_is_sealed_opens(text: str) -> None:
    key, wrapped = vault.new_guest_key(NETWORK, GUEST)
    again = Vault(bytes(range(32))).open_guest_key(NETWORK, GUEST, wrapped)
    assert again.open("name", key.seal("name", text)) == text


def test_sealed_text_shows_nothing_and_differs_each_time() -> None:
    key, _ = vault.new_guest_key(NETWORK, GUEST)
    one, two = key.seal("name", "Анна"), key.seal("name", "Анна")
    assert one != two
    assert "Анна".encode() not in one


@pytest.mark.parametrize(
    ("network", "guest", "master"),
    [(UUID(int=9), GUEST, bytes(range(32))), (NETWORK, UUID(int=9), bytes(range(32))), (NETWORK, GUEST, bytes(32))],
    ids=["another network", "another guest", "another master key"],
)
def test_a_data_key_opens_for_its_guest_and_master_key_alone(network: UUID, guest: UUID, master: bytes) -> None:
    _, wrapped = vault.new_guest_key(NETWORK, GUEST)
    with pytest.raises(CannotOpen):
        Vault(master).open_guest_key(network, guest, wrapped)


def test_a_value_moved_to_another_field_does_not_open() -> None:
    key, _ = vault.new_guest_key(NETWORK, GUEST)
    with pytest.raises(CannotOpen):
        key.open("phone", key.seal("name", "Анна"))


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, change: int) -> None:
    key, _ = vault.new_guest_key(NETWORK, GUEST)
    sealed = bytearray(key.seal("name", "Анна Иванова, длинное имя"))
    sealed[at] ^= change
    with pytest.raises(CannotOpen):
        key.open("name", bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(40)])
def test_what_is_no_sealed_value_is_said_to_be_none(sealed: bytes) -> None:
    key, _ = vault.new_guest_key(NETWORK, GUEST)
    with pytest.raises(CannotOpen):
        key.open("name", sealed)


def test_a_phone_is_found_in_its_network_alone() -> None:
    assert vault.lookup_key(NETWORK) == vault.lookup_key(NETWORK)
    assert vault.lookup_key(NETWORK) not in (vault.lookup_key(uuid4()), Vault(bytes(32)).lookup_key(NETWORK))


def test_what_a_till_is_told_makes_nothing_that_is_the_servers_own() -> None:
    own = vault.own_hash(NETWORK, "ld2 01")
    assert own == vault.own_hash(NETWORK, "ld2 01")
    assert own not in (vault.own_hash(uuid4(), "ld2 01"), vault.own_hash(NETWORK, "ld2 02"))
    assert own != phone_hash(vault.lookup_key(NETWORK), "ld2 01")


def test_a_networks_secret_opens_under_its_name_alone() -> None:
    sealed = vault.seal_secret(NETWORK, "signing key 1", b"secret")
    assert vault.open_secret(NETWORK, "signing key 1", sealed) == b"secret"
    for network, name in ((NETWORK, "signing key 2"), (GUEST, "signing key 1")):
        with pytest.raises(CannotOpen):
            vault.open_secret(network, name, sealed)


def test_the_master_key_is_made_once_in_a_file_of_its_owner(tmp_path: Path) -> None:
    key = load_master_key(tmp_path / "data", None)
    assert len(key) == 32
    assert load_master_key(tmp_path / "data", None) == key
    path = tmp_path / "data" / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["master.key"]


def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    load_master_key(tmp_path, None)
    os.chmod(tmp_path / "master.key", 0o644)  # noqa: PTH101
    with pytest.raises(Broken, match="chmod 600"):
        load_master_key(tmp_path, None)


@pytest.mark.parametrize("text", ["", "short", "*" * 43])
def test_a_damaged_master_key_is_never_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Broken):
        load_master_key(tmp_path, None)
    assert path.read_text() == text


def test_the_environments_master_key_makes_no_file(tmp_path: Path) -> None:
    given_key = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
    assert load_master_key(tmp_path, given_key) == bytes(range(32))
    assert not list(tmp_path.iterdir())
    with pytest.raises(Broken):
        load_master_key(tmp_path, "AAAA")
