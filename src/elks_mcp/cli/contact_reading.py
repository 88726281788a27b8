"""The operator's contacts, for commands that name people and do not open the application."""

from contextlib import suppress

import anyio

from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.contacts import Contacts
from elks_mcp.errors import Misconfigured
from elks_mcp.settings import Configuration


def read_contacts(configuration: Configuration) -> Contacts:
    """Return the contacts, or none if they cannot be read: numbers are shown in any case."""
    if configuration.settings.contacts is None:
        return Contacts()
    source = ContactSource(configuration.settings.contacts, configuration.policy.home)
    with suppress(Misconfigured):
        return anyio.run(source.read)
    return Contacts()
