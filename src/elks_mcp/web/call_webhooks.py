"""The webhooks about one call: `/hooks/{secret}/call/{order}/pressed` and `…/ended`.

A call waits for the answer to `pressed`, so it is answered within two seconds, whatever the database does:
the call ends then. Digits that could not be stored in time are read from 46elks' history. The answer to
`pressed` is always the action that ends the call, even if the report is dropped: a call that is reported in
an unexpected way must not go on. `ended` is answered like other webhooks, so that 46elks tries again.
An answer never says why a webhook was dropped.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from elks_mcp.app import App
from elks_mcp.domain.calls import CallEvent
from elks_mcp.elks import wire
from elks_mcp.errors import ElksError
from elks_mcp.inbound.call_addresses import CallHook, read_call_path
from elks_mcp.runtime.metrics import as_label
from elks_mcp.web.hook_forms import WebhookDropped, check_source, read_form

log = logging.getLogger(__name__)

ANSWER_WITHIN = timedelta(seconds=2)
"""How long a call is kept waiting. 46elks documents no limit, and a person is on the phone."""

_DROPPED, _TRY_AGAIN, _NOT_POST, _GO_ON = 204, 503, 405, 200
_READERS = {"pressed": wire.parse_pressed, "ended": wire.parse_ended}


class CallWebhookReceiver:
    """The ASGI application for webhooks about calls; `app` returns the running `App`."""

    def __init__(self, app: Callable[[], App]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Receive one webhook, and answer it. `path`: the part after that of all webhooks."""
        status, body = await self._answer(scope, receive, path)
        headers = [] if status == _DROPPED else [(b"content-length", str(len(body)).encode())]
        if body:
            headers.append((b"content-type", b"application/json"))
        if status == _NOT_POST:
            headers.append((b"allow", b"POST"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive, path: str) -> tuple[int, bytes]:
        if scope["method"] != "POST":
            return _NOT_POST, b""
        ends_call = path.endswith("/pressed")
        try:
            app = self._app()
            result = await self._receive(app, scope, receive, path)
            app.counters.count("elks_mcp_webhooks_total", result=as_label(result))
        except Exception:
            log.exception("A webhook about a call cannot be received: unexpected error.")
            result = "failed"
        if ends_call:
            return _GO_ON, wire.HANG_UP
        return (_TRY_AGAIN if result == "failed" else _DROPPED), b""

    async def _receive(self, app: App, scope: Scope, receive: Receive, path: str) -> str:
        """Receive one webhook, and return the result as the metrics name it."""
        try:
            with app.clock.fail_after(ANSWER_WITHIN):
                is_stored = await app.webhook_ingest.ingest(await _read(app, scope, receive, path))
        except WebhookDropped as dropped:
            app.bursts.note(f"A webhook about a call was dropped: {dropped}.")
            return "dropped"
        except (ElksError, TimeoutError):
            return "failed"
        if not is_stored:
            app.bursts.note("A webhook about a call was dropped: it does not match the call of its order.")
        return "stored" if is_stored else "dropped"


async def _read(app: App, scope: Scope, receive: Receive, path: str) -> CallEvent:
    """Return what a webhook says about a call of ours.

    Raises:
        WebhookDropped: it is not from 46elks, or not about a call of ours.
        ElksError: the key of this server cannot be read.
    """
    headers = Headers(scope=scope)
    check_source(app, scope, headers)
    hook: CallHook | None = read_call_path(await app.storage.find_hasher(), path)
    if hook is None:
        raise WebhookDropped("its URL has no secret of this server")
    event = _READERS[hook.step](await read_form(headers, receive), hook.order_id)
    if event is None:
        raise WebhookDropped("it is not about a call")
    return event
