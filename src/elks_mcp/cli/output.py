"""How commands show things: orders, accounts, times; safe for a terminal, whatever is in them."""

import os
import sys
from datetime import datetime, timedelta, tzinfo

import click

from elks_mcp.domain.display import time_in_words, visible
from elks_mcp.domain.orders import Order
from elks_mcp.runtime.clock import in_zone
from elks_mcp.store import AccountKey

_MINUTE, _HOUR = 60, 3600
_USUAL_COLUMNS, _FEWEST_COLUMNS = 80, 8


def say(text: str, *, err: bool = False) -> None:
    """Print a text; what would move the cursor or hide something is shown by its number."""
    click.echo("\n".join(visible(line) for line in text.split("\n")), err=err)


def measure_columns() -> int:
    """Return how many columns a row may take here: one less than the terminal has, or 79.

    Some terminals go on to the next row as soon as the last column is filled. COLUMNS is not read: it can be
    older than the window.
    """
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):  # no terminal, or no file at all
        columns = 0
    return max(_FEWEST_COLUMNS, (columns or _USUAL_COLUMNS) - 1)


def show_username(name: str) -> str:
    """Show enough of an API username to know it again."""
    return f"{name[:3]}… ({len(name)} characters)"


def show_account(owner: AccountKey) -> str:
    """Say whose something is."""
    return owner.masked


def show_recipient(order: Order) -> str:
    """Say who a text goes to."""
    return f"{order.to.e164} ({order.to.country})" if order.to else "forgotten"


def show_size(order: Order) -> str:
    """Say how long a text is and what it costs."""
    return f"{counted(order.parts, 'part')}, {order.price}"


def show_time(time: timedelta) -> str:
    """Write a time in its largest unit, rounded down: 27 minutes."""
    seconds = max(0, int(time.total_seconds()))
    if seconds < _MINUTE:
        return counted(seconds, "second")
    return counted(seconds // _MINUTE, "minute") if seconds < _HOUR else counted(seconds // _HOUR, "hour")


def show_moment(moment: datetime, zone: tzinfo | None) -> str:
    """Write a moment in a zone; None is the machine's."""
    return time_in_words(in_zone(moment, zone))


def counted(number: int, what: str) -> str:
    """Write how many there are: 1 part, 2 parts."""
    return f"{number} {what}{'s' if number != 1 else ''}"
