"""The settings of a command: from the environment, `--env-file` and `--state-dir`."""

__lazy_modules__ = ["elks_mcp.cli.exit_codes", "elks_mcp.cli.output"]

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import click

from elks_mcp.cli.arguments import find_option, shared_options
from elks_mcp.cli.exit_codes import find_exit_code
from elks_mcp.cli.output import say
from elks_mcp.domain.doubts import explain_short_quiet_period
from elks_mcp.errors import ElksError
from elks_mcp.runtime.start_options import ENV_FILE, STATE_DIR
from elks_mcp.settings import (
    Configuration,
    default_state_dir,
    explain_mistake,
    explain_unexpanded,
    is_set,
    read,
)
from elks_mcp.settings.parsers import read_path, read_text
from elks_mcp.settings.problems import SettingProblem, Unreadable, explain_problems
from elks_mcp.store.private_files import is_open_to_all

log = logging.getLogger(__name__)


def with_settings(*, even_invalid: bool = False) -> Callable[[Callable[..., int]], Callable[..., NoReturn]]:
    """Make a command of a function that takes the settings, and returns the exit code.

    The command passes its other parameters by name. It also takes `--env-file` and `--state-dir`. It prints
    an `ElksError` in one line; the exit code is then that of `find_exit_code`.

    `even_invalid`: call the function even if settings are invalid; it finds them in `Configuration.faults`.
    """

    def decorate(work: Callable[..., int]) -> Callable[..., NoReturn]:
        @shared_options
        @click.pass_context
        @wraps(work)
        def command(context: click.Context, /, **parameters: Any) -> NoReturn:
            configuration = read_options(context)
            if not even_invalid:
                _exit_if_invalid(configuration.faults)
            try:
                code = work(configuration, **parameters)
            except ElksError as error:
                say(f"elks-mcp: {error} {error.hint}".rstrip(), err=True)
                code = find_exit_code(error)
            sys.exit(code)

        return command

    return decorate


def find_state_dir(context: click.Context) -> Path:
    """Return the state directory that the options or the settings name.

    For a command that needs no other settings, which may therefore be invalid. If a setting that names the
    state directory is invalid, the exit code is 2.
    """
    configuration = read_options(context)
    relevant = {"ELKS_STATE_DIR", ENV_FILE, STATE_DIR}
    _exit_if_invalid(tuple(each for each in configuration.faults if each.setting in relevant))
    return configuration.settings.state_dir or default_state_dir()


def _exit_if_invalid(faults: tuple[SettingProblem, ...]) -> None:
    if faults:
        say(f"elks-mcp: cannot start: {explain_problems(faults)}", err=True)
        sys.exit(2)


def read_options(context: click.Context) -> Configuration:
    """Return the settings of a command: from the environment, `--env-file` and `--state-dir`.

    `Configuration.faults` lists what is invalid.
    """
    configuration = read_configuration(find_option(context, ENV_FILE))
    if not (folder := find_option(context, STATE_DIR)):
        return configuration
    try:
        named = {"state_dir": read_path(folder)}
    except Unreadable as error:
        fault = SettingProblem(STATE_DIR, f"{STATE_DIR} is not valid: {error}.")
        return replace(configuration, faults=(*configuration.faults, fault))
    faults = tuple(each for each in configuration.faults if each.setting != "ELKS_STATE_DIR")
    settings = configuration.settings.model_copy(update=named)
    return replace(configuration, settings=settings, faults=faults)


def read_configuration(env_file: Path | None) -> Configuration:
    """Return the settings of the environment and of a file. The environment overrides the file.

    `Configuration.faults` lists what is invalid, the file included.
    """
    in_file, faults = read_env_file(env_file) if env_file else ({}, ())
    environ = {name: value for name, value in os.environ.items() if is_set(value) or name not in in_file}
    configuration = read(in_file | environ)
    exposed = (ENV_FILE,) if env_file and is_open_to_all(env_file) else ()
    return replace(
        configuration,
        faults=(*faults, *configuration.faults),
        exposed=(*configuration.exposed, *exposed),
    )


def log_warnings(configuration: Configuration) -> None:
    """Log what is wrong or suspicious in the settings, when a server starts."""
    for fault in configuration.faults:
        log.error("%s", fault.text)
    for slip in (*configuration.slips, *map(explain_unexpanded, configuration.unexpanded)):
        log.warning("%s", slip)
    for wrong, right in configuration.mistaken.items():
        log.warning("%s", explain_mistake(wrong, right))
    if configuration.unknown:
        log.warning("unknown variables: %s", ", ".join(configuration.unknown))

    settings = configuration.settings
    if too_short := explain_short_quiet_period(settings.quiet_period, settings.timeout):
        log.warning("%s", too_short)


def read_env_file(path: Path) -> tuple[dict[str, str], tuple[SettingProblem, ...]]:
    """Return the variables that a file sets, and the problems of the file."""
    from dotenv import dotenv_values  # noqa: PLC0415  (only needed with --env-file)
    from dotenv.parser import parse_stream  # noqa: PLC0415

    try:
        text = read_text(path)
    except Unreadable as error:
        return {}, (SettingProblem(ENV_FILE, f"The file {path} cannot be read: {error}."),)
    wrong = [str(each.original.line) for each in parse_stream(StringIO(text)) if each.error]
    problem = f"The file {path} must have the form NAME=value on every line; see line {', '.join(wrong)}."
    values = dotenv_values(stream=StringIO(text), interpolate=False)  # a password may hold ${…}
    return (
        {name: value for name, value in values.items() if value is not None},
        (SettingProblem(ENV_FILE, problem),) if wrong else (),
    )
