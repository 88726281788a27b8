"""The command `elks-mcp`, and `python -m elks_mcp`."""

import gc

from elks_mcp.stdout import diverted


def main() -> None:
    """Run the command line. Nothing printed while it is loaded may reach the protocol."""
    # Nothing that is loaded is ever garbage, and looking through it is a sixth of the time to start.
    gc.disable()
    with diverted():
        from elks_mcp.cli import commands  # noqa: PLC0415  (after the guard stands)
    commands()


if __name__ == "__main__":
    main()
