"""Output of commands: text made safe for a terminal; numbers, people and accounts in short."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import tzinfo

import click

from elks_mcp.domain.display import break_line, visible
from elks_mcp.domain.numbering_plans import format_number
from elks_mcp.domain.phone import is_e164
from elks_mcp.domain.send_times import format_send_time
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import NotApproved
from elks_mcp.store import AccountKey, Scheduled

_DEFAULT_COLUMNS, _MIN_COLUMNS = 80, 8


def say(text: str, *, err: bool = False) -> None:
    """Print a text; characters that are invisible or move the cursor become their number."""
    click.echo("\n".join(visible(line) for line in text.split("\n")), err=err)


def measure_columns() -> int:
    """Return how many columns a row may use: one less than the terminal has, or else 79.

    Some terminals wrap as soon as the last column is filled. The variable COLUMNS is not read, since the
    window may have been resized since it was set.
    """
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):  # standard output is not a terminal, or not a file
        columns = 0
    return max(_MIN_COLUMNS, (columns or _DEFAULT_COLUMNS) - 1)


def wrap(text: str, first: str = "", indent: str = "") -> list[str]:
    """Return our own words in rows of the terminal's width.

    `first` begins the first row, and `indent` each other row.
    """
    columns = max(_MIN_COLUMNS, measure_columns() - len(indent))
    rows = [row.rstrip() for line in text.split("\n") for row in break_line(line, columns)]
    return [(indent if number else first) + row for number, row in enumerate(rows)]


def list_facts(facts: Mapping[str, str]) -> list[str]:
    """Return a row for each fact that is not empty: its name, and its value in a column."""
    known = {name: value for name, value in facts.items() if value}
    width = max(map(len, known), default=0)
    indent = " " * (width + 4)
    return [row for name, value in known.items() for row in wrap(value, f"  {name:<{width}}  ", indent)]


def show_number(number: str, home: str) -> str:
    """Return a number as people in `home` (an ISO 3166 region) write it. A name stays as it is."""
    return format_number(number, home) if is_e164(number) else visible(number)


def show_person(name: str | None, number: str, home: str) -> str:
    """Return a contact's name and number, or only the number: `Åsa B, 070-174 06 05`."""
    return f"{name}, {show_number(number, home)}" if name else show_number(number, home)


@contextmanager
def progress(words: str) -> Iterator[None]:
    """Show on standard error, if it is a terminal, what the command waits for, and remove it."""
    if not sys.stderr.isatty():
        yield
        return
    show_progress(words)
    try:
        yield
    finally:
        click.echo(f"\r{' ' * measure_columns()}\r", err=True, nl=False)


def show_progress(words: str) -> None:
    """Replace the words of `progress`, if standard error is a terminal."""
    if sys.stderr.isatty():
        columns = measure_columns()
        click.echo(f"\r{words[:columns]:<{columns}}", err=True, nl=False)


def require_terminal() -> None:
    """Check that a person types the command.

    Raises:
        NotApproved: standard input or output is not a terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotApproved(
            "Approval needs a person at a terminal. Standard input or output is not a terminal.",
            hint="Type the command yourself in a terminal window. It cannot be piped or run by an assistant.",
        )


def can_ask() -> bool:
    """Return whether a person at a terminal can be asked: the question goes to standard error."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def show_account(owner: AccountKey) -> str:
    """Return the account that something belongs to, with its username masked."""
    return owner.masked


def describe_scheduled(scheduled: Scheduled, zone: tzinfo | None) -> str:
    """Return how many texts are scheduled and when the first is sent, as a sentence."""
    if scheduled.next_at is None:
        return "No text is scheduled."
    verb = "is" if scheduled.total == 1 else "are"
    when = format_send_time(scheduled.next_at, None, zone)
    return f"{format_count(scheduled.total, 'text')} {verb} scheduled, the next for {when}."
