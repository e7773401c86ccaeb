"""The server's settings, from the environment; names in upper case with the prefix `LOYALTY_`."""

from __future__ import annotations

import os
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# Set for workers: the process that must not be outlived.
PARENT = "LOYALTY_SERVER_PROCESS"


def _platform_folder() -> Path:
    """Return where data lives when nobody says otherwise (the branches for macOS and Windows have not been run)."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "LoyaltyDesk" / "server"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "LoyaltyDesk" / "server"
    if os.geteuid() == 0:
        return Path("/var/lib/loyalty-desk/server")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "loyalty-desk" / "server"


SETTINGS_FILE = "LOYALTY_SETTINGS"
# 32 random bytes in base64 have some 30 letters; what is written by hand as a placeholder has a few.
_DISTINCT = 10
_KNOWN_PASSWORDS = frozenset({"", "admin", "changeme", "change-me", "loyalty", "password", "postgres", "secret"})
_HOW = "Choose another; LOYALTY_DEV=1 is for where nothing is real"


class Settings(BaseSettings):
    """What can be set, in the environment or in the file that LOYALTY_SETTINGS names.

    `database_url` (`DATABASE_URL`) is the application's role of an own PostgreSQL 15 or newer, `owner_database_url` the
    role that owns the schema; with neither, PostgreSQL is embedded in `data_dir`. `witness_dir` should be on another
    disk than the data: the file in it is how a database that was put back is noticed.
    """

    model_config = SettingsConfigDict(env_prefix="LOYALTY_", extra="ignore", frozen=True)

    def __init__(self, **given: Any) -> None:
        # A file of NAME=value lines; what the environment says as well goes before it.
        super().__init__(**({"_env_file": os.environ.get(SETTINGS_FILE)} | given))

    dev: bool = Field(default=False, description="say more, and take secrets that everybody knows")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8765, ge=1, le=65_535, description="port to listen on")
    workers: int = Field(default=1, ge=1, le=64, description="worker processes")
    data_dir: Path = Field(default_factory=_platform_folder, description="where the server keeps its data")
    witness_dir: Path | None = Field(
        default=None, description="where it notes how far the data was; better on another disk"
    )
    master_key: SecretStr | None = Field(
        default=None, description="the key over personal data, base64; absent: made in the data folder"
    )
    pool_size: int = Field(default=20, ge=1, le=200, description="connections to the database, each worker")
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "LOYALTY_DATABASE_URL", "database_url"),
        description="your own PostgreSQL, as the application's role; absent: PostgreSQL in the data folder",
    )
    owner_database_url: SecretStr | None = Field(default=None, description="the same, as the role that owns the schema")
    trusted_proxies: str = Field(
        default="",
        description="addresses of your own proxies, with commas, like 127.0.0.1 or 10.0.0.0/8: of these alone "
        "X-Forwarded-For is believed when tries to log in are counted (Forwarded is never read); absent: of nobody",
    )

    @field_validator("master_key")
    @classmethod
    def _refuse_known_key(cls, given: SecretStr | None, so_far: ValidationInfo) -> SecretStr | None:
        if given is not None and len(set(given.get_secret_value())) < _DISTINCT and not so_far.data.get("dev"):
            raise ValueError(f"anybody could guess it. {_HOW}")
        return given

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _refuse_known_password(cls, given: SecretStr | None, so_far: ValidationInfo) -> SecretStr | None:
        password = None if given is None else urlsplit(given.get_secret_value()).password
        if password is not None and unquote(password).lower() in _KNOWN_PASSWORDS and not so_far.data.get("dev"):
            raise ValueError(f"its password is one that everybody knows. {_HOW}")
        return given

    @field_validator("trusted_proxies")
    @classmethod
    def _refuse_other_proxies(cls, given: str) -> str:
        for one in proxies_of(given):
            try:
                network = ip_network(one)
            except ValueError as error:
                raise ValueError(f"{one} is no address, like 127.0.0.1 or 10.0.0.0/8") from error
            if not network.prefixlen:
                raise ValueError("whoever asks would be a proxy. Name your own")
        return given

    @property
    def address(self) -> str:
        """Return the address that tills are told."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def proxies_of(text: str) -> list[str]:
    """Return the addresses and ranges of a setting with commas."""
    return [one.strip() for one in text.split(",") if one.strip()]


def described() -> str:
    """Return every setting's variable and meaning, for people."""
    names = {name: f"LOYALTY_{name.upper()}" for name in Settings.model_fields} | {"database_url": "DATABASE_URL"}
    lines = (f"{names[name]}: {field.description}" for name, field in Settings.model_fields.items())
    return (
        f"Settings come from the environment too, or from the file that {SETTINGS_FILE} names. "
        + "; ".join(lines)
        + "."
    )


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which a worker gets the same settings, whatever options the command was given.

    Secrets are not among them: what came from the environment is there already.
    """
    given: dict[str, object] = {
        "HOST": settings.host,
        "PORT": settings.port,
        "DATA_DIR": settings.data_dir.absolute(),
        "POOL_SIZE": settings.pool_size,
        "DEV": settings.dev,
    }
    if settings.witness_dir is not None:
        given["WITNESS_DIR"] = settings.witness_dir.absolute()
    return {f"LOYALTY_{name}": str(value) for name, value in given.items()}
