"""The webhooks that 46elks calls: `/hooks/{secret}/sms`, `…/mms` and `…/delivery`.

Those about calls are passed on. Every other answer has an empty body, since 46elks sends the body of an
answer to an incoming text as a paid SMS (https://46elks.com/docs/receive-sms). 204: the webhook is stored, or
dropped for good. 503: it could not be stored, so 46elks should send it again. An answer never says why a
webhook was dropped.
"""

import hmac
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from elks_mcp.app import App
from elks_mcp.domain.models import Message
from elks_mcp.elks import wire
from elks_mcp.errors import ElksError
from elks_mcp.inbound.call_addresses import is_call_path
from elks_mcp.inbound.webhooks import WebhookEvent
from elks_mcp.runtime.metrics import as_label
from elks_mcp.web.hook_forms import WebhookDropped, check_source, read_form

log = logging.getLogger(__name__)

HOOKS = "/hooks/"
"""The path prefix of all webhooks."""

_ANSWER_TIMEOUT = timedelta(seconds=20)
"""How long receiving and storing may take; after that 46elks should send the webhook again."""

_ACCEPTED, _TRY_AGAIN, _NOT_POST = 204, 503, 405

HookKind = Literal["sms", "mms", "delivery"]


class WebhookReceiver:
    """The ASGI application for webhooks; `app` returns the running `App`."""

    def __init__(self, app: Callable[[], App]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive one webhook, and answer with a status and an empty body."""
        path: str = scope["path"].removeprefix(HOOKS)
        if is_call_path(path):
            from elks_mcp.web.call_webhooks import CallWebhookReceiver  # noqa: PLC0415  (most servers get none)

            await CallWebhookReceiver(self._app)(scope, receive, send, path)
            return
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
        except WebhookDropped as dropped:
            app.bursts.note(f"A webhook was dropped: {dropped}.")
            return "dropped"
        except ElksError:
            return "failed"  # logged by the ingest
        except TimeoutError:  # if it is stored after all, the repeat changes nothing
            app.bursts.note(
                "A webhook did not arrive whole, or was not stored, in time. 46elks sends it again."
            )
            return "failed"
        return "stored"

    async def _read(self, app: App, scope: Scope, receive: Receive) -> WebhookEvent:
        """Return the text or the delivery report in a webhook.

        Raises:
            WebhookDropped: it is not from 46elks, or neither a text nor a report for this account.
            ElksError: the secrets or the account's numbers are not known now.
        """
        headers = Headers(scope=scope)
        check_source(app, scope, headers)
        kind = await _find_kind(app, scope)
        form = await read_form(headers, receive)
        if kind in {"sms", "mms"}:
            return _read_incoming(app, form)
        report = wire.parse_report(form, QueryParams(scope["query_string"]).get("ref"))
        if report is None:
            raise WebhookDropped("it is not a delivery report")
        return report


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
    raise WebhookDropped("its URL has no secret of this server")


def _read_incoming(app: App, form: dict[str, str]) -> Message:
    message = wire.parse_incoming(form, app.clock.now() + app.client.skew)
    if message is None:
        raise WebhookDropped("it is not an incoming text")
    if not app.webhook_ingest.is_ours(message.to):
        raise WebhookDropped("it is for a number that is not the account's")
    return message
