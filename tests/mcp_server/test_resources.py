"""Resources, which can be read without a tool: the inbox, one text, the rules."""

import json
from datetime import timedelta
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PromptReference, ResourceTemplateReference, TextResourceContents

from elks_mcp.sandbox import Fault, Sandbox
from tests.support.connecting import ERAS, PHONE, Era, call, connected, data, live, new_box

pytestmark = pytest.mark.anyio


@pytest.fixture
def box() -> Sandbox:
    return new_box()


async def read(client: Client, uri: str) -> Any:
    """Open a resource."""
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


@pytest.mark.parametrize("era", ERAS)
async def test_all_resources_are_listed(era: Era) -> None:
    async with connected({}, way=era) as client:
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    assert [each.uri for each in listed] == ["elks://inbox", "elks://policy"]
    assert [each.uri_template for each in templates] == [
        "elks://messages/{message_id}",
        "elks://batches/{batch_id}",
    ]
    assert all(each.title and each.description for each in listed)
    assert all(each.title and each.description for each in templates)


@pytest.mark.parametrize("era", ERAS)
async def test_the_inbox_shows_only_received_texts(box: Sandbox, era: Era) -> None:
    async with connected(live(box), box=box, way=era) as client:
        await call(client, "send_sms", to=PHONE, message="Kommer du?")
        box.reply(PHONE, "Ja\u202e!")
        history = await read(client, "elks://inbox")
        refused = await call(client, "send_sms", to="+46701740606", message="Hej")
    [message] = history["messages"]
    assert (message["from"], message["untrusted"], message.get("text")) == (PHONE, "Ja!", None)
    assert refused.is_error, "a stranger's words were shown"


@pytest.mark.parametrize("era", ERAS)
async def test_completion_offers_ids_of_texts_and_recipients(box: Sandbox, era: Era) -> None:
    message = ResourceTemplateReference(uri="elks://messages/{message_id}")
    prompt = PromptReference(name="text_somebody")
    async with connected(live(box), box=box, way=era) as client:

        async def complete(ref: Any, name: str, value: str) -> list[str]:
            return (await client.complete(ref, {"name": name, "value": value})).completion.values

        assert await complete(message, "message_id", "") == []
        sent = [data(await call(client, "send_sms", to=PHONE, message=text)) for text in ("Hej", "Hej då")]
        both = [[each["orderId"], each["messageId"]] for each in reversed(sent)]
        assert await complete(message, "message_id", "") == [*both[0], *both[1]]
        assert await complete(message, "message_id", sent[0]["orderId"].lower()) == [sent[0]["orderId"]]
        assert await complete(message, "message_id", sent[1]["messageId"][:20]) == [sent[1]["messageId"]]
        assert await complete(prompt, "recipient", "+46") == [PHONE]
        assert await complete(prompt, "recipient", "+47") == []
        assert await complete(prompt, "about", "x") == []


async def test_a_text_is_found_by_either_of_its_ids(box: Sandbox) -> None:
    async with connected(live(box), box=box) as client:
        sent = data(await call(client, "send_sms", to=PHONE, message="Hej på dig"))
        for number in (sent["orderId"], sent["messageId"]):
            message = await read(client, f"elks://messages/{number}")
            assert (message["id"], message["text"]) == (sent["messageId"], "Hej på dig")


async def test_an_order_that_46elks_has_not_accepted_has_no_text_yet(box: Sandbox) -> None:
    box.faults.inject(Fault.DROP_AFTER, method="POST", dryrun=False)
    box.faults.inject(Fault.STALE_HISTORY, times=None, duration=timedelta(hours=1))
    async with connected(live(box), box=box) as client:
        sent = data(await call(client, "send_sms", to=PHONE, message="Hej på dig"))
        assert sent["messageId"] is None
        with pytest.raises(MCPError) as caught:
            await client.read_resource(f"elks://messages/{sent['orderId']}")
    assert caught.value.error.code == INVALID_PARAMS
    assert f"46elks has no text of {sent['orderId']} yet: the order is in doubt." in str(caught.value)
    assert "is not a message id" not in str(caught.value)


async def test_a_hidden_text_stays_hidden(box: Sandbox) -> None:
    async with connected(live(box, ELKS_INBOUND="known"), box=box) as client:
        message = box.receive(PHONE, "Hello from nobody")
        assert (await read(client, "elks://inbox"))["messages"] == []
        assert (await read(client, f"elks://messages/{message.id}"))["untrustedText"] == ""


async def test_the_resource_of_the_policy_equals_the_tool(box: Sandbox) -> None:
    async with connected(live(box), box=box) as client:
        assert await read(client, "elks://policy") == data(await call(client, "explain_policy"))


@pytest.mark.parametrize("uri", ["elks://inbox", "elks://messages/s1234567890", "elks://messages/O-22222222"])
async def test_an_unreadable_resource_is_explained(uri: str) -> None:
    async with connected({}) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
    assert "Missing required environment variables" in str(caught.value)


@pytest.mark.parametrize("era", ERAS)
async def test_missing_invalid_and_unknown_ids_are_not_found(box: Sandbox, era: Era) -> None:
    async with connected(live(box), box=box, way=era) as client:
        for number in ("", "%20", "s00000000", "..%2F..%2Fme", "x", "O-22222222"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(f"elks://messages/{number}")
            assert caught.value.error.code == INVALID_PARAMS, number
    assert not any(request.path.endswith("/me/") for request in box.requests)
