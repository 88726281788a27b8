"""Write the screenshots of the sandbox's page, `docs/images/phones-*.png`.

Needs Chromium, and Pillow to make the files small: `uv run --group dev --with pillow python
scripts/screenshots.py`. The fonts are those of the machine: Inter as `system-ui`, and Noto Color Emoji,
without which emoji are boxes.
"""

import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
from PIL import Image, ImageDraw  # type: ignore[import-not-found, unused-ignore]

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.sandbox.calling import AUDIO, Site, call  # noqa: E402
from tests.sandbox.clients import open_client  # noqa: E402
from tests.sandbox.serving import serve  # noqa: E402
from tests.support.browser import Browser, find_browser, start_browser  # noqa: E402

from elks_mcp.sandbox import Approvals, ManualClock, PageContext, Sandbox, WaitingText  # noqa: E402

IMAGES = ROOT / "docs" / "images"
GUEST, SURE, STOPS, FAILS = "+46701740605", "+46701740613", "+46701740615", "+46701740610"
REMINDER = (
    "Hej! Din klipptid är på lördag kl. 14:00. "
    "Svara JA för att bekräfta, eller STOP för att slippa påminnelser."
)
OPEN = f"#{GUEST}"
CLICK = "document.querySelector('{}').click()"
SHOTS: Sequence[tuple[str, int, int, bool, str, str]] = (
    ("light-1280", 1280, 800, False, OPEN, ""),
    ("dark-1280", 1280, 800, True, OPEN, ""),
    ("light-768", 768, 900, False, OPEN, ""),
    ("dark-768", 768, 900, True, OPEN, ""),
    ("light-360", 360, 740, False, OPEN, ""),
    ("dark-360", 360, 740, True, OPEN, ""),
    ("list-360", 360, 740, False, "", ""),
    ("details-1280", 1280, 800, False, OPEN, CLICK.format("#screen .theirs .note button")),
    ("tools-1280", 1280, 800, False, OPEN, CLICK.format("#tools-open")),
)
"""Name, width, height, dark, address, and what is clicked before."""


async def fill(box: Sandbox, client: httpx2.AsyncClient) -> None:
    """Let a hairdresser's assistant remind four customers, and one of them write back."""

    async def send(to: str, message: str, minutes: int, **more: str) -> None:
        await client.post("sms", data={"from": box.number, "to": to, "message": message} | more)
        box.clock.advance(timedelta(minutes=minutes))

    await send(FAILS, REMINDER, 1)
    await send(SURE, REMINDER, 0, dryrun="yes")
    await send(SURE, REMINDER, 2)
    await client.get("sms", params={"limit": "10"})
    await send(STOPS, REMINDER, 4)
    await send(GUEST, REMINDER, 3)
    box.reply(GUEST, "Kan jag komma en halvtimme senare? Bussen går först 13:40 🙏")
    box.clock.advance(timedelta(minutes=2))
    await send(GUEST, "Det går fint, vi ses 14:30 i stället. Välkommen!", 1)
    box.reply(GUEST, "Toppen, tack! 🎉")


def build_context(*waiting: WaitingText) -> PageContext:
    """Return what the page shows about its program, with texts that wait for a person."""

    async def list_waiting() -> Sequence[WaitingText]:
        return waiting

    async def decide(_code: str, _approve: bool) -> str:
        return ""

    snippet = "claude mcp add elks --env ELKS_SANDBOX=true -- uvx elks-mcp"
    place = "Run it in a terminal. To have that done and checked: `elks-mcp connect claude-code --sandbox`"
    return PageContext(
        "Claude Code · salongen", {"Claude Code": (snippet, place)}, Approvals(list_waiting, decide)
    )


LINK = WaitingText(
    "A-7F3K",
    SURE,
    "+46701740699",
    "Hej! Här kan du boka om din tid: https://example.com/tid",
    ("The text has a link.",),
    {"Cost": "0.52 SEK", "Parts": "1"},
)


PICTURE_SHOTS = (("picture-1280", 1280, 800), ("picture-768", 768, 900), ("picture-360", 360, 740))
"""Name, width and height."""

