"""How a test makes calls in a sandbox, and the web server of the client that makes them."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from elks_mcp.sandbox import ManualClock, Rules, Sandbox, build_wav

from .clients import PHONE, open_client

SECOND = timedelta(seconds=1)
AUDIO = "https://example.com/audio/7f3a.wav"
FIRST, NEXT = "https://example.com/elks/call", "https://example.com/elks/next"
PRESSES_1, SILENT, HANGS_UP = "+46701740619", "+46701740621", "+46701740622"
NO_ANSWER, BUSY, VOICEMAIL = "+46701740623", "+46701740624", "+46701740625"
MENU = {"ivr": AUDIO, "digits": 1, "timeout": 5, "repeat": 2}


class Site(httpx2.AsyncBaseTransport):
    """A client's web server: sounds by GET, and answers by POST, by address; then 204."""

    def __init__(self, sound: bytes | None = None) -> None:
        self.answers: dict[str, list[httpx2.Response]] = {}
        self.sound = build_wav(4 * SECOND) if sound is None else sound
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.fetched: list[str] = []

    def add(self, url: str, *actions: dict[str, Any] | httpx2.Response) -> "Site":
        """Answer the next requests to an address with these actions, one after another."""
        for action in actions:
            answer = action if isinstance(action, httpx2.Response) else httpx2.Response(200, json=action)
            self.answers.setdefault(url, []).append(answer)
        return self

    def posted(self, url: str) -> list[dict[str, str]]:
        """Return the forms that were posted to an address."""
        return [form for to, form in self.forms if to == url]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = str(request.url)
        if request.method == "GET":
            self.fetched.append(url)
            return httpx2.Response(200, content=self.sound, headers={"content-type": "audio/wav"})
        self.forms.append((url, dict(parse_qsl((await request.aread()).decode(), keep_blank_values=True))))
        answers = self.answers.get(url)
        return answers.pop(0) if answers else httpx2.Response(204)


def make_box(site: httpx2.AsyncBaseTransport | None = None, rules: Rules | None = None) -> Sandbox:
    """Make a sandbox whose clock stands still, and whose webhooks go to `site`."""
    return Sandbox(clock=ManualClock(), webhook_transport=site or Site(), rules=rules)


def call_form(
    box: Sandbox, to: str = PHONE, start: str | dict[str, Any] = FIRST, **more: str
) -> dict[str, str]:
    """Fill in the form of one call from the account's own number."""
    voice_start = start if isinstance(start, str) else json.dumps(start)
    return {"from": box.number, "to": to, "voice_start": voice_start} | more


async def call(
    box: Sandbox, to: str = PHONE, start: str | dict[str, Any] = FIRST, **more: str
) -> dict[str, Any]:
    """Make a call and return the answer to its POST."""
    async with open_client(box) as client:
        answer = await client.post("calls", data=call_form(box, to, start, **more))
        assert answer.status_code == 200, answer.text
        made = answer.json()
        assert isinstance(made, dict)
        return made


async def show(box: Sandbox, call_id: str) -> dict[str, Any]:
    """Return what `GET /calls/{id}` answers."""
    async with open_client(box) as client:
        shown = (await client.get(f"calls/{call_id}")).json()
        assert isinstance(shown, dict)
        return shown


async def wait(box: Sandbox, seconds: float) -> None:
    """Let the sandbox's clock pass, and carry out what is due."""
    box.clock.advance(seconds * SECOND)
    await box.settle()
