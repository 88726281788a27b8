"""What every test may use."""

import pytest
from hypothesis import settings

from .postgres import (  # noqa: F401  (fixtures)
    migrated_database,
    postgres_database,
    postgres_url,
    postgres_with_tables,
)

settings.register_profile("unhurried", deadline=None)  # the first number loads the numbering plans
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, which is what the server runs on."""
    return "asyncio"
