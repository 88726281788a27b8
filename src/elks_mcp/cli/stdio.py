"""The MCP server on standard input and output."""

import gc
import signal
from typing import TYPE_CHECKING, Any

import anyio

from elks_mcp.cli.startup_warnings import warn
from elks_mcp.runtime import logs
from elks_mcp.runtime.stdout import divert_for_good, diverted
from elks_mcp.settings import Configuration

if TYPE_CHECKING:
    from mcp.server import MCPServer


def serve(configuration: Configuration) -> None:
    """Serve one client until it closes our standard input.

    A configuration that cannot be read does not end the server: clients show the answer to a call, and hide
    why a server ended. It then answers every call with the reason, and does nothing else.
    """
    with diverted():
        from elks_mcp.mcp_server.invalid_messages import run_stdio  # noqa: PLC0415  (whatever loads here may print)

        logs.set_up(configuration.settings.log_level)
        warn(configuration)
        server = _build(configuration)
    gc.freeze()
    gc.enable()
    # A read of standard input cannot be broken off, so an interrupt could only wait for the client.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(run_stdio, server)
    finally:
        divert_for_good()


def _build(configuration: Configuration) -> "MCPServer[Any]":
    from elks_mcp.app import open_app  # noqa: PLC0415  (whatever loads here may print)
    from elks_mcp.mcp_server.server import build_misconfigured_server, build_server  # noqa: PLC0415

    if configuration.faults:
        return build_misconfigured_server([fault.text for fault in configuration.faults])
    return build_server(configuration.settings.policy(), lambda: open_app(configuration))
