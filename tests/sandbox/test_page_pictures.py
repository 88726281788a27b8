"""Pictures on the phone page, in a real browser."""

import base64
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import anyio.from_thread
import pytest

from elks_mcp.sandbox import SAMPLE, Sandbox
from tests.support.browser import Browser

from .clients import PHONE, open_client
from .test_approvals import open_desk
from .test_mms import mms
from .test_page import browse, is_shown, said

pytestmark = pytest.mark.anyio

LOADED = "[...document.querySelectorAll('#screen img')].filter((each) => each.naturalWidth === 96)"
CHOOSE = """(() => {{
  const bytes = Uint8Array.from(atob({data!r}), (each) => each.charCodeAt(0)), files = new DataTransfer();
  files.items.add(new File([bytes], 'cat.png', {{type: 'image/png'}}));
  const field = document.querySelector('#picture');
  field.files = files.files;
  field.dispatchEvent(new Event('change'));
}})()"""


async def send_mms(box: Sandbox) -> None:
    async with open_client(box) as client:
        await client.post("mms", data=mms(box, message="Titta!"))
    box.clock.advance(timedelta(seconds=2))


@pytest.mark.parametrize("width", [360, 768, 1280])
async def test_a_person_sees_a_picture_arrive_and_answers_with_one(
    box: Sandbox, browser: Browser, width: int
) -> None:
    def use(address: str) -> None:
        browser.open(f"{address}/#{quote(PHONE)}", width=width, height=740)
        anyio.from_thread.run(lambda: send_mms(box))
        browser.wait_for(f"{is_shown('#phone')} && {LOADED}.length === 1")
        assert browser.evaluate("document.querySelector('#screen img').alt") == "Picture: PNG, 527 bytes"
        browser.evaluate(CHOOSE.format(data=base64.b64encode(SAMPLE.content).decode()))
        browser.wait_for(is_shown("#attached"))
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        browser.evaluate("document.querySelector('#answer').requestSubmit()")
        browser.wait_for(f"{LOADED}.length === 2")
        assert not browser.evaluate(is_shown("#attached"))
        browser.evaluate("document.querySelector('#screen .mine .note button').click()")
        browser.wait_for(f"{is_shown('#details')} && {said('#details-title')} === 'MMS'")
        browser.wait_for("document.querySelector('#details img').naturalWidth === 96")

    await browse(box, use)
    assert [(message.direction, message.pictures) for message in box.history] == [
        ("outgoing", (SAMPLE,)),
        ("incoming", (SAMPLE,)),
    ]


async def test_a_person_sees_the_picture_that_waits_for_them(browser: Browser) -> None:
    desk, box = open_desk()
    url = f"data:image/png;base64,{base64.b64encode(SAMPLE.content).decode()}"
    desk.waiting = {"A-7F3K": replace(desk.waiting["A-7F3K"], details={"Picture": "cat.png"}, picture=url)}

    def use(address: str) -> None:
        browser.open(f"{address}/", width=360, height=740)
        browser.wait_for("document.querySelector('#waiting img')?.naturalWidth === 96")
        assert browser.evaluate("document.querySelector('#waiting img').alt") == "cat.png"
        assert browser.evaluate(said("#waiting h3")).startswith("MMS to ")
        assert browser.evaluate("document.documentElement.scrollWidth") == 360

    await browse(box, use)


async def test_an_attached_picture_can_be_removed_before_it_is_sent(box: Sandbox, browser: Browser) -> None:
    box.receive(PHONE, "Hej")

    def use(address: str) -> None:
        browser.open(f"{address}/#{quote(PHONE)}")
        browser.wait_for(is_shown("#phone"))
        browser.evaluate(CHOOSE.format(data=base64.b64encode(SAMPLE.content).decode()))
        browser.wait_for(is_shown("#attached"))
        browser.evaluate("document.querySelector('#detach').click()")
        browser.wait_for(f"!{is_shown('#attached')}")
        browser.evaluate("document.querySelector('#answer').requestSubmit()")
        browser.type("Utan bild")
        browser.wait_for("document.querySelectorAll('#screen .bubble').length === 2")

    await browse(box, use)
    assert [message.is_mms for message in box.history] == [False, False]
