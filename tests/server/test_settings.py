"""Settings come from the environment, or from a file; what anybody could guess is no secret."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from pydantic import ValidationError

from loyalty_desk.domain.errors import Refused
from server.cli_ground import settings_of
from server.settings import SETTINGS_FILE, Settings, proxies_of


def test_a_file_sets_what_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "server.env"
    file.write_text("LOYALTY_PORT=9001\nLOYALTY_HOST=10.0.0.1\nDATABASE_URL=postgresql://u:long-word@db/l\n")
    monkeypatch.setenv(SETTINGS_FILE, str(file))
    monkeypatch.setenv("LOYALTY_HOST", "10.0.0.2")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    found = Settings()
    assert (found.port, found.host) == (9001, "10.0.0.2")
    assert found.database_url is not None
    assert found.database_url.get_secret_value() == "postgresql://u:long-word@db/l"
    assert settings_of(None, port=9002).port == 9002


@pytest.mark.parametrize(
    "given",
    [
        {"master_key": "A" * 43},
        {"master_key": "changemechangemechangemechangemechangemecha"},
        {"database_url": "postgresql://app:postgres@db/loyalty"},
        {"database_url": "postgresql://app:@db/loyalty"},
        {"owner_database_url": "postgresql://owner:Change%2DMe@db/loyalty"},
    ],
)
def test_a_default_secret_is_refused_where_things_are_real(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOYALTY_MASTER_KEY", "DATABASE_URL", "LOYALTY_DEV", SETTINGS_FILE):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValidationError, match=r"everybody knows|anybody could guess"):
        Settings(**given)
    with pytest.raises(Refused, match="setting_wrong"):
        settings_of(None, **given)
    assert Settings(**given, dev=True).dev


def test_a_real_key_and_a_database_that_asks_for_no_password_are_taken() -> None:
    for _ in range(200):
        assert Settings(master_key=urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("="), _env_file=None)
    assert Settings(database_url="postgresql://app@/loyalty?host=/run/postgresql", _env_file=None)


@pytest.mark.parametrize("given", ["*", "proxy.example", "0.0.0.0/0", "::/0", "10.0.0.1/8", "127.0.0.1 10.0.0.1"])
def test_a_proxy_is_an_address_or_a_range_and_never_everybody(given: str) -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=given, _env_file=None)


def test_no_proxy_is_trusted_unless_named() -> None:
    assert proxies_of(Settings(_env_file=None).trusted_proxies) == []
    found = Settings(trusted_proxies="127.0.0.1, ::1,10.1.0.0/16,", _env_file=None)
    assert proxies_of(found.trusted_proxies) == ["127.0.0.1", "::1", "10.1.0.0/16"]
