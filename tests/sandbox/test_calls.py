"""Calls: ringing, answering, the end, what they cost and what is reported."""

import json
from datetime import timedelta

import httpx2
import pytest

from elks_mcp.sandbox import ManualClock, PhoneError, Rules, Sandbox

from .calling import (
    AUDIO,
    BUSY,
    FIRST,
    HANGS_UP,
    MENU,
    NO_ANSWER,
    PRESSES_1,
    SILENT,
    VOICEMAIL,
    Site,
    call,
    call_form,
    make_box,
    show,
    wait,
)
from .clients import PHONE, open_client

pytestmark = pytest.mark.anyio
HOOK = "https://example.com/elks/end"
PLAY = {"play": AUDIO}
PRICE = Rules().call_price_per_minute


async def test_a_call_rings_until_a_person_answers_and_is_charged_at_its_end() -> None:
    box = make_box()
    made = await call(box, start=PLAY)
    [ringing] = box.calls.ringing
    assert (made["state"], made["id"], ringing.id) == ("ongoing", ringing.id, ringing.id)
    await wait(box, 10)
    box.calls.answer(ringing)
    await box.settle()
    assert (box.calls.ringing, box.charges, ringing.playing) == ([], [], AUDIO)
    await wait(box, 4)
    shown = await show(box, made["id"])
    assert (shown["state"], shown["duration"], shown["cost"]) == ("success", 4, PRICE)
    assert shown["actions"] == [{"play": AUDIO, "result": "success"}]
    assert [(charge.message_id, charge.amount) for charge in box.charges] == [(made["id"], PRICE)]


@pytest.mark.parametrize(
    ("to", "seconds", "state", "picked_up"),
    [
        (PHONE, 25, "failed", False),
        (NO_ANSWER, 25, "failed", False),
        (BUSY, 2, "busy", False),
        ("+46701740611", 2, "failed", False),
        ("+46700000000", 2, "failed", False),
        (SILENT, 7, "success", True),
        (HANGS_UP, 4, "success", True),
        (VOICEMAIL, 19, "success", True),
    ],
)
async def test_each_phone_reacts_to_a_call_in_its_own_way(
    to: str, seconds: int, state: str, picked_up: bool
) -> None:
    box = make_box()
    made = await call(box, to, PLAY)
    await wait(box, seconds - 0.001)
    assert (await show(box, made["id"]))["state"] == "ongoing"
    await wait(box, 0.001)
    shown = await show(box, made["id"])
    assert shown["state"] == state
    assert ("start" in shown, len(box.charges)) == (picked_up, int(picked_up))


async def test_the_request_says_how_long_a_phone_rings() -> None:
    box = make_box()
    made = await call(box, NO_ANSWER, PLAY, timeout="60")
    await wait(box, 59)
    assert (await show(box, made["id"]))["state"] == "ongoing"
    await wait(box, 1)
    assert (await show(box, made["id"]))["state"] == "failed"


@pytest.mark.parametrize(("seconds", "minutes"), [(1, 1), (60, 1), (60.001, 2), (120, 2)])
async def test_each_started_minute_is_charged(seconds: float, minutes: int) -> None:
    box = make_box(rules=Rules(call_price_per_minute=100))
    before = box.balance
    made = await call(box, start={"record": HOOK, "silencedetection": "no", "timelimit": 300})
    box.calls.answer(made["id"])
    await wait(box, seconds)
    box.calls.hang_up(made["id"])
    assert (await show(box, made["id"]))["cost"] == before - box.balance == 100 * minutes


async def test_a_call_ends_once_even_if_the_phone_hangs_up_later() -> None:
    site = Site()
    box = make_box(site)
    made = await call(box, VOICEMAIL, PLAY, whenhangup=HOOK)
    await wait(box, 300)
    assert (await show(box, made["id"]))["duration"] == 4
    assert (len(box.charges), len(site.posted(HOOK))) == (1, 1)


async def test_a_person_can_decline_or_let_ring() -> None:
    box = make_box()
    declined, ignored = await call(box, start=PLAY), await call(box, SILENT, PLAY)
    box.calls.decline(declined["id"])
    box.calls.let_ring(ignored["id"])
    assert (await show(box, declined["id"]))["state"] == "busy"
    await wait(box, 24)
    assert [ringing.id for ringing in box.calls.ringing] == [ignored["id"]]
    await wait(box, 1)
    assert (await show(box, ignored["id"]))["state"] == "failed"


async def test_a_phone_cannot_act_on_a_call_that_is_over() -> None:
    box = make_box()
    made = await call(box, start=PLAY)
    with pytest.raises(PhoneError, match="not answered"):
        box.calls.press(made["id"], "1")
    box.calls.answer(made["id"])
    with pytest.raises(PhoneError, match="keys"):
        box.calls.press(made["id"], "x")
    box.calls.hang_up(made["id"])
    for act in (box.calls.answer, box.calls.decline, box.calls.let_ring, box.calls.hang_up):
        with pytest.raises(PhoneError):
            act(made["id"])
    with pytest.raises(PhoneError, match="no such call"):
        box.calls.answer("c0")


