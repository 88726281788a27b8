"""Output of commands: text made safe for a terminal, and orders and accounts in short."""

import os
import sys

import click

from elks_mcp.domain.display import visible
from elks_mcp.domain.orders import Order
from elks_mcp.domain.wording import format_count
from elks_mcp.store import AccountKey

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


def show_account(owner: AccountKey) -> str:
    """Return the account that something belongs to, with its username masked."""
    return owner.masked


def show_recipient(order: Order) -> str:
    """Return the recipient of an order, with the country."""
    return f"{order.to.e164} ({order.to.country})" if order.to else "forgotten"


def show_size(order: Order) -> str:
    """Return the number of parts of an order, and its price."""
    return f"{format_count(order.parts, 'part')}, {order.price}"
