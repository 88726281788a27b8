"""`elks-mcp forget` and `export`: delete or print what is stored about a phone number."""

import json
import sys
from datetime import datetime
from typing import Any

import click

from elks_mcp.cli.arguments import phone_argument, yes_option
from elks_mcp.cli.confirm import confirm
from elks_mcp.cli.contact_reading import read_contacts
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import say
from elks_mcp.cli.state import State
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration, mask_username
from elks_mcp.store.my_number import forget_my_number, has_my_number
from elks_mcp.store.privacy import PersonalData, Removed, StoredData


@click.command()
@phone_argument
@yes_option
@with_settings()
def forget(configuration: Configuration, phone: str, *, yes: bool) -> int:
    """Delete what is stored about a phone number, except its opt-out.

    Orders lose the number, the text, 46elks' id and all hashes. Their costs stay stored. An opt-out stays
    too, as a keyed hash, so that nothing is sent to the number.

    If it is your own number, `send --to-me` asks for it again.

    The command fails if an order to the number is unfinished. It does not change your contacts, and says if
    they name the number.
    """
    number, state = _read(configuration, phone), State(configuration)
    if contacts := _explain_contacts(configuration, number):
        say(contacts)
    is_own = _is_own(configuration, number)
    if not (state.exists or is_own):
        say(state.absence)
        return 0
    stored, opt_out = _find_stored(state, number)
    if not (stored or opt_out or is_own):
        say(f"Nothing is stored about {number.e164}.")
        return 0
    if not (yes or _confirm(number, stored)):
        say("Nothing was changed.")
        return 1
    if stored or opt_out:
        say(_report(number, state.query(lambda database: PersonalData(database).remove(number))))
    if is_own:
        forget_my_number(configuration.settings.personal_dir)
        again = show_command("send --to-me TEXT")
        say(f"{number.e164} is no longer stored as your own number. To store one again: {again}.")
    return 0


@click.command()
@phone_argument
@with_settings()
def export(configuration: Configuration, phone: str) -> int:
    """Print everything stored about a phone number, as JSON."""
    number, state = _read(configuration, phone), State(configuration)
    stored, opt_out = _find_stored(state, number)
    shown = {
        "number": number.e164,
        "is_my_number": _is_own(configuration, number),
        "state": state.description,
        "opt_out": opt_out,
        "accounts": [_as_json(each) for each in stored],
    }
    click.echo(json.dumps(shown, indent=2, default=_format_value))
    return 0


def _read(configuration: Configuration, raw: str) -> Number:
    return parse_number(raw, configuration.policy.home)


def _is_own(configuration: Configuration, number: Number) -> bool:
    """Return whether a number is stored as the person's own, for `send --to-me`."""
    return has_my_number(configuration.settings.personal_dir, number.e164)


def _find_stored(state: State, number: Number) -> tuple[list[StoredData], dict[str, Any] | None]:
    """Return what the state has about a number, and its opt-out."""
    if not state.exists:
        return [], None
    return (
        state.query(lambda database: PersonalData(database).list_stored(number)),
        state.query(lambda database: PersonalData(database).find_opt_out(number)),
    )


def _confirm(number: Number, stored: list[StoredData]) -> bool:
    if not sys.stdin.isatty():
        raise InvalidInput(
            "Standard input is not a terminal, so you cannot be asked for confirmation.",
            hint="To delete without confirmation, add --yes.",
        )
    orders = sum(len(each.orders) for each in stored)
    return confirm(
        f"Delete everything stored about {number.e164} ({format_count(orders, 'order')}) except its opt-out?"
    )


def _explain_contacts(configuration: Configuration, number: Number) -> str:
    """Return a sentence if the contacts, which this command does not change, name a number."""
    path = configuration.settings.contacts
    if path is None:
        return ""
    try:
        owners = read_contacts(configuration).contacts.list_owners(number)
    except Misconfigured as error:
        return f"{error} Your contacts were not searched for the number."
    names = ", ".join(each.name for each in owners)
    return f"Your contacts name this number: {names}. Delete it in {path}, too." if names else ""


def _report(number: Number, removed: Removed) -> str:
    opt_out = _OPT_OUT_STAYS if removed.opted_out else ""
    plans = _PLANS_ARE_GONE.format(format_count(removed.plans, "plan")) if removed.plans else ""
    orders = format_count(removed.orders, "order")
    return f"{number.e164} was deleted from {orders}. {_CONSEQUENCES}{plans}{opt_out}"


_CONSEQUENCES = """The number, the text, 46elks' id and all hashes were deleted from them.
Costs and times are kept for the budget. The server no longer recognizes a repeat of one of these texts.
46elks' own history is unchanged. If elks-mcp reads the number there, it stores a keyed hash of it again."""
_PLANS_ARE_GONE = """
Deleted with the number: {} of a batch that was not started. Plan such a batch again without the number."""
_OPT_OUT_STAYS = "\nThe number opted out. The opt-out stays, as a keyed hash, so that nothing is sent there."


def _as_json(stored: StoredData) -> dict[str, Any]:
    return {
        "api": stored.owner.base_url,
        "username": mask_username(stored.owner.username),
        "orders": stored.orders,
        "known_number": stored.known_number,
        "arrivals": stored.arrivals,
        "taint": stored.taint,
        "batches": stored.batches,
    }


def _format_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
