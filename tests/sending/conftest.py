"""Fixtures of the tests of sending."""

from pathlib import Path

import pytest

from tests.support.provider import (
    Backend,
)


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path)
