"""`elks-mcp` without a command: the MCP server on standard input and output."""

import signal
from typing import TYPE_CHECKING, Any

import anyio

from elks_mcp.cli.environment import log_warnings
from elks_mcp.runtime import logs
from elks_mcp.runtime.garbage import collection_paused
from elks_mcp.runtime.stdout import divert_for_good, diverted
from elks_mcp.settings import Configuration

if TYPE_CHECKING:
    from mcp.server import MCPServer


def serve(configuration: Configuration) -> None:
    """Serve one client until it closes standard input.

    If the configuration is invalid, the server starts, and answers every call with the reason: clients show
    the answer to a call, but hide why a server ended.
    """
    with collection_paused(), diverted():
        from elks_mcp.mcp_server.invalid_messages import run_stdio  # noqa: PLC0415  (may print while it loads)

        logs.set_up(configuration.settings.log_level)
        log_warnings(configuration)
        server = _build(configuration)
    # Reading standard input cannot be interrupted, so Python's handler would wait until the client sends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(run_stdio, server)
    finally:
        divert_for_good()


def _build(configuration: Configuration) -> "MCPServer[Any]":
    from elks_mcp.app import open_app  # noqa: PLC0415  (may print while it loads)
    from elks_mcp.mcp_server.server import build_misconfigured_server, build_server  # noqa: PLC0415

    if configuration.faults:
        return build_misconfigured_server(
            [fault.text for fault in configuration.faults], configuration.policy
        )
    return build_server(configuration.policy, lambda: open_app(configuration, has_page=True))
