"""The operator's contacts, for commands, which do not open the application."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from elks_mcp.domain.contacts import Contacts
from elks_mcp.errors import Misconfigured, UnreadableContacts
from elks_mcp.settings import Configuration

if TYPE_CHECKING:
    from elks_mcp.contacts.contact_files import Reading


def read_contacts(configuration: Configuration, file: Path | None = None) -> "Reading":
    """Return what is in the contacts, and what cannot be used in them.

    `file`: a file, or a directory of .vcf files, to read instead of the one that the settings name.

    Raises:
        Misconfigured: no contacts are configured, or a package that reads them is not installed.
        UnreadableContacts: they cannot be read. It is a `Misconfigured`.
    """
    path = file or configuration.settings.contacts
    if path is None:
        raise Misconfigured(
            "No contacts are configured.",
            hint="Set ELKS_CONTACTS to a .vcf or .csv file (docs/contacts.md). For `check` and `accept`, "
            "FILE is enough.",
        )
    from elks_mcp.contacts import contact_files  # noqa: PLC0415  (most operators have no contacts)

    try:
        return contact_files.read_contacts(path, configuration.policy.home)
    except contact_files.UnreadableFile as error:
        raise UnreadableContacts(f"{path} cannot be read. {error}", hint="") from None


def read_contacts_leniently(configuration: Configuration) -> Contacts:
    """Return the contacts, or none if they cannot be read: numbers are shown in any case."""
    with suppress(Misconfigured):
        return read_contacts(configuration).contacts
    return Contacts()