@pytest.mark.parametrize("key", ["id", "callid"])
async def test_the_end_of_a_call_is_reported_with_its_actions_as_text(key: str) -> None:
    site = Site()
    box = make_box(site, Rules(whenhangup_id_key=key))
    made = await call(box, PRESSES_1, MENU | {"1": {"play": "sound/beep"}}, whenhangup=HOOK)
    await wait(box, 60)
    [form] = site.posted(HOOK)
    assert (form[key], form["state"], form["duration"], form["cost"]) == (
        made["id"],
        "success",
        "3",
        str(PRICE),
    )
    assert json.loads(form["actions"]) == [
        MENU | {"result": "1"},
        {"play": "sound/beep", "result": "success"},
    ]
    assert json.loads(form["legs"]) == []


@pytest.mark.parametrize(("to", "state"), [(BUSY, "busy"), (NO_ANSWER, "failed")])
async def test_the_end_is_also_reported_if_nobody_answered_and_is_tried_again(to: str, state: str) -> None:
    site = Site().add(HOOK, httpx2.Response(500))
    box = make_box(site)
    made = await call(box, to, FIRST, whenhangup=HOOK)
    await wait(box, 3600)
    assert [(form["id"], form["state"]) for form in site.posted(HOOK)] == [(made["id"], state)] * 2
    assert site.posted(FIRST) == []
    assert not {"start", "duration", "cost"} & site.posted(HOOK)[0].keys()


@pytest.mark.parametrize(("is_success", "state"), [(True, "success"), (False, "failed")])
async def test_the_state_of_a_call_that_voicemail_answers_can_be_switched(
    is_success: bool, state: str
) -> None:
    box = make_box(rules=Rules(voicemail_is_success=is_success))
    made = await call(box, VOICEMAIL, MENU)
    await wait(box, 60)
    shown = await show(box, made["id"])
    assert (shown["state"], len(box.charges)) == (state, 1)
    assert shown["actions"][0]["result"] == "failed"


@pytest.mark.parametrize("carries", [True, False])
@pytest.mark.parametrize("ongoing", [True, False])
async def test_the_digits_in_history_can_be_switched_off(carries: bool, ongoing: bool) -> None:
    box = make_box(rules=Rules(actions_carry_results=carries, ongoing_shows_actions=ongoing))
    made = await call(box, PRESSES_1, MENU | {"1": {"play": AUDIO}})
    await wait(box, 6)
    early = await show(box, made["id"])
    assert early["state"] == "ongoing"
    assert ("actions" in early) is ongoing
    await wait(box, 10)
    first = (await show(box, made["id"]))["actions"][0]
    assert first.get("result") == ("1" if carries else None)


async def test_a_call_that_cannot_be_paid_is_refused() -> None:
    box = make_box()
    box.balance = 0
    async with open_client(box) as client:
        answer = await client.post("calls", data=call_form(box))
    assert (answer.status_code, answer.text, box.calls.history) == (403, "Not enough credits", [])


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"from": ""}, "Missing key from"),
        ({"voice_start": ""}, "Missing key voice_start"),
        ({"from": "Kliniken"}, "Invalid from number"),
        ({"from": "noreply"}, "Invalid from number"),
        ({"to": "+4612"}, "Invalid to number"),
        ({"to": "+870123456789"}, "Calls to this country are disallowed by default"),
        ({"voice_start": "hej"}, "Invalid voice_start"),
        ({"voice_start": "{play"}, "Invalid voice_start"),
    ],
)
async def test_a_wrong_request_is_refused_with_one_line(changed: dict[str, str], line: str) -> None:
    box = make_box()
    async with open_client(box) as client:
        answer = await client.post("calls", data=call_form(box) | changed)
    assert (answer.status_code, answer.text) == (403, line)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("key", ["voice_start", "whenhangup"])
async def test_an_address_of_this_machine_needs_a_configured_port(key: str) -> None:
    box = Sandbox(clock=ManualClock())
    async with open_client(box) as client:
        answer = await client.post("calls", data=call_form(box) | {key: "http://localhost:9999/x"})
    assert (answer.status_code, answer.text.split(":")[0]) == (403, f"{key} refused")


@pytest.mark.parametrize("status", [404, 403, 405])
async def test_the_status_of_a_wrong_method_can_be_switched(status: int) -> None:
    box = make_box(rules=Rules(wrong_method_status=status))
    async with open_client(box) as client:
        assert (await client.delete("calls")).status_code == status
        assert (await client.get("calls/c0")).status_code == 404
        assert (await client.get("unknown")).status_code == 404


async def test_history_is_paged_newest_first_and_a_call_can_be_deleted() -> None:
    box = make_box()
    ids = []
    for _ in range(3):
        ids.append((await call(box))["id"])
        box.clock.advance(timedelta(seconds=1))
    async with open_client(box) as client:
        page = (await client.get("calls", params={"limit": "2"})).json()
        assert [item["id"] for item in page["data"]] == ids[:0:-1]
        older = (await client.get("calls", params={"start": page["next"]})).json()
        assert [item["id"] for item in older["data"]] == ids[:1]
        assert "next" not in older
        assert (await client.get("calls", params={"start": "x"})).status_code == 403
        assert (await client.delete(f"calls/{ids[0]}")).json()["id"] == ids[0]
        assert (await client.get(f"calls/{ids[0]}")).status_code == 404