CALL_SHOTS = (
    ("rings-768", 768, 900, False, "#call .take"),
    ("rings-360", 360, 740, False, "#call .take"),
    ("rings-1280", 1280, 800, False, "#call .take"),
    ("call-360", 360, 740, False, "#call audio"),
    ("call-dark-1280", 1280, 800, True, "#call audio"),
)
"""Name, width, height, dark, and the part of the call that is shown."""

_ANSWERED_AFTER = "rings-1280"


async def take(
    context: PageContext, use: Callable[[Browser, str], None], *, calls: bool = False, pictures: bool = False
) -> None:
    """Serve a filled sandbox, with a call or a picture, and take screenshots of its page."""
    path = find_browser()
    if path is None:
        sys.exit("No Chromium was found.")
    today = datetime.now(UTC).replace(hour=9, minute=12, second=4, microsecond=0)
    box = Sandbox(clock=ManualClock(today), page=context, webhook_transport=Site())
    async with open_client(box) as client:
        await fill(box, client)
    if calls:
        await call(box, GUEST, {"ivr": AUDIO, "1": {"play": "en_US/Thank you."}}, timeout="60")
    if pictures:
        box.receive(GUEST, "Så här ser det ut vid hållplatsen", pictures=[draw_picture()])
        box.clock.advance(timedelta(minutes=1))
    with tempfile.TemporaryDirectory() as profile:

        def run(address: str) -> None:
            with start_browser(path, Path(profile)) as browser:
                use(browser, address)

        async with serve(box) as address:
            await anyio.to_thread.run_sync(run, address)


def shoot(browser: Browser, name: str) -> None:
    """Write what the browser shows once it is at rest, with at most 256 colours."""
    browser.wait_for("document.querySelectorAll('#phones li').length === 4")
    browser.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    image = Image.open(io.BytesIO(browser.take_screenshot())).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(IMAGES / f"phones-{name}.png", optimize=True)


def shoot_all(browser: Browser, address: str) -> None:
    """Take the screenshots of `SHOTS`."""
    for name, width, height, dark, view, click in SHOTS:
        browser.open(f"{address}/{view}", width=width, height=height, dark=dark)
        browser.wait_for("document.querySelectorAll('#screen .bubble').length >= 4 || innerWidth < 500")
        if click:
            browser.evaluate(click)
        shoot(browser, name)


def shoot_waiting(browser: Browser, address: str) -> None:
    """Take the screenshot of a text that waits for a person."""
    browser.open(f"{address}/{OPEN}")
    browser.wait_for("document.querySelector('#waiting .bubble')")
    shoot(browser, "waiting-1280")


def shoot_call(browser: Browser, address: str) -> None:
    """Take the screenshots of `CALL_SHOTS`."""
    for name, width, height, dark, part in CALL_SHOTS:
        browser.open(f"{address}/{OPEN}", width=width, height=height, dark=dark)
        browser.wait_for(f"document.querySelector('{part}')?.checkVisibility()")
        shoot(browser, name)
        if name == _ANSWERED_AFTER:
            browser.evaluate(CLICK.format(part))
            browser.wait_for("document.querySelector('#call audio')")


def shoot_picture(browser: Browser, address: str) -> None:
    """Take the screenshots of `PICTURE_SHOTS`: an answer with a picture."""
    for name, width, height in PICTURE_SHOTS:
        browser.open(f"{address}/{OPEN}", width=width, height=height)
        browser.wait_for("document.querySelector('#screen .bubble img')?.complete")
        shoot(browser, name)


def draw_picture() -> bytes:
    """Return a picture of a street in the morning, as a phone takes it."""
    image = Image.linear_gradient("L").resize((480, 360)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for left, top in ((20, 150), (150, 90), (280, 130), (380, 170)):
        draw.rectangle((left, top, left + 90, 360), fill=(90 + left // 4, 60, 50))
    draw.ellipse((360, 30, 430, 100), fill=(250, 210, 80))
    target = io.BytesIO()
    image.save(target, "JPEG", quality=85)
    return target.getvalue()


async def main() -> None:
    """Write all screenshots."""
    IMAGES.mkdir(exist_ok=True)
    await take(build_context(), shoot_all)
    await take(build_context(LINK), shoot_waiting)
    await take(build_context(), shoot_call, calls=True)
    await take(build_context(), shoot_picture, pictures=True)


if __name__ == "__main__":
    anyio.run(main)
