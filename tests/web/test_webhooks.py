"""What 46elks tells us by itself, over real sockets: kept once or dropped, never answered with a word."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from mcp import Client

from elks_mcp import sandbox
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.elks.service import WEBHOOK_SOURCES
from elks_mcp.runtime.addresses import find_caller
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import unwrapped
from elks_mcp.sandbox import Fault, Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import ERAS, PHONE, Era, call, come_true, data, posted, until, words
from tests.support.provider import api_of, gets
from tests.support.stores import DATABASES, KEY, StoreFault, failing, hanging
from tests.support.web import Site, http_client, post, site

pytestmark = pytest.mark.anyio

STRANGER = "+46701740690"
INCOMING = {
    "direction": "incoming",
    "id": "s" + "0" * 32,
    "from": PHONE,
    "message": "Hej på er ✈️",
    "created": "2026-11-26T07:00:00.000000",
}


def new_box(clock: Clock | None = None) -> Sandbox:
    """Make a sandbox whose time stands still, and began just now, as a clock has it."""
    return Sandbox(clock=sandbox.ManualClock((clock or Clock()).now()))


async def tell_number(box: Sandbox, url: str) -> None:
    """Have incoming texts told to an address of this machine."""
    box.webhook_ports.add(urlsplit(url).port or 0)
    api = api_of(box)
    [number] = (await _get(box, "/numbers"))["data"]
    await api.ask(f"/numbers/{number['id']}", {"sms_url": url})
    await api.aclose()


async def _get(box: Sandbox, path: str) -> Any:
    async with httpx2.AsyncClient(transport=box.transport()) as client:
        answer = await client.get(f"http://localhost/a1{path}", auth=(box.username, box.password))
        return answer.json()


@asynccontextmanager
async def told(clock: ManualClock | None = None, **environ: str) -> AsyncIterator[tuple[Sandbox, Site]]:
    """Serve, with a sandbox that tells of everything. The server goes by the clock, if there is one."""
    box = new_box(clock)
    async with site(box, clock=clock, environ=environ) as served:
        await tell_number(box, await served.hook("sms"))
        events = (await served.app.storage.open()).inbound

        async def has_caught_up() -> bool:
            return (await events.find_position()).age is not None

        await come_true(has_caught_up)
        with unwrapped():
            async with box.running():
                yield box, served


async def arrived(served: Site) -> list[str]:
    """List the ids of the texts that came in, in order."""
    arrivals = (await served.app.storage.open()).arrivals
    return [each.message_id for each in await arrivals.list_after(0)]


async def state_of(served: Site, order_id: str) -> OrderState:
    """Say how an order stands."""
    return (await (await served.app.storage.open()).orders.get(order_id)).state


async def come_to(served: Site, order_id: str, state: OrderState) -> None:
    """Wait until an order stands so."""

    async def is_so() -> bool:
        return await state_of(served, order_id) is state

    await come_true(is_so)


# ── what it is for ──


@pytest.mark.parametrize("era", ERAS)
async def test_a_reply_that_is_told_of_is_there_before_any_time_passes(era: Era) -> None:
    async with told(ManualClock()) as (box, served), served.client(era) as client:
        answers: list[Any] = []

        async def wait() -> None:
            answers.append(await call(client, "wait_for_reply", timeout=20))

        async with anyio.create_task_group() as calls:
            calls.start_soon(wait)
            await until(lambda: served.app.replies.waiting_count > 0)
            message = box.receive(PHONE, "Ja, strax ✈️")
    [answer] = answers
    assert data(answer)["message"]["untrustedText"] == "Ja, strax ✈️"
    assert data(answer)["message"]["id"] == message.id
    assert [each.status for each in box.webhooks] == [204]


async def test_a_reply_is_read_even_where_46elks_does_not_show_it_yet() -> None:
    async with told() as (box, served), served.client() as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        message = box.receive(PHONE, "Ja\u202e ✈️")
        await until(lambda: [each.status for each in box.webhooks] == [204])
        box.faults.inject(Fault.UNAVAILABLE, method="GET", path=f"/sms/{message.id}", times=None)
        first = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
        second = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
        gone = served.app.replies.received.find(message.id)
    assert first["message"]["untrustedText"] == "Ja ✈️"
    assert (second["status"], second["message"], gone) == ("received", None, None)  # it was read, and let go


async def test_a_delivery_is_told_of_by_itself() -> None:
    async with told() as (box, served), served.client() as client:
        sent = data(await call(client, "send_sms", to=PHONE, message="Hej å ä ö"))
        assert sent["status"] == "sent"
        box.clock.advance(timedelta(minutes=5))
        await come_to(served, sent["orderId"], OrderState.DELIVERED)
    assert {each.kind for each in box.webhooks} == {"delivery"}
    assert {each.status for each in box.webhooks} == {204}


async def test_stop_by_webhook_counts_from_the_moment_it_is_received() -> None:
    """P6, over HTTP: history is not read again for an hour, and still nothing goes out."""
    async with told() as (box, served), served.client() as client:
        await call(client, "send_sms", to=PHONE, message="Hej")
        box.receive(PHONE, "STOPP")
        await until(lambda: [each.status for each in box.webhooks if each.kind == "incoming"] == [204])
        looked = len(gets(box, "/sms"))
        refused = await call(client, "send_sms", to=PHONE, message="Hej igen")
        assert len(gets(box, "/sms")) == looked
    assert refused.is_error
    assert "opted_out" in words(refused)
    assert len(posted(box)) == 1


# ── order, repeats, strangers ──


async def send_into_doubt(box: Sandbox, client: Client) -> tuple[dict[str, Any], sandbox.StoredMessage]:
    """Have a text accepted whose answer is lost, while history cannot be read."""
    await call(client, "send_sms", to=PHONE, message="The first, which has history read")
    box.faults.inject(Fault.DROP_AFTER, method="POST", dryrun=False)
    box.faults.inject(Fault.UNAVAILABLE, method="GET", path="/sms", times=None)
    sent = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert sent["status"] == "in_doubt"
    return sent, box.accepted[-1]


async def test_a_report_may_come_before_the_answer_to_the_text_it_is_about() -> None:
    async with told() as (box, served), served.client() as client:
        sent, message = await send_into_doubt(box, client)
        hook = f"{await served.hook('delivery')}?ref={sent['orderId']}"
        for status in ("delivered", "delivered", "sent", "failed"):
            answer = await post(hook, {"id": message.id, "status": status})
            assert (answer.status_code, answer.content) == (204, b"")
            assert await state_of(served, sent["orderId"]) is OrderState.DELIVERED


async def test_a_report_about_an_unknown_text_is_parked_and_heard_when_it_is_known() -> None:
    async with told() as (box, served), served.client() as client:
        sent, message = await send_into_doubt(box, client)
        answer = await post(await served.hook("delivery"), {"id": message.id, "status": "delivered"})
        assert answer.status_code == 204
        assert await state_of(served, sent["orderId"]) is OrderState.IN_DOUBT
        store = await served.app.storage.open()
        assert await store.inbound.retry_parked() == 1
        await post(
            f"{await served.hook('delivery')}?ref={sent['orderId']}", {"id": message.id, "status": "sent"}
        )
        await come_to(served, sent["orderId"], OrderState.DELIVERED)
        assert await store.inbound.retry_parked() == 0


async def test_what_is_told_twenty_times_at_once_is_there_once() -> None:
    async with told() as (_, served):
        hook, form = await served.hook("sms"), INCOMING | {"to": served.app.policy.sender.e164}  # type: ignore[union-attr]
        statuses: list[int] = []

        async def tell() -> None:
            statuses.append((await post(hook, form)).status_code)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(tell)
        assert statuses == [204] * 20
        assert await arrived(served) == [INCOMING["id"]]


async def test_a_text_to_a_number_that_is_none_of_ours_leaves_no_trace() -> None:
    async with told() as (_, served):
        answer = await post(await served.hook("sms"), INCOMING | {"to": STRANGER, "message": "STOP"})
        assert (answer.status_code, answer.content) == (204, b"")
        store = await served.app.storage.open()
        assert await arrived(served) == []
        assert await store.arrivals.find_known([PHONE]) == frozenset()


# ── attacks ──


@asynccontextmanager
async def ours() -> AsyncIterator[tuple[Site, dict[str, str]]]:
    """Serve, and give a form that would be kept."""
    async with told() as (box, served):
        yield served, INCOMING | {"to": box.number}


async def test_whatever_comes_there_is_no_word_for_an_answer_and_no_effect() -> None:
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
async def test_odd_bytes_in_a_text_do_not_lose_it(said: bytes, read: str) -> None:
    async with ours() as (served, form):
        fields = httpx2.QueryParams({name: value for name, value in form.items() if name != "message"})
        answer = await post(await served.hook("sms"), str(fields).encode() + b"&message=" + said)
        assert (answer.status_code, answer.content) == (204, b"")
        assert await arrived(served) == [form["id"]]


@pytest.mark.parametrize("many", [300, pytest.param(2000, marks=pytest.mark.long)])
async def test_many_at_once_are_all_kept(many: int) -> None:
    async with ours() as (served, form):
        hook, statuses, limit = await served.hook("sms"), list[int](), anyio.Semaphore(200)
        async with (
            http_client(limits=httpx2.Limits(max_connections=200), timeout=60) as client,
            anyio.create_task_group() as group,
        ):

            async def tell(number: int) -> None:
                async with limit:
                    answer = await client.post(hook, data={**form, "id": f"s{number:032x}"})
                    statuses.append(answer.status_code)

            for number in range(many):
                group.start_soon(tell, number)
        arrivals = (await served.app.storage.open()).arrivals
        first = await arrivals.list_after(0)
        assert statuses == [204] * many
        assert len({each.message_id for each in [*first, *await arrivals.list_after(1000)]}) == many


async def test_five_hundred_idle_connections_and_a_slow_sender_hold_nobody_up() -> None:
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


# ── what cannot be kept ──


async def test_what_cannot_be_kept_is_told_again_and_nothing_is_missing(tmp_path: Path) -> None:
    async with told(ELKS_STATE_DIR=str(tmp_path)) as (box, served):
        store = await served.app.storage.open()
        with failing(store, "arrivals"):
            message = box.receive(PHONE, "STOP")
            await until(lambda: [each.status for each in box.webhooks] == [503])
        assert await arrived(served) == []
        box.clock.advance(timedelta(minutes=10))
        await until(lambda: [each.status for each in box.webhooks] == [503, 204])
        assert await arrived(served) == [message.id]
        assert (await store.orders.recall(served.app.orders.draft(PHONE, "Hej"))).opted_out


async def test_seven_hours_of_lost_webhooks_are_caught_up_with(tmp_path: Path) -> None:
    environ = {"ELKS_STATE_DIR": str(tmp_path)}
    box = new_box()
    async with site(box, environ=environ) as served:
        await until(lambda: bool(gets(box, "/sms")))
        assert await arrived(served) == []
    texts = []
    for number in range(150):
        box.clock.advance(timedelta(minutes=2, seconds=48))
        texts.append(box.receive(f"+4670174{number + 500:04d}", "STOP" if number % 10 == 0 else "Hej").id)
    async with site(box, environ=environ) as served:
        store = await served.app.storage.open()

        async def is_all_there() -> bool:
            return len(await arrived(served)) >= len(texts)

        await come_true(is_all_there)
        assert await arrived(served) == texts
        orders = served.app.orders
        assert (await store.orders.recall(orders.draft("+46701740500", "Hej"))).opted_out
        assert not (await store.orders.recall(orders.draft("+46701740501", "Hej"))).opted_out


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
def test_only_what_our_own_proxies_say_is_believed(
    peer: str, forwarded: list[str], caller: str | None
) -> None:
    assert find_caller(peer, forwarded, PROXY) == (ip_address(caller) if caller else None)


def test_46elks_calls_from_four_addresses() -> None:
    assert len(WEBHOOK_SOURCES) == 4
    assert all(each.num_addresses == 1 for each in WEBHOOK_SOURCES)


async def test_who_is_not_46elks_is_not_heard_whatever_it_says() -> None:
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


async def test_a_secret_can_be_changed_and_two_count_meanwhile(tmp_path: Path) -> None:
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


async def test_a_client_may_not_be_a_web_page_of_somebody_else() -> None:
    async with told() as (_, served):
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


async def test_until_46elks_said_which_numbers_are_ours_a_text_to_an_unknown_one_is_to_come_again() -> None:
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


async def test_a_database_that_hangs_is_answered_for_in_time_and_without_a_word() -> None:
    clock = ManualClock()
    async with told(clock) as (box, served):
        hook, form = await served.hook("sms"), {**INCOMING, "to": box.number}
        with hanging(await served.app.storage.open(), "arrivals") as fault:
            answers = await _answered_in_time(served, clock, [(hook, form)], fault)
        assert [(each.status_code, each.content) for each in answers] == [(503, b"")]
        assert (await post(hook, form)).status_code == 204  # 46elks tells again
        assert await arrived(served) == [form["id"]]


async def test_who_waits_for_a_database_that_hangs_for_another_is_answered_in_time_too() -> None:
    clock = ManualClock()
    async with told(clock) as (box, served):
        hook, form = await served.hook("sms"), {**INCOMING, "to": box.number}
        clock.advance(timedelta(seconds=10))  # so that it is looked up which secrets open a webhook
        with hanging(await served.app.storage.open(), "FROM state") as fault:
            answers = await _answered_in_time(served, clock, [(hook, form)] * 3, fault)
        assert [(each.status_code, each.content) for each in answers] == [(503, b"")] * 3
        assert (await post(hook, form)).status_code == 204
        assert await arrived(served) == [form["id"]]


async def _answered_in_time(
    served: Site, clock: ManualClock, told: list[tuple[str, dict[str, str]]], fault: StoreFault
) -> list[httpx2.Response]:
    """Tell of all at once while the store hangs, and let time pass until only what is in the store waits."""
    answers: list[httpx2.Response] = []

    async def tell(hook: str, form: dict[str, str]) -> None:
        answers.append(await post(hook, form))

    async with anyio.create_task_group() as calls:
        for each in told:
            calls.start_soon(tell, *each)
        await until(lambda: (served.under_way, fault.met) == (len(told), 1))
        clock.advance(timedelta(seconds=20))
        await until(lambda: len(answers) >= max(1, len(told) - 1))
        fault.end()
    return answers


async def test_a_webhook_that_comes_too_slowly_is_dropped() -> None:
    clock, answers = ManualClock(), list[bytes]()
    async with told(clock) as (_, served):
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
        assert answers[0].startswith(b"HTTP/1.1 204 ")
        assert clock.now() - began >= timedelta(seconds=5)


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
        told(None, ELKS_POLL_SECONDS="3600", **database) as (box, served),
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


async def test_a_text_that_was_read_is_kept_no_longer_than_somebody_waits_for_it() -> None:
    async with told() as (box, served), served.client() as client:
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


# ── odd words of 46elks ──


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        *(("id", odd) for odd in ("s1", "s/../x?y#z", "..", "O 1", "x" * 100)),
        *(("created", odd) for odd in ("yesterday", "", "9999-12-31T23:59:59", "0001-01-01 00:00:00")),
        *(("from", odd) for odd in ("\u202e", "x" * 500, "+" + "4" * 500, "\ufffd\0")),
    ],
)
async def test_a_text_with_an_odd_field_is_delivered_or_dropped_and_the_next_one_comes(
    field: str, odd: str
) -> None:
    async with told() as (box, served), served.client() as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        hook, form = await served.hook("sms"), {**INCOMING, "to": box.number}
        assert (await post(hook, {**form, field: odd})).status_code == 204
        even = {**form, "id": "s" + "1" * 32, "message": "Even"}
        assert (await post(hook, even)).status_code == 204
        said = []
        for _ in await arrived(served):
            answer = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
            again = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
            assert again["cursor"] == answer["cursor"] != cursor
            said.append(answer["message"]["untrustedText"])
            cursor = answer["cursor"]
    assert said == ["Even"] if odd == "O 1" else said == [INCOMING["message"], "Even"]


@pytest.mark.parametrize("odd", ["", "x" * 101, "sÄÖ", "s1\n", " s1"])
async def test_a_text_whose_id_cannot_be_stored_is_dropped_and_logged(
    odd: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with told() as (box, served):
        hook, form = await served.hook("sms"), {**INCOMING, "to": box.number}
        assert (await post(hook, {**form, "id": odd})).status_code == 204
        assert await arrived(served) == []
    assert "A webhook was dropped: it is not an incoming text" in caplog.text


# ── the newest status ──


@pytest.mark.parametrize("status", ["sent", "delivered", "failed"])
async def test_after_a_report_the_status_is_the_reported_one_though_history_is_behind(status: str) -> None:
    async with told() as (box, served), served.client() as client:
        sent = data(await call(client, "send_sms", to=PHONE, message="Hej"))
        hook = f"{await served.hook('delivery')}?ref={sent['orderId']}"
        assert (await post(hook, {"id": sent["messageId"], "status": status})).status_code == 204
        assert box.accepted[-1].status == "created"
        for number in (sent["orderId"], sent["messageId"]):
            answer = data(await call(client, "check_sms_status", messageId=number))
            assert answer["status"] == status
        box.clock.advance(timedelta(minutes=5))
        answer = data(await call(client, "check_sms_status", messageId=sent["orderId"]))
        assert answer["status"] == "delivered"
        await post(hook, {"id": sent["messageId"], "status": "sent"})
        answer = data(await call(client, "check_sms_status", messageId=sent["orderId"]))
        assert answer["status"] == "delivered", "a late report takes nothing back"
