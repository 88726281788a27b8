"""Sending webhooks, with 46elks' retries; those that control a call are sent once.

Sources: https://46elks.se/docs/sms-delivery-reports, https://46elks.se/docs/receive-sms and
https://46elks.se/docs/call-actions.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_address
from typing import Literal

import anyio
import httpx2

from elks_mcp.sandbox.event_queue import EventQueue
from elks_mcp.sandbox.prices_and_rules import Rules

PostKind = Literal["delivery", "incoming", "voice", "recording", "hangup", "audio"]
OnBody = Callable[[str, datetime], None]


@dataclass(frozen=True, slots=True)
class WebhookAttempt:
    """One attempt at a webhook. `url` lacks the user name and password; `at` is when it was due.

    `status` is the status of the answer, or None without an answer; then `problem` says why.
    """

    kind: PostKind
    url: str
    form: dict[str, str]
    number: int
    at: datetime
    status: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The answer to a webhook from `url`, which lacks the user name and password."""

    url: str = ""
    status: int | None = None
    content: bytes = b""
    content_type: str = ""
    problem: str = ""
    hopeless: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the status is one that 46elks accepts."""
        return self.status is not None and 200 <= self.status <= 204  # noqa: PLR2004  (46elks' range)

    @property
    def body(self) -> str:
        """The content as text."""
        return self.content.decode(errors="replace")


OnAnswer = Callable[[WebhookAnswer, datetime], None]


@dataclass(frozen=True, slots=True)
class _Post:
    """A request; `form` is None for the GET of a file."""

    kind: PostKind
    url: str
    form: dict[str, str] | None
    give_up_at: datetime
    on_answer: OnAnswer | None
    number: int = 1


@dataclass(slots=True)
class Webhooks:
    """The queue of webhooks and the record of every attempt.

    With `transport` None the sandbox connects to `ports` of this machine only; any other address is recorded
    as refused and not tried again. A given `transport` may connect to any address.
    """

    rules: Rules
    transport: httpx2.AsyncBaseTransport | None
    queue: EventQueue[_Post]
    ports: set[int]
    attempts: list[WebhookAttempt] = field(default_factory=list)

    def post(
        self, kind: PostKind, url: str, form: dict[str, str], at: datetime, on_body: OnBody | None = None
    ) -> None:
        """Queue a webhook for `at`; `on_body` gets the body of the answer unless it is empty."""

        def pass_on(answer: WebhookAnswer, at: datetime) -> None:
            if on_body and answer.is_good and answer.body.strip():
                on_body(answer.body, at)

        self.queue.add(at, _Post(kind, url, form, at + self.rules.webhook_retry_for, pass_on))

    def ask(self, url: str, form: dict[str, str], at: datetime, on_answer: OnAnswer) -> None:
        """Queue a webhook that controls a call: it is sent once, and `on_answer` gets the outcome."""
        self.queue.add(at, _Post("voice", url, form, at, on_answer))

    def fetch(self, url: str, at: datetime, on_answer: OnAnswer) -> None:
        """Queue the GET of a file; `on_answer` gets the outcome. It is not among the `attempts`."""
        self.queue.add(at, _Post("audio", url, None, at, on_answer))

    def find_refusal(self, url: str) -> str:
        """Return why no webhook is sent to this address of this machine, or "".

        It is "" for an address of another machine, which is accepted as by 46elks, and not called.
        """
        parsed = _parse(url)
        if self.transport is not None or parsed is None or not _is_loopback(parsed):
            return ""
        port = parsed.port or _DEFAULT_PORTS[parsed.scheme]
        if port in self.ports:
            return ""
        return f"refused: the sandbox was not started with --webhook-port {port}"

    def clear(self) -> None:
        """Remove all queued webhooks and recorded attempts."""
        self.queue.clear()
        self.attempts.clear()

    async def deliver_next(self) -> None:
        """Send the webhook that is due first; queue it again unless it is answered with 200–204."""
        at, post = self.queue.pop()
        try:
            answer = await self._send(post)
        except anyio.get_cancelled_exc_class():
            self.queue.add(at, post)
            raise
        if post.form is not None:
            self.attempts.append(
                WebhookAttempt(
                    post.kind, answer.url, post.form, post.number, at, answer.status, answer.problem
                )
            )
        again_at = at + self.rules.webhook_retry_every
        if not answer.is_good and not answer.hopeless and again_at <= post.give_up_at:
            self.queue.add(again_at, replace(post, number=post.number + 1))
        elif post.on_answer:
            post.on_answer(answer, at)

    async def _send(self, post: _Post) -> WebhookAnswer:
        if not is_web_address(post.url):
            return WebhookAnswer(post.url, problem="not a web address", hopeless=True)
        target, authorization = _split_credentials(post.url)
        method = "GET" if post.form is None else "POST"
        request = httpx2.Request(method, target, data=post.form, headers=authorization)
        if self.transport is not None:
            return await self._exchange(self.transport, request, target)
        if not _is_loopback(request.url):
            return WebhookAnswer(
                target, problem="refused: the sandbox only talks to this machine", hopeless=True
            )
        if refusal := self.find_refusal(target):
            return WebhookAnswer(target, problem=refusal, hopeless=True)
        async with httpx2.AsyncHTTPTransport() as transport:
            return await self._exchange(transport, request, target)

    async def _exchange(
        self, transport: httpx2.AsyncBaseTransport, request: httpx2.Request, target: str
    ) -> WebhookAnswer:
        """Send through the transport directly, which follows no redirect, proxy or netrc file."""
        try:
            with anyio.fail_after(self.rules.webhook_timeout.total_seconds()):
                response = await transport.handle_async_request(request)
                content = await response.aread()
                await response.aclose()
        except TimeoutError:
            return WebhookAnswer(target, problem="no answer in time")
        except httpx2.TransportError as error:
            return WebhookAnswer(target, problem=type(error).__name__)
        content_type = response.headers.get("content-type", "")
        return WebhookAnswer(target, response.status_code, content, content_type)


def is_web_address(url: str) -> bool:
    """Return whether `url` is an address that a web server can have."""
    parsed = _parse(url)
    return parsed is not None and parsed.scheme in _DEFAULT_PORTS and bool(parsed.host)


def _parse(url: str) -> httpx2.URL | None:
    try:
        return httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError):  # the latter for what cannot be encoded
        return None


def _split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Return `url` without user name and password, and a Basic header with them, as 46elks does."""
    parsed = _parse(url)
    if parsed is None or not parsed.userinfo:
        return url, {}
    token = base64.b64encode(f"{parsed.username}:{parsed.password}".encode()).decode()
    return str(parsed.copy_with(userinfo=b"")), {"Authorization": f"Basic {token}"}


_DEFAULT_PORTS = {"http": 80, "https": 443}


def _is_loopback(url: httpx2.URL) -> bool:
    if url.scheme not in _DEFAULT_PORTS:
        return False
    if url.host == "localhost":
        return True
    try:
        return ip_address(url.host).is_loopback
    except ValueError:
        return False
