"""`elks-mcp serve --http`: run the server for many clients over HTTP, with uvicorn."""

import signal
import socket
from types import FrameType

import anyio
import click
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from elks_mcp.app import open_app
from elks_mcp.cli.environment import log_warnings
from elks_mcp.cli.sockets import BACKLOG, listen
from elks_mcp.cli.tokens import is_any_valid
from elks_mcp.domain.caller_limits import limits_per_caller
from elks_mcp.errors import Misconfigured
from elks_mcp.runtime import logs
from elks_mcp.runtime.addresses import is_this_machine
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.garbage import collection_paused
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration
from elks_mcp.store.storage import find_hasher
from elks_mcp.web.asgi import HttpApp
from elks_mcp.web.connections import HttpConfig, count_allowed, raise_descriptor_limit

_GRACE = 30
"""Seconds that running calls have to end when the server is stopped."""


class _HttpServer(uvicorn.Server):
    """A uvicorn server that ends the streams of its clients when it stops."""

    def __init__(self, config: uvicorn.Config, web: HttpApp) -> None:
        super().__init__(config)
        self._web = web

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop gracefully, or immediately on a second Ctrl-C.

        Unlike uvicorn's, this does not raise the signal again afterwards, so that the exit code shows
        success or failure.
        """
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        with collection_paused():
            await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)  # uvicorn listened with its smaller `backlog`

    async def on_tick(self, counter: int) -> bool:
        return self._web.has_failed or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._web.stop()
        await super().shutdown(sockets)


def serve_http(configuration: Configuration, host: str, port: int) -> int:
    """Serve MCP over HTTP until stopped, and return the exit code.

    Raises:
        Misconfigured: other machines could reach the server, and no token exists.
    """
    if not is_this_machine(host) and not anyio.run(is_any_valid, configuration):
        raise Misconfigured(
            f"Without a token, any machine that reaches {host} could send texts, so nothing was started.",
            hint=f"Create a token first: {show_command('token new NAME --scope read --scope send')}.",
        )
    settings = configuration.settings
    logs.set_up(settings.log_level)
    log_warnings(configuration)
    secret = find_hasher(settings.state_location()).of("secret", "request state")
    most_connections = count_allowed(raise_descriptor_limit())
    limits = limits_per_caller(most_connections, sms_per_minute=settings.sms_per_minute)
    web = HttpApp(
        configuration.policy,
        lambda: open_app(configuration, limits=limits, has_page=True),
        secret=secret,
        hosts=settings.hosts,
        requires_token=not is_this_machine(host),
    )
    # Otherwise each streamed answer, and its call, is cut off half a second after the signal.
    AppStatus.enable_automatic_graceful_drain = False
    with listen(host, port) as listener:
        click.echo(f"elks-mcp: serving at http://{host}:{listener.getsockname()[1]}/mcp", err=True)
        server = _HttpServer(configure_uvicorn(web, most_connections), web)
        server.run([listener])
    return 0 if server.started and not web.has_failed else 1


def configure_uvicorn(web: ASGIApp, most_connections: int, clock: Clock | None = None) -> uvicorn.Config:
    """Return uvicorn's configuration for an application, with a limit on its connections."""
    return HttpConfig(
        web,
        most_connections=most_connections,
        clock=clock or Clock(),
        log_config=None,
        access_log=False,  # it would contain the secrets of webhook addresses
        ws="none",
        lifespan="on",
        proxy_headers=False,  # runtime/addresses.py finds the client's address
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
