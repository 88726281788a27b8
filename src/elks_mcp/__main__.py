"""The command `elks-mcp`, and `python -m elks_mcp`."""

import gc
import os
import sys

from elks_mcp.runtime.stdout import diverted


def main() -> None:
    """Run the command line. Nothing printed while it is loaded may reach the protocol."""
    # Nothing that is loaded is ever garbage, and looking through it is a sixth of the time to start.
    gc.disable()
    with diverted():
        from elks_mcp.cli import commands  # noqa: PLC0415  (after the guard stands)
    heard = True
    try:
        commands()
    except* BrokenPipeError:
        heard = False
    if not heard:  # whoever read our output has had enough, as in `elks-mcp doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
