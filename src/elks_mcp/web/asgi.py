"""The server that many share, over HTTP: the protocol at `/mcp`, and whether all is well.

/mcp      the protocol, streamable, for clients of both eras; with tokens, once one was made
/hooks    where 46elks tells us of deliveries and incoming texts
/healthz  200 as long as the process runs
/readyz   200 as long as it can do its work, else 503; `/readyz?verbose` says what is wrong
/metrics  figures for Prometheus; no numbers or texts, and no names but those of tokens

`/healthz` and `/readyz` answer everybody, with an empty body. `/readyz?verbose` and `/metrics` are for this
machine, for ELKS_METRICS_FROM, and for tokens with the scope `metrics`.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from ipaddress import ip_address
from urllib.parse import urlsplit

import anyio
from mcp.server.request_state import RequestStateSecurity
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from elks_mcp.app import ANYBODY, App
from elks_mcp.domain.limits import Share
from elks_mcp.domain.policy import Policy
from elks_mcp.mcp_server.server import QUESTION_TTL, REQUIRED_SCOPES, build_server
from elks_mcp.mcp_server.subscriptions import Subscriptions
from elks_mcp.runtime.bursts import Bursts
from elks_mcp.web.health import examine, write_metrics
from elks_mcp.web.tokens import MAX_BODY_BYTES, RequestRefused, TokenMiddleware, TokenVerifier
from elks_mcp.web.webhooks import HOOKS, WebhookReceiver

_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class HttpApp:
    """One ASGI application, and what it runs on. `secret` keys what clients carry for us.

    `hosts`: names by which it is called, besides this machine's own. `is_shut`: never open without a token.
    """

    def __init__(
        self,
        policy: Policy,
        open_app: Callable[[], AbstractAsyncContextManager[App]],
        *,
        secret: str,
        hosts: Sequence[str] = (),
        requires_token: bool = False,
    ) -> None:
        self._open_app = open_app
        self._names = [name for name in hosts if not is_local(urlsplit(f"//{name}").hostname or "")]
        self._is_shut = requires_token
        self._running: App | None = None
        self.has_failed = False
        """Whether it ended by itself; whoever runs it shall end, too, so that it is started again."""
        self._is_stopping = False
        self._verifier: TokenVerifier | None = None
        security = RequestStateSecurity(keys=[secret], ttl=QUESTION_TTL.total_seconds())
        self.updates = Subscriptions()
        self.server = build_server(
            policy, self._provide_app, request_state_security=security, updates=self.updates
        )
        protocol = self.server.streamable_http_app(
            transport_security=_build_transport_security(hosts), max_request_body_size=MAX_BODY_BYTES
        )
        self._streams = _Streams()
        self._hooks = WebhookReceiver(lambda: self.app)
        self._rest = Starlette(
            routes=[
                *(Route(route.path, self._require_token(route.endpoint)) for route in _routes(protocol)),
                Route("/healthz", self._answer_health),
                Route("/readyz", self._answer_ready),
                Route("/metrics", self._answer_metrics),
            ],
            lifespan=self._lifespan,
        )
        self._rest.router.redirect_slashes = False  # a token is sent where it was meant to be sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the whole life of the server.

        Webhooks come by the shortest way, for there can be a thousand a second.
        """
        is_hook = scope["type"] == "http" and f"{scope['path']}/".startswith(HOOKS)
        await (self._hooks if is_hook else self._rest)(scope, receive, send)

    @property
    def app(self) -> App:
        """What it works with, while it runs."""
        if self._running is None:
            raise RuntimeError("It does not run.")
        return self._running

    def _require_token(self, protocol: ASGIApp) -> ASGIApp:
        return TokenMiddleware(
            self._streams.around(protocol),
            self._find_token_verifier,
            REQUIRED_SCOPES,
            clock=lambda: self.app.clock,
            share_of=self._find_share,
            count_sessions=self._count_sessions,
        )

    def _find_share(self, caller: str) -> Share:
        return self.app.limits.of(caller)

    def _count_sessions(self, caller: str) -> int:
        """Count a caller's sessions of the older era, which the SDK opens and ends."""
        manager = self.server.session_manager
        owners = manager._session_owners.values()  # noqa: SLF001  (it tells nobody when one ends)
        if caller == ANYBODY.agent:
            return len(manager._server_instances) - len(owners)  # noqa: SLF001
        return sum(owner["client_id"] == caller for owner in owners)

    def _find_token_verifier(self) -> TokenVerifier:
        if self._verifier is None:
            self._verifier = TokenVerifier(
                self.app.storage,
                self._names,
                requires_token=self._is_shut,
                clock=self.app.clock,
                counters=self.app.counters,
                bursts=self.app.bursts,
            )
        return self._verifier

    def stop(self) -> None:
        """Begin to stop: who waits is told so, and streams end. What is being sent goes on."""
        self._is_stopping = True
        if self._running:
            self._running.replies.stop()
        self._streams.end()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._open_app() as app:
            self._running = app
            try:
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(app.bursts.running())
                    stack.enter_context(_invalid_requests_noted(app.bursts))
                    if app.has_account:
                        await stack.enter_async_context(app.webhook_ingest.running())
                    await stack.enter_async_context(self.server.session_manager.run())
                    yield
            finally:
                self.has_failed = not self._is_stopping
                self._running = None

    @asynccontextmanager
    async def _provide_app(self) -> AsyncIterator[App]:
        yield self.app

    async def _answer_health(self, _: Request) -> Response:
        return Response(status_code=200 if self._running else 503)

    async def _answer_ready(self, request: Request) -> Response:
        is_verbose = "verbose" in request.query_params
        if is_verbose and (answer := await self._refuse_details(request)):
            return answer
        if self._running is None:
            return Response(status_code=503)
        state = await examine(self._running)
        status = 200 if all(word == "ok" for word in state.values()) else 503
        return JSONResponse(dict(state), status) if is_verbose else Response(None, status)

    async def _answer_metrics(self, request: Request) -> Response:
        if answer := await self._refuse_details(request):
            return answer
        text = await write_metrics(self.app, listeners=self.updates.stream_count)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def _refuse_details(self, request: Request) -> Response | None:
        """Return the answer to a request that may not read figures and details, or None if it may."""
        if not self._is_called_by_name(request.headers.get("host", "")):
            return PlainTextResponse("This server has another name.", 421)
        verifier = self._find_token_verifier()
        try:
            await verifier.check_may_read_metrics(request.scope, self.app.configuration.settings.metrics_from)
        except RequestRefused as turned_away:
            verifier.record_refusal(turned_away.reason, turned_away.detail)
            return turned_away.answer
        return None

    def _is_called_by_name(self, host: str) -> bool:
        """Tell whether a host is one of our names, or an address: a web page of a stranger's has neither."""
        if host.lower() in self._names:
            return True
        with suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            return is_local(name) or _is_address(name)
        return False


