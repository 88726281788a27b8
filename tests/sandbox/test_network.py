"""An accepted text, as the clock advances: its status, delivery and answers."""

from datetime import timedelta

import anyio
import httpx2
import pytest

from elks_mcp.sandbox import (
    Behaviour,
    CannotAnswerError,
    ManualClock,
    NotManualError,
    Rules,
    Sandbox,
    SystemClock,
)
from tests.support.clocks import HANG

from .clients import PHONE, open_client, sms

pytestmark = pytest.mark.anyio
SECOND = timedelta(seconds=1)


async def status_of(client: httpx2.AsyncClient, message_id: str) -> str:
    status = (await client.get(f"sms/{message_id}")).json()["status"]
    assert isinstance(status, str)
    return status


@pytest.mark.parametrize(
    ("to", "after_1s", "after_2s", "after_60s"),
    [
        ("+46701740605", "sent", "delivered", "delivered"),
        ("+4712345678", "sent", "delivered", "delivered"),
        ("+46700000000", "sent", "delivered", "delivered"),
        ("+46701740610", "sent", "failed", "failed"),
        ("+46701740611", "sent", "sent", "sent"),
        ("+46701740612", "sent", "sent", "delivered"),
        ("+46701740617", "created", "failed", "failed"),
    ],
)
async def test_a_text_changes_its_status_with_the_clock_and_without_a_running_task(
    box: Sandbox, client: httpx2.AsyncClient, to: str, after_1s: str, after_2s: str, after_60s: str
) -> None:
    sent = (await client.post("sms", data=sms(box, to=to))).json()
    seen = [await status_of(client, sent["id"])]
    for step in (1, 1, 58):
        box.clock.advance(step * SECOND)
        seen.append(await status_of(client, sent["id"]))
    assert seen == ["created", after_1s, after_2s, after_60s]


@pytest.mark.parametrize(
    ("number", "answers"),
    [
        ("+46701740613", ["JA"]),
        ("+46701740614", ["Tack för påminnelsen, vi ses på lördag! Hälsar Åsa 🎉"]),
        ("+46701740615", ["STOP"]),
        ("+46701740616", ["Ja, det går bra.", "Fast hellre klockan tre?"]),
        ("+46701740618", ["Kommer du?"]),
        ("+46701740605", []),
    ],
)
async def test_a_phone_with_a_magic_number_answers_by_itself(
    box: Sandbox, client: httpx2.AsyncClient, number: str, answers: list[str]
) -> None:
    await client.post("sms", data=sms(box, to=number, message="Kommer du?"))
    box.clock.advance(60 * SECOND)
    page = (await client.get("sms")).json()["data"]
    incoming = [item for item in reversed(page) if item["direction"] == "incoming"]
    assert [item["message"] for item in incoming] == answers
    assert {item["from"] for item in incoming} <= {number}
    assert [text.text for text in box.handset(number).texts] == ["Kommer du?", *answers]
    assert all("status" not in item for item in incoming)


async def test_an_answer_has_the_time_it_was_written_even_if_it_is_read_much_later(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    await client.post("sms", data=sms(box, to="+46701740613"))
    box.clock.advance(timedelta(days=1))
    [answer, _] = (await client.get("sms")).json()["data"]
    assert answer["created"] == "2026-01-15T12:00:04.429000"


async def test_no_phone_answers_a_sender_name(box: Sandbox, client: httpx2.AsyncClient) -> None:
    await client.post("sms", data=sms(box, to="+46701740613") | {"from": "Kliniken"})
    box.clock.advance(60 * SECOND)
    assert [message.direction for message in box.history] == ["outgoing"]
    with pytest.raises(CannotAnswerError, match="Kliniken"):
        box.reply("+46701740613", "JA")


async def test_a_phone_shows_what_was_delivered_and_what_its_owner_wrote(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    await client.post("sms", data=sms(box, message="Hej på dig", flashsms="yes"))
    assert box.handset(PHONE).texts == []
    box.clock.advance(2 * SECOND)
    answer = box.reply(PHONE, "Hej själv")
    [received, written] = box.handset(PHONE).texts
    assert (received.direction, received.sender, received.text) == ("received", box.number, "Hej på dig")
    assert received.flash
    assert (written.direction, written.text) == ("written", "Hej själv")
    assert answer is box.history[-1]


async def test_a_strangers_text_and_name_appear_in_history(box: Sandbox) -> None:
    box.receive("+46701740606", "Hej?")
    box.receive("Banken", "Din kod är 1234", to="+46701740698")
    assert [(m.direction, m.sender, m.to) for m in box.history] == [
        ("incoming", "+46701740606", box.number),
        ("incoming", "Banken", "+46701740698"),
    ]
    assert (box.charges, box.accepted) == ([], [])


async def test_a_phone_can_be_given_any_behaviour(box: Sandbox, client: httpx2.AsyncClient) -> None:
    box.handset(PHONE).behaviour = Behaviour("Answers at once", replies=lambda text: (text[::-1],))
    await client.post("sms", data=sms(box, message="abc"))
    box.clock.advance(4 * SECOND)
    assert box.history[-1].text == "cba"


async def test_a_text_between_two_numbers_of_the_account_is_in_history_twice(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    await client.post("sms", data=sms(box, to=box.number))
    box.clock.advance(2 * SECOND)
    assert [message.direction for message in box.history] == ["outgoing", "incoming"]


async def test_more_than_the_rate_is_accepted_and_leaves_later_in_order() -> None:
    box = Sandbox(clock=ManualClock(), rules=Rules(per_minute=3))
    async with open_client(box) as client:
        for _ in range(7):
            assert (await client.post("sms", data=sms(box))).status_code == 200
    delivered = []
    for _ in range(3):
        box.clock.advance(60 * SECOND)
        delivered.append([message.status for message in box.accepted].count("delivered"))
    assert delivered == [3, 6, 7]


async def test_a_reset_clears_everything_except_the_time(box: Sandbox, client: httpx2.AsyncClient) -> None:
    await client.post("sms", data=sms(box, to="+46701740613"))
    box.clock.advance(SECOND)
    now = box.clock.now()
    await client.post("http://localhost/_sandbox/reset", json={})
    box.clock.advance(60 * SECOND)
    assert (box.history, box.accepted, box.charges, box.requests) == ([], [], [], [])
    assert (box.balance, box.handset("+46701740613").texts) == (1_000_000, [])
    assert box.clock.now() == now + 60 * SECOND


async def test_while_the_sandbox_runs_events_happen_as_soon_as_the_clock_moves(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    answered = anyio.Event()

    def answer(_text: str) -> tuple[str, ...]:
        answered.set()
        return ()

    box.handset(PHONE).behaviour = Behaviour("Tells the test", replies=answer)
    async with box.running():
        await client.post("sms", data=sms(box))
        box.clock.advance(2 * SECOND)
        with anyio.fail_after(HANG):
            await answered.wait()


async def test_with_the_real_clock_events_happen_by_themselves() -> None:
    box, answered = Sandbox(), anyio.Event()

    def answer(_text: str) -> tuple[str, ...]:
        answered.set()
        return ()

    quick = Behaviour("Quick", None, timedelta(milliseconds=1), replies=answer)
    box.handset(PHONE).behaviour = quick
    async with box.running(), open_client(box) as client:
        await client.post("sms", data=sms(box))
        with anyio.fail_after(HANG):
            await answered.wait()


def test_only_a_manual_clock_can_be_moved_and_only_forward() -> None:
    with pytest.raises(NotManualError):
        SystemClock().advance(SECOND)
    with pytest.raises(ValueError, match="back"):
        ManualClock().advance(-SECOND)
