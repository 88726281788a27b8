"""Where a command takes its settings from: the environment, a file, and `--state-dir`."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import NoReturn

import click

from elks_mcp.cli.showing import say
from elks_mcp.errors import ElksError, Misconfigured
from elks_mcp.faults import Fault, Unreadable, explain_faults
from elks_mcp.readers import read_folder, read_text
from elks_mcp.settings import ENV_FILE, Configuration, default_state_dir, is_set, read
from elks_mcp.store.private import is_open_to_all

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


def act(context: click.Context, work: Callable[[Configuration], int], *, tolerant: bool = False) -> NoReturn:
    """Do the work of a command with its settings, and end with its exit code.

    What went wrong is one line: with code 2 where the settings are at fault, else with 1. Only a command
    that is `tolerant` is given a configuration with faults.
    """
    configuration = read_configuration(context.obj) if tolerant else configure(context.obj)
    try:
        if folder := context.meta.get(_STATE_DIR):
            named = {"state_dir": read_folder(folder)}
            configuration = replace(configuration, settings=configuration.settings.model_copy(update=named))
        code = work(configuration)
    except Unreadable as error:
        say(f"elks-mcp: --state-dir is not valid: {error}.", err=True)
        code = 2
    except ElksError as error:
        say(f"elks-mcp: {error} {error.hint}".rstrip(), err=True)
        code = 2 if isinstance(error, Misconfigured) else 1
    sys.exit(code)


def find_state_dir(context: click.Context) -> Path:
    """Return the state directory that is meant, whatever the other settings are.

    For a command that takes no settings: it works also if one of them cannot be read.
    """
    if folder := context.meta.get(_STATE_DIR):
        return Path(folder).expanduser().absolute()
    configuration = read_configuration(context.obj)
    _stop_if(tuple(each for each in configuration.faults if each.setting in {"ELKS_STATE_DIR", ENV_FILE}))
    return configuration.settings.state_dir or default_state_dir()


def configure(env_file: Path | None) -> Configuration:
    """Read the settings; if they cannot be read, say why in one line and end with code 2."""
    configuration = read_configuration(env_file)
    _stop_if(configuration.faults)
    return configuration


def _stop_if(faults: tuple[Fault, ...]) -> None:
    if faults:
        say(f"elks-mcp: cannot start: {explain_faults(faults)}", err=True)
        sys.exit(2)


def read_configuration(env_file: Path | None) -> Configuration:
    """Read the settings; what cannot be read, the file included, is told by `Configuration.faults`."""
    in_file, faults = _read_env_file(env_file) if env_file else ({}, ())
    ours = {name: value for name, value in os.environ.items() if is_set(value) or name not in in_file}
    configuration = read(in_file | ours)
    exposed = ("--env-file",) if env_file and is_open_to_all(env_file) else ()
    return replace(
        configuration,
        faults=(*faults, *configuration.faults),
        exposed=(*configuration.exposed, *exposed),
    )


def _read_env_file(path: Path) -> tuple[dict[str, str], tuple[Fault, ...]]:
    """Read a file of settings, and say what of it cannot be read."""
    from dotenv import dotenv_values  # noqa: PLC0415  (only who asks for it)
    from dotenv.parser import parse_stream  # noqa: PLC0415

    try:
        text = read_text(path)
    except Unreadable as error:
        return {}, (Fault(ENV_FILE, f"The file {path} cannot be read: {error}."),)
    odd = [str(each.original.line) for each in parse_stream(StringIO(text)) if each.error]
    said = f"Not every line of the file {path} is NAME=value; see line {', '.join(odd)}."
    values = dotenv_values(stream=StringIO(text))
    return (
        {name: value for name, value in values.items() if value is not None},
        (Fault(ENV_FILE, said),) if odd else (),
    )
