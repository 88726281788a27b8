"""Fixtures of the tests of sending."""

from pathlib import Path

import pytest

from tests.support.provider import (
    House,
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
