"""The file or folder that holds the operator's contacts, read again when it changes."""

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.phone import HOME_REGION, Number
from elks_mcp.errors import ElksError, UnreadableContacts
from elks_mcp.runtime.clock import Clock

if TYPE_CHECKING:
    from elks_mcp.contacts.contact_files import FileStamp, Reading
    from elks_mcp.contacts.entries import Remark

_LOOK_EVERY = 1.0
"""Seconds between two looks at the files."""


class ContactSource:
    """Reads the operator's contacts. The server never writes them.

    `path`: a .vcf or .csv file, or a folder of .vcf files; None if no contacts are configured. `home` is the
    ISO 3166 region of national numbers.
    """

    def __init__(self, path: Path | None = None, home: str = HOME_REGION, clock: Clock | None = None) -> None:
        self.path = path
        self._home = home
        self._clock = clock or Clock()
        self._lock = anyio.Lock()
        self._looked_at: float | None = None
        self._stamps: tuple[FileStamp, ...] | None = None
        self._reading: Reading | None = None
        self._error: ElksError | None = None

    @property
    def known(self) -> Contacts:
        """The contacts as of the last successful reading, for guards, which cannot wait for a file."""
        return self._reading.contacts if self._reading else Contacts()

    @property
    def problems(self) -> "tuple[Remark, ...]":
        """The remarks about what could not be used at the last successful reading."""
        return self._reading.problems if self._reading else ()

    async def read(self) -> Contacts:
        """Return the contacts; the files are read again if they have changed.

        Raises:
            UnreadableContacts: they cannot be read. It is a `Misconfigured`.
            Misconfigured: a package that reads them is not installed.
        """
        await self._refresh()
        if self._error:
            raise self._error
        return self.known

    async def read_leniently(self) -> Contacts:
        """Return the contacts as `read` does, or those of the last successful reading if that fails.

        For what works without names: answers, and sending to a number.
        """
        await self._refresh()
        return self.known

    async def _refresh(self) -> None:
        if self.path is None or not self._is_due():
            return
        async with self._lock:
            if self._is_due():
                await anyio.to_thread.run_sync(self._look, self.path)

    def _is_due(self) -> bool:
        return self._looked_at is None or self._clock.counted() - self._looked_at >= _LOOK_EVERY

    def _look(self, path: Path) -> None:
        """Look at the files, in a thread, and read them if they have changed."""
        from elks_mcp.contacts.contact_files import UnreadableFile, list_stamps, read_files  # noqa: PLC0415

        try:
            stamps = list_stamps(path)
            if stamps != self._stamps:
                self._reading = read_files(stamps, self._home)
                self._stamps, self._error = stamps, None
        except (UnreadableFile, ElksError) as error:
            self._stamps, self._error = None, _explain(error, path.name)
        finally:
            self._looked_at = self._clock.counted()

    def explain_adding(self, name: str, number: Number) -> str:
        """Return how a person adds someone to the contacts: the file, and the line to add.

        The server does not write the file.
        """
        from elks_mcp.contacts.writing import explain_adding  # noqa: PLC0415  (rarely needed)

        return explain_adding(self.path, self._reading.layout if self._reading else None, name, number)


def _explain(error: Exception, file: str) -> ElksError:
    if isinstance(error, ElksError):
        return error
    return UnreadableContacts(f"The contacts in {file} cannot be read. {error}")
