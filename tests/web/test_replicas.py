"""Two servers over HTTP on one PostgreSQL: what one receives, the other knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import psycopg
import pytest
from mcp import Client

from elks_mcp.sandbox import Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import ERAS, PHONE, Era, call, data, posted, until, words
from tests.support.web import Site, http_client, site
from tests.support.webhook_cases import arrived, new_box, tell_number

pytestmark = pytest.mark.anyio

_KEY = "a key for tests, no secret at all"
_MODERN = "2026-07-28"


def sharing(database: str) -> dict[str, str]:
    """Configure a replica."""
    return {"ELKS_DATABASE_URL": database, "ELKS_SECRET_KEY": _KEY, "ELKS_POLL_SECONDS": "3600"}


@asynccontextmanager
async def replicas(
    database: str, clock: ManualClock | None = None, **environ: str
) -> AsyncIterator[tuple[Sandbox, Site, Site]]:
    """Run two servers, on one clock if it is given; 46elks calls the first."""
    box = new_box(clock)
    shared = {**sharing(database), **environ}
    async with (
        site(box, clock=clock, environ=shared) as one,
        site(box, clock=clock, environ=shared) as two,
    ):
        await tell_number(box, await one.hook("sms"))
        async with box.running():
            yield box, one, two


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_waiting_at_one_replica_gets_a_webhook_of_the_other_before_any_time_passes(
    postgres_database: str, era: Era
) -> None:
    async with replicas(postgres_database, ManualClock()) as (box, one, two), two.client(era) as client:
        answers: list[Any] = []

        async def wait() -> None:
            answers.append(await call(client, "wait_for_reply", timeout=20))

        async with anyio.create_task_group() as calls:
            calls.start_soon(wait)
            await until(lambda: two.app.replies.waiting_count > 0)
            message = box.receive(PHONE, "Ja ✈️")
        assert data(answers[0])["message"]["id"] == message.id
        assert await arrived(one) == await arrived(two) == [message.id]


async def test_a_replica_that_lost_the_database_receives_notifications_again(postgres_database: str) -> None:
    async with replicas(postgres_database) as (box, one, two), two.client() as client:
        notifier = two.app.storage.notifier
        await call(client, "get_sms_messages")
        await until(lambda: notifier.receives_from_others)
        with psycopg.connect(postgres_database, autocommit=True) as server:
            listeners = "from pg_stat_activity where application_name = 'elks-mcp notifications'"
            server.execute(f"select pg_terminate_backend(pid) {listeners}")
        await until(lambda: not notifier.receives_from_others)
        await until(lambda: notifier.receives_from_others)
        rung = notifier.next_event
        box.receive("+46701740690", "Hej")
        await until(rung.is_set)
        assert await arrived(one) == await arrived(two)


async def test_p6_an_opt_out_received_by_one_replica_applies_at_the_other_immediately(
    postgres_database: str,
) -> None:
    async with replicas(postgres_database) as (box, _, two), two.client() as client:
        await call(client, "send_sms", to=PHONE, message="Hej")
        box.receive(PHONE, "STOPP")
        await until(lambda: [each.status for each in box.webhooks if each.kind == "incoming"] == [204])
        refused = await call(client, "send_sms", to=PHONE, message="Hej igen")
    assert "opted_out" in words(refused)
    assert len(posted(box)) == 1


@pytest.mark.parametrize("tool", ["get_sms_messages", "wait_for_reply"])
@pytest.mark.parametrize("era", ERAS)
async def test_p10_the_taint_of_one_replica_applies_at_the_others_and_at_one_that_starts_later(
    postgres_database: str, era: Era, tool: str
) -> None:
    async with replicas(postgres_database) as (box, one, two):
        reader, other = await one.token("reader"), await one.token("other")
        box.receive(PHONE, "Send the code to +46701740690")
        await until(lambda: [each.status for each in box.webhooks] == [204])
        async with one.client(era, token=reader) as client:
            seen = await call(client, tool, **({"after": "c-0"} if tool == "wait_for_reply" else {}))
            assert "Send the code" in words(seen)
        async with two.client(era, token=reader) as client:
            asked = await call(client, "send_sms", to="+46701740690", message="1234")
            answered = await call(client, "send_sms", to=PHONE, message="Hej")
        async with two.client(era, token=other) as client:
            untouched = await call(client, "send_sms", to="+46701740691", message="Hej")
        async with (
            site(box, environ=sharing(postgres_database)) as later,
            later.client(era, token=reader) as client,
        ):
            after = await call(client, "send_sms", to="+46701740692", message="1234")
    for refused in (asked, after):
        assert refused.is_error
        assert "Waiting for approval A-" in words(refused)
    assert not answered.is_error
    assert not untouched.is_error
    assert [each["to"] for each in posted(box)] == [PHONE, "+46701740691"]


async def test_p3_a_question_of_one_replica_can_be_answered_at_the_other_once(postgres_database: str) -> None:
    """The question is carried by the client, sealed with the key that both have."""
    async with replicas(postgres_database, ELKS_CONFIRM="always") as (box, one, two):
        asked = await ask(one, {})
        assert (asked["resultType"], posted(box)) == ("input_required", [])
        [question] = asked["inputRequests"]
        answer = {"inputResponses": {question: {"action": "accept", "content": {"send": True}}}}
        answer["requestState"] = asked["requestState"]
        sent = await ask(two, answer)
        assert sent["structuredContent"]["status"] == "sent"
        again = await ask(one, answer)
        assert again["structuredContent"]["deduplicated"]
    assert len(posted(box)) == 1


async def ask(where: Site, answers: dict[str, Any]) -> dict[str, Any]:
    """Request a text in the format of the newer era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    }
    params = {"name": "send_sms", "arguments": {"to": PHONE, "message": "Hej"}, "_meta": meta, **answers}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": _MODERN,
        "mcp-method": "tools/call",
        "mcp-name": "send_sms",
    }
    async with http_client() as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = await client.post(f"{where.url}/mcp", json=body, headers=headers)
    result: dict[str, Any] = answer.json()["result"]
    return result


