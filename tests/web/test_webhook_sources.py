"""Webhooks: who may send them, and how much."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from elks_mcp.domain.phone import Number
from elks_mcp.elks.credentials import WEBHOOK_SOURCES
from elks_mcp.runtime.addresses import find_caller
from elks_mcp.sandbox import Fault
from tests.support.clocks import ManualClock
from tests.support.connecting import ERAS, PHONE, Era, call, data, until
from tests.support.provider import gets
from tests.support.stores import DATABASES, KEY, StoreFault, hanging
from tests.support.web import Site, http_client, post, site
from tests.support.webhook_cases import INCOMING, STRANGER, arrived, new_box, webhook_site

pytestmark = pytest.mark.anyio


# ── attacks ──


@asynccontextmanager
async def ours() -> AsyncIterator[tuple[Site, dict[str, str]]]:
    """Serve, and return a form that would be stored."""
    async with webhook_site() as (box, served):
        yield served, INCOMING | {"to": box.number}


async def test_any_invalid_webhook_gets_an_empty_answer_and_has_no_effect() -> None:
    async with ours() as (served, form):
        hook, report = await served.hook("sms"), await served.hook("delivery")
        swapped = report.replace("/delivery", "/sms")
        twice = b"id=s1&id=s2&direction=incoming&from=%2B46701740605&to=%2B46700000000&message=STOP"
        attacks = [
            await post(f"{served.url}/hooks/{'0' * 64}/sms", form),
            await post(f"{served.url}/hooks", form),
            await post(f"{served.url}/hooks/", form),
            await post(f"{served.url}/hooks/%F6%00/sms", form),
            await post(f"{hook}/more", form),
            await post(swapped, form),
            await post(hook, {**form, "direction": "outgoing"}),
            await post(hook, {**form, "id": "s1\n"}),
            await post(hook, {**form, "id": "x" * 101}),
            await post(hook, {name: value for name, value in form.items() if name != "message"}),
            await post(hook, b"x" * 65 * 1024),
            await post(hook, b"&".join(b"a%d=1" % number for number in range(100))),
            await post(hook, twice),
            await post(hook, b""),
            await post(hook, b'{"id": "s1"}', **{"content-type": "application/json"}),
            await post(report, {"id": "s1", "status": "paid"}),
            await post(report, {"id": "s1\0", "status": "delivered"}),
        ]
        assert [(each.status_code, each.content) for each in attacks] == [(204, b"")] * len(attacks)
        async with http_client() as client:
            others = [await client.request(method, hook) for method in ("GET", "HEAD", "PUT", "DELETE")]
        assert [(each.status_code, each.content) for each in others] == [(405, b"")] * 4
        assert await arrived(served) == []
        assert await (await served.app.storage.open()).inbound.retry_parked() == 0
        kept = await post(hook, form)
        assert (kept.status_code, await arrived(served)) == (204, [form["id"]])


@pytest.mark.parametrize(
    ("said", "read"),
    [(b"hej%00d%C3%A5", "hej�då"), (b"hej%FFd%C3%A5", "hej�då"), (b"hej \xff", "hej �")],
)
async def test_a_text_with_invalid_bytes_is_not_lost(said: bytes, read: str) -> None:
    async with ours() as (served, form):
        fields = httpx2.QueryParams({name: value for name, value in form.items() if name != "message"})
        answer = await post(await served.hook("sms"), str(fields).encode() + b"&message=" + said)
        assert (answer.status_code, answer.content) == (204, b"")
        assert await arrived(served) == [form["id"]]


@pytest.mark.parametrize("many", [300, pytest.param(2000, marks=pytest.mark.long)])
async def test_many_simultaneous_webhooks_are_all_stored(many: int) -> None:
    async with ours() as (served, form):
        hook, limit = await served.hook("sms"), anyio.Semaphore(200)
        # A connection that is used again may just have been closed by the server, after some idle seconds.
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=0)
        async with http_client(limits=limits, timeout=60) as client, anyio.create_task_group() as group:

            async def run_command(number: int) -> None:
                """Call the webhook as 46elks does, and retry after a 503, which a slow machine may return."""
                async with limit:
                    sent = {**form, "id": f"s{number:032x}"}
                    while (answer := await client.post(hook, data=sent)).status_code != HTTPStatus.NO_CONTENT:
                        assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE

            for number in range(many):
                group.start_soon(run_command, number)
        arrivals = (await served.app.storage.open()).arrivals
        first = await arrivals.list_after(0)
        assert len({each.message_id for each in [*first, *await arrivals.list_after(1000)]}) == many


async def test_five_hundred_idle_connections_and_a_slow_sender_delay_no_webhook() -> None:
    async with ours() as (served, form):
        hook = await served.hook("sms")
        port = int(served.url.rpartition(":")[2])
        path = hook.removeprefix(served.url)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        ).encode()
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(500)]
        try:
            for each in idle[:250]:
                each.sendall(head)
            answer = await post(hook, form)
            assert (answer.status_code, await arrived(served)) == (204, [form["id"]])
        finally:
            for each in idle:
                each.close()


# ── who calls ──


PROXY = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["176.10.154.199"], "203.0.113.9"),
        ("10.0.0.1", ["176.10.154.199"], "176.10.154.199"),
        ("10.0.0.1", ["176.10.154.199, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["176.10.154.199", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["176.10.154.199, 10.0.0.2"], "176.10.154.199"),
        ("::ffff:10.0.0.1", ["::ffff:176.10.154.199"], "176.10.154.199"),
        ("10.0.0.1", ["nonsense"], None),
        ("10.0.0.1", ["176.10.154.199, nonsense"], None),
        ("10.0.0.1", [], "10.0.0.1"),
        ("", ["176.10.154.199"], None),
    ],
)
def test_forwarding_headers_are_used_only_from_configured_proxies(
    peer: str, forwarded: list[str], caller: str | None
) -> None:
    assert find_caller(peer, forwarded, PROXY) == (ip_address(caller) if caller else None)


def test_the_four_addresses_of_46elks_are_accepted() -> None:
    assert len(WEBHOOK_SOURCES) == 4
    assert all(each.num_addresses == 1 for each in WEBHOOK_SOURCES)


async def test_a_webhook_from_another_address_is_refused_whatever_it_contains() -> None:
    elsewhere = {"ELKS_API_BASE_URL": "https://api.46elks.example/a1"}  # so loopback is no source
    box = new_box()
    async with site(box, environ=elsewhere) as served:
        hook, form = await served.hook("sms"), INCOMING | {"to": box.number}
        for headers in ({}, {"x-forwarded-for": "176.10.154.199"}, {"forwarded": "for=176.10.154.199"}):
            answer = await post(hook, form, **headers)
            assert (answer.status_code, answer.content) == (204, b"")
        assert await arrived(served) == []
    async with site(box, environ={**elsewhere, "ELKS_TRUSTED_PROXIES": "127.0.0.1"}) as served:
        hook = await served.hook("sms")
        await post(hook, form, **{"x-forwarded-for": "176.10.154.199, 203.0.113.9"})
        assert await arrived(served) == []
        await post(hook, form, **{"x-forwarded-for": "203.0.113.9, 176.10.154.199"})
        assert await arrived(served) == [form["id"]]


async def test_no_secret_of_a_webhook_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """P8, over HTTP."""
    async with ours() as (served, form):
        hook = await served.hook("sms")
        await post(hook, form)
        await post(hook, b"")
        await post(f"{served.url}/hooks/{'f' * 64}/sms", form)
        secret = hook.split("/")[-2]
    said = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "A webhook was dropped" in said
    assert secret not in said
    assert "f" * 64 not in said
    assert PHONE not in said


async def test_a_webhook_secret_can_be_rotated_and_both_are_accepted_meanwhile(tmp_path: Path) -> None:
    box = new_box()
    environ = {"ELKS_STATE_DIR": str(tmp_path)}
    form, clock = INCOMING | {"to": box.number}, ManualClock()
    async with (
        site(box, clock=clock, environ=environ) as served,
        site(box, clock=clock, environ=environ) as other,
    ):
        hooks = [await served.hook("sms")]
        for _ in range(2):
            await other.app.storage.rotate_secrets()  # which the first does not know yet
            hooks.append((await other.hook("sms")).replace(other.url, served.url))
            await post(hooks[-1], {**form, "id": f"s{len(hooks)}"})
            clock.advance(timedelta(seconds=5))
            await post(hooks[-2], {**form, "id": f"sbefore{len(hooks)}"})
        await post(hooks[0], {**form, "id": "sgone"})
        assert len(set(hooks)) == 3
        assert await arrived(served) == ["s2", "sbefore2", "s3", "sbefore3"]


async def test_a_request_from_the_web_page_of_another_site_is_refused() -> None:
    async with webhook_site() as (_, served):
        async with http_client() as client:
            hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            kind = {"accept": "application/json, text/event-stream"}
            strange = await client.post(
                f"{served.url}/mcp", json=hello, headers={"host": "evil.example", **kind}
            )
            page = await client.post(
                f"{served.url}/mcp", json=hello, headers={"origin": "https://evil.example", **kind}
            )
        assert (strange.status_code, page.status_code) == (421, 403)


async def test_a_text_to_an_unknown_number_gets_503_until_the_accounts_numbers_are_known() -> None:
    clock = ManualClock()
    box = new_box(clock)
    box.faults.inject(Fault.UNAVAILABLE, method="GET", path="/numbers", times=None)
    async with site(box, clock=clock, environ={"ELKS_PHONE_NUMBER": "Klara"}) as served:
        form = {**INCOMING, "to": box.number, "message": "STOP"}
        hook = await served.hook("sms")
        early = await post(hook, form)
        assert (early.status_code, early.content, await arrived(served)) == (503, b"", [])
        box.faults.clear()
        asked = len(gets(box, "/numbers"))
        await until(lambda: len(gets(box, "/numbers")) > asked, clock=clock)
        assert (await post(hook, form)).status_code == 204
        assert await arrived(served) == [form["id"]]
        assert (await post(hook, {**form, "id": "s1", "to": "+46701740688"})).status_code == 204
        assert await arrived(served) == [form["id"]]


async def test_a_webhook_is_answered_in_time_with_an_empty_body_if_the_database_hangs() -> None:
    clock = ManualClock()
    async with webhook_site(clock) as (box, served):
        hook, form = await served.hook("sms"), {**INCOMING, "to": box.number}
        with hanging(await served.app.storage.open(), "arrivals") as fault:
            answers = await _answered_in_time(served, clock, [(hook, form)], fault)
        assert [(each.status_code, each.content) for each in answers] == [(503, b"")]
        assert (await post(hook, form)).status_code == 204  # 46elks tells again
        assert await arrived(served) == [form["id"]]


async def test_further_webhooks_are_answered_in_time_if_the_database_hangs() -> None:
    clock = ManualClock()
    async with webhook_site(clock) as (box, served):
        hook, form = await served.hook("sms"), {**INCOMING, "to": box.number}
        clock.advance(timedelta(seconds=10))  # so that it is looked up which secrets open a webhook
        with hanging(await served.app.storage.open(), "FROM state") as fault:
            answers = await _answered_in_time(served, clock, [(hook, form)] * 3, fault)
        assert [(each.status_code, each.content) for each in answers] == [(503, b"")] * 3
        assert (await post(hook, form)).status_code == 204
        assert await arrived(served) == [form["id"]]


async def _answered_in_time(
    served: Site, clock: ManualClock, hooks: list[tuple[str, dict[str, str]]], fault: StoreFault
) -> list[httpx2.Response]:
    """Send all webhooks while the store hangs; let time pass until only the stored ones wait."""
    answers: list[httpx2.Response] = []

    async def run_command(hook: str, form: dict[str, str]) -> None:
        answers.append(await post(hook, form))

    async with anyio.create_task_group() as calls:
        for each in hooks:
            calls.start_soon(run_command, *each)
        await until(lambda: (served.under_way, fault.met) == (len(hooks), 1))
        clock.advance(timedelta(seconds=20))
        await until(lambda: len(answers) >= max(1, len(hooks) - 1))
        fault.end()
    return answers


async def test_a_webhook_that_arrives_too_slowly_is_sent_again() -> None:
    clock, answers = ManualClock(), list[bytes]()
    async with webhook_site(clock) as (_, served):
        hook, began = await served.hook("sms"), clock.now()
        head = (
            f"POST {hook.removeprefix(served.url)} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        async with (
            await anyio.connect_tcp("127.0.0.1", int(served.url.rpartition(":")[2])) as connection,
            anyio.create_task_group() as tasks,
        ):
            await connection.send(f"{head}id=".encode())

            async def read() -> None:
                answers.append(await connection.receive())

            tasks.start_soon(read)
            await until(lambda: bool(answers), clock=clock)
        assert answers[0].startswith(b"HTTP/1.1 503 ")
        assert clock.now() - began >= timedelta(seconds=20)


# ── several calls that wait for one text ──


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """Name the database that a server uses."""
    if request.param == "sqlite":
        return {}
    url = request.getfixturevalue("postgres_with_tables")
    return {"ELKS_DATABASE_URL": url, "ELKS_SECRET_KEY": KEY.get_secret_value()}


@pytest.mark.parametrize("era", ERAS)
async def test_every_call_that_waits_gets_a_text_that_46elks_does_not_show_yet(
    database: dict[str, str], era: Era
) -> None:
    async with (
        webhook_site(None, ELKS_POLL_SECONDS="3600", **database) as (box, served),
        served.client(era) as client,
    ):
        await call(client, "send_sms", to=PHONE, message="Kommer du?")
        answers: list[dict[str, Any]] = []
        box.faults.inject(Fault.UNAVAILABLE, method="GET", path="/sms/*", times=None)

        async def wait(tool: str, **arguments: Any) -> None:
            answer = data(await call(client, tool, timeout=60, **arguments))
            answers.append(answer.get("reply", answer))

        async with anyio.create_task_group() as calls:
            calls.start_soon(wait, "wait_for_reply")
            calls.start_soon(partial(wait, "wait_for_reply", sender=PHONE))
            calls.start_soon(partial(wait, "ask_by_sms", to=PHONE, message="Kommer du?"))
            await until(lambda: served.app.replies.waiting_count == 3)
            message = box.receive(PHONE, "Ja ✈️")
        gone = served.app.replies.received.find(message.id)
    assert [each["message"]["untrustedText"] for each in answers] == ["Ja ✈️"] * 3
    assert gone is None, "all who waited have it"


async def test_a_received_text_is_kept_in_memory_only_while_a_call_waits_for_it() -> None:
    async with webhook_site() as (box, served), served.client() as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        replies = served.app.replies
        with replies.received.pending_read() as waits, replies.received.pending_read() as waits_for_another:
            waits_for_another.wanted = await replies.criteria.after(0, Number(STRANGER))
            message = box.receive(PHONE, "Ja")
            await until(lambda: [each.status for each in box.webhooks] == [204])
            await call(client, "wait_for_reply", after=cursor, timeout=0)
            assert replies.received.find(message.id)
            waits.wanted = await replies.criteria.after(await replies.find_latest_position(), None)
            await call(client, "wait_for_reply", timeout=0)
            assert replies.received.find(message.id) is None
