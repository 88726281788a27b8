"""The command `elks-mcp`, and `python -m elks_mcp`."""

from elks_mcp.stdout import diverted


def main() -> None:
    """Run the command line. Nothing printed while it is loaded may reach the protocol."""
    with diverted():
        from elks_mcp.cli import commands  # noqa: PLC0415  (after the guard stands)
    commands()


if __name__ == "__main__":
    main()
