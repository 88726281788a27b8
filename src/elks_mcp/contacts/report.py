"""A report in words: what the operator's contacts hold, and who may change them."""

from datetime import tzinfo
from typing import NamedTuple

import anyio.to_thread

from elks_mcp.contacts.accepted import ContactReader
from elks_mcp.contacts.writers import Reach, find_writers
from elks_mcp.domain.wording import format_count, format_time_in


class ContactReport(NamedTuple):
    """A report on the contacts."""

    text: str
    """Sentences without the name of the file."""

    is_open_to_others: bool
    """Whether another user of this machine may change the contacts."""


async def describe_contacts(source: ContactReader, zone: tzinfo | None) -> ContactReport:
    """Return what is in contacts that are configured, and who may change them.

    Raises:
        Misconfigured: they cannot be read.
    """
    contacts = await source.read()
    people = format_count(len(contacts.people), "contact")
    groups = format_count(len(contacts.list_groups()), "group")
    changed = f", changed {format_time_in(zone, contacts.changed_at)}" if contacts.changed_at else ""
    problems = format_count(len(source.problems), "problem")
    found = f"{people}, {groups}{changed}{f', {problems}' if source.problems else ''}."
    if source.path is None:
        return ContactReport(found, is_open_to_others=False)
    try:
        writers = await anyio.to_thread.run_sync(find_writers, source.path)
    except OSError:  # it was removed after it was read
        return ContactReport(found, is_open_to_others=False)
    if writers is None:
        return ContactReport(f"{found} It was not checked who may write it.", is_open_to_others=False)
    said = f"{writers.names[0].upper()}{writers.names[1:]} may write it."
    return ContactReport(f"{found} {said}", is_open_to_others=writers.reach > Reach.OWNER)
