"""The phone page as a person uses it, in a real browser."""

import json
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

import anyio.from_thread
import anyio.to_thread
import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.browser import Browser
from tests.support.clocks import HANG

from .clients import PHONE, open_client, sms
from .serving import serve
from .test_approvals import PLAN, RUNNING, open_desk

pytestmark = pytest.mark.anyio
HOSTILE = (
    '<img src=x onerror="document.title=1"><script>document.title=2</script>&lt; <b>fet</b> \u202egnitset'
)
OTHER = "+46701740606"


async def browse(box: Sandbox, use: Callable[[str], None]) -> None:
    """Serve *box*, and let a person *use* its page at an address."""
    with anyio.fail_after(HANG):
        async with serve(box) as address:
            await anyio.to_thread.run_sync(use, address)


async def send(box: Sandbox, to: str = PHONE, **more: str) -> None:
    """Send a text through the API, and let it arrive."""
    async with open_client(box) as client:
        await client.post("sms", data=sms(box, to, **more))
    box.clock.advance(timedelta(seconds=2))


def texts(kind: str) -> str:
    """Return a script for the texts on the screen: of the account (theirs) or of the phone's owner (mine)."""
    return f"[...document.querySelectorAll('#screen .{kind} .bubble')].map((each) => each.textContent)"


def is_shown(selector: str) -> str:
    """Return a script for whether an element can be seen."""
    return f"(document.querySelector({json.dumps(selector)})?.checkVisibility() ?? false)"


def said(selector: str) -> str:
    """Return a script for the text of an element."""
    return f"document.querySelector({json.dumps(selector)}).textContent"


def bottom(selector: str) -> str:
    """Return a script for where an element ends, in pixels from the top."""
    return f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().bottom"


def overlap(one: str, other: str) -> str:
    """Return a script for whether two elements overlap."""
    boxes = (f"document.querySelector({json.dumps(each)}).getBoundingClientRect()" for each in (one, other))
    return f"(([a, b]) => a.top < b.bottom && b.top < a.bottom)([{', '.join(boxes)}])"


async def test_a_person_sees_a_text_arrive_as_text_and_answers_it(box: Sandbox, browser: Browser) -> None:
    """Texts of strangers and models are hostile: the page shows them and never runs them."""
    answer = "Hej själv! <i>Åsa</i> 🎉"
    box.page.title = "<b>Claude</b> · salongen"

    def use(address: str) -> None:
        browser.open(f"{address}/")
        browser.wait_for(is_shown("#welcome"))
        anyio.from_thread.run(lambda: send(box, message=HOSTILE, flashsms="yes"))
        browser.wait_for(f"{texts('theirs')}.includes({json.dumps(HOSTILE)})")
        assert browser.evaluate("document.querySelectorAll('#screen :is(img, b, script)').length") == 0
        browser.wait_for("document.title === '<b>Claude</b> · salongen · Phones'")
        assert browser.evaluate("document.querySelector('#phone-title').textContent") == "070-174 06 05"
        assert browser.evaluate("document.querySelector('#screen .flash .note').textContent").startswith(
            "Flash"
        )
        browser.evaluate("document.querySelector('#text').focus()")
        browser.type(answer)
        browser.wait_for(f"{texts('mine')}.includes({json.dumps(answer)})")
        browser.evaluate("document.querySelector('#screen .mine .note button').click()")
        browser.wait_for(is_shown("#details"))
        details = browser.evaluate("document.querySelector('#details').textContent")
        for part in (answer, box.history[-1].id, "Received by the account", "1 (UCS-2)", "0.00 SEK"):
            assert part in details

    await browse(box, use)
    async with open_client(box) as client:
        newest = (await client.get("sms")).json()["data"][0]
    assert (newest["direction"], newest["from"], newest["message"]) == ("incoming", PHONE, answer)


