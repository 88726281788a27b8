"""Checks of `elks-mcp doctor`: what cannot be read, what looks like a slip, and whose numbers are used."""

import os
from pathlib import Path
from typing import NamedTuple

from elks_mcp.app import App
from elks_mcp.domain.phone import Number
from elks_mcp.errors import ElksError
from elks_mcp.settings import Configuration, explain_unexpanded


class Check(NamedTuple):
    """One thing that was looked at: "ok", "note", "warn" or "fail", and what about it.

    A "warn" is likely wrong, and only the operator can tell.
    """

    mark: str
    text: str


def list_faults(configuration: Configuration) -> list[Check]:
    """List what cannot be read; the person at the terminal sees the values that may be shown."""
    return [Check("fail", fault.text) for fault in configuration.faults]


def list_slips(configuration: Configuration) -> list[Check]:
    """List values that can be read and are likely not what was meant."""
    unexpanded = map(explain_unexpanded, configuration.unexpanded)
    return [Check("warn", text) for text in (*configuration.slips, *unexpanded)]


def find_obstacle(folder: Path | None) -> str:
    """Say why a state directory cannot be made or written to; "" if it can."""
    if folder is None:
        return ""
    nearest = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return ""
    fault = "this user may not write there" if nearest.is_dir() else "it is not a directory"
    return f"{nearest}: {fault}. Set ELKS_STATE_DIR to a directory this user may write to."


async def compare_numbers(app: App) -> list[Check]:
    """Compare the numbers that are configured as senders with those of the account."""
    configured = [
        each for each in (app.policy.sender, *app.policy.allowed_senders) if isinstance(each, Number)
    ]
    if not configured:
        return []
    try:
        owned = [each.number for each in await app.client.list_numbers()]
    except ElksError as error:
        return [Check("warn", f"Whether the account has the sender's number is not known. {error.explain()}")]
    listed = ", ".join(Number(number).masked for number in owned) or "none"
    return [
        Check("warn", _NOT_LISTED.format(number=each.masked, listed=listed))
        for each in configured
        if each.e164 not in owned
    ]


_NOT_LISTED = (
    "{number} is not among the numbers of the account ({listed}). Either it is your own mobile number, "
    "verified at 46elks, which 46elks lists nowhere: then all is well, and answers go to that phone. "
    "Or it is not yours to send from: then set ELKS_PHONE_NUMBER, or ELKS_ALLOWED_SENDERS, to a number of "
    "the account."
)
