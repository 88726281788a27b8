"""Fixtures."""

import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.connecting import (
    new_box,
)


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return new_box()
