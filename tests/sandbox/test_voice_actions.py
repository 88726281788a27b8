"""Voice actions: sounds, keys, recordings, and the web server that controls a call."""

import base64
import hashlib
import io
import json
import wave
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest

from elks_mcp.sandbox import ManualClock, Rules, Sandbox, build_wav
from tests.support.clocks import HANG

from .calling import (
    AUDIO,
    BUSY,
    FIRST,
    MENU,
    NEXT,
    NO_ANSWER,
    PRESSES_1,
    SECOND,
    SILENT,
    VOICEMAIL,
    Site,
    call,
    make_box,
    show,
    wait,
)
from .clients import PHONE, open_client

pytestmark = pytest.mark.anyio
STORE = "https://example.com/elks/recording"
BEEP = {"play": "sound/beep"}


async def answered(box: Sandbox, start: str | dict[str, Any] = FIRST, **more: str) -> str:
    """Make a call, answer it, and return its id."""
    made = await call(box, PHONE, start, **more)
    box.calls.answer(made["id"])
    await box.settle()
    return str(made["id"])


async def results(box: Sandbox, call_id: str) -> list[str | None]:
    """Return the result of each action of a call."""
    return [action.get("result") for action in (await show(box, call_id)).get("actions", [])]


async def test_the_first_webhook_asks_what_to_do_only_once_the_call_is_answered() -> None:
    site = Site().add(FIRST, {"play": AUDIO, "next": NEXT})
    box = make_box(site)
    made = await call(box)
    await wait(box, 5)
    assert site.forms == []
    box.calls.answer(made["id"])
    await box.settle()
    parties = {"direction": "outgoing", "callid": made["id"], "from": box.number, "to": PHONE}
    assert site.posted(FIRST) == [parties | {"created": made["created"], "result": "newincoming"}]
    await wait(box, 4)
    assert site.posted(NEXT) == [parties | {"result": "success"}]
    assert (await show(box, made["id"]))["state"] == "success"


async def test_the_first_webhook_can_have_no_result() -> None:
    site = Site()
    box = make_box(site, Rules(voice_start_result=""))
    await answered(box)
    assert "result" not in site.posted(FIRST)[0]


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(500, json=BEEP),
        httpx2.Response(302, headers={"location": NEXT}),
        httpx2.Response(205, json=BEEP),
        httpx2.Response(204),
        httpx2.Response(200, text=""),
        httpx2.Response(200, text="Hej!"),
        httpx2.Response(200, json=[BEEP]),
        httpx2.Response(200, json={"say": "Hej!"}),
    ],
)
async def test_anything_but_an_action_ends_the_call_without_a_second_try(answer: httpx2.Response) -> None:
    site = Site().add(FIRST, answer)
    box = make_box(site)
    call_id = await answered(box)
    await wait(box, 3600)
    shown = await show(box, call_id)
    assert (shown["state"], shown["actions"], len(site.forms)) == ("success", [], 1)


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_an_answer_with_200_to_204_is_obeyed(status: int) -> None:
    box = make_box(Site().add(FIRST, httpx2.Response(status, json=BEEP)))
    assert await results(box, await answered(box)) == [None]


