"""The sandbox's answers against 46elks' documented ones: the same fields, order, types and formats."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from elks_mcp.sandbox import ManualClock, Sandbox

from .clients import PHONE, open_client, sms

pytestmark = pytest.mark.anyio
WIRE = Path(__file__).parents[1] / "elks" / "wire"
ERRORS = sorted(path.stem for path in WIRE.glob("error_*.json"))
DAY_BEFORE = datetime(2026, 1, 14, 9, 52, 7, 302_000, tzinfo=UTC)
FORMATS = {
    "id of an SMS": r"s[0-9a-f]{32}",
    "id of an account": r"u[0-9a-f]{32}",
    "id of a call": r"c[0-9a-f]{32}",
    "id of a recording": r"c[0-9a-f]{32}-r\d",
    "long time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}",
    "short time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "number": r"\+[1-9]\d{6,14}",
    "word": r"created|sent|delivered|failed|ongoing|success|outgoing|incoming|outgoing-reply|SEK|EUR",
}


def example(name: str) -> dict[str, Any]:
    loaded = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def shape(value: Any) -> Any:
    """Reduce an answer to its fields in order, and each value to its type or format."""
    if isinstance(value, dict):
        return [(key, shape(content)) for key, content in value.items()]
    if isinstance(value, list):
        return [shape(content) for content in value]
    if isinstance(value, str):
        return next((name for name, form in FORMATS.items() if re.fullmatch(form, value)), "text")
    return type(value).__name__


def without(answer: dict[str, Any], *fields: str) -> dict[str, Any]:
    """Leave out what an answer says beyond the documented sample; clients must ignore it."""
    return {key: value for key, value in answer.items() if key not in fields}


@pytest.mark.parametrize("name", ["send_sms", "send_sms_dryrun"])
async def test_the_answer_to_a_post_has_the_fields_and_order_of_a_real_one(
    client: httpx2.AsyncClient, name: str
) -> None:
    expected = example(name)
    answer = await client.post("sms", data=expected["request"]["form"])
    assert (answer.status_code, answer.headers["content-type"]) == (
        expected["status"],
        expected["content_type"],
    )
    assert shape(answer.json()) == shape(expected["body"])
    assert without(answer.json(), "id") == without(expected["body"], "id")


async def test_history_has_the_fields_and_order_of_the_documented_page(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    expected = example("sms_history")["body"]
    for item in reversed([*expected["data"], expected["data"][-1]]):
        delivered = item.get("delivered")
        box.add_history(
            datetime.fromisoformat(item["created"] + "Z"),
            direction=item["direction"],
            sender=item["from"],
            to=item["to"],
            text=item["message"],
            delivered_at=datetime.fromisoformat(delivered) if delivered else None,
            cost=item["cost"],
        )
    answer = (await client.get("sms", params={"limit": "3"})).json()
    assert [without(item, "id", "parts") for item in answer["data"]] == [
        without(i, "id") for i in expected["data"]
    ]
    assert [shape(without(item, "parts")) for item in answer["data"]] == [shape(i) for i in expected["data"]]
    assert answer["next"] == expected["next"]
    assert list(answer) == ["data", "next"]


async def test_an_empty_history_has_no_next(client: httpx2.AsyncClient) -> None:
    assert (await client.get("sms")).json() == example("sms_history_last_page")["body"]


async def test_one_outgoing_message_has_the_documented_fields(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    message = box.add_history(DAY_BEFORE)
    answer = (await client.get(f"sms/{message.id}")).json()
    assert shape(without(answer, "parts")) == shape(example("sms_by_id_outgoing")["body"])


async def test_one_incoming_message_has_no_status(box: Sandbox, client: httpx2.AsyncClient) -> None:
    message = box.receive("Kliniken", "I'm not a moose.")
    answer = (await client.get(f"sms/{message.id}")).json()
    expected = example("sms_by_id_incoming")["body"]
    # The sample of show-sms-id has no cost; the one of sms-history has.
    assert sorted(shape(without(answer, "parts", "cost"))) == sorted(shape(expected))


async def test_one_private_message_has_no_text(box: Sandbox, client: httpx2.AsyncClient) -> None:
    sent = (await client.post("sms", data=sms(box, dontlog="message"))).json()
    answer = (await client.get(f"sms/{sent['id']}")).json()
    assert shape(without(answer, "parts", "dontlog")) == shape(example("sms_by_id_dontlog")["body"])


async def test_a_deletion_has_its_time(box: Sandbox, client: httpx2.AsyncClient) -> None:
    message = box.add_history(DAY_BEFORE)
    answer = await client.delete(f"sms/{message.id}")
    assert shape(answer.json()) == shape(example("sms_deleted")["body"])


async def test_the_account_has_the_documented_fields_and_is_marked_as_a_sandbox(
    client: httpx2.AsyncClient,
) -> None:
    answer = (await client.get("me")).json()
    assert answer["sandbox"] is True
    assert shape(without(answer, "sandbox")) == shape(example("account")["body"])


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_is_the_line_that_46elks_was_seen_to_return(name: str) -> None:
    expected = example(name)
    request = expected["request"]
    box = Sandbox(clock=ManualClock(), balance=0 if name == "error_not_enough_credits" else 10_000)
    async with open_client(box) as client:
        if not request.get("authorized", True):
            client.auth = ("nobody", "nothing")
        path = f"http://sandbox{request['path']}"
        answer = await client.request(request["method"], path, data=request.get("form"))
    assert (answer.status_code, answer.text) == (expected["status"], expected["body"])
    assert answer.headers["content-type"] == expected["content_type"]
    assert expected.get("headers", {}).items() <= dict(answer.headers).items()


@pytest.mark.parametrize(("to", "names"), [(PHONE, ["sent", "delivered"]), ("+46701740617", ["failed"])])
async def test_a_delivery_report_has_the_documented_fields(
    box: Sandbox, client: httpx2.AsyncClient, to: str, names: list[str]
) -> None:
    await client.post("sms", data=sms(box, to=to, whendelivered="https://example.com/elks/dlr"))
    box.clock.advance(DAY_BEFORE - DAY_BEFORE.replace(hour=9, minute=51))
    await box.settle()
    expected = [example(f"webhook_delivery_{name}")["request"]["form"] for name in names]
    assert [shape(attempt.form) for attempt in box.webhooks] == [shape(form) for form in expected]


async def test_an_incoming_text_is_posted_with_the_documented_fields(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    [number] = (await client.get("numbers")).json()["data"]
    await client.post(f"numbers/{number['id']}", data={"sms_url": "https://example.com/elks/sms"})
    expected = example("webhook_incoming")["request"]["form"]
    box.receive(expected["from"], expected["message"])
    await box.settle()
    assert without(box.webhooks[0].form, "id") == without(expected, "id")
    assert shape(box.webhooks[0].form) == shape(expected)


@pytest.mark.parametrize("path", sorted(WIRE.glob("*.json")), ids=lambda path: path.stem)
def test_every_example_names_its_source(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["source"]
    assert content["confidence"] in {"D", "C", "I", "T"}
    assert {"status", "content_type", "body"} <= content.keys() or path.stem.startswith("webhook_")
