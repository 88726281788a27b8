"""Our server on standard input and output, as `elks-mcp` starts it, with what the suite expects of one.

The steps are those of `elks_mcp.__main__`. Between the start of the greeter and the loading of everything
else, the process waits until the other end of a pipe is closed, so that a test knows who answered.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from elks_mcp.mcp_server.greeter import start_greeter

GATE = "CONFORMANCE_GATE"
"""The variable with the descriptor of the pipe. Without it, the process does not wait."""


def main() -> None:
    """Serve one client."""
    greeter = start_greeter(sys.argv[1:], os.environ)
    if gate := os.environ.get(GATE):
        os.read(int(gate), 1)
    from elks_mcp.cli import commands  # noqa: PLC0415  (loads after the greeter has started)
    from elks_mcp.mcp_server import server  # noqa: PLC0415

    server.build_server = _mounting(server.build_server)
    server.build_listing_server = _mounting(server.build_listing_server)
    commands(obj=greeter)


def _mounting(build: Callable[..., Any]) -> Callable[..., Any]:
    from tests.conformance.fixtures import mount  # noqa: PLC0415  (loads the SDK)

    def build_mounted(*arguments: Any, **options: Any) -> Any:
        built = build(*arguments, **options)
        mount(built)
        return built

    return build_mounted


if __name__ == "__main__":
    main()