async def test_a_phone_with_a_new_text_comes_to_the_front_unless_a_person_is_typing(
    box: Sandbox, browser: Browser
) -> None:
    def use(address: str) -> None:
        shown = "document.querySelector('#phone-title').textContent"
        browser.open(f"{address}/")
        browser.wait_for(is_shown("#welcome"))
        anyio.from_thread.run(lambda: send(box, PHONE))
        browser.wait_for(f"{shown} === '070-174 06 05'")
        browser.evaluate("document.querySelector('#text').focus()")
        browser.evaluate("document.execCommand('insertText', false, 'Jag kommer')")
        anyio.from_thread.run(lambda: send(box, OTHER))
        browser.wait_for("document.title.startsWith('(1) ')")
        browser.wait_for(
            "document.querySelector('#spoken').textContent.startsWith('New text to 070-174 06 06')"
        )
        assert browser.evaluate(shown) == "070-174 06 05"
        assert browser.evaluate("document.activeElement.id") == "text"
        assert browser.evaluate("document.querySelector('#text').value") == "Jag kommer"
        browser.evaluate("document.querySelector('#phones button').click()")
        browser.wait_for("!document.title.startsWith('(')")
        assert browser.evaluate(shown) == "070-174 06 06"
        browser.evaluate("document.querySelector('#screen .note button').click()")
        details = browser.evaluate("document.querySelector('#details').textContent")
        for part in (box.accepted[1].id, "GSM-7", "0.52 SEK", "Delivered", "POST /a1/sms"):
            assert part in details

    await browse(box, use)


@pytest.mark.parametrize("width", [360, 1280])
async def test_the_notice_about_a_new_text_covers_neither_the_field_nor_its_buttons(
    box: Sandbox, browser: Browser, width: int
) -> None:
    await send(box)

    def use(address: str) -> None:
        browser.open(f"{address}/#{quote(PHONE)}", width=width, height=640)
        browser.wait_for(is_shown("#phone"))
        browser.evaluate("document.querySelector('#text').focus()")
        browser.evaluate(f"document.execCommand('insertText', false, {'Jag kommer lite senare. ' * 8!r})")
        anyio.from_thread.run(lambda: send(box, OTHER))
        browser.wait_for(is_shown("#toast"))
        for covered in ("#text", "#answer .field button", "#suggestions", "#to", "#back"):
            assert browser.evaluate(overlap("#toast", covered)) is False, covered
        assert browser.evaluate(f"{bottom('#answer')} <= innerHeight"), "the field stays on the page"
        browser.evaluate("document.querySelector('#toast-show').click()")
        browser.wait_for(f"!{is_shown('#toast')}")
        assert browser.evaluate("document.querySelector('#phone-title').textContent") == "070-174 06 06"

    await browse(box, use)


async def test_the_page_ends_where_the_window_ends(box: Sandbox, browser: Browser) -> None:
    """Labels that only a screen reader reads have a place, too."""
    for index in range(20):
        box.receive(PHONE, f"Text {index}")
        box.receive(f"+467017406{index + 20}", "Hej")

    def use(address: str) -> None:
        browser.open(f"{address}/#{quote(PHONE)}", height=500)
        browser.wait_for("document.querySelectorAll('#screen .bubble').length === 20")
        assert browser.evaluate("document.documentElement.scrollHeight === innerHeight")

    await browse(box, use)


async def test_on_a_narrow_page_back_leads_from_a_phone_to_the_list(box: Sandbox, browser: Browser) -> None:
    await send(box)

    def use(address: str) -> None:
        browser.open(f"{address}/", width=360)
        browser.wait_for("document.querySelectorAll('#phones button').length === 1")
        assert not browser.evaluate(is_shown("#phone"))
        for back in ("history.back()", "document.querySelector('#back').click()", ESCAPE):
            browser.evaluate("document.querySelector('#phones button').click()")
            browser.wait_for(f"{is_shown('#phone')} && !{is_shown('#phones')}")
            browser.evaluate(back)
            browser.wait_for(f"!{is_shown('#phone')} && {is_shown('#phones')}")
        assert browser.evaluate("document.documentElement.scrollWidth") == 360

    await browse(box, use)


ESCAPE = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))"


