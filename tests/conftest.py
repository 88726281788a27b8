"""Fixtures and settings of all tests."""

import os
import signal
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from elks_mcp.runtime.garbage import collection_paused
from tests.support.browser import browser  # noqa: F401  (a fixture)
from tests.support.checked_schemas import check_schemas_once
from tests.support.forked_starts import fork_starts, fresh_start  # noqa: F401  (a fixture)
from tests.support.postgres import (  # noqa: F401  (fixtures)
    migrated_database,
    postgres_database,
    postgres_url,
    postgres_with_tables,
    used_databases,
)
from tests.support.process import stand_in  # noqa: F401  (a fixture)
from tests.support.statements import share_compiled_statements

# No deadlines: the first number loads the numbering plans.
settings.register_profile("quick", deadline=None, max_examples=100)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("quick")

share_compiled_statements()
check_schemas_once()
fork_starts()


def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores: many tests wait for a server that they started."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len(usable) + 1


_MEMORY = Path("/dev/shm")  # noqa: S108  (a directory in memory, which Linux has)
_ROOM = 2 * 2**30
"""Bytes that must be free in memory; a run needs a tenth."""


def pytest_configure() -> None:
    """Keep temporary files in memory if there is room; `TMPDIR` names another place. Let Ctrl-C work."""
    if "TMPDIR" not in os.environ and _has_room():
        os.environ["TMPDIR"] = str(_MEMORY)  # for worker processes and servers under test, too
        tempfile.tempdir = None
    # A shell starts a background job with SIGINT ignored, and the programs under test would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _has_room() -> bool:
    """Tell whether files fit in memory, and whether a program among them can be run, as PostgreSQL is."""
    if not os.access(_MEMORY, os.W_OK):
        return False
    found = os.statvfs(_MEMORY)
    return found.f_bavail * found.f_frsize >= _ROOM and not found.f_flag & os.ST_NOEXEC


os.environ["TZ"] = "UTC"  # whatever the machine's zone is; Windows reads it when a process starts
if hasattr(time, "tzset"):
    time.tzset()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Do not look for garbage among the tests and all modules, neither now nor while tests run."""
    with collection_paused():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that nobody waits for it in the end."""
    items.sort(key=lambda item: item.get_closest_marker("lengthy") is None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, which is what the server runs on."""
    return "asyncio"
