"""A report in words: what the operator's contacts hold, and who may change them."""

from datetime import tzinfo
from typing import NamedTuple

import anyio.to_thread

from elks_mcp.contacts.accepted import AcceptedContacts
from elks_mcp.contacts.writers import Reach, find_writers
from elks_mcp.domain.wording import format_count, format_time_in


class ContactReport(NamedTuple):
    """A report on the contacts."""

    text: str
    """Sentences without the name of the file."""

    is_open_to_others: bool
    """Whether another user of this machine may change the contacts."""


async def describe_contacts(contacts: AcceptedContacts, zone: tzinfo | None) -> ContactReport:
    """Return what is in contacts that are configured, and who may change them.

    Raises:
        Misconfigured: they cannot be read.
    """
    now, count = await contacts.read_files(), len(contacts.reader.problems)
    people = format_count(len(now.people), "contact")
    groups = format_count(len(now.list_groups()), "group")
    changed = f", changed {format_time_in(zone, now.changed_at)}" if now.changed_at else ""
    problems = f", {format_count(count, 'problem')}" if count else ""
    found = f"{people}, {groups}{changed}{problems}."
    if contacts.path is None:
        return ContactReport(found, is_open_to_others=False)
    try:
        writers = await anyio.to_thread.run_sync(find_writers, contacts.path)
    except OSError:  # it was removed after it was read
        return ContactReport(found, is_open_to_others=False)
    if writers is None:
        return ContactReport(f"{found} It was not checked who may write it.", is_open_to_others=False)
    said = f"{writers.names[0].upper()}{writers.names[1:]} may write it."
    return ContactReport(f"{found} {said}", is_open_to_others=writers.reach > Reach.OWNER)
