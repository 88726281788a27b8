"""Calls on the phone page as a person uses them, in a real browser."""

import json
from functools import partial
from typing import Any
from urllib.parse import quote

import anyio.from_thread
import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.browser import Browser

from .calling import AUDIO, MENU, PRESSES_1, call, make_box, show, wait
from .clients import PHONE
from .test_page import OTHER, bottom, browse, is_shown, said, send
from .test_page_events import open_page

pytestmark = pytest.mark.anyio
LONG = MENU | {"timeout": 30, "digits": 2, "1": {"play": AUDIO}, "next": {"play": AUDIO}}
PHONE_TITLE = "#phone-title"
HOSTILE = "en_US/<img src=x onerror='document.title=1'>"


@pytest.fixture
def box() -> Sandbox:
    return make_box()


def make(box: Sandbox, to: str = PHONE, start: dict[str, Any] = LONG) -> str:
    """Make a call from the thread of a person, and return its id."""
    made = anyio.from_thread.run(partial(call, box, to, start, timeout="60"))
    return str(made["id"])


def click(selector: str) -> str:
    """Return a script that clicks the element, as a person can only if it is shown."""
    return (
        f"(each => {{ if (!each.checkVisibility()) throw new Error('hidden'); each.focus(); each.click(); }})"
        f"(document.querySelector({json.dumps(selector)}))"
    )


@pytest.mark.parametrize("width", [360, 768, 1280])
async def test_a_person_answers_a_phone_that_rings_listens_presses_and_hangs_up(
    box: Sandbox, browser: Browser, width: int
) -> None:
    ids: list[str] = []

    def use(address: str) -> None:
        browser.open(f"{address}/#{quote(PHONE)}", width=width, height=640)
        browser.wait_for(is_shown("#welcome"))
        ids.append(make(box))
        browser.wait_for(is_shown("#call"))
        browser.wait_for("document.title.startsWith('(1) ')")
        assert browser.evaluate(said("#call-title")) == "Call from 070-174 06 99"
        assert browser.evaluate(f"!{is_shown('.keypad')}")
        browser.evaluate(click("#call .take"))
        browser.wait_for(f"{is_shown('.keypad')} && {is_shown('#call audio')}")
        browser.wait_for("document.activeElement.id === 'call-title'")
        browser.wait_for("document.querySelector('#call audio').duration === 4")
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        assert browser.evaluate(f"{bottom('.end-call')} <= innerHeight"), "no scrolling to hang up"
        browser.evaluate(click(".key:nth-child(4)"))
        browser.wait_for("document.querySelector('#call').textContent.includes('Pressed 4')")
        browser.type_key("2")
        browser.wait_for("document.querySelector('#call').textContent.includes('Pressed 42')")
        browser.evaluate(click(".end-call"))
        browser.wait_for(f"!{is_shown('#call')} && document.activeElement.id === 'phone-title'")
        browser.wait_for("document.querySelector('.past-call').textContent.includes('pressed 42')")
        browser.evaluate(click(".past-call button"))
        browser.wait_for(is_shown("#details audio"))
        details = browser.evaluate(said("#details"))
        for part in (ids[0], "0.57 SEK", "070-174 06 99", "POST /a1/calls", "42"):
            assert part in details

    await browse(box, use)
    shown = await show(box, ids[0])
    assert (shown["state"], shown["actions"][0]["result"]) == ("success", "42")


@pytest.mark.parametrize(
    ("button", "state", "words"),
    [(2, "ongoing", "Rings, and is not answered"), (3, "busy", "Busy")],
)
async def test_a_person_lets_a_phone_ring_or_is_busy(
    box: Sandbox, browser: Browser, button: int, state: str, words: str
) -> None:
    ids: list[str] = []

    def use(address: str) -> None:
        browser.open(f"{address}/").wait_for(is_shown("#welcome"))
        ids.append(make(box))
        browser.wait_for(is_shown("#call"))
        browser.evaluate(click(f"#call .call-buttons button:nth-child({button})"))
        browser.wait_for(f"{said('#spoken')} === 'Call to 070-174 06 05: {words}'")
        browser.wait_for("!document.title.startsWith('(')")
        assert words in browser.evaluate(said("#phones .preview"))

    await browse(box, use)
    assert (await show(box, ids[0]))["state"] == state


async def test_a_phone_that_rings_comes_to_the_front_unless_a_person_is_typing(
    box: Sandbox, browser: Browser
) -> None:
    await send(box)

    def use(address: str) -> None:
        browser.open(f"{address}/").wait_for(is_shown("#phone"))
        make(box, OTHER)
        browser.wait_for(f"{said(PHONE_TITLE)} === '070-174 06 06' && {is_shown('#call')}")
        browser.evaluate(click(f'[data-key="{PHONE}"] button'))
        browser.wait_for(f"{said(PHONE_TITLE)} === '070-174 06 05' && !{is_shown('#call')}")
        browser.evaluate("document.querySelector('#text').focus()")
        browser.evaluate("document.execCommand('insertText', false, 'Jag kommer')")
        make(box, "+46701740607")
        browser.wait_for(f"{said('#toast-text')} === 'Call to 070-174 06 07 from 070-174 06 99'")
        assert browser.evaluate(said(PHONE_TITLE)) == "070-174 06 05"
        browser.evaluate(click("#toast-show"))
        browser.wait_for(f"{said(PHONE_TITLE)} === '070-174 06 07' && {is_shown('#call')}")

    await browse(box, use)


async def test_the_list_of_calls_and_the_switches_for_calls(box: Sandbox, browser: Browser) -> None:
    await call(box, PRESSES_1, MENU | {"1": {"play": HOSTILE}})
    await wait(box, 30)

    def use(address: str) -> None:
        browser.open(f"{address}/").wait_for(is_shown("#phone"))
        browser.evaluate(click("#tools-open"))
        browser.evaluate(click("#tab-calls"))
        assert browser.evaluate(said("#calls .preview")) == "Answered, 5 s, pressed 1"
        browser.evaluate(click("#calls button"))
        assert HOSTILE.removeprefix("en_US/") in browser.evaluate(said("#details .source"))
        assert browser.evaluate("document.querySelectorAll('#details img').length") == 0
        browser.evaluate("document.querySelector('#details').close()")
        browser.evaluate(click("#tab-simulate"))
        pressed = "document.querySelector('[data-behaviour=\"presses\"]').getAttribute('aria-pressed')"
        assert browser.evaluate(pressed) == "true"
        browser.evaluate(click('[data-behaviour="busy"]'))
        browser.wait_for(f"{pressed} === 'false'")

    await browse(box, use)
    assert box.handset(PRESSES_1).calls.reachable == "busy"


async def test_an_open_page_receives_each_change_of_a_call(box: Sandbox) -> None:
    async with open_page(box) as events:
        _, state = await anext(events)
        assert "presses" in dict(state["choices"]["call_behaviours"])
        made = await call(box, start=LONG)
        _, change = await anext(events)
        (entry,) = change["calls"]
        assert (entry["id"], entry["is_ringing"], change["phones"][0]["number"]) == (made["id"], True, PHONE)
        box.calls.answer(made["id"])
        await box.settle()
        while not entry["actions"]:
            _, change = await anext(events)
            (entry,) = change["calls"]
        assert entry["actions"][0]["sha256"] == box.calls.audio[0].sha256
        box.calls.press(made["id"], "4")
        while entry["keys"] != "4":
            _, change = await anext(events)
            (entry,) = change["calls"]
