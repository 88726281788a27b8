"""What every test may use."""

import pytest
from hypothesis import settings

from .postgres import (  # noqa: F401  (fixtures)
    migrated_database,
    postgres_database,
    postgres_url,
    postgres_with_tables,
    used_databases,
)

# No deadlines: the first number loads the numbering plans.
settings.register_profile("quick", deadline=None, max_examples=100)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that nobody waits for it in the end."""
    items.sort(key=lambda item: item.get_closest_marker("lengthy") is None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, which is what the server runs on."""
    return "asyncio"
