"""Fixtures of the tests of commands."""

from pathlib import Path

import pytest

from elks_mcp.store import StateLocation


@pytest.fixture
def location(tmp_path: Path) -> StateLocation:
    """Have a state directory."""
    return StateLocation(folder=tmp_path / "state")
