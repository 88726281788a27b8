"""Our server over HTTP, under a real uvicorn, with a sandbox that reaches its webhooks."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette import types

from elks_mcp.app import App, open_app
from elks_mcp.cli.http import configure_uvicorn
from elks_mcp.domain.caller_limits import UsageLimits, limits_per_caller
from elks_mcp.domain.models import Scope
from elks_mcp.inbound.webhook_addresses import webhook_address
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import unwrapped
from elks_mcp.sandbox import Sandbox
from elks_mcp.settings import load
from elks_mcp.store.storage import find_hasher
from elks_mcp.web.asgi import HttpApp
from tests.sandbox.serving import Server
from tests.support.clocks import HANG
from tests.support.connecting import Era, Person, live
from tests.support.state_folders import with_tables

BASE_URL = "http://localhost/a1"
"""46elks is on this machine, so its webhooks come from here."""


_BACKLOG = 4096


@dataclass
class Site:
    """A running server."""

    url: str
    web: HttpApp
    _requests: "_Counted"

    @property
    def under_way(self) -> int:
        """The number of requests that the application has received and not answered yet."""
        return self._requests.under_way

    @property
    def app(self) -> App:
        """The server's App."""
        return self.web.app

    async def hook(self, kind: str) -> str:
        """Return the address for one kind of webhook."""
        return await webhook_address(self.url, self.app.storage, kind)

    @asynccontextmanager
    async def client(
        self, era: Era = "auto", person: Person | None = None, *, token: str = ""
    ) -> AsyncIterator[Client]:
        """Connect a client, with a token if one is given."""
        shown = {"authorization": f"Bearer {token}"} if token else {}
        limits = httpx2.Limits(max_connections=None)  # each call that waits has one
        async with http_client(headers=shown, limits=limits) as http:
            there = streamable_http_client(f"{self.url}/mcp", http_client=http)
            async with Client(there, mode=era, elicitation_callback=person) as client:
                yield client

    async def token(self, name: str, *scopes: Scope, agent: str = "") -> str:
        """Create a token, as `elks-mcp token new` does; with all scopes unless some are named."""
        return await (await self.app.storage.open()).tokens.make(name, frozenset(scopes or Scope), agent)


@asynccontextmanager
async def site(
    box: Sandbox,
    *,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    is_shut: bool = False,
    connections: int = 4096,
    connection_clock: Clock | None = None,
    limits: UsageLimits | None = None,
) -> AsyncIterator[Site]:
    """Serve on a free port, until the end of the context."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, _listener() as listener:
        with_tables(Path(folder))
        port = listener.getsockname()[1]
        box.webhook_ports.add(port)
        url = f"http://127.0.0.1:{port}"
        ours = {"ELKS_STATE_DIR": folder, "ELKS_API_BASE_URL": BASE_URL, "ELKS_PUBLIC_URL": url}
        configuration = load({**ours, **live(box), **(environ or {})})
        pace = configuration.settings.sms_per_minute
        most = limits_per_caller(connections, sms_per_minute=pace) if limits is None else limits
        web = HttpApp(
            configuration.settings.policy(),
            lambda: open_app(configuration, transport=box.transport(), clock=clock, limits=most),
            secret=find_hasher(configuration.settings.state_location()).of("secret", "request state"),
            hosts=configuration.settings.hosts,
            requires_token=is_shut,
        )
        requests = _Counted(web)
        server = Server(configure_uvicorn(requests, connections, connection_clock))
        with unwrapped():
            async with anyio.create_task_group() as group:
                group.start_soon(server.serve, [listener])
                with anyio.fail_after(HANG):
                    await server.ready.wait()
                listener.listen(_BACKLOG)
                try:
                    yield Site(url, web, requests)
                finally:
                    web.stop()
                    server.should_exit = True


class _Counted:
    """An application, and the number of requests that it is answering."""

    def __init__(self, web: HttpApp) -> None:
        self._web = web
        self.under_way = 0

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        is_request = scope["type"] == "http"
        self.under_way += is_request
        try:
            await self._web(scope, receive, send)
        finally:
            self.under_way -= is_request


def _listener() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def http_client(**more: Any) -> httpx2.AsyncClient:
    """Return a client for servers on this machine, without TLS, whose certificates load slowly."""
    return httpx2.AsyncClient(**{"trust_env": False, "verify": False, "timeout": HANG, **more})


async def post(url: str, form: Mapping[str, str] | bytes, **headers: str) -> httpx2.Response:
    """Post a form as 46elks does."""
    async with http_client() as client:
        kind = {"content-type": "application/x-www-form-urlencoded", **headers}
        more: dict[str, Any] = {"content": form} if isinstance(form, bytes) else {"data": dict(form)}
        return await client.post(url, headers=kind, **more)
