"""How answers name people: by the name of a contact, or else by number."""

from dataclasses import dataclass

from elks_mcp.app import App
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import visible
from elks_mcp.domain.phone import Number, is_e164


@dataclass(frozen=True, slots=True)
class People:
    """The names for people in one answer. `read_people` makes it, since contacts are read from files."""

    contacts: Contacts

    def label(self, party: str) -> str:
        """Return how an answer names a person or sender.

        `party`: a number as 46elks writes it, or a sender name, which is returned unchanged.
        """
        contact = self.contacts.find_owner(Number(party)) if is_e164(party) else None
        return visible(contact.name) if contact else party


async def read_people(app: App) -> People:
    """Return the names for people, from the operator's contacts as they are now."""
    return People(await app.contacts.read())
