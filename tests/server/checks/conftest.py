"""Tests of other systems have a world, and a system with a token."""

from collections.abc import AsyncIterator

import pytest

from server.kit.ground import Base, Ground
from server.networks.service import MadeNetwork
from server.settings import Settings
from tests.server.world import World, open_world


@pytest.fixture
async def world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    """The network under test and the application over it."""
    async with open_world(ground, base, settings, made) as found:
        yield found
