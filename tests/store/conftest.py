"""Fixtures of the tests of the store."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from elks_mcp.store import StateLocation
from tests.support.clocks import ManualClock
from tests.support.stores import (
    DATABASES,
    EITHER_DATABASE,
    KEY,
    a_place,
)


@pytest.fixture(params=EITHER_DATABASE)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> StateLocation:
    """Return a location for a store in a state directory."""
    return StateLocation(folder=tmp_path / "state")


@pytest.fixture
def clock() -> ManualClock:
    """Stop the clock."""
    return ManualClock()


@pytest.fixture(params=DATABASES)
def nothing(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location without tables."""
    if request.param == "sqlite":
        return StateLocation(folder=tmp_path)
    return StateLocation(url=SecretStr(request.getfixturevalue("postgres_database")), key=KEY)
