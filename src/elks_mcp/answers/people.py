"""How answers name people: by the name of a contact, or else by number."""

from dataclasses import dataclass

from elks_mcp.app import App
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.phone import Number, is_e164


@dataclass(frozen=True, slots=True)
class People:
    """The names for people in one answer. `read_people` makes it, since contacts are read from files."""

    contacts: Contacts

    def label(self, party: str) -> str:
        """Return how an answer names a person or sender.

        `party`: a number as 46elks writes it, or a sender name, which is returned unchanged.
        """
        return self.find_name(party) or party

    def find_name(self, party: str) -> str | None:
        """Return the name of the contact that has a number, or the names if several have it; else None."""
        return self.contacts.find_name(Number(party)) if is_e164(party) else None


async def read_people(app: App) -> People:
    """Return the names for people, from the operator's contacts, which are read if that is possible."""
    return People(await app.contacts.read_leniently())