async def test_a_person_approves_and_declines_waiting_orders(browser: Browser) -> None:
    desk, box = open_desk()

    def use(address: str) -> None:
        browser.open(f"{address}/")
        browser.wait_for("document.querySelector('#waiting .bubble')?.textContent === 'Hej på dig'")
        browser.wait_for("document.title.startsWith('(1) ')")
        assert "The text has a link." in browser.evaluate("document.querySelector('#waiting').textContent")
        browser.evaluate("document.querySelector('#waiting .main').click()")
        browser.wait_for(f"!{is_shown('#waiting')}")
        desk.add("A-8G4L", HOSTILE)
        browser.wait_for(f"document.querySelector('#waiting .bubble')?.textContent === {json.dumps(HOSTILE)}")
        browser.evaluate("document.querySelector('#waiting .plain').click()")
        browser.wait_for(f"!{is_shown('#waiting')}")

    await browse(box, use)
    assert desk.decided == [("A-7F3K", True), ("A-8G4L", False)]


async def test_a_person_reads_the_plan_of_a_batch_and_follows_it(browser: Browser) -> None:
    desk, box = open_desk()
    desk.waiting.clear()
    desk.batches = [PLAN]

    def use(address: str) -> None:
        browser.open(f"{address}/", width=360, height=740)
        browser.wait_for(is_shown("#waiting"))
        assert browser.evaluate(said("#waiting-title")) == "1 batch waiting for you"
        shown = browser.evaluate(said("#waiting-list"))
        facts = [*PLAN.details.values(), *PLAN.reasons, *PLAN.left_out, *(text for _, text in PLAN.samples)]
        for fact in (PLAN.title, PLAN.code, *facts):
            assert fact in shown
        assert browser.evaluate("document.querySelectorAll('#waiting-list :is(i, b, script)').length") == 0
        assert browser.evaluate("document.documentElement.scrollWidth") == 360
        assert browser.evaluate(f"{bottom('#waiting .decide')} <= {bottom('#waiting')}")
        desk.batches = [RUNNING]
        browser.wait_for(f"{is_shown('#batches progress')} && !{is_shown('#waiting')}")
        assert browser.evaluate("document.querySelector('progress').value") == 5
        failed = ("1 text: <b>Not enough credits</b>",)
        desk.batches = [
            replace(
                RUNNING, state="paused", status="Paused: 5 of 12 sent, 1 not sent.", ended=6, reasons=failed
            )
        ]
        browser.wait_for("document.querySelector('progress').value === 6")
        assert "1 not sent.1 text: <b>Not enough credits</b>" in browser.evaluate(said("#batches-list"))
        browser.wait_for(f"{said('#spoken')} === '12 texts. Paused: 5 of 12 sent, 1 not sent.'")
        desk.batches = []
        browser.wait_for(f"!{is_shown('#batches')}")

    await browse(box, use)


async def test_many_tabs_of_one_sandbox_show_a_text_and_the_next_goes_on_when_one_is_closed(
    box: Sandbox, browser: Browser
) -> None:
    """A browser allows six connections to a host."""
    arrived = f"{texts('theirs')}.includes('Hej!')"

    def use(address: str) -> None:
        for _ in range(8):
            browser.open(f"{address}/", keeps_last=True).wait_for(is_shown("#welcome"))
        anyio.from_thread.run(lambda: send(box))
        browser.wait_for(arrived)
        browser.close_others()
        anyio.from_thread.run(lambda: send(box, message="Igen"))
        browser.wait_for(arrived.replace("Hej!", "Igen"))

    await browse(box, use)


async def test_resetting_the_sandbox_also_declines_waiting_orders(browser: Browser) -> None:
    desk, box = open_desk()
    await send(box)

    def use(address: str) -> None:
        browser.open(f"{address}/")
        browser.wait_for(is_shown("#waiting"))
        browser.evaluate("window.confirm = (asked) => { window.asked = asked; return true; }; 1")
        browser.evaluate("document.querySelector('#tools-open').click()")
        browser.evaluate("document.querySelector('#tab-simulate').click()")
        browser.evaluate("document.querySelector('#simulate-panel .danger').click()")
        browser.wait_for(f"{is_shown('#welcome')} && !{is_shown('#waiting')}")
        assert browser.evaluate("window.asked").endswith(" 1 text waiting for you will be declined.")

    await browse(box, use)
    assert desk.decided == [("A-7F3K", False)]
    assert box.history == []


