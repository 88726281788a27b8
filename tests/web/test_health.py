"""Health and metrics of a server over HTTP."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from elks_mcp.cli.http import _HttpServer, configure_uvicorn
from elks_mcp.domain.models import Scope
from elks_mcp.runtime.metrics import Counters
from elks_mcp.store import AccountKey, ServerKind, StateLocation
from tests.support.clocks import ManualClock, pass_time
from tests.support.connecting import PHONE, box_on, call, new_box, until, words
from tests.support.stores import opened
from tests.support.web import BASE_URL, Site, http_client, post, site
from tests.support.webhook_cases import arrived, webhook_site
from tests.test_deploy import SECRETS, compose

pytestmark = pytest.mark.anyio

_LINE = re.compile(r'([a-z_0-9]+)(\{(?:[a-z_]+="[^"]*",?)*\})? (\S+)')


async def figures(where: Site) -> dict[str, float]:
    """Read the figures, each by its name and labels."""
    async with http_client() as client:
        answer = await client.get(f"{where.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith(("# TYPE ", "# HELP "))]
    found = [_LINE.fullmatch(line) for line in lines]
    assert all(found), answer.text
    return {f"{each[1]}{each[2] or ''}": float(each[3]) for each in found if each}


async def test_metrics_count_calls_webhooks_orders_and_money() -> None:
    async with webhook_site(ELKS_BUDGET_PER_DAY="10") as (box, where), where.client() as client:
        assert (await figures(where))["elks_mcp_spent_24h"] == 0
        await call(client, "send_sms", to=PHONE, message="Hemligt")
        await call(client, "send_sms", to="112", message="Hemligt")
        box.receive("+46701740690", "Hemligt svar")
        await until(lambda: len(box.webhooks) > 0)
        await post(f"{where.url}/hooks/wrong/sms", {"id": "s1"})
        now = await figures(where)
        assert now['elks_mcp_tool_calls_total{tool="send_sms",outcome="sent"}'] == 1
        [refused] = [
            n for n in now if n.startswith('elks_mcp_tool_calls_total{tool="send_sms"') and "sent" not in n
        ]
        assert now[refused] == 1
        assert now['elks_mcp_webhooks_total{result="stored"}'] == 1
        assert now['elks_mcp_webhooks_total{result="dropped"}'] == 1
        assert now['elks_mcp_orders{state="sent"}'] + now['elks_mcp_orders{state="delivered"}'] == 1
        assert (now["elks_mcp_spent_24h"], now["elks_mcp_budget_left"]) == (0.52, 9.48)
        assert (now["elks_mcp_queue_depth"], now["elks_mcp_queue_oldest_seconds"]) == (0, 0)
        assert now['elks_mcp_up{part="database"}'] == now['elks_mcp_up{part="outbox"}'] == 1
        async with client.listen(resource_subscriptions=["elks://inbox"]):
            assert (await figures(where))["elks_mcp_listeners"] == 1
        async with http_client() as http:
            text = (await http.get(f"{where.url}/metrics")).text
    names = re.sub(r" \S+$", "", text, flags=re.MULTILINE)  # without the values, which can have any digits
    for secret in ("46701740", "Hemligt", "112", box.password, box.username):
        assert secret not in names


@pytest.mark.parametrize(("host", "status"), [("192.0.2.7:8046", 200), ("evil.example", 421), ("[", 421)])
async def test_metrics_are_refused_to_the_web_page_of_another_site(host: str, status: int) -> None:
    async with site(new_box()) as where, http_client() as client:
        answer = await client.get(f"{where.url}/metrics", headers={"host": host})
        assert answer.status_code == status


async def test_a_database_outage_is_reported_and_loses_no_text(
    postgres_database: str, postgres_url: str
) -> None:
    key = "a key for tests, no secret at all"
    async with webhook_site(
        ELKS_DATABASE_URL=postgres_database, ELKS_SECRET_KEY=key, ELKS_POLL_SECONDS="3600"
    ) as (
        box,
        where,
    ):
        box.receive("+46701740690", "Före")
        await until(lambda: [each.status for each in box.webhooks] == [204])
        with _away(postgres_url, postgres_database):
            sent = [box.receive("+46701740690", text) for text in ("Ett", "STOP", "Tre")]
            await until(lambda: [each.status for each in box.webhooks] == [204, 503, 503, 503])
            away = await figures(where)
            assert (away['elks_mcp_up{part="database"}'], "elks_mcp_spent_24h" in away) == (0, False)
            async with http_client() as client:
                statuses = [
                    (await client.get(f"{where.url}/{path}")).status_code for path in ("healthz", "readyz")
                ]
            assert statuses == [200, 503]
        box.clock.advance(timedelta(hours=1))  # 46elks tells again
        await until(lambda: [each.status for each in box.webhooks][4:] == [204] * 3)
        assert set((await arrived(where))[1:]) == {each.id for each in sent}
        async with where.client() as client:
            assert "opted_out" in words(await call(client, "send_sms", to="+46701740690", message="Hej"))
        assert (await figures(where))['elks_mcp_up{part="database"}'] == 1


@contextmanager
def _away(server: str, url: str) -> Iterator[None]:
    """Make a database refuse new connections, and end existing ones."""
    name = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'alter database "{name}" allow_connections false'.encode())
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", (name,)
        )
        yield
        connection.execute(f'alter database "{name}" allow_connections true'.encode())


async def test_a_server_whose_worker_ended_reports_it_and_ends() -> None:
    async with site(new_box()) as where:
        server = _HttpServer(configure_uvicorn(where.web, 100), where.web)
        assert not await server.on_tick(1)
        where.web.has_failed, where.web._running = True, None
        async with http_client() as client:
            assert (await client.get(f"{where.url}/healthz")).status_code == 503
        assert await server.on_tick(1)


async def test_prometheus_may_scrape_under_the_host_names_of_the_compose_file() -> None:
    names = compose(**SECRETS)["services"]["one"]["environment"]["ELKS_ALLOWED_HOSTS"]
    async with (
        site(new_box(), environ={"ELKS_ALLOWED_HOSTS": names, "ELKS_METRICS_FROM": "127.0.0.0/8"}) as where,
        http_client() as client,
    ):
        for host in ("one:8046", "two:8047", "localhost"):
            assert (await client.get(f"{where.url}/metrics", headers={"host": host})).status_code == 200


def test_a_counter_keeps_counting_beyond_millions() -> None:
    counters = Counters()
    counters.count("elks_mcp_tool_calls_total")
    counters._counted["elks_mcp_tool_calls_total"][()] = 1_234_567
    counters.count("elks_mcp_tool_calls_total")
    assert counters.write()[1:] == [
        "# TYPE elks_mcp_tool_calls_total counter",
        "elks_mcp_tool_calls_total 1234568",
    ]


async def test_other_processes_on_the_state_see_a_server_until_it_ends(tmp_path: Path) -> None:
    for dry_run, kind in (("false", ServerKind.HTTP), ("true", None)):
        clock = ManualClock()
        box, environ = box_on(clock), {"ELKS_STATE_DIR": str(tmp_path), "DRY_RUN": dry_run}
        async with site(box, clock=clock, environ=environ) as where:
            await pass_time(clock, timedelta(seconds=2))
            store = await where.app.storage.open()
            assert await store.heartbeats.find_alive() is kind
        account = AccountKey(BASE_URL, box.username)
        async with opened(StateLocation(folder=tmp_path), clock, account) as store:
            assert await store.heartbeats.find_alive() is None


# ── who may read figures and details ──

_DETAILS = ("metrics", "readyz?verbose")


async def statuses(where: Site, path: str, **headers: str) -> tuple[int, bytes]:
    """Ask for a path; give the status and the body."""
    async with http_client() as client:
        answer = await client.get(f"{where.url}/{path}", headers=headers)
    return answer.status_code, answer.content


@pytest.mark.parametrize("headers", [{}, {"x-forwarded-for": "192.0.2.7"}, {"host": "evil.example"}])
async def test_everybody_can_read_the_health_of_the_server_without_details(headers: dict[str, str]) -> None:
    async with site(new_box()) as where:
        for path in ("healthz", "readyz"):
            assert await statuses(where, path, **headers) == (200, b"")
        where.web._running = None
        for path in ("healthz", "readyz"):
            assert await statuses(where, path, **headers) == (503, b"")


@pytest.mark.parametrize("path", _DETAILS)
@pytest.mark.parametrize("with_token", [False, True])
async def test_details_are_for_this_machine_and_not_for_callers_behind_a_proxy(
    path: str, with_token: bool
) -> None:
    async with site(new_box(), environ={"ELKS_ALLOWED_HOSTS": "sms.example.com"}) as where:
        if with_token:
            await where.token("agent")
        assert (await statuses(where, path))[0] == 200
        for headers in ({"x-forwarded-for": "127.0.0.1"}, {"x-real-ip": "::1"}, {"host": "sms.example.com"}):
            status, body = await statuses(where, path, **headers)
            assert status == 401
            assert b"elks_mcp_up" not in body
            assert b"database" not in body


@pytest.mark.parametrize("path", _DETAILS)
async def test_details_are_for_a_token_with_the_scope_metrics(path: str) -> None:
    async with site(new_box()) as where:
        agent, prometheus = await where.token("agent", Scope.READ), await where.token("p", Scope.METRICS)
        through = {"x-forwarded-for": "192.0.2.7"}
        assert (await statuses(where, path, authorization=f"Bearer {prometheus}", **through))[0] == 200
        assert (await statuses(where, path, authorization=f"Bearer {agent}", **through))[0] == 403
        assert (await statuses(where, path, authorization="Bearer wrong", **through))[0] == 401


@pytest.mark.parametrize("path", _DETAILS)
async def test_details_are_for_the_addresses_that_the_operator_lists(path: str) -> None:
    environ = {"ELKS_METRICS_FROM": "127.0.0.0/30,2001:db8::/32", "ELKS_ALLOWED_HOSTS": "sms.example.com"}
    async with site(new_box(), environ=environ) as where:
        assert (await statuses(where, path, host="sms.example.com"))[0] == 200
        assert (await statuses(where, path, host="sms.example.com", via="1.1 proxy"))[0] == 401


# ── as Prometheus reads it ──


async def test_metrics_have_the_format_and_names_of_prometheus() -> None:
    async with webhook_site(ELKS_ALLOWED_COUNTRIES="SE,NO") as (_, where):
        token = await where.token("reminders")
        async with where.client(token=token) as client:
            await call(client, "send_sms", to=PHONE, message="Hej")
            await call(client, "send_sms", to="+4511111111", message="Hej")
            await call(client, "check_sms_status", messageId="O-22222222")
            await post(f"{where.url}/hooks/wrong/sms", {"id": "s1"})
        async with http_client() as http:
            text = (await http.get(f"{where.url}/metrics")).text
    families = {each.name: each for each in text_string_to_metric_families(text)}
    for name, family in families.items():
        assert re.fullmatch("elks_mcp_[a-z0-9_]+", name)
        assert family.documentation, name
        assert family.type in {"counter", "gauge", "histogram"}
        for each in family.samples:
            assert each.name.endswith("_total") is (family.type == "counter")
            for label, value in each.labels.items():
                assert re.fullmatch("[a-z_]+", label)
                assert label in {"le", "version", "mcp_version", "python_version"} or re.fullmatch(
                    "[a-z0-9_]*", value
                ), (name, label, value)
    found = {(each.name, *sorted(each.labels.values())): each.value for each in _samples(families)}
    assert found["elks_mcp_guard_refusals_total", "allowed_country"] == 1
    assert found["elks_mcp_requests_total", "reminders"] >= 3
    assert found["elks_mcp_tool_call_duration_seconds_count", "send_sms"] == 2
    assert found["elks_mcp_tool_call_duration_seconds_bucket", "+Inf", "send_sms"] == 2
    assert found["elks_mcp_provider_requests_total", "ok", "post", "sms"] >= 2
    [build] = families["elks_mcp_build_info"].samples
    assert (build.value, build.labels["version"]) == (1, version("elks-mcp"))
    assert text.endswith("\n")
    assert "+45" not in text


def _samples(families: Mapping[str, Metric]) -> Iterator[Sample]:
    for family in families.values():
        yield from family.samples


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.0051, 3.0, 1000.0])
def test_a_time_is_counted_in_every_bucket_that_it_fits_into(seconds: float) -> None:
    counters = Counters()
    counters.observe("elks_mcp_tool_call_duration_seconds", seconds, tool="x")
    [family] = text_string_to_metric_families("\n".join([*counters.write(), ""]))
    buckets = [each for each in family.samples if each.name == "elks_mcp_tool_call_duration_seconds_bucket"]
    fits = [seconds <= float(each.labels["le"]) for each in buckets]
    assert [each.value for each in buckets] == fits
    others = {each.name: each.value for each in family.samples if each not in buckets}
    assert others == {
        "elks_mcp_tool_call_duration_seconds_count": 1,
        "elks_mcp_tool_call_duration_seconds_sum": seconds,
    }
