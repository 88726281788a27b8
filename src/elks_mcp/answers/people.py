"""How answers name people: by the name of a contact, or else by number."""

from collections.abc import Sequence
from dataclasses import dataclass

from elks_mcp.app import App
from elks_mcp.domain.contact_search import list_labels
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.phone import Number, is_e164


@dataclass(frozen=True, slots=True)
class People:
    """The names for people in one answer. `read_people` makes it."""

    contacts: Contacts

    def label(self, party: str) -> str:
        """Return how an answer names a person or sender.

        A caller can write the label, and it means only this person. `party`: a number as 46elks writes it, or
        a sender name, which is returned unchanged.
        """
        return self.find_label(party) or party

    def find_label(self, party: str) -> str | None:
        """Return a contact's name, with the last digits if it is not clear; None if neither is."""
        if not is_e164(party):
            return None
        number = Number(party)
        labels = list_labels(self.contacts, number, with_digits=False)
        labels = labels or list_labels(self.contacts, number, with_digits=True)
        return labels[0] if labels else None

    def label_person(self, parties: Sequence[str]) -> str:
        """Return how an answer names the one person with these numbers; "" without any.

        A person with several numbers is named without digits.
        """
        if len(parties) == 1:
            return self.label(parties[0])
        return (self.find_name(parties[0]) or parties[0]) if parties else ""

    def find_name(self, party: str) -> str | None:
        """Return the name of the contact with a number, or the names of several; else None."""
        return self.contacts.find_name(Number(party)) if is_e164(party) else None


async def read_people(app: App) -> People:
    """Return the names for people, from the contacts as they are now, or as of the last reading."""
    return People(await app.contacts.read_leniently())


def name_number(name: str | None, number: str) -> str:
    """Return a person by name and number, or only by number: `Åsa B (+46701740605)`."""
    return f"{name} ({number})" if name else number
