"""The command `elks-mcp`, and `python -m elks_mcp`."""

import os
import sys

from elks_mcp.runtime.garbage import collection_paused
from elks_mcp.runtime.stdout import diverted


def main() -> None:
    """Run the command line. Output of modules that load goes to standard error."""
    with collection_paused(), diverted():
        from elks_mcp.cli import commands  # noqa: PLC0415  (loads with standard output diverted)
    pipe_is_closed = False
    try:
        commands()
    except* BrokenPipeError:
        pipe_is_closed = True
    if pipe_is_closed:  # the reader of our output stopped reading, as in `elks-mcp doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
