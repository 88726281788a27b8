"""`elks-mcp forget` and `elks-mcp export`: what is held about a phone number."""

import json
import sys
from datetime import datetime
from typing import Any

import click

from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.options import phone_argument, yes_option
from elks_mcp.cli.output import counted, say, show_username
from elks_mcp.cli.state import State
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.errors import InvalidInput
from elks_mcp.settings import Configuration
from elks_mcp.store.privacy import PersonalData, Removed, StoredData


@click.command()
@phone_argument
@yes_option
@with_settings()
def forget(configuration: Configuration, phone: str, *, yes: bool) -> int:
    """Remove what is held about a phone number.

    Orders lose the number, the text, 46elks' id and all hashes; what they cost stays. That the number
    opted out stays too, as a keyed hash, so that nothing is sent there.
    """
    number, state = _read(configuration, phone), State(configuration)
    if not state.exists:
        say(state.absence)
        return 0
    held = state.ask(lambda database: PersonalData(database).list_stored(number))
    opt_out = state.ask(lambda database: PersonalData(database).find_opt_out(number))
    if not (held or opt_out):
        say(f"Nothing is held about {number.e164}.")
        return 0
    if not (yes or _agrees(number, held)):
        say("Nothing was changed.")
        return 1
    say(_report(number, state.ask(lambda database: PersonalData(database).remove(number))))
    return 0


@click.command()
@phone_argument
@with_settings()
def export(configuration: Configuration, phone: str) -> int:
    """Print all that is held about a phone number, as JSON."""
    number, state = _read(configuration, phone), State(configuration)
    held = state.ask(lambda database: PersonalData(database).list_stored(number)) if state.exists else []
    opt_out = (
        state.ask(lambda database: PersonalData(database).find_opt_out(number)) if state.exists else None
    )
    shown = {
        "number": number.e164,
        "state": state.whereabouts,
        "opt_out": opt_out,
        "accounts": [_shown(each) for each in held],
    }
    click.echo(json.dumps(shown, indent=2, default=_written))
    return 0


def _read(configuration: Configuration, raw: str) -> Number:
    return parse_number(raw, configuration.settings.policy().home)


def _agrees(number: Number, held: list[StoredData]) -> bool:
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody can be asked here.", hint="Say --yes if what is held shall be removed.")
    orders = sum(len(each.orders) for each in held)
    return click.confirm(
        f"Remove what is held about {number.e164}, in {counted(orders, 'order')} and contacts?"
    )


def _report(number: Number, removed: Removed) -> str:
    stop = _STOP_STAYS if removed.opted_out else ""
    return f"{number.e164} is forgotten in {counted(removed.orders, 'order')}. {_WHAT_IT_MEANS}{stop}"


_WHAT_IT_MEANS = """They lost the number, the text, 46elks' id and all hashes.
What they cost, and when, stays for the budget. A repeat of such a text is not known as one any more.
46elks' own history is not touched; who is read in it later is noted again, by keyed hash."""
_STOP_STAYS = "\nThe number opted out. That stays, as a keyed hash, so that nothing is sent there."


def _shown(held: StoredData) -> dict[str, Any]:
    return {
        "api": held.owner.base_url,
        "username": show_username(held.owner.username),
        "orders": held.orders,
        "contact": held.contact,
        "arrivals": held.arrivals,
        "shown": held.shown,
    }


def _written(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
