"""The phone page as a person uses it, in a real browser."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import anyio.to_thread
import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.clocks import HANG

from .browser import Browser, find_browser, start_browser
from .clients import PHONE, open_client, sms
from .serving import serve

pytestmark = pytest.mark.anyio
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>&lt;b&gt; <b>fet</b>'


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail("REQUIRE_BROWSER=1, and no Chromium was found")
        pytest.skip("no Chromium was found")
    with start_browser(path, tmp_path) as started:
        yield started


def use_page(browser: Browser, address: str) -> None:
    """See the hostile text arrive, and answer it by keyboard alone."""
    browser.open(f"{address}/")
    browser.wait_for(
        f"[...document.querySelectorAll('.bubble')].some((b) => b.textContent === {json.dumps(HOSTILE)})"
    )
    assert browser.evaluate("document.querySelectorAll('#screen img, #screen b, #screen script').length") == 0
    assert browser.evaluate("document.title") == "Sandbox: a simulated 46elks"
    assert browser.evaluate("document.querySelector('#title').textContent") == PHONE
    assert browser.evaluate("document.querySelector('#screen .flash .note').textContent").startswith("Flash")
    browser.evaluate("document.querySelector('#text').focus()")
    browser.type("Hej själv! <i>Åsa</i> 🎉")
    browser.wait_for("document.querySelector('.mine .bubble')?.textContent === 'Hej själv! <i>Åsa</i> 🎉'")


async def test_a_person_sees_a_text_arrive_as_text_and_answers_it(box: Sandbox, browser: Browser) -> None:
    """What strangers and models write is hostile: it is shown, never run."""
    async with open_client(box) as client:
        await client.post("sms", data=sms(box, message=HOSTILE, flashsms="yes"))
    box.clock.advance(timedelta(seconds=2))
    with anyio.fail_after(HANG):
        async with serve(box) as address:
            await anyio.to_thread.run_sync(use_page, browser, address)
    answer = box.history[-1]
    assert (answer.direction, answer.sender, answer.to) == ("incoming", PHONE, box.number)
    assert answer.text == "Hej själv! <i>Åsa</i> 🎉"
