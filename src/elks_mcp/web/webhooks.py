"""The webhooks that 46elks calls: `/hooks/{secret}/sms`, `…/mms` and `…/delivery`.

Every answer has an empty body, since 46elks sends the body of an answer to an incoming text as a paid SMS
(https://46elks.com/docs/receive-sms). 204: the webhook is stored, or dropped for good. 503: it could not be
stored, so 46elks should send it again. An answer never says why a webhook was dropped.
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
"""The path prefix of all webhooks."""

_MAX_BODY_BYTES = 64 * 1024
_MAX_FIELDS = 64
_BODY_TIMEOUT = timedelta(seconds=5)
"""How long the whole body may take to arrive."""

_ANSWER_TIMEOUT = timedelta(seconds=20)
"""How long storing may take; after that 46elks should send the webhook again."""

_ACCEPTED, _TRY_AGAIN, _NOT_POST = 204, 503, 405

HookKind = Literal["sms", "mms", "delivery"]


class _Dropped(Exception):
    """A webhook is dropped for good. The message is the reason, for the log."""


class WebhookReceiver:
    """The ASGI application for webhooks; `app` returns the running `App`."""

    def __init__(self, app: Callable[[], App]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive one webhook, and answer with a status and an empty body."""
        status = await self._answer(scope, receive)
        headers = [(b"content-length", b"0")] if status != _ACCEPTED else []
        if status == _NOT_POST:
            headers.append((b"allow", b"POST"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: Scope, receive: Receive) -> int:
        if scope["method"] != "POST":
            return _NOT_POST
        try:
            app = self._app()
            result = await self._receive(app, scope, receive)
            app.counters.count("elks_mcp_webhooks_total", result=as_label(result))
        except Exception:
            log.exception("A webhook cannot be received: unexpected error.")
            return _TRY_AGAIN
        return _TRY_AGAIN if result == "failed" else _ACCEPTED

    async def _receive(self, app: App, scope: Scope, receive: Receive) -> str:
        """Receive one webhook, and return the result as the metrics name it."""
        try:
            with app.clock.fail_after(_ANSWER_TIMEOUT):  # else uvicorn may answer, with a body
                await app.webhook_ingest.ingest(await self._read(app, scope, receive))
        except _Dropped as dropped:
            app.bursts.note(f"A webhook was dropped: {dropped}.")
            return "dropped"
        except (ElksError, TimeoutError):
            return "failed"  # logged by the ingest; if it is stored after all, the repeat changes nothing
        return "stored"

    async def _read(self, app: App, scope: Scope, receive: Receive) -> WebhookEvent:
        """Return the text or the delivery report in a webhook.

        Raises:
            _Dropped: it is not from 46elks, or neither a text nor a report for this account.
            ElksError: the secrets or the account's numbers are not known now.
        """
        headers = Headers(scope=scope)
        _check_source(app, scope, headers)
        kind = await _find_kind(app, scope)
        form = await _read_form(headers, receive, app.clock)
        if kind in {"sms", "mms"}:
            return _read_incoming(app, form)
        report = wire.parse_report(form, QueryParams(scope["query_string"]).get("ref"))
        if report is None:
            raise _Dropped("it is not a delivery report")
        return report


def _check_source(app: App, scope: Scope, headers: Headers) -> None:
    settings = app.configuration.settings
    is_here = app.policy.simulated or is_loopback(settings.base_url)
    sources = settings.webhook_sources + (LOOPBACK if is_here else ())
    peer = scope["client"][0] if scope.get("client") else ""
    caller = find_caller(peer, headers.getlist("x-forwarded-for"), settings.trusted_proxies)
    if caller is None or not is_in(caller, sources):
        raise _Dropped("it does not come from an address of 46elks")


async def _find_kind(app: App, scope: Scope) -> HookKind:
    """Return the kind that the path names, if the path also holds a secret of that kind."""
    path: str = scope["path"].removeprefix(HOOKS)
    secret, _, name = path.partition("/")
    kinds: tuple[HookKind, ...] = ("sms", "mms", "delivery")
    for kind in kinds:
        secrets = await app.storage.secrets_for(kind)
        matches = [hmac.compare_digest(secret.encode(), each.encode()) for each in secrets]
        if any(matches) and name == kind:
            return kind
    raise _Dropped("its URL has no secret of this server")


async def _read_form(headers: Headers, receive: Receive, clock: Clock) -> dict[str, str]:
    """Return the fields of the form.

    Raises:
        _Dropped: it is not a form, is too large, arrives too slowly, or has a field twice.
    """
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise _Dropped("its body is not a form")
    body = bytearray()
    try:
        with clock.fail_after(_BODY_TIMEOUT):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if message["type"] != "http.request" or len(body) > _MAX_BODY_BYTES:
                    raise _Dropped("its body is too large, or was cut off")
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise _Dropped("its body did not arrive in time") from None
    return _parse_form(bytes(body))


def _parse_form(body: bytes) -> dict[str, str]:
    text = body.decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise _Dropped("it has too many fields") from None
    form = {name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in pairs}
    if len(form) != len(pairs):
        raise _Dropped("it has a field twice")
    return form


def _read_incoming(app: App, form: dict[str, str]) -> Message:
    message = wire.parse_incoming(form, app.clock.now() + app.client.skew)
    if message is None:
        raise _Dropped("it is not an incoming text")
    if not app.webhook_ingest.is_ours(message.to):
        raise _Dropped("it is for a number that is not the account's")
    return message
