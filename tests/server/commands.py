"""Commands of the server, run in the test's own process on its own database."""

import asyncio
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from server import cli
from server.kit import incarnation
from server.kit.ground import Base
from server.kit.ground import ground as open_ground
from server.networks.service import MadeNetwork, NewStore, create_network
from server.settings import Settings
from tests.server.world import World, open_world


@dataclass
class Commands:
    """Runs commands in this process on this test's database."""

    made: MadeNetwork
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    base: Base
    settings: Settings

    def run(self, *arguments: str, code: int = 0, typed: str = "") -> tuple[str, str]:
        """Return what was printed to stdout and stderr."""
        self.patch.setattr(sys, "argv", ["loyalty-server", *arguments])
        self.patch.setattr(sys, "stdin", io.StringIO(typed))
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self.capture.readouterr()
        assert (ended.value.code or 0) == code, out + err
        return out, err

    def json(self, *arguments: str, typed: str = "") -> dict[str, Any]:
        found = json.loads(self.run(*arguments, "--json", typed=typed)[0])
        assert isinstance(found, dict)
        return found

    def refused(self, *arguments: str, typed: str = "") -> str:
        out, err = self.run(*arguments, code=1, typed=typed)
        assert err.count("\n") == 1, err
        assert not out
        assert "Not possible" not in err, "there is no sentence for it"
        return err.strip()

    def live(self, work: Callable[[World], Any]) -> Any:
        """Let something happen in the network by its application."""

        async def go() -> Any:
            async with (
                open_ground(self.settings, self.base) as ground,
                open_world(ground, self.base, self.settings, self.made) as world,
            ):
                return await work(world)

        return asyncio.run(go())


def make_commands(
    base: Base, settings: Settings, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
) -> Commands:
    """Make a network with one store and return the commands that work on it."""

    async def make() -> MadeNetwork:
        async with open_ground(settings, base) as ground:
            await incarnation.at_start(ground.db, ground.witness)
            return await create_network(ground, "Test", "shop", "RUB", "Europe/Moscow", [NewStore("First")])

    patch.setenv("DATABASE_URL", base.app.render_as_string(hide_password=False))
    patch.setenv("LOYALTY_DATA_DIR", str(settings.data_dir))
    patch.setenv("LOYALTY_WITNESS_DIR", str(settings.witness_dir))
    patch.setenv("LOYALTY_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
    return Commands(asyncio.run(make()), patch, capture, base, settings)
