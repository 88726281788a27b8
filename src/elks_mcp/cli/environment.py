"""Where a command takes its settings from: the environment, a file, and `--state-dir`."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import click

from elks_mcp.errors import ElksError, Misconfigured
from elks_mcp.settings import Configuration, is_set, load

_STATE_DIR = "elks_mcp.state_dir"


def _remember(context: click.Context, _: click.Parameter, folder: Path | None) -> None:
    if folder is not None:
        context.meta[_STATE_DIR] = folder


in_state_dir = click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    expose_value=False,
    callback=_remember,
    help="The state directory of the server that is meant. Default: ELKS_STATE_DIR, or where this system "
    "keeps a user's data.",
)
"""Lets a command, or the group it is in, be told where the state is."""


def act(context: click.Context, work: Callable[[Configuration], int]) -> NoReturn:
    """Do the work of a command with its settings, and end with its exit code.

    What went wrong is one line: with code 2 where the settings are at fault, else with 1.
    """
    configuration = configure(context.obj)
    if folder := context.meta.get(_STATE_DIR):
        named = {"state_dir": folder.expanduser().absolute()}
        configuration = replace(configuration, settings=configuration.settings.model_copy(update=named))
    try:
        code = work(configuration)
    except ElksError as error:
        click.echo(f"elks-mcp: {error} {error.hint}".rstrip(), err=True)
        code = 2 if isinstance(error, Misconfigured) else 1
    sys.exit(code)


def configure(env_file: Path | None) -> Configuration:
    """Read the settings; where they cannot be read, say why in one line and end with code 2."""
    try:
        ours = {name: value for name, value in os.environ.items() if is_set(value)}
        return load((_read_env_file(env_file) if env_file else {}) | ours)
    except Misconfigured as error:
        click.echo(f"elks-mcp: cannot start: {error}", err=True)
        sys.exit(2)


def _read_env_file(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values  # noqa: PLC0415  (only who asks for it)

    try:
        values = dotenv_values(path, encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Misconfigured(f"{path} is not UTF-8; save it as UTF-8") from None
    return {name: value for name, value in values.items() if value is not None}
