"""Fixtures."""

from collections.abc import AsyncIterator

import pytest
from mcp import Client

from elks_mcp.sandbox import Sandbox
from tests.support.connecting import (
    EITHER_ERA,
    Way,
    connected,
    live,
    new_box,
)


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return new_box()


@pytest.fixture(params=EITHER_ERA)
def way(request: pytest.FixtureRequest) -> Way:
    """How the client reaches the server."""
    way: Way = request.param
    return way


@pytest.fixture
async def client(box: Sandbox, way: Way) -> AsyncIterator[Client]:
    """A client of a server that really sends."""
    async with connected(live(box), box=box, way=way) as client:
        yield client
