"""The sandbox's answers about calls against 46elks' documented ones."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from elks_mcp.sandbox import ActionRun, ConnectedLeg, Sandbox

from .calling import SECOND, SILENT, Site, make_box, wait
from .clients import open_client
from .test_wire_examples import example, shape, without

pytestmark = pytest.mark.anyio
HOOK = "https://example.com/elks/call"


def add(box: Sandbox, item: dict[str, Any]) -> str:
    """Add a call to history that should be shown as `item`, and return its id."""
    start = item.get("start")
    call = box.calls.add_history(
        datetime.fromisoformat(item["created"]).replace(tzinfo=UTC),
        direction=item["direction"],
        sender=item["from"],
        to=item["to"],
        state=item["state"],
        started_at=datetime.fromisoformat(start).replace(tzinfo=UTC) if start else None,
        duration=item.get("duration", 0),
        cost=item.get("cost", 0),
        actions=[
            ActionRun({key: value for key, value in action.items() if key != "result"}, action["result"])
            for action in item.get("actions", [])
        ],
        legs=[
            ConnectedLeg(leg["from"], leg["to"], leg["state"], leg["duration"])
            for leg in item.get("legs", [])
        ],
    )
    return call.id


async def test_the_answer_to_a_call_has_the_fields_and_order_of_the_documented_one(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    expected = example("make_call")
    answer = await client.post("calls", data=expected["request"]["form"])
    assert answer.status_code == expected["status"]
    assert answer.headers["content-type"] == expected["content_type"]
    assert without(answer.json(), "id") == without(expected["body"], "id")
    assert shape(answer.json()) == shape(expected["body"])


@pytest.mark.parametrize("name", ["call_by_id_incoming", "call_by_id_failed"])
async def test_one_call_has_the_fields_and_order_of_the_documented_one(
    box: Sandbox, client: httpx2.AsyncClient, name: str
) -> None:
    expected = example(name)["body"]
    answer = (await client.get(f"calls/{add(box, expected)}")).json()
    assert without(answer, "id") == without(expected, "id")
    assert shape(answer) == shape(expected)


async def test_history_has_the_fields_and_order_of_the_documented_page(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    expected = example("call_history")["body"]
    [item] = expected["data"]
    add(box, item | {"created": "2026-01-13T09:52:07.302000"})
    add(box, item)
    answer = (await client.get("calls", params={"limit": "1"})).json()
    [shown] = answer["data"]
    assert without(shown, "id", "owner") == without(item, "id", "owner")
    assert shape(answer) == shape(expected)


async def test_an_empty_history_has_no_next(client: httpx2.AsyncClient) -> None:
    assert (await client.get("calls")).json() == example("call_history_last_page")["body"]


async def test_a_deletion_has_its_time(box: Sandbox, client: httpx2.AsyncClient) -> None:
    answer = await client.delete(f"calls/{add(box, example('call_by_id_failed')['body'])}")
    assert shape(answer.json()) == shape(example("call_deleted")["body"])


async def test_recordings_have_the_documented_fields() -> None:
    box = make_box()
    async with open_client(box) as client:
        form = {"record": HOOK, "silencedetection": "no", "timelimit": 15}
        await client.post("calls", data={"from": box.number, "to": SILENT, "voice_start": json.dumps(form)})
        await wait(box, 18)
        listed = (await client.get("recordings")).json()
        assert shape(listed) == shape(example("recordings")["body"])
        shown = (await client.get(f"recordings/{listed['data'][0]['id']}")).json()
        expected = example("recording_by_id")["body"]
        assert (shape(shown), shown["duration"]) == (shape(expected), expected["duration"])


async def test_every_webhook_of_a_call_has_the_documented_fields() -> None:
    sound = example("make_call")["request"]["form"]["voice_start"]
    site = Site().add(HOOK, {"ivr": "sound/beep"} | {"next": HOOK})
    site.add(HOOK, {"record": f"{HOOK}/wav", "silencedetection": "no", "timelimit": 15})
    box = make_box(site)
    async with open_client(box) as client:
        form = example("make_call")["request"]["form"] | {"whenhangup": f"{HOOK}/end"}
        made = (await client.post("calls", data=form | {"voice_start": HOOK})).json()
        box.calls.answer(made["id"])
        await box.settle()
        box.calls.press(made["id"], "1")
        await wait(box, 15)
        box.calls.answer((await client.post("calls", data=form | {"voice_start": sound})).json()["id"])
        await box.settle()
        box.clock.advance(4 * SECOND)
        await box.settle()
    posted = [form for _, form in site.forms]
    names = ["voice_start", "voice_result", "recording"]
    expected = [example(f"webhook_{name}")["request"]["form"] for name in names]
    for form, shown in zip(posted[:3], expected, strict=True):
        assert without(form, "callid", "wav", "created") == without(shown, "callid", "wav", "created")
        assert shape(form) == shape(shown)
    end = example("webhook_hangup")["request"]["form"]
    assert sorted(posted[-1]) == sorted(end)
    changing = ("id", "created", "start")
    assert without(posted[-1], *changing) == without(end, *changing)
    assert sorted(shape(posted[-1])) == sorted(shape(end))