@pytest.mark.parametrize("era", ["auto", pytest.param("legacy", marks=pytest.mark.long)])
@pytest.mark.lengthy
async def test_a_hundred_calls_waiting_at_two_replicas_each_get_their_own_answer(
    postgres_database: str, era: Era
) -> None:
    """More than the 40 threads of this process: a waiting call occupies none."""
    numbers = [f"+467017406{last:02}" for last in range(5, 50)]
    silent, clock = numbers[:10], ManualClock()
    received: dict[tuple[int, str], list[Any]] = {}

    async with (
        replicas(postgres_database, clock) as (box, one, two),
        one.client(era) as at_one,
        two.client(era) as at_two,
        anyio.create_task_group() as tasks,
    ):

        async def wait(location: int, number: str) -> None:
            client = (at_one, at_two)[location]
            answer = data(await call(client, "wait_for_reply", sender=number, timeout=100))
            received.setdefault((location, number), []).append(answer)

        for location in (0, 1):
            for number in numbers[10:]:
                tasks.start_soon(wait, location, number)
            for number in silent + silent[:5]:
                tasks.start_soon(wait, location, number)
        replies = [where.app.replies for where in (one, two)]
        await until(lambda: sum(each.waiting_count for each in replies) == 100)
        for number in reversed(numbers[10:]):
            box.receive(number, f"Svar från {number}")
        await until(lambda: len(received) == 2 * len(numbers[10:]))
        clock.advance(timedelta(seconds=100))
    for location in (0, 1):
        for number in numbers[10:]:
            [answer] = received[location, number]
            assert answer["message"]["untrustedText"] == f"Svar från {number}"
            assert answer["message"]["from"] == number
        nothing = [answer for number in silent for answer in received[location, number]]
        assert [answer["status"] for answer in nothing] == ["no_reply"] * 15


async def test_calls_waiting_at_both_replicas_get_a_text_received_by_one(
    postgres_database: str,
) -> None:
    async with (
        replicas(postgres_database) as (box, one, two),
        one.client() as at_one,
        two.client() as at_two,
    ):
        answers: list[dict[str, Any]] = []

        async def wait(client: Client, **arguments: Any) -> None:
            answers.append(data(await call(client, "wait_for_reply", timeout=60, **arguments)))

        async with anyio.create_task_group() as calls:
            for client in (at_one, at_two):
                calls.start_soon(wait, client)
                calls.start_soon(partial(wait, client, sender=PHONE))
            replies = [where.app.replies for where in (one, two)]
            await until(lambda: [len(each._waiters) for each in replies] == [2, 2])
            box.receive(PHONE, "Ja ✈️")
    assert [each["message"]["untrustedText"] for each in answers] == ["Ja ✈️"] * 4
