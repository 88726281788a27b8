"""`elks-mcp contacts accept`: a person lets servers use contacts that changed.

If `ELKS_ALLOWED_RECIPIENTS` names contacts, a server uses changed contacts only after this.
"""

from pathlib import Path

import click

from elks_mcp.cli.confirm import confirm
from elks_mcp.cli.contact_reading import read_contacts
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import require_terminal, say
from elks_mcp.cli.state import IN_MEMORY, State
from elks_mcp.domain.contacts import GROUP_MARK, Contact, Contacts
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.errors import NotFound
from elks_mcp.settings import Configuration
from elks_mcp.store.accepted_contacts import ContactAcceptances, ContactChanges
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.db.database import Database
from elks_mcp.store.location import AccountKey


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@with_settings()
def accept(configuration: Configuration, file: Path | None) -> int:
    """Let servers use contacts that changed, if contacts decide who may be texted.

    FILE is the file or directory that ELKS_CONTACTS names; it can be left out if that is set here as well.
    The command lists what changed since contacts were accepted last, or all contacts if none were, and asks.
    It needs a terminal. A running server uses the contacts from its next text on. Without ELKS_API_USERNAME,
    they are accepted for all accounts.

    Exit code 0 if the contacts are accepted, 1 if they are not.
    """
    require_terminal()
    state = State(configuration)
    if not state.location.is_durable:
        raise NotFound(IN_MEMORY, hint="Restart the server: it then uses the contacts as they are.")
    contacts = read_contacts(configuration, file).contacts
    account = configuration.settings.account if configuration.settings.credentials else None
    changes = state.query_or_create(lambda database: _compare(database, account, contacts))
    if all(each.is_same for each in changes):
        say("These contacts are accepted already. Nothing was changed.")
        return 0
    for each in changes:
        say("\n".join(_describe(each, contacts, configuration)))
    if not confirm("Let servers text these people?"):
        say("Not accepted. Nothing was changed.")
        return 1
    state.query(lambda database: _accept(database, account, contacts))
    say("Accepted. A running server uses these contacts from its next text on.")
    return 0


async def _list_accounts(database: Database, account: AccountKey | None) -> list[AccountKey]:
    """Return the account, or all accounts of the database if no account is configured."""
    found = [account] if account else await OrderAdmin(database).list_accounts()
    if not found:
        raise NotFound(
            "The state has no account yet.", hint="Set ELKS_API_USERNAME and ELKS_API_PASSWORD here as well."
        )
    return found


async def _compare(
    database: Database, account: AccountKey | None, contacts: Contacts
) -> list[ContactChanges]:
    """Return what the contacts change, once if it is the same for all accounts."""
    changes = []
    for each in await _list_accounts(database, account):
        await database.enter(each)
        found = await ContactAcceptances(database).compare(contacts)
        changes += [] if found in changes else [found]
    return changes


async def _accept(database: Database, account: AccountKey | None, contacts: Contacts) -> None:
    for each in await _list_accounts(database, account):
        await database.enter(each)
        await ContactAcceptances(database).accept(contacts)


def _describe(changes: ContactChanges, contacts: Contacts, configuration: Configuration) -> list[str]:
    people = format_count(len(contacts.people), "contact")
    if changes.accepted_at is None:
        return [f"{people}. None were accepted before, so all are listed.", *_list(changes.added, "+")]
    since = format_time_in(configuration.settings.time_zone, changes.accepted_at)
    facts = f"{len(changes.added)} added, {len(changes.changed)} changed, {changes.removed} removed"
    head = f"{people}. Since {since}: {facts}."
    return [head, *_list(changes.added, "+"), *_list(changes.changed, "~")]


def _list(people: tuple[Contact, ...], mark: str) -> list[str]:
    return [f"  {mark} {_describe_one(each)}" for each in people]


def _describe_one(contact: Contact) -> str:
    numbers = ", ".join(each.number.e164 for each in contact.numbers) or "no number"
    groups = " ".join(f"{GROUP_MARK}{group}" for group in contact.groups)
    also = f"also {', '.join(contact.aliases)}" if contact.aliases else ""
    return "  ".join(part for part in (contact.name, numbers, groups, also) if part)
