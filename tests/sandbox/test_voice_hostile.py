"""Voice actions, sounds and requests that no careful client sends: the sandbox survives them all."""

import json
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elks_mcp.sandbox import build_wav

from .calling import AUDIO, FIRST, PRESSES_1, SECOND, Site, call, call_form, make_box, show, wait
from .clients import PHONE, open_client

KEYS = ["play", "ivr", "record", "recordcall", "connect", "hangup", "next", "whenhangup", "digits", "timeout"]
KEYS += ["repeat", "timelimit", "silencedetection", "skippable", "callerid", "busy", "failed", "success", "1"]
TEXTS = [AUDIO, "sound/beep", "sound/dtmf/1p", "local/one", "en_US/Hi", FIRST, PHONE, f"{PHONE},{PRESSES_1}"]
TEXTS += [
    "",
    " ",
    "http://[x",
    "http://",
    "https://\ud800.se",
    "{",
    "sip:a@b",
    "+46<b>",
    "file:///etc/passwd",
]
values = st.one_of(
    st.sampled_from(TEXTS), st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)
)
actions = st.recursive(
    st.dictionaries(st.sampled_from(KEYS), values, max_size=4),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner | values, max_size=4),
    max_leaves=6,
)


async def make_call(action: object, keys: str) -> None:
    """Make a call with this action, press keys, and see that it ends and is charged once."""
    box = make_box(Site().add(FIRST, httpx2.Response(200, content=json.dumps(action).encode())))
    made = await call(box, PHONE, FIRST)
    box.calls.answer(made["id"])
    await wait(box, 1)
    if keys and box.calls.history[0].is_answered:
        box.calls.press(made["id"], keys)
    await wait(box, 1)
    await show(box, made["id"])
    if box.calls.history[0].is_answered:
        box.calls.hang_up(made["id"])
    await wait(box, 7 * 3600)
    shown = await show(box, made["id"])
    assert (shown["state"], len(box.charges)) == ("success", 1)
    assert all(number.startswith("+467017406") for number in box_phones(box))


def box_phones(box: Any) -> list[str]:
    """Return the numbers of all phones of a sandbox."""
    return list(box._simulation.network.handsets)


@given(actions, st.text("0123456789*#", max_size=4))
@example({"record": AUDIO, "timelimit": 10**40, "silencedetection": "no"}, "")
@example({"ivr": AUDIO, "timeout": float("inf"), "repeat": float("nan")}, "1")
@example({"play": "http://[x", "next": "https://\ud800.se"}, "")
@example({"connect": "+46<b>", "timeout": 10**40}, "")
@example([{"play": AUDIO}], "")
def test_no_action_ends_the_sandbox(action: object, keys: str) -> None:
    anyio.run(make_call, action, keys)


@given(st.binary(max_size=60), st.integers(0, 44), st.binary(max_size=8))
@example(b"", 36, b"\x00\x00\x00\x00A")
def test_no_sound_ends_the_sandbox(tail: bytes, kept: int, changed: bytes) -> None:
    """The head of a WAV file, cut or changed anywhere, and then anything."""

    async def play() -> None:
        head = build_wav(SECOND)[:44]
        box = make_box(Site(head[:kept] + changed + head[kept + len(changed) :] + tail))
        made = await call(box, PRESSES_1, {"play": AUDIO})
        await wait(box, 4)
        assert (await show(box, made["id"]))["state"] in {"ongoing", "success"}
        assert len(box.calls.audio) == 1

    anyio.run(play)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"timeout": "9" * 40}, 200),
        ({"timeout": "-1"}, 200),
        ({"timeout": "soon"}, 200),
        ({"voice_start": "http://[x"}, 200),
        ({"voice_start": "http://"}, 403),
        ({"voice_start": "[" * 100_000}, 403),
        ({"voice_start": '{"a":' * 100_000}, 403),
        ({"whenhangup": "no address"}, 200),
        ({"whenhangup": "http://[x"}, 200),
        ({"to": "+46<b>"}, 403),
    ],
    ids=str,
)
async def test_a_strange_request_is_answered_and_the_call_ends(changed: dict[str, str], status: int) -> None:
    box = make_box()
    async with open_client(box) as client:
        answer = await client.post("calls", data=call_form(box, start={"play": AUDIO}) | changed)
        await wait(box, 60)
        assert answer.status_code == status
        listed = (await client.get("calls")).json()["data"]
    assert [item["state"] for item in listed] == (["failed"] if status == 200 else [])
