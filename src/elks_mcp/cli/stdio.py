"""The MCP server on standard input and output."""

import gc
import signal

import anyio

from elks_mcp import logs
from elks_mcp.cli.warnings import warn
from elks_mcp.settings import Configuration
from elks_mcp.stdout import divert_for_good, diverted


def serve(configuration: Configuration) -> None:
    """Serve one client until it closes our standard input."""
    with diverted():
        from elks_mcp.app import open_app  # noqa: PLC0415  (whatever loads here may print)
        from elks_mcp.mcp_server.server import build_server  # noqa: PLC0415

        logs.set_up(configuration.settings.log_level)
        warn(configuration)
        server = build_server(configuration.settings.policy(), lambda: open_app(configuration))
    gc.freeze()
    gc.enable()
    # A read of standard input cannot be broken off, so an interrupt could only wait for the client.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(server.run_stdio_async)
    finally:
        divert_for_good()
