"""Contacts for tests: people with numbers that reach no phone."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from elks_mcp.contacts.entries import Remark
from elks_mcp.domain.contacts import Contact, ContactNumber, Contacts
from elks_mcp.domain.phone import Number, NumberKind
from elks_mcp.errors import Misconfigured

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def person(name: str, *numbers: str | tuple[str, str], groups: str = "", **more: object) -> Contact:
    """Return a contact; a number may have a label. `groups` are separated by spaces."""
    pairs = [(each, "") if isinstance(each, str) else each for each in numbers]
    own = tuple(_number(e164, label) for e164, label in pairs)
    given = name.split(maxsplit=1)[0] if " " in name else ""
    fields = {"given_name": given, "groups": tuple(groups.split()), **more}
    return replace(Contact(name, own), **fields)  # type: ignore[arg-type]


def _number(e164: str, label: str) -> ContactNumber:
    number = Number(e164)
    return ContactNumber(number, label, is_mobile=number.kind is NumberKind.MOBILE)


def book(*people: Contact, changed_at: datetime = LONG_AGO, digest: str = "first") -> Contacts:
    """Return contacts."""
    return Contacts(people, changed_at, digest)


class Book:
    """Contacts as `ContactSource` reads them, from memory: a test changes `now`."""

    path: Path | None = Path("/contacts.csv")

    def __init__(self, *people: Contact) -> None:
        self.now = book(*people)
        self.is_readable = True

    @property
    def known(self) -> Contacts:
        """The contacts."""
        return self.now

    @property
    def problems(self) -> tuple[Remark, ...]:
        """The entries that cannot be used: none."""
        return ()

    async def read(self) -> Contacts:
        """Return the contacts.

        Raises:
            Misconfigured: the test says that they cannot be read.
        """
        if not self.is_readable:
            raise Misconfigured("The contacts cannot be read.", hint="Correct ELKS_CONTACTS.")
        return self.now

    def change(self, *people: Contact, at: datetime = LONG_AGO) -> None:
        """Replace the contacts, as the operator does who saves the file."""
        self.now = book(*people, changed_at=at, digest=f"{self.now.digest}, changed")

    def explain_adding(self, name: str, number: Number) -> str:
        """Return how the operator adds a contact."""
        return f"Add to contacts.csv: {name},{number.e164}"
