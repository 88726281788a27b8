"""`elks-mcp` without a command: the MCP server on standard input and output."""

import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from elks_mcp.cli.environment import log_warnings
from elks_mcp.runtime import logs
from elks_mcp.runtime.garbage import collection_paused
from elks_mcp.runtime.stdout import divert_for_good, diverted
from elks_mcp.settings import Configuration

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from elks_mcp.mcp_server.greeter import Greeter
    from elks_mcp.mcp_server.subscriptions import Subscriptions


def serve(configuration: Configuration, greeter: "Greeter | None") -> None:
    """Serve one client until it closes standard input.

    If the configuration is invalid, the server starts, and answers every call with the reason: clients show
    the answer to a call, but hide why a server ended.

    `greeter`: the greeter that read the client's first messages, if one did.
    """
    with collection_paused(), diverted():
        from elks_mcp.mcp_server.stdio import run_stdio  # noqa: PLC0415  (may print while it loads)
        from elks_mcp.mcp_server.subscriptions import Subscriptions  # noqa: PLC0415

        logs.set_up(configuration.settings.log_level)
        log_warnings(configuration)
        subscriptions = Subscriptions()
        server = _build(configuration, subscriptions)
    # Reading standard input cannot be interrupted, so Python's handler would wait until the client sends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(
            run_stdio, server, greeter, subscriptions.announce_lists, _find_listing_builder(configuration)
        )
    finally:
        divert_for_good()


def _build(configuration: Configuration, subscriptions: "Subscriptions") -> "MCPServer[Any]":
    from elks_mcp.app import open_app  # noqa: PLC0415  (may print while it loads)
    from elks_mcp.mcp_server.server import build_misconfigured_server, build_server  # noqa: PLC0415

    if configuration.faults:
        return build_misconfigured_server(
            [fault.text for fault in configuration.faults], configuration.policy
        )
    return build_server(
        configuration.policy, lambda: open_app(configuration, has_page=True), updates=subscriptions
    )


def _find_listing_builder(configuration: Configuration) -> "Callable[[], MCPServer[Any]] | None":
    """Return what builds a server with the same lists; None if its answers must not be stored."""
    from elks_mcp.mcp_server.server import build_listing_server  # noqa: PLC0415  (may print while it loads)

    if configuration.faults or not configuration.settings.greeter:
        return None
    return partial(build_listing_server, configuration.policy)
