"""`elks-mcp serve --http`: the server that many share, under uvicorn."""

import gc
import signal
import socket
from types import FrameType

import anyio
import click
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from elks_mcp.app import open_app
from elks_mcp.cli.sockets import BACKLOG, listen
from elks_mcp.cli.startup_warnings import warn
from elks_mcp.cli.tokens import is_any_valid
from elks_mcp.domain.limits import per_caller
from elks_mcp.errors import Misconfigured
from elks_mcp.runtime import logs
from elks_mcp.runtime.addresses import is_this_machine
from elks_mcp.runtime.clock import Clock
from elks_mcp.settings import Configuration
from elks_mcp.store.storage import find_hasher
from elks_mcp.web.asgi import HttpApp
from elks_mcp.web.connections import HttpConfig, count_allowed, raise_descriptor_limit

_GRACE = 30
"""Seconds that calls under way have to end, when the server is stopped."""


class _HttpServer(uvicorn.Server):
    """A server whose clients are told that it stops."""

    def __init__(self, config: uvicorn.Config, web: HttpApp) -> None:
        super().__init__(config)
        self._web = web

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop in order, and do not end by the signal afterwards: whoever sent it sees that all went well."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)  # uvicorn made the queue as short as the number accepted at once
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it again and again costs a twentieth of a call

    async def on_tick(self, counter: int) -> bool:
        return self._web.has_failed or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._web.stop()
        await super().shutdown(sockets)


def serve(configuration: Configuration, host: str, port: int) -> int:
    """Serve until a signal stops it; 0 then.

    Raises:
        Misconfigured: it may not listen there, or lacks the key it needs.
        click.ClickException: the port is taken.
    """
    if not is_this_machine(host) and not anyio.run(is_any_valid, configuration):
        raise Misconfigured(
            f"Without a token anybody who reaches {host} could text, so it does not listen there.",
            hint="Make one: `elks-mcp token new NAME --scope read --scope send`.",
        )
    settings = configuration.settings
    logs.set_up(settings.log_level)
    warn(configuration)
    secret = find_hasher(settings.state_location()).of("secret", "request state")
    most_connections = count_allowed(raise_descriptor_limit())
    limits = per_caller(most_connections, sms_per_minute=settings.sms_per_minute)
    web = HttpApp(
        settings.policy(),
        lambda: open_app(configuration, limits=limits),
        secret=secret,
        hosts=settings.hosts,
        requires_token=not is_this_machine(host),
    )
    # Else every answer that is a stream is cut off half a second after the signal, its call with it.
    AppStatus.enable_automatic_graceful_drain = False
    with listen(host, port) as listener:
        click.echo(f"elks-mcp: serving at http://{host}:{listener.getsockname()[1]}/mcp", err=True)
        server = _HttpServer(configure_uvicorn(web, most_connections), web)
        server.run([listener])
    return 0 if server.started and not web.has_failed else 1


def configure_uvicorn(web: ASGIApp, most_connections: int, clock: Clock | None = None) -> uvicorn.Config:
    """Return how uvicorn serves an application, with `most_connections` at most."""
    return HttpConfig(
        web,
        most_connections=most_connections,
        clock=clock or Clock(),
        log_config=None,
        access_log=False,  # it would hold the secret of a webhook's address
        ws="none",
        lifespan="on",
        proxy_headers=False,  # who calls is found out where it matters
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
