"""Fixtures."""

import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import (
    box_on,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Sandbox:
    return box_on(clock)
