"""The file or folder that holds the operator's contacts, read again when it changes."""

from pathlib import Path

from elks_mcp.domain.contacts import Contacts


class ContactSource:
    """Reads the operator's contacts. The server never writes them."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.known = Contacts()
        """The contacts as of the last reading, for guards, which cannot wait for a file."""

    async def read(self) -> Contacts:
        """Return the contacts; the files are read again if they have changed.

        Raises:
            Misconfigured: they cannot be read.
        """
        return self.known
