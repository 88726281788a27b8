"""Behaviours that a person sets for a phone or the network."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from elks_mcp.sandbox import MAGIC, Sandbox

from .clients import PHONE, open_outside, sms

pytestmark = pytest.mark.anyio


async def control(box: Sandbox, path: str, **body: Any) -> Any:
    """POST to the control API, and return its answer."""
    async with open_outside(box) as outside:
        answer = await outside.post(f"/_sandbox/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_phone_receives_held_texts_once_it_is_turned_on(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    await control(box, "behaviour", number=PHONE, behaviour="off")
    await client.post("sms", data=sms(box))
    box.clock.advance(timedelta(hours=1))
    assert (box.accepted[0].status, box.handset(PHONE).texts) == ("sent", [])
    await control(box, "behaviour", number=PHONE, behaviour="delivers")
    box.clock.advance(timedelta(seconds=2))
    assert [text.text for text in box.handset(PHONE).texts] == ["Hej!"]
    assert box.accepted[0].delivered_at == box.clock.now()


async def test_a_phone_turned_on_before_a_text_would_be_held_receives_it(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    await control(box, "behaviour", number=PHONE, behaviour="off")
    await client.post("sms", data=sms(box))
    await control(box, "behaviour", number=PHONE, behaviour="delivers")
    box.clock.advance(timedelta(seconds=4))
    assert box.accepted[0].status == "delivered"


@pytest.mark.parametrize(
    ("behaviour", "after", "status", "answers"),
    [
        ("delivers", 2, "delivered", []),
        ("slow", 59, "sent", []),
        ("slow", 60, "delivered", []),
        ("fails", 2, "failed", []),
        ("says_stop", 4, "delivered", ["STOP"]),
    ],
)
async def test_a_phone_behaves_as_configured(
    box: Sandbox, client: httpx2.AsyncClient, behaviour: str, after: int, status: str, answers: list[str]
) -> None:
    await control(box, "behaviour", number=PHONE, behaviour=behaviour)
    await client.post("sms", data=sms(box))
    box.clock.advance(timedelta(seconds=after))
    assert box.accepted[0].status == status
    assert [message.text for message in box.history if message.direction == "incoming"] == answers


async def test_a_phone_gives_its_configured_answer_until_it_is_changed(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    said = await control(box, "behaviour", number=PHONE, behaviour="answers", text="Ja <b>tack</b>")
    assert said == {"behaviour": "Answers “Ja <b>tack</b>”"}
    for _ in range(2):
        await client.post("sms", data=sms(box))
        box.clock.advance(timedelta(seconds=4))
    assert [message.text for message in box.history if message.direction == "incoming"] == [
        "Ja <b>tack</b>"
    ] * 2
    assert PHONE not in MAGIC


async def test_the_next_text_to_any_phone_fails_and_the_one_after_does_not(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    await control(box, "fail-next", fails=True)
    await client.post("sms", data=sms(box) | {"dryrun": "yes"})
    for _ in range(2):
        await client.post("sms", data=sms(box))
    box.clock.advance(timedelta(seconds=2))
    assert [message.status for message in box.accepted] == ["failed", "delivered"]
    assert list(box.accepted[0].reached) == ["sent", "failed"]


async def test_a_failure_of_the_next_text_can_be_cancelled(box: Sandbox, client: httpx2.AsyncClient) -> None:
    for fails in (True, False):
        await control(box, "fail-next", fails=fails)
    await client.post("sms", data=sms(box))
    box.clock.advance(timedelta(seconds=2))
    assert box.accepted[0].status == "delivered"


@pytest.mark.parametrize("typed", ["070-174 06 05", "+46 70 174 06 05", "0046701740605", PHONE])
async def test_a_phone_is_opened_by_its_number_in_any_common_spelling(box: Sandbox, typed: str) -> None:
    assert await control(box, "phone", number=typed) == {"number": PHONE}
    state = (await open_outside(box).get("/_sandbox/state")).json()
    assert [phone["number"] for phone in state["handsets"]] == [PHONE]
