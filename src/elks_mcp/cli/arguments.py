"""The options and arguments that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from elks_mcp.runtime.start_options import ENV_FILE, STATE_DIR

F = TypeVar("F", bound=Callable[..., Any])


def shared_options(command: F) -> F:
    """Add `--env-file` and `--state-dir` to a command or a group.

    Every command and group has both, so that each works before and after the command's name. The last value
    given counts.
    """
    return _env_file(_state_dir(command))


def find_option(context: click.Context, option: str) -> Path | None:
    """Return the value of a shared option, or None if it was given at no place."""
    value: Path | None = context.meta.get(_key(option))
    return value


def _remember(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.meta[_key(parameter.opts[0])] = value


def _key(option: str) -> str:
    return f"elks_mcp{option}"


_env_file = click.option(
    ENV_FILE,
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_remember,
    help="Also read settings from this file. Environment variables override it.",
)
_state_dir = click.option(
    STATE_DIR,
    type=click.Path(file_okay=False, path_type=Path),
    expose_value=False,
    callback=_remember,
    help="The state directory of the server. Default: ELKS_STATE_DIR, or this user's data directory.",
)


def join_words(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> str:
    """Return the words of an argument that may contain spaces without quotation marks."""
    return " ".join(words)


phone_argument = click.argument("phone", nargs=-1, required=True, callback=join_words)
"""A phone number. It may contain spaces, also without quotation marks."""

yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def port_option(default: int) -> Callable[[F], F]:
    """Return the option for the port that a server listens on."""
    return click.option(
        "--port",
        default=default,
        show_default=True,
        type=click.IntRange(0, 65535),
        help="The port to listen on. 0: any free port.",
    )
