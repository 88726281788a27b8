"""Where 46elks tells us of things: `/hooks/{secret}/sms` and `/hooks/{secret}/delivery`.

The body of every answer is empty, since 46elks sends the one to an incoming text back as a paid SMS
(https://46elks.com/docs/receive-sms). 204: it is kept, or dropped for good. 503: it could not be kept, and
46elks shall try again. Nobody learns from an answer why something was dropped.
"""

import hmac
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Literal
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from elks_mcp.app import App
from elks_mcp.domain.models import Message
from elks_mcp.elks import wire
from elks_mcp.errors import ElksError
from elks_mcp.inbound.webhooks import WebhookEvent
from elks_mcp.runtime.addresses import LOOPBACK, find_caller, is_in, is_loopback
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.metrics import as_label

log = logging.getLogger(__name__)

HOOKS = "/hooks/"
"""Below which they are."""

_LARGEST = 64 * 1024
_MOST_FIELDS = 64
_SLOWEST = timedelta(seconds=5)
"""In which a request has to be here, whole."""

_LONGEST = timedelta(seconds=20)
"""In which it has to be answered."""

_KEPT, _NOT_KEPT, _NO_POST = 204, 503, 405

HookKind = Literal["sms", "delivery"]


class _Dropped(Exception):
    """It is not for us; the reason is a word for the log."""


class WebhookReceiver:
    """The ASGI application for webhooks; `app` finds what it works with."""

    def __init__(self, app: Callable[[], App]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hear one webhook, and answer with nothing but a status."""
        status = await self._answer(scope, receive)
        headers = [(b"content-length", b"0")] if status != _KEPT else []
        if status == _NO_POST:
            headers.append((b"allow", b"POST"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: Scope, receive: Receive) -> int:
        if scope["method"] != "POST":
            return _NO_POST
        try:
            app = self._app()
            result = await self._receive(app, scope, receive)
            app.counters.count("elks_mcp_webhooks_total", result=as_label(result))
        except Exception:
            log.exception("webhooks have a fault of their own")
            return _NOT_KEPT
        return _NOT_KEPT if result == "not kept" else _KEPT

    async def _receive(self, app: App, scope: Scope, receive: Receive) -> str:
        """Hear it, and say in a word what came of it."""
        try:
            with app.clock.fail_after(_LONGEST):  # or the end of the server would answer, and with words
                await app.webhook_ingest.ingest(await self._read(app, scope, receive))
        except _Dropped as dropped:
            app.bursts.note(f"a webhook was dropped: {dropped}.")
            return "dropped"
        except (ElksError, TimeoutError):
            return "not kept"  # it is logged where it went wrong; what is kept after all counts once
        return "kept"

    async def _read(self, app: App, scope: Scope, receive: Receive) -> WebhookEvent:
        """Read what 46elks tells.

        Raises:
            _Dropped: it is not 46elks that tells it, or it is nothing we know.
            ElksError: it cannot be told who calls.
        """
        headers = Headers(scope=scope)
        _check_source(app, scope, headers)
        kind = await _find_kind(app, scope)
        form = await _read_form(headers, receive, app.clock)
        if kind == "sms":
            return _read_incoming(app, form)
        report = wire.parse_report(form, QueryParams(scope["query_string"]).get("ref"))
        if report is None:
            raise _Dropped("it is no delivery report")
        return report


def _check_source(app: App, scope: Scope, headers: Headers) -> None:
    settings = app.configuration.settings
    is_here = app.policy.simulated or is_loopback(settings.base_url)
    sources = settings.webhook_sources + (LOOPBACK if is_here else ())
    peer = scope["client"][0] if scope.get("client") else ""
    caller = find_caller(peer, headers.getlist("x-forwarded-for"), settings.trusted_proxies)
    if caller is None or not is_in(caller, sources):
        raise _Dropped("it comes from an address that 46elks does not call from")


async def _find_kind(app: App, scope: Scope) -> HookKind:
    """Read which webhook is meant, from the path below `/hooks`, by its secret; each kind has its own."""
    path: str = scope["path"].removeprefix(HOOKS)
    secret, _, named = path.partition("/")
    kinds: tuple[HookKind, ...] = ("sms", "delivery")
    for kind in kinds:
        known = await app.storage.secrets_for(kind)
        opens = [hmac.compare_digest(secret.encode(), each.encode()) for each in known]
        if any(opens) and named == kind:
            return kind
    raise _Dropped("its address is none of ours")


async def _read_form(headers: Headers, receive: Receive, clock: Clock) -> dict[str, str]:
    """Read the form, unless it is too large, too slow, ambiguous or none."""
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise _Dropped("it is no form")
    body = bytearray()
    try:
        with clock.fail_after(_SLOWEST):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if message["type"] != "http.request" or len(body) > _LARGEST:
                    raise _Dropped("it is too large, or was broken off")
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise _Dropped("it came too slowly") from None
    return _parse_form(bytes(body))


def _parse_form(body: bytes) -> dict[str, str]:
    text = body.decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _Dropped("it has too many fields") from None
    form = {name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in pairs}
    if len(form) != len(pairs):
        raise _Dropped("it has a field twice")
    return form


def _read_incoming(app: App, form: dict[str, str]) -> Message:
    message = wire.parse_incoming(form, app.clock.now() + app.client.skew)
    if message is None:
        raise _Dropped("it is no incoming text")
    if not app.webhook_ingest.is_ours(message.to):
        raise _Dropped("it is for a number that is none of ours")
    return message
