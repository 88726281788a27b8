"""Several numbers of the sandbox's account, each with its own addresses, and ended ones."""

import httpx2
import pytest

from elks_mcp.sandbox import Sandbox
from elks_mcp.sandbox.account import SandboxNumber

from .clients import PHONE, sms
from .test_wire_examples import example, shape

pytestmark = pytest.mark.anyio
SECOND = "+46701740698"


def add_second(box: Sandbox) -> SandboxNumber:
    """Give the account another number, which also takes pictures."""
    capabilities = ("sms", "voice", "mms")
    return box.numbers.add(SandboxNumber(SECOND, box.clock.now(), capabilities=capabilities))


async def test_a_number_is_configured_and_answered_as_documented(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    second, expected = add_second(box), example("number_configured")
    answer = (await client.post(f"numbers/{second.id}", data=expected["request"]["form"])).json()
    assert set(expected["body"]) <= set(answer)
    assert shape({name: answer[name] for name in expected["body"]}) == shape(expected["body"])
    cleared = (
        await client.post(f"numbers/{second.id}", data=dict.fromkeys(expected["request"]["form"], "none"))
    ).json()
    assert not {"mms_url", "voice_start"} & set(cleared)
    assert (cleared["sms_url"], cleared["name"]) == ("", "")


async def test_every_number_is_listed_also_one_whose_rental_ended(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    second = add_second(box)
    ended = (await client.post(f"numbers/{second.id}", data={"active": "no"})).json()
    assert ended["active"] == "no"
    listed = (await client.get("numbers")).json()["data"]
    assert [each["active"] for each in listed] == ["yes", "no"]
    example_fields = set(example("numbers")["body"]["data"][0])
    assert example_fields - set(listed[1]) == {"created"}
    again = (await client.post(f"numbers/{second.id}", data={"active": "yes"})).json()
    assert again["active"] == "no", "that cannot be undone"


async def test_each_number_has_its_own_webhook_and_replies(box: Sandbox, client: httpx2.AsyncClient) -> None:
    second = add_second(box)
    action = '{"reply": "Tack!"}'
    await client.post(f"numbers/{second.id}", data={"sms_url": action})
    box.receive(PHONE, "Hej", to=SECOND)
    box.receive(PHONE, "Hej", to=box.number)
    assert [(each.sender, each.direction) for each in box.accepted] == [(SECOND, "outgoing-reply")]


async def test_a_phone_answers_to_whichever_number_texted_it(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    add_second(box)
    await client.post("sms", data=sms(box, to="+46701740613") | {"from": SECOND})
    box.clock.advance(box.rules.webhook_timeout)
    assert [(each.to, each.text) for each in box.history if each.direction == "incoming"] == [(SECOND, "JA")]


async def test_a_reset_leaves_the_first_number_alone(box: Sandbox) -> None:
    add_second(box)
    box._simulation.reset()
    assert [each.number for each in box.numbers] == [box.number]
