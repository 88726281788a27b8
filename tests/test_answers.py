"""What answers say about texts: which one is a reply, what it holds, how much is shown, and when it was."""

import json
from datetime import timedelta

import pytest
from mcp_types import TextResourceContents

from .clocks import ManualClock
from .connecting import PHONE, box_on, call, connected, data, live

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


# ── replies ──
async def test_a_reply_is_told_as_one_wherever_it_is_shown(clock: ManualClock) -> None:
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Passar kl. 10?")
        clock.advance(timedelta(minutes=1))
        message = box.receive(PHONE, "Ja")
        box.receive("+46701740609", "Hej, vem är du?")
        reply = data(
            await call(client, "wait_for_reply", sender=PHONE, after=data(sent)["orderId"], timeout=0)
        )
        assert reply["message"]["isReply"] is True
        for direction in ("inbound", "both"):
            listed = data(await call(client, "get_sms_messages", direction=direction))["messages"]
            told = {entry["from"]: entry["isReply"] for entry in listed if entry["direction"] == "inbound"}
            assert told == {PHONE: True, "+46701740609": False}
        (content,) = (await client.read_resource(f"elks://messages/{message.id}")).contents
        assert isinstance(content, TextResourceContents)
        assert json.loads(content.text)["isReply"] is True


async def test_a_text_that_came_before_we_texted_is_not_a_reply(clock: ManualClock) -> None:
    box = box_on(clock)
    box.receive(PHONE, "Hej, är ni öppna?")
    clock.advance(timedelta(minutes=1))
    async with connected(live(box), box=box, clock=clock) as client:
        await call(client, "send_sms", to=PHONE, message="Ja, till kl. 18.")
        (entry,) = data(await call(client, "get_sms_messages", direction="inbound"))["messages"]
        assert entry["isReply"] is False


async def test_a_reply_is_told_as_one_where_nothing_was_ever_sent_from_here(clock: ManualClock) -> None:
    box = box_on(clock)
    box.add_history(clock.now() - timedelta(hours=2), to=PHONE, text="Passar kl. 10?")
    box.receive(PHONE, "Ja")
    async with connected(live(box, DRY_RUN="true"), box=box, clock=clock) as client:
        listed = data(await call(client, "get_sms_messages"))["messages"]
        assert [entry["isReply"] for entry in listed] == [True, False]
