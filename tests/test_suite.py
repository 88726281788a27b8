"""The tests that `make test` runs: nothing that matters is left to `make test-long` alone."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from elks_mcp.sandbox import Fault
from tests.support.clocks import HANG
from tests.support.connecting import ERAS, WAYS
from tests.support.stores import DATABASES

HERE = Path(__file__).parent
PROMISES = HERE.parent / "docs" / "promises.md"
SOURCES = [page for page in sorted(HERE.rglob("*.py")) if "node_modules" not in page.parts]


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> list[pytest.Function]:
    """List the tests that `make test` runs; needs all files to be collected."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    if {page for page in SOURCES if page.match("test_*.py")} - {HERE / "test_conformance.py"} > {
        item.path for item in items
    }:
        pytest.skip("only some of the tests are collected")
    return [item for item in items if item.get_closest_marker("long") is None]


def values(tests: list[pytest.Function]) -> Iterator[object]:
    """List what tests are parametrized by."""
    for test in tests:
        if hasattr(test, "callspec"):
            yield from test.callspec.params.values()


def test_each_promise_that_holds_has_tests_that_name_it(quick: list[pytest.Function]) -> None:
    rows = re.findall(r"^\| (P\d+) \|.*\| \*\*holds\*\*", PROMISES.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 12
    named = {promise for test in quick for promise in re.findall(r"(?<=_)p\d+(?=_)", test.originalname)}
    assert {row.lower() for row in rows} <= named


def test_each_fault_of_the_sandbox_occurs_in_a_test(quick: list[pytest.Function]) -> None:
    assert set(Fault) <= {value for value in values(quick) if isinstance(value, Fault)}


def test_each_era_and_each_database_is_tried(quick: list[pytest.Function]) -> None:
    assert {*ERAS, *WAYS, *DATABASES} <= {value for value in values(quick) if isinstance(value, str)}


# ── how tests are written ──


@cache
def calls() -> list[tuple[str, ast.Call, ast.Attribute]]:
    """List the calls of methods and of functions of modules in all tests, each with its place."""
    return [
        (f"{page.relative_to(HERE)}:{node.lineno}", node, node.func)
        for page in SOURCES
        for node in ast.walk(ast.parse(page.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


def test_no_test_replaces_a_part_of_our_code() -> None:
    """Stores fail by `stores.py`, the sandbox by its faults, and `clocks.py` moves the time."""
    replacing = {"setattr", "delattr", "__setattr__"}
    found = [
        location
        for location, call, called in calls()
        if called.attr in replacing and ast.unparse(call.args[0]) != "sys"  # standard streams
    ]
    assert found == []


def test_real_time_only_ends_a_test_that_hangs() -> None:
    """A limit is `HANG` or a clock's that the test turns; what is fast enough is for a benchmark to say."""
    limits = {"fail_after", "move_on_after"}
    found = [
        location
        for location, call, called in calls()
        if called.attr in limits
        and ast.unparse(called.value) == "anyio"
        and ast.unparse(call.args[0]) != "HANG"
    ]
    counted = [location for location, _, called in calls() if called.attr in {"monotonic", "perf_counter"}]
    assert found + counted == []
    assert HANG >= 30
