"""Errors that are logged instead of raised."""

import logging

import anyio
import pytest

from elks_mcp.errors import StateUnavailable, log_errors

log = logging.getLogger("elks_mcp.tests")


def test_an_expected_error_takes_one_line_and_the_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with log_errors(log, "History cannot be read") as caught:
        raise StateUnavailable("The disk is full.")
    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == ("WARNING", "History cannot be read: The disk is full.")
    assert line.exc_info is None
    assert isinstance(caught.error, StateUnavailable)


def test_the_level_of_an_expected_error_can_be_chosen(caplog: pytest.LogCaptureFixture) -> None:
    with log_errors(log, "History cannot be read", level=logging.ERROR):
        raise StateUnavailable("The disk is full.")
    assert [line.levelname for line in caplog.records] == ["ERROR"]


def test_an_unexpected_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with log_errors(log, "History cannot be read") as caught:
        raise KeyError("a bug")
    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == ("ERROR", "History cannot be read: unexpected error.")
    assert line.exc_info is not None
    assert isinstance(caught.error, KeyError)


def test_a_body_without_an_error_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with log_errors(log, "History cannot be read") as caught:
        pass
    assert not caplog.records
    assert caught.error is None


@pytest.mark.anyio
async def test_cancellation_is_not_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with anyio.CancelScope() as scope:
        with log_errors(log, "History cannot be read"):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        pytest.fail("the cancellation was swallowed")
    assert scope.cancelled_caught
    assert not caplog.records
