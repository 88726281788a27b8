"""The exit codes of all commands (docs/commands.md)."""

from enum import IntEnum

from elks_mcp.errors import ElksError, InvalidInput, Misconfigured, StateUncertain


class ExitCode(IntEnum):
    """The exit code of a command."""

    DONE = 0
    FAILED = 1
    """It failed, or it was refused or declined. Nothing was sent."""

    WRONG_USE = 2
    """The command line or a setting is wrong. Nothing was done."""

    WAITS = 3
    """It is not finished: a text waits for a person or in the queue, or no reply came in time."""

    UNKNOWN = 4
    """The text may have been sent. It must not be sent again."""


def find_exit_code(error: ElksError) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, StateUncertain):
        return ExitCode.UNKNOWN
    return ExitCode.WRONG_USE if isinstance(error, InvalidInput | Misconfigured) else ExitCode.FAILED