async def test_a_webhook_that_does_not_answer_in_time_ends_the_call() -> None:
    class Silent(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await anyio.sleep_forever()
            raise AssertionError

    box = make_box(Silent(), Rules(webhook_timeout=timedelta(milliseconds=20)))
    with anyio.fail_after(HANG):
        call_id = await answered(box)
    assert (await show(box, call_id))["state"] == "success"
    assert [attempt.problem for attempt in box.webhooks] == ["no answer in time"]


async def test_credentials_in_an_address_become_basic_authentication() -> None:
    seen: list[httpx2.Request] = []

    class Guarded(Site):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return await super().handle_async_request(request)

    box = make_box(Guarded())
    await answered(
        box, {"play": "https://moose:crown@example.com/a.wav", "next": "https://moose:crown@example.com/n"}
    )
    await wait(box, 60)
    basic = "Basic " + base64.b64encode(b"moose:crown").decode()
    assert [request.headers["authorization"] for request in seen] == [basic, basic]
    assert box.calls.audio[0].source == "https://example.com/a.wav"


async def test_a_sound_is_fetched_once_and_kept_with_its_type_and_digest() -> None:
    site = Site()
    box = make_box(site)
    for _ in range(2):
        await answered(box, {"play": AUDIO})
        await wait(box, 10)
    [audio] = box.calls.audio
    assert site.fetched == [AUDIO]
    assert (audio.content_type, audio.content, audio.duration) == ("audio/wav", site.sound, 4 * SECOND)
    assert audio.sha256 == hashlib.sha256(site.sound).hexdigest()


@pytest.mark.parametrize(
    "sound", [b"OggS" + bytes(40_000), b"ID3" + bytes(40_000), b"\xff\xfb" + bytes(40_000)]
)
async def test_mp3_and_ogg_are_played_too(sound: bytes) -> None:
    box = make_box(Site(sound))
    call_id = await answered(box, {"play": AUDIO})
    assert box.calls.audio[0].problem == ""
    await wait(box, 6)
    assert await results(box, call_id) == ["success"]


@pytest.mark.parametrize("kind", ["play", "ivr"])
@pytest.mark.parametrize(
    ("sound", "status"), [(b"<html>", 200), (b"", 200), (b"RIFF", 200), (build_wav(SECOND), 404)]
)
async def test_a_sound_that_cannot_be_played_fails_and_is_fetched_again(
    sound: bytes, status: int, kind: str
) -> None:
    class Broken(Site):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "POST":
                return await super().handle_async_request(request)
            return httpx2.Response(status, content=sound)

    site = Broken().add(NEXT, {kind: AUDIO})
    box = make_box(site)
    call_id = await answered(box, {kind: AUDIO, "next": NEXT})
    assert [form["result"] for form in site.posted(NEXT)] == ["failed"]
    assert await results(box, call_id) == ["failed", "failed"]
    assert [bool(audio.problem) for audio in box.calls.audio] == [True, True]


async def test_without_a_transport_a_sound_comes_only_from_configured_ports_of_this_machine() -> None:
    box = Sandbox(clock=ManualClock())
    await answered(box, {"play": AUDIO, "next": {"play": "http://127.0.0.1:9/a.wav"}})
    problems = [audio.problem for audio in box.calls.audio]
    assert problems == [
        "refused: the sandbox only talks to this machine",
        "refused: the sandbox was not started with --webhook-port 9",
    ]


@pytest.mark.parametrize(
    ("source", "speaks", "result", "seconds"),
    [
        ("en_US/The backup has failed.", True, "success", 2),
        ("en_US/The backup has failed.", False, "failed", 0),
        ("sv_SE/Hej", True, "failed", 0),
        ("sound/beep", False, "success", 1),
        ("sound/dtmf/12pP", False, "success", 1),
        ("sound/dtmf/x", False, "failed", 0),
        ("sound/moose", False, "failed", 0),
    ],
)
async def test_46elks_own_sounds_and_its_english_need_no_address(
    source: str, speaks: bool, result: str, seconds: int
) -> None:
    site = Site()
    box = make_box(site, Rules(speaks_english=speaks))
    call_id = await answered(box, {"play": source})
    await wait(box, seconds)
    assert (await results(box, call_id), site.fetched) == ([result], [])


@pytest.mark.parametrize(("skippable", "playing"), [({}, False), ({"skippable": False}, True)])
async def test_a_key_skips_a_sound_unless_it_is_not_skippable(
    skippable: dict[str, Any], playing: bool
) -> None:
    box = make_box()
    call_id = await answered(box, {"play": AUDIO} | skippable)
    box.calls.press(call_id, "5")
    assert ((await show(box, call_id))["state"] == "ongoing") is playing


async def test_a_pressed_digit_chooses_what_follows() -> None:
    site = Site()
    box = make_box(site)
    menu = MENU | {"1": {"play": "sound/beep", "next": NEXT}, "2": NEXT, "next": "https://example.com/other"}
    for digit in "129":
        box.calls.press(await answered(box, menu), digit)
        await wait(box, 5)
    assert [(url, form["result"]) for url, form in site.forms] == [
        (NEXT, "success"),
        (NEXT, "2"),
        ("https://example.com/other", "9"),
    ]


@pytest.mark.parametrize(
    ("keys", "result"), [("1234", "1234"), ("12#", "12"), ("#", "failed"), ("12", "12"), ("", "failed")]
)
async def test_a_menu_takes_digits_until_enough_a_hash_or_the_time_is_up(keys: str, result: str) -> None:
    site = Site()
    box = make_box(site)
    call_id = await answered(box, MENU | {"digits": 4, "next": NEXT})
    if keys:
        box.calls.press(call_id, keys)
    await wait(box, 60)
    assert [form["result"] for form in site.posted(NEXT)] == [result]


@pytest.mark.parametrize(
    ("given", "seconds"), [("5", 18), (1, 10), (30, 68), (31, 28), (0, 28), ("x", 28), (None, 28)]
)
async def test_a_menu_waits_1_to_30_seconds_and_otherwise_10_twice(given: object, seconds: int) -> None:
    box = make_box()
    call_id = await answered(box, {"ivr": AUDIO, "timeout": given, "repeat": 2})
    await wait(box, seconds - 0.001)
    assert (await show(box, call_id))["state"] == "ongoing"
    await wait(box, 0.001)
    assert await results(box, call_id) == ["failed"]


async def test_a_menu_is_played_three_times_unless_it_says_otherwise() -> None:
    box = make_box()
    call_id = await answered(box, {"ivr": AUDIO})
    await wait(box, 3 * 14 - 0.001)
    assert (await show(box, call_id))["state"] == "ongoing"
    await wait(box, 0.001)
    assert (await show(box, call_id))["state"] == "success"


async def test_digits_are_read_by_polling_while_the_call_goes_on() -> None:
    box = make_box()
    made = await call(box, PRESSES_1, MENU | {"1": {"play": AUDIO}, "next": {"play": AUDIO}})
    await wait(box, 6)
    shown = await show(box, made["id"])
    assert (shown["state"], shown["actions"][0]["result"]) == ("ongoing", "1")


async def test_keys_that_are_pressed_while_the_web_server_is_asked_are_lost() -> None:
    site = Site().add(FIRST, MENU)
    box = make_box(site)
    made = await call(box)
    box.calls.answer(made["id"])
    box.calls.press(made["id"], "1")
    await box.settle()
    assert await results(box, made["id"]) == [None]


async def test_an_answer_that_comes_after_the_end_of_the_call_is_ignored() -> None:
    box = make_box(Site().add(FIRST, BEEP))
    made = await call(box)
    box.calls.answer(made["id"])
    box.calls.hang_up(made["id"])
    await wait(box, 60)
    assert (await show(box, made["id"]))["actions"] == []


@pytest.mark.parametrize(
    ("to", "state", "follows"),
    [
        (SILENT, "success", "s"),
        (BUSY, "busy", "b"),
        (NO_ANSWER, "failed", "f"),
        ("sip:a@b.se", "failed", "f"),
    ],
)
async def test_a_call_is_connected_to_another_phone(to: str, state: str, follows: str) -> None:
    box = make_box(rules=Rules(call_price_per_minute=100))
    branches = {"success": "s", "busy": "b", "failed": "f"}
    actions = {key: {"play": f"sound/dtmf/{ord(name)}"} for key, name in branches.items()}
    call_id = await answered(box, {"connect": to, "timeout": 20} | actions)
    await wait(box, 60)
    shown = await show(box, call_id)
    assert [action.get("play") for action in shown["actions"]][1] == f"sound/dtmf/{ord(follows)}"
    assert shown["actions"][0]["result"] == state
    duration = 10 if state == "success" else 0
    assert shown["legs"] == [{"duration": duration, "to": to, "state": state, "from": box.number}]
    assert shown["cost"] == (200 if duration else 100)


async def test_the_first_of_several_phones_that_answers_is_connected() -> None:
    box = make_box()
    call_id = await answered(box, {"connect": f"{BUSY}, {VOICEMAIL},{SILENT}", "next": BEEP})
    await wait(box, 60)
    assert [leg["to"] for leg in (await show(box, call_id))["legs"]] == [SILENT]


async def test_a_recording_is_reported_and_can_be_fetched_for_72_hours() -> None:
    site = Site()
    box = make_box(site)
    call_id = await answered(box, {"record": STORE, "silencedetection": "no", "next": NEXT})
    await wait(box, 5)
    box.calls.press(call_id, "5#")
    await box.settle()
    [form] = site.posted(STORE)
    assert (form["callid"], form["duration"]) == (call_id, "5")
    assert form["wav"] == f"https://api.46elks.com/a1/Recordings/{call_id}-r0.wav"
    assert site.posted(NEXT)[0]["result"] == "success"
    async with open_client(box) as client:
        [listed] = (await client.get("recordings")).json()["data"]
        assert (await client.get(f"Recordings/{listed['id']}")).json() == listed
        sound = await client.get(f"Recordings/{listed['id']}.wav")
        with wave.open(io.BytesIO(sound.content)) as read:
            assert read.getnframes() == 5 * read.getframerate()
        box.clock.advance(timedelta(hours=72))
        assert (await client.get(f"recordings/{listed['id']}.wav")).status_code == 404
        assert (await client.get("recordings")).json() == {"data": []}
    assert (await show(box, call_id))["recordings"] == [listed["id"]]


@pytest.mark.parametrize(
    ("limits", "seconds"), [({}, 3), ({"silencedetection": "no"}, 120), ({"timelimit": 2}, 2)]
)
async def test_a_recording_ends_with_silence_or_its_time_limit(limits: dict[str, Any], seconds: int) -> None:
    box = make_box()
    await answered(box, {"record": STORE} | limits)
    await wait(box, 300)
    assert [recording.duration for recording in box.calls.recordings] == [seconds]


async def test_a_local_recording_is_played_in_the_same_call_and_not_kept() -> None:
    box = make_box()
    call_id = await answered(
        box, {"record": "local/one", "next": {"play": "local/one", "next": {"play": "local/two"}}}
    )
    await wait(box, 6)
    assert (await results(box, call_id), box.calls.recordings) == (["success", "success", "failed"], [])


async def test_the_whole_call_is_recorded_until_its_end() -> None:
    site = Site()
    box = make_box(site)
    made = await call(box, VOICEMAIL, {"recordcall": STORE, "play": AUDIO})
    await wait(box, 60)
    assert [(form["callid"], form["duration"]) for form in site.posted(STORE)] == [(made["id"], "4")]


async def test_hanging_up_ends_a_recording_and_the_latest_address_gets_the_report() -> None:
    site = Site()
    box = make_box(site)
    late = "https://example.com/elks/late"
    call_id = await answered(
        box, {"record": STORE, "silencedetection": "no", "whenhangup": late}, whenhangup=NEXT
    )
    await wait(box, 2)
    box.calls.hang_up(call_id)
    await wait(box, 60)
    assert [url for url, _ in site.forms] == [STORE, late]
    assert "result" not in json.loads(site.posted(late)[0]["actions"])[0]


async def test_the_action_hangup_ends_the_call() -> None:
    box = make_box()
    call_id = await answered(box, {"hangup": "reject", "next": BEEP})
    assert (await show(box, call_id))["state"] == "success"


async def test_a_loop_of_failing_actions_ends() -> None:
    site = Site(b"").add(NEXT, *[{"play": AUDIO, "next": NEXT}] * 300)
    box = make_box(site)
    call_id = await answered(box, {"play": AUDIO, "next": NEXT})
    assert len((await show(box, call_id))["actions"]) == 200
