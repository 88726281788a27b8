"""The phone page with a screen reader, and with very many texts."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio.from_thread
import anyio.to_thread
import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.browser import Browser
from tests.support.clocks import HANG

from .calling import MENU, call, make_box
from .clients import PHONE, open_client, sms
from .serving import serve
from .test_approvals import PLAN, RUNNING, open_desk

pytestmark = [pytest.mark.anyio, pytest.mark.long]
AXE = Path(__file__).parents[1] / "conformance" / "node_modules" / "axe-core" / "axe.min.js"
MANY = 500
VIEWS = {
    "phone": "1",
    "requests": "document.querySelector('#tools-open').click()",
    "request": "document.querySelector('#requests summary').click()",
    "simulate": "document.querySelector('#tab-simulate').click()",
    "api": "document.querySelector('#tab-api').click()",
    "details": "document.querySelector('#screen .note button').click()",
    "connect": "document.querySelector('#details').close(); document.querySelector('#connect-open').click()",
}
"""Elements to click, one after the other, to see each part of the page."""


def find_violations(browser: Browser) -> list[str]:
    """Return what axe finds on the page that is serious or critical."""
    found: list[str] = browser.evaluate(
        "Promise.all(document.getAnimations().map((each) => each.finished))"
        ".then(() => axe.run()).then((said) =>"
        " said.violations.filter((each) => ['serious', 'critical'].includes(each.impact)).flatMap((each) =>"
        " each.nodes.map((node) => each.id + ' ' + node.target + ' ' + node.failureSummary)))"
    )
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_axe_finds_nothing_serious(browser: Browser, width: int, dark: bool) -> None:
    if not AXE.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("make conformance brings axe-core")
    desk, box = open_desk()
    desk.batches = [PLAN, RUNNING, replace(PLAN, id="B-BBBBBBBB", code="", state="planned")]
    box.page.snippets = {"Claude Code": ("claude mcp add elks", "Run it in a terminal.")}
    found: dict[str, list[str]] = {}

    def use(address: str) -> None:
        browser.open(f"{address}/", width=width, dark=dark)
        browser.evaluate(AXE.read_text("utf-8") + "; 1")
        browser.wait_for("document.querySelectorAll('#waiting-list > li, #batches-list > li').length === 4")
        found["welcome"] = find_violations(browser)
        anyio.from_thread.run(fill, box)
        browser.wait_for("document.querySelectorAll('#phones button').length === 3")
        found["list"] = find_violations(browser)
        browser.evaluate("document.querySelector('#phones button').click()")
        for name, script in VIEWS.items():
            browser.evaluate(script)
            found[name] = find_violations(browser)
            if width == 360 and name == "api":
                browser.evaluate("document.querySelector('#tools-close').click()")
                browser.wait_for("document.body.dataset.view !== 'tools'")
                browser.evaluate("document.querySelector('#phones button').click()")

    with anyio.fail_after(HANG):
        async with serve(box) as address:
            await anyio.to_thread.run_sync(use, address)
    assert {name: each for name, each in found.items() if each} == {}


CALL_VIEWS = {
    "rings": "1",
    "answered": "document.querySelector('#call .take').click()",
    "ended": "document.querySelector('.end-call').click()",
    "details": "document.querySelector('.past-call button').click()",
    "list": "document.querySelector('#details').close(); document.querySelector('#tools-open').click();"
    " document.querySelector('#tab-calls').click()",
}
"""As `VIEWS`, and what is shown then is in `CALL_PARTS`."""
CALL_PARTS = ("#call .take", "#call audio", ".past-call", "#details audio", "#calls button")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_axe_finds_nothing_serious_in_a_call(browser: Browser, width: int, dark: bool) -> None:
    if not AXE.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("make conformance brings axe-core")
    box = make_box()
    await call(box, start=MENU)
    found: dict[str, list[str]] = {}

    def use(address: str) -> None:
        browser.open(f"{address}/#{PHONE}", width=width, dark=dark)
        browser.evaluate(AXE.read_text("utf-8") + "; 1")
        for (name, script), part in zip(CALL_VIEWS.items(), CALL_PARTS, strict=True):
            browser.evaluate(script)
            browser.wait_for(f"document.querySelector({part!r})?.checkVisibility()")
            found[name] = find_violations(browser)

    with anyio.fail_after(HANG):
        async with serve(box) as address:
            await anyio.to_thread.run_sync(use, address)
    assert {name: each for name, each in found.items() if each} == {}


async def fill(box: Sandbox) -> None:
    """Send a text that arrives, one that is answered and one that fails, and ask for a price."""
    async with open_client(box) as client:
        for to in ("+46701740610", "+46701740613", PHONE):
            await client.post("sms", data=sms(box, to, flashsms="yes"))
            box.clock.advance(timedelta(seconds=5))
        await client.post("sms", data=sms(box) | {"from": "46elks"})
        await client.post("sms", data=sms(box) | {"dryrun": "yes"})


async def test_hundreds_of_texts_on_one_phone_and_on_many_are_shown(box: Sandbox, browser: Browser) -> None:
    """The elements stay as few as a person needs, and a new text changes only its own."""
    for index in range(MANY):
        box.receive(PHONE, f"Text {index}")
        box.receive(f"+467017{index:05}", "Hej")

    def use(address: str) -> None:
        browser.open(f"{address}/")
        browser.wait_for(f"document.querySelectorAll('#phones li').length === {MANY + 1}")
        browser.evaluate(f"location.hash = '{PHONE}'")
        browser.wait_for("document.querySelectorAll('#screen .bubble').length === 200")
        browser.evaluate("window.kept = document.querySelectorAll('#screen > div')[150]")
        anyio.from_thread.run(send_one, box)
        last = "[...document.querySelectorAll('#screen .bubble')].at(-1).textContent"
        browser.wait_for(f"{last} === 'Hej!'")
        assert browser.evaluate("window.kept.isConnected")
        browser.evaluate("document.querySelector('#screen .day button').click()")
        browser.wait_for("document.querySelectorAll('#screen .bubble').length === 400")

    with anyio.fail_after(HANG):
        async with serve(box) as address:
            await anyio.to_thread.run_sync(use, address)


async def send_one(box: Sandbox) -> None:
    """Send one text, and let it arrive."""
    async with open_client(box) as client:
        await client.post("sms", data=sms(box))
    box.clock.advance(timedelta(seconds=2))
