"""The ASGI application of `elks-mcp serve --http`: one server for many clients.

/mcp      the MCP protocol over streamable HTTP, for both eras; needs a token once one was created
/hooks    the webhooks that 46elks calls with delivery reports, incoming texts, and about calls
/audio    what calls play, at addresses that cannot be guessed and expire
/healthz  200 as long as the process runs
/readyz   200 as long as the server can do its work, else 503; `/readyz?verbose` says what is wrong
/metrics  figures for Prometheus, without phone numbers or texts; the only names are those of tokens

`/healthz` and `/readyz` answer every client, with an empty body. `/readyz?verbose` and `/metrics` answer
requests from this machine, from ELKS_METRICS_FROM, and with a token that has the scope `metrics`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

from mcp.server.request_state import RequestStateSecurity
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from elks_mcp.app import ANYBODY, App
from elks_mcp.domain.caller_limits import CallerUsage
from elks_mcp.domain.policy import Policy
from elks_mcp.inbound.call_addresses import AUDIO
from elks_mcp.mcp_server.scopes import build_required_scopes
from elks_mcp.mcp_server.server import QUESTION_TTL, build_server, list_tools
from elks_mcp.mcp_server.subscriptions import Subscriptions
from elks_mcp.runtime.addresses import is_this_machine, parse_address
from elks_mcp.store import ServerKind
from elks_mcp.web.authentication import TokenVerifier
from elks_mcp.web.authorization import TokenMiddleware
from elks_mcp.web.bodies import MAX_BODY_BYTES
from elks_mcp.web.health import check_parts, write_metrics
from elks_mcp.web.log_filter import group_repeated_warnings
from elks_mcp.web.rejections import RequestRefused
from elks_mcp.web.streams import OpenStreams
from elks_mcp.web.webhooks import HOOKS, WebhookReceiver

_MCP = "/mcp/"
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class HttpApp:
    """The ASGI application; its lifespan opens and closes the `App`."""

    def __init__(
        self,
        policy: Policy,
        open_app: Callable[[], AbstractAsyncContextManager[App]],
        *,
        secret: str,
        hosts: Sequence[str] = (),
        requires_token: bool = False,
    ) -> None:
        """Build the application.

        Args:
            policy: the operator's rules, which the server's instructions state.
            open_app: opens what the server works with.
            secret: the key for request state, which clients carry between two requests.
            hosts: host names of the server apart from `localhost`, as clients write them.
            requires_token: whether a token is needed even if none was created yet.
        """
        self._open_app = open_app
        self._names = [name for name in hosts if not is_this_machine(urlsplit(f"//{name}").hostname or "")]
        self._requires_token = requires_token
        self._running: App | None = None
        self.has_failed = False
        """Whether the application ended without `stop`. The process should then end, to be restarted."""
        self._is_stopping = False
        self._verifier: TokenVerifier | None = None
        security = RequestStateSecurity(keys=[secret], ttl=QUESTION_TTL.total_seconds())
        self.updates = Subscriptions()
        self._required_scopes = build_required_scopes(list_tools(policy.toolsets))
        self.server = build_server(
            policy, self._provide_app, request_state_security=security, updates=self.updates
        )
        protocol = self.server.streamable_http_app(
            transport_security=_build_transport_security(hosts), max_request_body_size=MAX_BODY_BYTES
        )
        self._streams = OpenStreams()
        self._hooks = WebhookReceiver(lambda: self.app)
        self._protocol = self._wrap_protocol(_find_endpoint(protocol))
        self._routed = self._build_routed()

    def _build_routed(self) -> Starlette:
        """Return the application for what is rarely asked."""
        routed = Starlette(
            routes=[
                Route("/healthz", self._answer_health),
                Route("/readyz", self._answer_ready),
                Route("/metrics", self._answer_metrics),
            ],
            lifespan=self._lifespan,
        )
        routed.router.redirect_slashes = False  # a redirect would pass the token on
        return routed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan.

        The protocol and webhooks bypass routing and middleware, since a thousand requests can arrive in a
        second. So does audio, which needs neither.
        """
        path = f"{scope['path']}/" if scope["type"] == "http" else ""
        if path == _MCP:
            await self._protocol(scope, receive, send)
        elif path.startswith(HOOKS):
            await self._hooks(scope, receive, send)
        elif path.startswith(AUDIO):
            from elks_mcp.web.audio_server import AudioServer  # noqa: PLC0415  (most servers have none)

            await AudioServer(lambda: self.app)(scope, receive, send)
        else:
            await self._routed(scope, receive, send)

    @property
    def app(self) -> App:
        """The running `App`.

        Raises:
            RuntimeError: the lifespan has not begun, or has ended.
        """
        if self._running is None:
            raise RuntimeError("The application is not running.")
        return self._running

    def _wrap_protocol(self, protocol: ASGIApp) -> ASGIApp:
        return TokenMiddleware(
            self._streams.wrap(protocol),
            self._find_token_verifier,
            self._required_scopes,
            clock=lambda: self.app.clock,
            share_of=self._find_share,
            count_sessions=self._count_sessions,
        )

    def _find_share(self, caller: str) -> CallerUsage:
        return self.app.limits.for_caller(caller)

    def _count_sessions(self, caller: str) -> int:
        """Return how many sessions of the older era a caller has; the SDK opens and ends them."""
        manager = self.server.session_manager
        owners = manager._session_owners.values()  # noqa: SLF001  (it has no hook for a session's end)
        if caller == ANYBODY.agent:
            return len(manager._server_instances) - len(owners)  # noqa: SLF001
        return sum(owner["client_id"] == caller for owner in owners)

    def _find_token_verifier(self) -> TokenVerifier:
        if self._verifier is None:
            self._verifier = TokenVerifier(
                self.app.storage,
                self._names,
                requires_token=self._requires_token,
                clock=self.app.clock,
                counters=self.app.counters,
                bursts=self.app.bursts,
            )
        return self._verifier

    def stop(self) -> None:
        """Begin to stop: end waits for replies and open streams. A send under way continues."""
        self._is_stopping = True
        if self._running:
            self._running.replies.stop()
        self._streams.close()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._open_app() as app:
            self._running = app
            try:
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(app.bursts.running())
                    stack.enter_context(group_repeated_warnings(app.bursts))
                    if app.has_account:
                        await stack.enter_async_context(app.webhook_ingest.running())
                    await stack.enter_async_context(app.alerts.carried_on())
                    await stack.enter_async_context(app.outbox.heartbeat.kept(ServerKind.HTTP))
                    await stack.enter_async_context(self.server.session_manager.run())
                    yield
            finally:
                self.has_failed = not self._is_stopping
                self._running = None

    @asynccontextmanager
    async def _provide_app(self) -> AsyncIterator[App]:
        yield replace(self.app, is_remote=True)

    async def _answer_health(self, _: Request) -> Response:
        return Response(status_code=200 if self._running else 503)

    async def _answer_ready(self, request: Request) -> Response:
        is_verbose = "verbose" in request.query_params
        if is_verbose and (answer := await self._refuse_details(request)):
            return answer
        if self._running is None:
            return Response(status_code=503)
        state = await check_parts(self._running)
        status = 200 if all(word == "ok" for word in state.values()) else 503
        return JSONResponse(dict(state), status) if is_verbose else Response(None, status)

    async def _answer_metrics(self, request: Request) -> Response:
        if answer := await self._refuse_details(request):
            return answer
        text = await write_metrics(self.app, streams=self.updates.stream_count)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def _refuse_details(self, request: Request) -> Response | None:
        """Return the refusal of a request that may not read figures and details; None if it may."""
        if not self._is_own_host(request.headers.get("host", "")):
            return PlainTextResponse("The Host header does not name this server.", 421)
        verifier = self._find_token_verifier()
        try:
            await verifier.check_may_read_metrics(request.scope, self.app.configuration.settings.metrics_from)
        except RequestRefused as refusal:
            verifier.record_refusal(refusal)
            return refusal.answer
        return None

    def _is_own_host(self, host: str) -> bool:
        """Return whether a Host header holds one of our names, or an IP address.

        A page of another site that reaches this server by DNS rebinding sends that site's name instead.
        """
        if host.lower() in self._names:
            return True
        with suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            return is_this_machine(name) or parse_address(name) is not None
        return False


def _find_endpoint(protocol: Starlette) -> ASGIApp:
    """Return the application for the one address that the SDK serves."""
    return next(route.endpoint for route in protocol.routes if isinstance(route, Route))


def _build_transport_security(names: Sequence[str]) -> TransportSecuritySettings:
    """Return settings that accept requests for this machine and for these names only."""
    hosts = [*names, *_LOCAL_HOSTS, *(f"{host}:*" for host in _LOCAL_HOSTS)]
    origins = [*(f"https://{name}" for name in names), *(f"http://{host}" for host in hosts)]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
    )
