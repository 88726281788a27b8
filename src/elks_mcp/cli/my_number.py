"""The number of the person at the terminal, for `elks-mcp send --to-me`."""

import click

from elks_mcp.cli.output import can_ask
from elks_mcp.domain.phone import parse_number
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration
from elks_mcp.store.my_number import NUMBER_FILE, read_my_number, store_my_number


def find_my_number(configuration: Configuration) -> str:
    """Return the person's own number in E.164, which is asked for once and then stored.

    Raises:
        InvalidInput: the number is not stored yet, and standard input is not a terminal.
        Misconfigured: the file cannot be read or written.
    """
    folder = configuration.settings.personal_dir
    if number := read_my_number(folder):
        return number
    number = _ask(str(folder / NUMBER_FILE), configuration.policy.home)
    store_my_number(folder, number)
    return number


def _ask(file: str, home: str) -> str:
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
