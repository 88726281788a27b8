"""A sandbox whose clock stands still, and a client with its credentials."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from elks_mcp.sandbox import ManualClock, Sandbox

from .clients import open_client


@pytest.fixture
def box() -> Sandbox:
    return Sandbox(clock=ManualClock())


@pytest.fixture
async def client(box: Sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client(box) as opened:
        yield opened
