"""Fixtures."""

from pathlib import Path

import pytest

from elks_mcp.sandbox import Sandbox
from elks_mcp.store import StateLocation
from tests.support.clocks import ManualClock
from tests.support.connecting import (
    box_on,
)
from tests.support.stores import (
    DATABASES,
    a_place,
)


@pytest.fixture
def clock() -> ManualClock:
    """Stop the clock, for the server and for 46elks."""
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Sandbox:
    """Create a 46elks on that clock."""
    return box_on(clock)


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)
