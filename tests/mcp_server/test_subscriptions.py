"""Subscriptions to resources: clients are notified in both eras, and only about their own data."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceUpdatedNotification

from tests.support.clocks import HANG, ManualClock, autojump
from tests.support.connecting import ERAS, PHONE, Era, box_on, call, connected, data, live, until
from tests.support.stores import failing
from tests.support.web import Site, http_client
from tests.support.webhook_cases import webhook_site
from tests.web.test_replicas import replicas

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning"),
]

INBOX = "elks://inbox"
_A_MINUTE = timedelta(minutes=1)


class Notified:
    """The notifications that a client of either era received."""

    def __init__(self) -> None:
        self.uris: list[str] = []

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.uris.append(str(message.params.uri))

    def of(self, uri: str) -> Callable[[], bool]:
        """Return whether a notification about a resource arrived."""
        return lambda: uri in self.uris


@asynccontextmanager
async def listening(
    where: Site, era: Era, *uris: str, token: str = ""
) -> AsyncIterator[tuple[Client, Notified]]:
    """Connect a client that listens to resources."""
    received = Notified()
    shown = {"authorization": f"Bearer {token}"} if token else {}
    async with http_client(headers=shown) as http:
        there = streamable_http_client(f"{where.url}/mcp", http_client=http)
        async with (
            Client(there, mode=era, message_handler=received) as client,
            _listen(client, era, uris),
        ):
            yield client, received


@asynccontextmanager
async def _listen(client: Client, era: Era, uris: tuple[str, ...]) -> AsyncIterator[None]:
    if era == "legacy":
        for uri in uris:
            await client.subscribe_resource(uri)
        yield
        return
    async with client.listen(resource_subscriptions=uris):
        yield


@pytest.mark.parametrize("era", ERAS)
async def test_a_received_text_is_notified_immediately(era: Era) -> None:
    async with (
        webhook_site(ManualClock()) as (box, where),
        listening(where, era, INBOX, "elks://policy") as (client, received),
    ):
        box.receive("+46701740690", "Hej")
        await until(received.of(INBOX))
        read = (await client.read_resource(INBOX)).contents[0]
        assert "+46701740690" in getattr(read, "text", "")
        assert received.uris == [INBOX]


@pytest.mark.parametrize("era", ERAS)
async def test_a_delivery_is_notified_immediately_for_either_id(era: Era) -> None:
    async with webhook_site(ManualClock()) as (box, where), where.client(era) as sender:
        sent = data(await call(sender, "send_sms", to=PHONE, message="Hej"))
        uris = [f"elks://messages/{sent[name]}" for name in ("orderId", "messageId")]
        async with listening(where, era, *uris) as (_, received):
            box.clock.advance(_A_MINUTE)
            await until(lambda: set(received.uris) == set(uris))


@pytest.mark.parametrize("era", ERAS)
async def test_a_text_received_by_one_replica_is_notified_by_the_other(
    postgres_database: str, era: Era
) -> None:
    async with (
        replicas(postgres_database, ManualClock()) as (box, _, two),
        listening(two, era, INBOX) as (_client, received),
    ):
        await until(lambda: two.app.storage.notifier.receives_from_others)
        box.receive("+46701740690", "Hej")
        await until(received.of(INBOX))


@pytest.mark.parametrize("era", ERAS)
async def test_without_webhooks_a_text_is_notified_within_one_poll_of_history(era: Era) -> None:
    clock, received = ManualClock(), Notified()
    box = box_on(clock)
    environ = live(box, ELKS_POLL_SECONDS="7")
    async with connected(environ, box=box, way=era, clock=clock, message_handler=received) as client:
        sent = data(await call(client, "send_sms", to=PHONE, message="Hej"))
        uri = f"elks://messages/{sent['orderId']}"
        async with _listen(client, era, (INBOX, uri)):
            message = box.receive("+46701740690", "Hej")
            await until(lambda: set(received.uris) == {INBOX, uri}, clock=clock)
            assert clock.now() - message.created_at <= timedelta(seconds=7)


@pytest.mark.parametrize("era", ERAS)
async def test_the_progress_of_a_batch_is_notified(era: Era) -> None:
    clock, received = ManualClock(), Notified()
    box = box_on(clock)
    async with connected(live(box), box=box, way=era, clock=clock, message_handler=received) as client:
        plan = data(await call(client, "plan_batch", message="Hej!", recipients=[PHONE]))
        uri = f"elks://batches/{plan['batchId']}"
        async with _listen(client, era, (uri,)), autojump(clock):
            await call(client, "start_batch", batchId=plan["batchId"])
            await until(received.of(uri))


async def test_no_caller_is_notified_about_the_data_of_another() -> None:
    async with webhook_site(ELKS_POLL_SECONDS="3600", ELKS_CONFIRM="never") as (box, where):
        one, two = await where.token("one"), await where.token("two")
        async with where.client(token=one) as theirs:
            sent = data(await call(theirs, "send_sms", to=PHONE, message="Hej"))
            uri = f"elks://messages/{sent['orderId']}"
            async with (
                listening(where, "auto", uri, INBOX, token=two) as (_, received),
                listening(where, "auto", uri, token=one) as (_mine, own),
            ):
                box.clock.advance(_A_MINUTE)
                await until(own.of(uri))
                box.receive("+46701740690", "Hej")
                await until(received.of(INBOX))
        assert received.uris == [INBOX]


async def test_an_unsubscribed_client_gets_no_further_notifications() -> None:
    async with (
        webhook_site(ELKS_POLL_SECONDS="3600") as (box, where),
        listening(where, "legacy", INBOX) as (client, received),
    ):
        box.receive("+46701740690", "Hej")
        await until(received.of(INBOX))
        await client.unsubscribe_resource(INBOX)
        async with listening(where, "auto", INBOX) as (_, other):
            box.receive("+46701740690", "Hej igen")
            await until(other.of(INBOX))
        assert received.uris == [INBOX]


async def test_streams_end_properly_when_the_server_stops() -> None:
    async with webhook_site() as (_, where):
        updates = where.web.updates
        async with where.client() as client, client.listen(resource_subscriptions=[INBOX]) as stream:
            assert updates.stream_count == 1
            where.web.stop()
            with anyio.fail_after(HANG):
                assert [event async for event in stream] == []  # no SubscriptionLost
        await until(lambda: updates.stream_count == 0)


async def test_a_stream_that_is_opened_while_the_server_stops_is_refused() -> None:
    async with webhook_site() as (_, where), http_client() as client:
        where.web.stop()
        with anyio.fail_after(HANG):
            answer = await client.get(f"{where.url}/mcp", headers={"Accept": "text/event-stream"})
        assert (answer.status_code, answer.content) == (503, b"")


async def test_a_disconnected_client_leaves_nothing_watched() -> None:
    async with webhook_site() as (_, where):
        for era in ERAS:
            async with listening(where, era, INBOX, "elks://policy"):
                assert where.web.updates.stream_count == (1 if era == "auto" else 2)
            await until(lambda: where.web.updates.stream_count == 0)


@pytest.mark.parametrize("era", ERAS)
async def test_an_unexpected_error_in_watching_ends_nothing_else(era: Era) -> None:
    async with webhook_site(ELKS_POLL_SECONDS="3600") as (box, where):
        with failing(
            await where.app.storage.open(), "sum(spenders.charge)", error=_fault_of_our_own
        ) as fault:
            async with listening(where, era, "elks://policy", INBOX) as (client, received):
                assert fault.met > 0
                box.receive("+46701740690", "Hej")
                await until(received.of(INBOX))
                assert data(await call(client, "get_sms_messages"))["count"] == 1


def _fault_of_our_own() -> Exception:
    return RuntimeError("a fault of our own")


async def test_a_resource_subscribed_to_twice_at_once_is_watched_once() -> None:
    async with (
        webhook_site(ELKS_POLL_SECONDS="3600") as (box, where),
        listening(where, "legacy") as (client, received),
        anyio.create_task_group() as tasks,
    ):
        for _ in range(5):
            tasks.start_soon(client.subscribe_resource, INBOX)
        await until(lambda: where.web.updates.stream_count > 0)
        box.receive("+46701740690", "Hej")
        await until(received.of(INBOX))
        assert (received.uris, where.web.updates.stream_count) == ([INBOX], 1)


async def test_46elks_is_not_asked_about_texts_that_can_no_longer_change() -> None:
    clock = ManualClock()
    box = box_on(clock)
    old = box.add_history(box.clock.now() - timedelta(days=1))
    uris = [f"elks://messages/{number}" for number in (old.id, f"s{'0' * 32}", "O-23456789")]

    def asked(path: str) -> int:
        return len([each for each in box.requests if each.path.startswith(path)])

    async with (
        connected(live(box), box=box, clock=clock) as client,
        client.listen(resource_subscriptions=[*uris, "elks://nonsense"]),
    ):
        about_texts, all_of_history = asked("/a1/sms/"), asked("/a1/sms")
        await until(lambda: asked("/a1/sms") >= all_of_history + 3, clock=clock)
        assert asked("/a1/sms/") == about_texts == 2


@pytest.mark.parametrize("era", ERAS)
async def test_an_unexpected_error_in_reading_history_ends_nothing_else(era: Era) -> None:
    clock = ManualClock()
    async with (
        webhook_site(clock, ELKS_POLL_SECONDS="60") as (box, where),
        listening(where, era, INBOX) as (client, received),
    ):
        with failing(await where.app.storage.open(), "history_read_at", error=_fault_of_our_own) as fault:
            await until(lambda: fault.met > 2, clock=clock)
        box.receive("+46701740690", "Hej")
        await until(received.of(INBOX))  # time stands still while a webhook is on a socket
        assert (await client.list_tools()).tools


async def test_the_limit_of_watched_resources_holds_for_simultaneous_requests() -> None:
    async with webhook_site() as (_, where), where.client("legacy") as client:
        refused: list[str] = []

        async def subscribe(number: int) -> None:
            try:
                await client.subscribe_resource(f"elks://messages/O-{number:08}")
            except MCPError as error:
                refused.append(str(error))

        async with anyio.create_task_group() as tasks:
            for number in range(150):
                tasks.start_soon(subscribe, number)
        assert (where.web.updates.stream_count, len(refused)) == (100, 50)


async def test_the_outcome_of_an_order_is_also_notified_promptly_on_postgres(postgres_database: str) -> None:
    clock = ManualClock()
    async with (
        replicas(postgres_database, clock, ELKS_CONFIRM="always") as (_, one, two),
        one.client() as client,
    ):
        await call(client, "send_sms", to=PHONE, message="Hej")
        store = await one.app.storage.open()
        [waiting] = await store.orders.list_latest(2)
        uri = f"elks://messages/{waiting.id}"
        async with listening(two, "auto", uri) as (_client, received):
            await until(lambda: two.app.storage.notifier.receives_from_others)
            await store.cancellations.cancel(waiting.id, "A person thought better of it.")
            await until(received.of(uri), clock=clock)
