"""The checks of `elks-mcp doctor` on settings: names, values, files, and sender numbers."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from elks_mcp.app import App
from elks_mcp.domain.guards.links import holds_link
from elks_mcp.domain.phone import Number
from elks_mcp.domain.signature import explain_cost
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.errors import ElksError
from elks_mcp.settings import DECLARATIONS, Configuration, explain_mistake, explain_unexpanded


class Check(NamedTuple):
    """The result of one check: "ok", "note", "warn" or "fail", and a sentence about it.

    A "warn" is likely wrong, but only the operator can know.
    """

    mark: str
    text: str


def conclude(marks: set[str]) -> int:
    """Print what the marks of all checks come to, and return the exit code: 1 if a check failed."""
    click.echo(next(verdict for mark, verdict in _VERDICTS.items() if mark in {*marks, "ok"}))
    return int("fail" in marks)


_VERDICTS = {
    "fail": "Something is wrong. See the lines that begin with fail.",
    "warn": "Nothing failed, but something may be wrong. See the lines that begin with warn.",
    "ok": "Nothing is wrong.",
}


def list_faults(configuration: Configuration) -> list[Check]:
    """List the values that cannot be read. Phone numbers are not masked for the operator."""
    return [Check("fail", fault.text) for fault in configuration.faults]


def list_slips(configuration: Configuration) -> list[Check]:
    """List the values that are valid and look wrong."""
    unexpanded = map(explain_unexpanded, configuration.unexpanded)
    return [Check("warn", text) for text in (*configuration.slips, *unexpanded)]


def list_wrong_names(configuration: Configuration) -> list[Check]:
    """List the variables that look like settings and are not."""
    mistaken = [explain_mistake(wrong, right) for wrong, right in configuration.mistaken.items()]
    return [
        *(Check("fail", f"{each} Until that is fixed, nothing is really sent.") for each in mistaken),
        *(Check("note", f"{name} is set, but it is not a setting.") for name in configuration.unknown),
    ]


def list_values(configuration: Configuration) -> list[Check]:
    """List the settings that are set and where each came from, with secrets and numbers masked."""
    checks = []
    for name, setting in DECLARATIONS.items():
        if origin := configuration.origins.get(name):
            value = setting.write(getattr(configuration.settings, name))
            source = f" (from {origin})" if origin != setting.variable else ""
            checks.append(Check("ok", f"{setting.variable} = {value}{source}"))
    return checks


def list_exposed_files(configuration: Configuration) -> list[Check]:
    """List the secret files that every user of this machine may read.

    They are warnings, since the permission may be intended.
    """
    return [
        Check(
            "warn", f"{name} names a file that every user of this machine may read. To close it: `chmod 600`."
        )
        for name in configuration.exposed
    ]


def list_signature_costs(configuration: Configuration) -> list[Check]:
    """List what the signature does to every text."""
    signature = configuration.settings.signature
    checks = [cost] if (cost := explain_cost(signature)) else []
    if holds_link(signature):
        checks.append("A web address in it makes the guard `link` ask about every text.")
    return [Check("warn", f"ELKS_SIGNATURE: {text}") for text in checks]


def list_mms_obstacles(configuration: Configuration) -> list[Check]:
    """List what keeps the toolset `mms` from sending, if it is on."""
    settings, policy = configuration.settings, configuration.policy
    if Toolset.MMS not in policy.toolsets:
        return []
    checks = []
    if find_spec("PIL") is None:
        missing = "The toolset mms needs pillow. Install elks-mcp with its extra `images`."
        checks.append(Check("warn", missing))
    if settings.mms_price is None and not policy.simulated:
        price = "ELKS_MMS_PRICE is not set: the price of an MMS is that of the account's latest one."
        checks.append(Check("note", price))
    return checks


def find_obstacle(folder: Path | None) -> str:
    """Return why a state directory cannot be created or written to, and what to do; or ""."""
    if folder is None:
        return ""
    nearest = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return ""
    reason = "this user may not write there" if nearest.is_dir() else "it is not a directory"
    return f"{nearest}: {reason}. Set ELKS_STATE_DIR to a directory that this user may write to."


async def compare_numbers(app: App) -> list[Check]:
    """List the numbers that are configured as senders and are not among the account's."""
    configured = [
        each for each in (app.policy.sender, *app.policy.allowed_senders) if isinstance(each, Number)
    ]
    if not configured:
        return []
    try:
        owned = [each.number for each in await app.client.list_numbers()]
    except ElksError as error:
        return [
            Check("warn", f"The account's numbers could not be compared with the senders. {error.explain()}")
        ]
    listed = ", ".join(Number(number).masked for number in owned) or "none"
    return [
        Check("warn", _NOT_LISTED.format(number=each.masked, listed=listed))
        for each in configured
        if each.e164 not in owned
    ]


_NOT_LISTED = (
    "{number} is not among the numbers of the account ({listed}). If it is your own mobile number, verified "
    "at 46elks, this is fine: 46elks does not list such numbers, and replies go to that phone. If not, set "
    "ELKS_PHONE_NUMBER, or ELKS_ALLOWED_SENDERS, to a number of the account."
)