def _routes(protocol: Starlette) -> list[Route]:
    return [route for route in protocol.routes if isinstance(route, Route)]


def _build_transport_security(names: Sequence[str]) -> TransportSecuritySettings:
    """Take requests that are meant for us: for this machine, or for a name we are called by."""
    hosts = [*names, *_LOCAL, *(f"{host}:*" for host in _LOCAL)]
    origins = [*(f"https://{name}" for name in names), *(f"http://{host}" for host in hosts)]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
    )


class _Streams:
    """Requests that stay open until somebody ends them: a client listens, and nothing else goes on."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()

    def around(self, inner: ASGIApp) -> ASGIApp:
        """Let such requests be ended."""
        return _Ended(inner, self._scopes)

    def end(self) -> None:
        """End all."""
        for scope in self._scopes:
            scope.cancel()


class _Ended:
    """An application whose streams end when their scopes are cancelled."""

    def __init__(self, inner: ASGIApp, scopes: set[anyio.CancelScope]) -> None:
        self._inner = inner
        self._scopes = scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":  # the newer era's streams end by themselves, with a last word
            await self._inner(scope, receive, send)
            return
        with anyio.CancelScope() as ending:
            self._scopes.add(ending)
            try:
                await self._inner(scope, receive, send)
            finally:
                self._scopes.discard(ending)


@contextmanager
def _invalid_requests_noted(bursts: Bursts) -> Iterator[None]:
    """Have warnings of uvicorn and the SDK that anyone can cause logged as one of a burst."""

    def note(record: logging.LogRecord) -> bool:
        kind = next(
            (ours for theirs, ours in _OF_STRANGERS.items() if str(record.msg).startswith(theirs)), None
        )
        if kind:
            bursts.note(kind)
        return kind is None

    logs = [logging.getLogger(name) for name in ("uvicorn.error", "mcp.server.transport_security")]
    for log in logs:
        log.addFilter(note)
    try:
        yield
    finally:
        for log in logs:
            log.removeFilter(note)


_FOREIGN = "A request with the Host or Origin of another site was refused."
_UPGRADE = "A request for another protocol, such as WebSocket, was answered as plain HTTP."
_OF_STRANGERS = {
    "Invalid HTTP request received.": "A request that is not HTTP was refused (400).",
    "Unsupported upgrade request.": _UPGRADE,
    "No supported WebSocket library detected.": _UPGRADE,
    "Missing Host header": _FOREIGN,
    "Invalid Host header": _FOREIGN,
    "Invalid Origin header": _FOREIGN,
}
"""How the warnings of others begin, and what is logged instead: they can hold what a stranger wrote."""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_local(host: str) -> bool:
    """Tell whether only this machine reaches what listens there."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
