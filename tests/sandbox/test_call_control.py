"""The control API for calls."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.clocks import HANG

from .calling import AUDIO, MENU, NO_ANSWER, Site, call, make_box, show, wait
from .clients import PHONE, open_outside

pytestmark = pytest.mark.anyio


@pytest.fixture
def box() -> Sandbox:
    return make_box()


@pytest.fixture
async def outside(box: Sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_outside(box) as opened:
        yield opened


async def act(client: httpx2.AsyncClient, call_id: str, do: str, **more: str) -> httpx2.Response:
    return await client.post("/_sandbox/call", json={"call": call_id, "do": do} | more)


async def test_a_call_is_answered_and_a_digit_pressed(box: Sandbox, outside: httpx2.AsyncClient) -> None:
    made = await call(box, start=MENU)
    [ringing] = (await outside.get("/_sandbox/calls")).json()["calls"]
    assert (ringing["id"], ringing["is_ringing"], ringing["to"]) == (made["id"], True, PHONE)
    assert (await act(outside, made["id"], "answer")).json()["call"]["is_answered"] is True
    await wait(box, 1)
    answer = (await act(outside, made["id"], "press", keys="1")).json()["call"]
    assert (answer["state"], answer["actions"][0]["result"]) == ("success", "1")


@pytest.mark.parametrize(("do", "state"), [("decline", "busy"), ("let_ring", "ongoing")])
async def test_a_call_is_declined_or_let_ring(
    box: Sandbox, outside: httpx2.AsyncClient, do: str, state: str
) -> None:
    made = await call(box, start=MENU)
    answer = (await act(outside, made["id"], do)).json()["call"]
    assert (answer["state"], answer["is_let_ring"]) == (state, do == "let_ring")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"do": "press", "keys": "1"}, 409),
        ({"do": "hang_up"}, 409),
        ({"do": "press"}, 400),
        ({"do": "dance"}, 400),
        ({"do": "answer", "call": "c0"}, 409),
        ({"do": "answer", "call": 7}, 400),
    ],
)
async def test_a_thing_that_a_phone_cannot_do_is_refused(
    box: Sandbox, outside: httpx2.AsyncClient, body: dict[str, Any], status: int
) -> None:
    made = await call(box, NO_ANSWER, MENU)
    answer = await outside.post("/_sandbox/call", json={"call": made["id"]} | body)
    assert (answer.status_code, "error" in answer.json()) == (status, True)
    assert (await show(box, made["id"]))["state"] == "ongoing"


@pytest.mark.parametrize(
    ("given", "state", "result"),
    [
        ({"behaviour": "presses", "digits": "64"}, "success", "6"),
        ({"behaviour": "answers"}, "success", "failed"),
        ({"behaviour": "busy"}, "busy", None),
        ({"behaviour": "off"}, "failed", None),
    ],
)
async def test_a_phone_is_told_how_to_react_to_calls(
    box: Sandbox, outside: httpx2.AsyncClient, given: dict[str, str], state: str, result: str | None
) -> None:
    answer = await outside.post("/_sandbox/call-behaviour", json={"number": PHONE} | given)
    assert answer.json() == {"behaviour": box.handset(PHONE).calls.description}
    made = await call(box, start=MENU)
    await wait(box, 60)
    shown = await show(box, made["id"])
    assert shown["state"] == state
    assert [action["result"] for action in shown.get("actions", [])] == ([result] if result else [])


@pytest.mark.parametrize(
    "given",
    [{"behaviour": "moose"}, {"behaviour": "presses", "digits": "x"}, {"number": "x", "behaviour": "off"}],
)
async def test_an_unknown_behaviour_is_refused(outside: httpx2.AsyncClient, given: dict[str, str]) -> None:
    answer = await outside.post("/_sandbox/call-behaviour", json={"number": PHONE} | given)
    assert answer.status_code == 400


async def test_a_phone_that_is_turned_off_cannot_be_called_until_it_is_turned_on(
    box: Sandbox, outside: httpx2.AsyncClient
) -> None:
    for behaviour, rings in (("off", False), ("delivers", True)):
        await outside.post("/_sandbox/behaviour", json={"number": PHONE, "behaviour": behaviour})
        await call(box, start=MENU)
        await wait(box, 3)
        assert bool(box.calls.ringing) is rings


async def test_a_sound_is_served_by_its_digest_as_sound_whatever_its_server_said(
    outside: httpx2.AsyncClient,
) -> None:
    class Lying(Site):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, content=self.sound, headers={"content-type": "text/html"})

    site = Lying()
    box = make_box(site)
    async with open_outside(box) as client:
        made = await call(box, start={"play": AUDIO})
        await act(client, made["id"], "answer")
        await box.settle()
        listed = (await client.get("/_sandbox/calls")).json()
        [sound], [heard] = listed["sounds"], listed["calls"][0]["actions"]
        assert (sound["sha256"], sound["content_type"], sound["bytes"]) == (
            heard["sha256"],
            "text/html",
            32_044,
        )
        served = await client.get(f"/_sandbox/audio/{sound['sha256']}")
        assert (served.content, served.headers["content-type"]) == (site.sound, "audio/wav")
        assert served.headers["x-content-type-options"] == "nosniff"
        assert (await client.get(f"/_sandbox/audio/{'0' * 64}")).status_code == 404


async def test_an_answer_that_comes_after_a_reset_has_no_effect() -> None:
    reached, may_answer = anyio.Event(), anyio.Event()

    class Slow(Site):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            reached.set()
            await may_answer.wait()
            return httpx2.Response(200, json={"play": "sound/beep"})

    box = make_box(Slow())
    made = await call(box)
    async with open_outside(box) as client:
        await act(client, made["id"], "answer")
        with anyio.fail_after(HANG):
            async with anyio.create_task_group() as group:
                group.start_soon(box.settle)
                await reached.wait()
                await client.post("/_sandbox/reset", json={})
                may_answer.set()
    await wait(box, 60)
    assert (box.calls.history, box.charges) == ([], [])


async def test_a_reset_forgets_calls_sounds_and_recordings(box: Sandbox, outside: httpx2.AsyncClient) -> None:
    made = await call(box, start={"record": "https://example.com/wav", "next": {"play": AUDIO}})
    await act(outside, made["id"], "answer")
    await wait(box, 5)
    assert (len(box.calls.recordings), len(box.calls.audio)) == (1, 1)
    await outside.post("/_sandbox/reset", json={})
    await wait(box, 60)
    assert (box.calls.history, box.calls.recordings, box.calls.audio, box.charges) == ([], [], [], [])
