"""The command `elks-mcp`, and `python -m elks_mcp`."""

import os
import sys

from elks_mcp.runtime.garbage import collection_paused
from elks_mcp.runtime.start_options import ENV_FILE, STATE_DIR
from elks_mcp.runtime.stdout import diverted, open_closed_streams


def main() -> None:
    """Run the command line. Output of modules that load goes to standard error.

    If this is a server for one client, the greeter answers it from here on.
    """
    open_closed_streams()
    greeter = None
    if not sys.argv[1:] or sys.argv[1].startswith((ENV_FILE, STATE_DIR)):
        with diverted():
            from elks_mcp.mcp_server.greeter import start_greeter  # noqa: PLC0415  (commands do not need it)
        greeter = start_greeter(sys.argv[1:], os.environ)
    with collection_paused(), diverted():
        from elks_mcp.cli import commands  # noqa: PLC0415  (loads with standard output diverted)
    pipe_is_closed, unexpected = False, None
    try:
        commands(obj=greeter)
    except* BrokenPipeError:
        pipe_is_closed = True
    except* Exception as errors:
        if os.environ.get("ELKS_LOG_LEVEL", "").strip().upper() == "DEBUG":
            raise
        unexpected = errors
    if unexpected:
        sys.exit(_describe(unexpected))
    if pipe_is_closed:  # the reader of our output stopped reading, as in `elks-mcp doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _describe(errors: ExceptionGroup[Exception]) -> str:
    """Return the kind and place of the error that ended the command; its text may hold a secret."""
    from traceback import extract_tb  # noqa: PLC0415  (takes 5 ms to load)

    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    steps = extract_tb(error.__traceback__)
    where = f" at {os.path.basename(steps[-1].filename)}:{steps[-1].lineno}" if steps else ""  # noqa: PTH119
    return (
        f"elks-mcp: Unexpected error: {type(error).__name__}{where}. Retrying is unlikely to help. "
        "Please report it. To see the whole trace, set ELKS_LOG_LEVEL=DEBUG."
    )


if __name__ == "__main__":
    main()
