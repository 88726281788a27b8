"""The number of the person at the terminal, for `elks-mcp send --to-me`."""

import os
from pathlib import Path

import click

from elks_mcp.cli.output import can_ask
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration, default_state_dir
from elks_mcp.store.private_files import close_to_others, make_private_folder, read_private_file

NUMBER_FILE = "my-number"


def find_my_number(configuration: Configuration) -> str:
    """Return the person's own number in E.164, which is asked for once and then stored.

    Raises:
        InvalidInput: the number is not stored yet, and standard input is not a terminal.
        Misconfigured: the file cannot be read or written.
    """
    if number := read_my_number(configuration):
        return number.e164
    file = find_number_file(configuration)
    asked = _ask(file, configuration.policy.home)
    try:
        _store(file, asked)
    except OSError as error:
        raise _explain(file, error) from None
    return asked


def read_my_number(configuration: Configuration) -> Number | None:
    """Return the person's own number; None if it is not stored.

    Raises:
        InvalidInput: the file has no number.
        Misconfigured: the file cannot be read.
    """
    file = find_number_file(configuration)
    try:
        if not file.exists():
            return None
        return parse_number(read_private_file(file).decode("utf-8").strip(), configuration.policy.home)
    except (OSError, UnicodeDecodeError) as error:
        raise _explain(file, error) from None


def find_number_file(configuration: Configuration) -> Path:
    """Return the file that has the person's own number, if it is stored."""
    return (configuration.settings.state_dir or default_state_dir()) / NUMBER_FILE


def _explain(file: Path, error: Exception) -> Misconfigured:
    return Misconfigured(
        f"Your own number in {file} cannot be read or stored: {error}.",
        hint="Name another directory with --state-dir.",
    )


def _ask(file: Path, home: str) -> str:
    if not can_ask():
        raise InvalidInput(
            "Your own number is not stored yet, and standard input is not a terminal.",
            hint=f"Run this once in a terminal: {show_command('send --to-me')}.",
        )

    def read(raw: str) -> str:
        try:
            return parse_number(raw, home).e164
        except InvalidInput as error:
            raise click.BadParameter(f"{error} {error.hint}") from None

    question = f"Your own number (asked once, and stored in {file})"
    number: str = click.prompt(question, value_proc=read, err=True)
    return number


def _store(file: Path, number: str) -> None:
    make_private_folder(file.parent)
    close_to_others(file)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.write(f"{number}\n")
