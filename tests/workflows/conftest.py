"""Fixtures of the tests of workflows."""

from pathlib import Path

import pytest

from elks_mcp.store import StateLocation
from tests.support.state_folders import with_tables
from tests.support.stores import a_place


@pytest.fixture
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a place for a store: SQLite, unless a test asks for both databases."""
    if not hasattr(request, "param"):
        return with_tables(tmp_path / "state")
    return a_place(request, tmp_path)
