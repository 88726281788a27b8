"""Fixtures for the tests of commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from elks_mcp.store import StateLocation
from tests.support.verb_cases import SimulatedElks, simulated_elks


@pytest.fixture
def location(tmp_path: Path) -> StateLocation:
    """Have a state directory."""
    return StateLocation(folder=tmp_path / "state")


@pytest.fixture
def elks(tmp_path: Path) -> Iterator[SimulatedElks]:
    """Serve a sandbox whose clock does not move."""
    with simulated_elks(tmp_path) as served:
        yield served
