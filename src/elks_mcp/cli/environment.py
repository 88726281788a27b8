"""Where a command takes its settings from: the environment, `--env-file` and `--state-dir`."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import click

from elks_mcp.cli.options import STATE_DIR, find_option, shared_options
from elks_mcp.cli.output import say
from elks_mcp.errors import ElksError, Misconfigured
from elks_mcp.settings import ENV_FILE, Configuration, default_state_dir, is_set, read
from elks_mcp.settings.parsers import read_folder, read_text
from elks_mcp.settings.problems import SettingProblem, Unreadable, explain_problems
from elks_mcp.store.private_files import is_open_to_all


def with_settings(*, tolerant: bool = False) -> Callable[[Callable[..., int]], Callable[..., NoReturn]]:
    """Make a command of a function that takes the settings, then its parameters, and returns the exit code.

    The command gets `--env-file` and `--state-dir`. What went wrong is one line: with code 2 where the
    settings are at fault, else with 1. Only a command that is `tolerant` is given settings with faults.
    """

    def decorate(work: Callable[..., int]) -> Callable[..., NoReturn]:
        @shared_options
        @click.pass_context
        @wraps(work)
        def command(context: click.Context, /, **parameters: Any) -> NoReturn:
            configuration = read_options(context)
            if not tolerant:
                _stop_if(configuration.faults)
            try:
                code = work(configuration, **parameters)
            except ElksError as error:
                say(f"elks-mcp: {error} {error.hint}".rstrip(), err=True)
                code = 2 if isinstance(error, Misconfigured) else 1
            sys.exit(code)

        return command

    return decorate


def find_state_dir(context: click.Context) -> Path:
    """Return the state directory that is meant, whatever the other settings are.

    For a command that takes no settings: it works also if one of them cannot be read.
    """
    configuration = read_options(context)
    ours = {"ELKS_STATE_DIR", ENV_FILE, STATE_DIR}
    _stop_if(tuple(each for each in configuration.faults if each.setting in ours))
    return configuration.settings.state_dir or default_state_dir()


def _stop_if(faults: tuple[SettingProblem, ...]) -> None:
    if faults:
        say(f"elks-mcp: cannot start: {explain_problems(faults)}", err=True)
        sys.exit(2)


def read_options(context: click.Context) -> Configuration:
    """Read the settings that a command was given: those of the environment, its file and its state directory.

    What cannot be read is told by `Configuration.faults`.
    """
    configuration = read_configuration(find_option(context, "--env-file"))
    if not (folder := find_option(context, STATE_DIR)):
        return configuration
    try:
        named = {"state_dir": read_folder(folder)}
    except Unreadable as error:
        fault = SettingProblem(STATE_DIR, f"{STATE_DIR} is not valid: {error}.")
        return replace(configuration, faults=(*configuration.faults, fault))
    faults = tuple(each for each in configuration.faults if each.setting != "ELKS_STATE_DIR")
    settings = configuration.settings.model_copy(update=named)
    return replace(configuration, settings=settings, faults=faults)


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


def _read_env_file(path: Path) -> tuple[dict[str, str], tuple[SettingProblem, ...]]:
    """Read a file of settings, and say what of it cannot be read."""
    from dotenv import dotenv_values  # noqa: PLC0415  (only who asks for it)
    from dotenv.parser import parse_stream  # noqa: PLC0415

    try:
        text = read_text(path)
    except Unreadable as error:
        return {}, (SettingProblem(ENV_FILE, f"The file {path} cannot be read: {error}."),)
    odd = [str(each.original.line) for each in parse_stream(StringIO(text)) if each.error]
    said = f"Not every line of the file {path} is NAME=value; see line {', '.join(odd)}."
    values = dotenv_values(stream=StringIO(text))
    return (
        {name: value for name, value in values.items() if value is not None},
        (SettingProblem(ENV_FILE, said),) if odd else (),
    )
