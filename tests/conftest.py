"""What every test may use."""

import pytest
from hypothesis import settings

from .postgres import (  # noqa: F401  (fixtures)
    migrated_database,
    postgres_database,
    postgres_url,
    postgres_with_tables,
)

# The first number loads the numbering plans. Where rare inputs matter a test asks for more examples.
settings.register_profile("unhurried", deadline=None, max_examples=60)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, which is what the server runs on."""
    return "asyncio"
