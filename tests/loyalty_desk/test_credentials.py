import json
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordSetError

from loyalty_desk.credentials import FileStore, KeyringStore, Secrets, choose_store, open_store
from loyalty_desk.domain.errors import Refused

SECRETS = Secrets(b"j" * 32, b"d" * 32, "ldt.a.b.c")


class MemoryKeyring(KeyringBackend):
    """A keyring that is a dictionary; `full` refuses."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.full = False

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.full:
            raise PasswordSetError("full")
        self.kept[service, username] = password


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> MemoryKeyring:
    made = MemoryKeyring()
    monkeypatch.setattr(keyring, "get_keyring", lambda: made)
    monkeypatch.delenv("LOYALTY_KEYRING", raising=False)
    return made


def test_a_file_is_for_this_user_alone_and_written_whole(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "keys.json")
    assert store.load("a") is None
    store.save("a", SECRETS)
    store.save("b", SECRETS)
    assert (store.load("a"), store.load("b")) == (None, SECRETS)
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"a": 5}', '{"a": "{}"}', '{"a": "nonsense"}'])
def test_a_damaged_file_holds_no_keys(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    assert FileStore(tmp_path / "keys.json").load("a") is None


def test_a_key_of_another_length_is_no_key() -> None:
    short = json.loads(SECRETS.to_text()) | {"journal": "YWJj"}
    with pytest.raises(ValueError, match="32 bytes"):
        Secrets.from_text(json.dumps(short))


def test_a_real_keyring_is_used_and_named(backend: MemoryKeyring, tmp_path: Path) -> None:
    store = choose_store(tmp_path / "keys.json")
    assert isinstance(store, KeyringStore)
    store.save("id", SECRETS)
    assert open_store(store.name, tmp_path / "keys.json").load("id") == SECRETS
    assert store.load("other") is None
    assert list(tmp_path.iterdir()) == []
    backend.full = True
    with pytest.raises(Refused, match="keys_not_kept"):
        store.save("id", SECRETS)


@pytest.mark.parametrize("priority", [0, 0.5])
def test_a_stand_in_that_keeps_nothing_or_plain_text_is_not_used(
    backend, tmp_path: Path, monkeypatch, priority
) -> None:
    monkeypatch.setattr(MemoryKeyring, "priority", priority)
    assert choose_store(tmp_path / "keys.json").name == "file"


def test_a_broken_desktop_falls_back_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("no bus")

    monkeypatch.delenv("LOYALTY_KEYRING", raising=False)
    monkeypatch.setattr(keyring, "get_keyring", broken)
    assert choose_store(tmp_path / "keys.json").name == "file"


def test_the_environment_may_ask_for_the_file(backend: MemoryKeyring, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LOYALTY_KEYRING", "file")
    assert choose_store(tmp_path / "keys.json").name == "file"


def test_secrets_never_show_themselves() -> None:
    assert "ldt" not in repr(SECRETS)
    assert "jjj" not in repr(SECRETS)


def test_keys_that_are_forgotten_are_gone_and_others_stay(
    backend: MemoryKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expect_log
) -> None:
    file = FileStore(tmp_path / "keys.json")
    file.save("b", SECRETS)
    file.forget("a")
    assert file.load("b") == SECRETS
    file.forget("b")
    file.forget("b")
    assert not (tmp_path / "keys.json").exists()
    store = KeyringStore()
    store.save("a", SECRETS)
    # A keyring that deletes nothing is told of in the log; the till has left all the same.
    expect_log("still has the keys")
    store.forget("a")
    assert store.load("a") == SECRETS
    deleted: list[tuple[str, str]] = []
    monkeypatch.setattr(MemoryKeyring, "delete_password", lambda _, service, name: deleted.append((service, name)))
    store.forget("a")
    assert deleted == [("loyalty-desk", "a")]
