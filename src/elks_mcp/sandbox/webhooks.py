"""Sending webhooks: delivery reports and incoming texts, with 46elks' retries.

Sources: https://46elks.se/docs/sms-delivery-reports and https://46elks.se/docs/receive-sms.
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

PostKind = Literal["delivery", "incoming"]
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
class _Post:
    kind: PostKind
    url: str
    form: dict[str, str]
    give_up_at: datetime
    on_body: OnBody | None
    number: int = 1


@dataclass(frozen=True, slots=True)
class _WebhookAnswer:
    status: int | None = None
    body: str = ""
    problem: str = ""
    hopeless: bool = False


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
        self.queue.add(at, _Post(kind, url, form, at + self.rules.webhook_retry_for, on_body))

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
        target, authorization = _split_credentials(post.url)
        try:
            answer = await self._ask(target, authorization, post.form)
        except anyio.get_cancelled_exc_class():
            self.queue.add(at, post)
            raise
        self.attempts.append(
            WebhookAttempt(post.kind, target, post.form, post.number, at, answer.status, answer.problem)
        )
        if answer.status is not None and 200 <= answer.status <= 204:  # noqa: PLR2004  (46elks' range)
            if post.on_body and answer.body.strip():
                post.on_body(answer.body, at)
            return
        again_at = at + self.rules.webhook_retry_every
        if not answer.hopeless and again_at <= post.give_up_at:
            self.queue.add(again_at, replace(post, number=post.number + 1))

    async def _ask(self, url: str, authorization: dict[str, str], form: dict[str, str]) -> _WebhookAnswer:
        try:
            request = httpx2.Request("POST", url, data=form, headers=authorization)
        except httpx2.InvalidURL:
            return _WebhookAnswer(problem="not a web address", hopeless=True)
        if self.transport is not None:
            return await self._send(self.transport, request)
        if not _is_loopback(request.url):
            return _WebhookAnswer(problem="refused: the sandbox only talks to this machine", hopeless=True)
        if refusal := self.find_refusal(url):
            return _WebhookAnswer(problem=refusal, hopeless=True)
        async with httpx2.AsyncHTTPTransport() as transport:
            return await self._send(transport, request)

    async def _send(self, transport: httpx2.AsyncBaseTransport, request: httpx2.Request) -> _WebhookAnswer:
        """Send through the transport directly, which follows no redirect, proxy or netrc file."""
        try:
            with anyio.fail_after(self.rules.webhook_timeout.total_seconds()):
                response = await transport.handle_async_request(request)
                body = await response.aread()
                await response.aclose()
        except TimeoutError:
            return _WebhookAnswer(problem="no answer in time")
        except httpx2.TransportError as error:
            return _WebhookAnswer(problem=type(error).__name__)
        return _WebhookAnswer(response.status_code, body.decode(errors="replace"))


def _parse(url: str) -> httpx2.URL | None:
    try:
        return httpx2.URL(url)
    except httpx2.InvalidURL:
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