async def test_the_page_says_where_to_paste_the_text_for_an_assistant(box: Sandbox, browser: Browser) -> None:
    place = "Add it to ~/.cursor/<b>. To have that done: `elks-mcp connect cursor`"
    box.page.snippets = {"Cursor": ('{"mcpServers": {}}', place)}

    def use(address: str) -> None:
        browser.open(f"{address}/")
        browser.wait_for(is_shown("#connect-open"))
        browser.evaluate("document.querySelector('#connect-open').click()")
        assert browser.evaluate("document.querySelector('#connect pre').textContent") == '{"mcpServers": {}}'
        said = browser.evaluate("document.querySelector('#connect section > p').textContent")
        assert said == place.replace("`", "")
        assert (
            browser.evaluate("document.querySelector('#connect code').textContent")
            == "elks-mcp connect cursor"
        )

    await browse(box, use)


async def test_an_address_that_cannot_be_decoded_opens_the_page(box: Sandbox, browser: Browser) -> None:
    await send(box, "+46701740610")

    def use(address: str) -> None:
        browser.open(f"{address}/#%")
        browser.wait_for(is_shown("#phone"))
        preview = browser.evaluate("document.querySelector('#phones .preview').textContent")
        assert preview == "Failed, never arrived: Hej!"

    await browse(box, use)


@pytest.mark.parametrize("width", [360, 1280])
async def test_the_description_of_a_phone_is_shown_completely(
    box: Sandbox, browser: Browser, width: int
) -> None:
    await send(box)

    def use(address: str) -> None:
        browser.open(f"{address}/#{PHONE}", width=width)
        browser.wait_for(is_shown("#phone"))
        about = "document.querySelector('#phone-about')"
        assert browser.evaluate(f"{about}.textContent").endswith("a person may answer")
        assert browser.evaluate(f"{about}.scrollWidth <= {about}.clientWidth")

    await browse(box, use)


async def test_the_page_says_that_its_server_has_ended_and_recovers(box: Sandbox, browser: Browser) -> None:
    addresses: list[str] = []

    def use(address: str) -> None:
        addresses.append(address)
        browser.open(f"{address}/").wait_for(is_shown("#welcome"))

    await browse(box, use)
    await anyio.to_thread.run_sync(browser.wait_for, is_shown("#trouble"))
    assert "has ended" in browser.evaluate("document.querySelector('#trouble').textContent")
    assert browser.evaluate("document.title") == "Ended: Phones · 46elks sandbox"
    again = Sandbox(clock=box.clock)
    await send(again)
    with anyio.fail_after(HANG):
        async with serve(again, int(addresses[0].rpartition(":")[2])):
            arrived = f"{texts('theirs')}.includes('Hej!') && !{is_shown('#trouble')}"
            with suppress(AssertionError):  # the page loads itself again, which ends what waits in it
                await anyio.to_thread.run_sync(browser.wait_for, arrived)
            await anyio.to_thread.run_sync(browser.wait_for, arrived)


MESSAGES = [
    "Kommer du på lördag?",
    "it's 'quoted' \"twice\" $(id) `id` !! \\",
    "line\nline",
    "\u202egnitset",
    "@/etc/hosts",
    "",
]


async def test_a_request_copied_as_curl_is_the_same_request(box: Sandbox, browser: Browser) -> None:
    commands: list[str] = []

    def use(address: str) -> None:
        browser.open(f"{address}/")
        for message in MESSAGES:
            form = {"to": PHONE, "@x": message, "message": message}
            request = {"method": "POST", "path": "/a1/sms", "query": {}, "form": form}
            login = {"username": "u", "password": "p"}
            given = f"{json.dumps(request)}, 'http://localhost', {json.dumps(login)}"
            commands.append(browser.evaluate(f"import('/page/curl.js').then((curl) => curl.toCurl({given}))"))

    await browse(box, use)
    for message, command in zip(MESSAGES, commands, strict=True):
        name, url, *words = shlex.split(command)
        assert (name, url, words[:2]) == ("curl", "http://localhost/a1/sms", ["-u", "u:p"])
        assert read_fields(words[2:]) == {"to": PHONE, "@x": message, "message": message}
        assert command.isprintable()


def read_fields(words: list[str]) -> dict[str, Any]:
    """Read the fields of a form as curl does; neither option may name a file."""
    fields: dict[str, str] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        assert not value.startswith("@")
        name, _, content = value.partition("=")
        fields.update(parse_qsl(value, keep_blank_values=True) if option == "-d" else [(name, content)])
    return fields
