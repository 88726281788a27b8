"""Log lines that strangers can cause: one, then a sum each minute, however much they send."""

import logging
import re
from datetime import timedelta

import anyio
import httpx2
import pytest

from elks_mcp.runtime.bursts import Bursts
from elks_mcp.runtime.logs import JsonFormatter
from tests.support.clocks import HANG, ManualClock
from tests.support.connecting import new_box, until
from tests.support.web import Site, post, site
from tests.web.test_health import figures

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def written(caplog: pytest.LogCaptureFixture) -> list[str]:
    """List the lines as they are written, without their times."""
    lines = [each for each in caplog.records if each.name == "elks_mcp.runtime.bursts"]
    return [each.getMessage() for each in lines if JsonFormatter().format(each)]


async def test_a_burst_logs_one_line_and_a_sum_each_minute_until_it_ends(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    bursts = Bursts(clock)
    async with bursts.running():
        for _ in range(3):
            bursts.note("One.", "By a fox.")
        bursts.note("Other.")
        assert written(caplog) == ["One. By a fox.", "Other."]
        await clock.next_alarm()
        clock.advance(MINUTE)
        await until(lambda: len(written(caplog)) == 3)
        bursts.note("One.")
        await clock.next_alarm()
        clock.advance(MINUTE)
        await until(lambda: len(written(caplog)) == 4)
        await clock.next_alarm()
        clock.advance(MINUTE)
        await until(lambda: not bursts._more)
        bursts.note("One.")
        bursts.note("One.")
    more = "more since the last line about it."
    assert written(caplog)[2:] == [f"One. 2 {more}", f"One. 1 {more}", "One.", f"One. 1 {more}"]


async def test_dropped_webhooks_log_one_line_of_each_kind_however_many_arrive(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(new_box(), clock=clock) as where:
        for number in range(20):
            await post(f"{where.url}/hooks/secret{number}\u202e/sms", {"id": f"hemlig{number}"})
        assert len(written(caplog)) == 1
        assert (await figures(where))['elks_mcp_webhooks_total{result="dropped"}'] == 20
    said = written(caplog)
    assert len(said) == 2
    assert "19 more" in said[1]
    assert not re.search(r"secret\d|hemlig", "".join(said))


async def test_wrong_tokens_are_counted_and_log_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async with site(new_box(), environ={"ELKS_METRICS_FROM": "127.0.0.1"}) as where:
        await where.token("agent")
        for number in range(10):
            assert await _status(where, "mcp", authorization=f"Bearer guess{number}") == 401
        assert await _status(where, "mcp") == 401
        assert await _status(where, "metrics", authorization="Bearer guess", via="x") == 401
        now = await figures(where)
        assert now['elks_mcp_refused_requests_total{reason="wrong_token"}'] == 11
        assert now['elks_mcp_refused_requests_total{reason="no_token"}'] == 1
    said = written(caplog)
    assert [each.count("invalid token") for each in said] == [1, 0, 1]
    assert "10 more" in said[2]
    assert "guess" not in caplog.text


async def _status(where: Site, path: str, **headers: str) -> int:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{where.url}/{path}", headers=headers)).status_code


async def test_upgrade_and_cross_site_requests_log_one_line_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket"}
    async with site(new_box()) as where:
        for _ in range(5):
            assert await _status(where, "hooks/x", **upgrade) == 405
            assert await _status(where, "mcp", origin="http://evil.example") == 403
    warned = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len([each for each in warned if each.startswith("A request for another protocol")]) == 2
    assert len([each for each in warned if each.startswith("A request with the Host or Origin")]) == 2
    assert not any("evil" in each or "WebSocket library" in each for each in warned)


async def test_requests_that_are_not_http_log_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async with site(new_box()) as where:
        for _ in range(10):
            port = int(where.url.rpartition(":")[2])
            async with await anyio.connect_tcp("127.0.0.1", port) as connection:
                await connection.send(b"hello\r\n\r\n")
                with anyio.fail_after(HANG):
                    assert b" 400 " in await connection.receive()
    warned = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert [each.getMessage()[:30] for each in warned] == ["A request that is not HTTP was"] * 2
