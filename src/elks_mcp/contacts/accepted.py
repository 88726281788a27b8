"""The contacts in force: those of the files, or those that a person accepted.

If `ELKS_ALLOWED_RECIPIENTS` names contacts, the files decide who may be texted, and an assistant may be able
to write them. Contacts that changed since the server started are therefore used only after a person accepted
them.
"""

__lazy_modules__ = ["elks_mcp.contacts.entries"]

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from elks_mcp.contacts.entries import Remark
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Misconfigured, UnreadableContacts
from elks_mcp.store import Storage


class ContactReader(Protocol):
    """Reads the operator's contacts; `ContactSource` is one."""

    @property
    def path(self) -> Path | None:
        """The file or folder of the contacts; None without contacts."""
        ...

    @property
    def known(self) -> Contacts:
        """The contacts as of the last reading."""
        ...

    @property
    def problems(self) -> tuple[Remark, ...]:
        """The remarks of the last reading on what could not be used."""
        ...

    async def read(self) -> Contacts:
        """Return the contacts as they are now. Raises Misconfigured if they cannot be read."""
        ...

    def explain_adding(self, name: str, number: Number) -> str:
        """Return how the operator adds a contact."""
        ...


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The acceptance of changed contacts by a person, which the store records.

    `command`: the command that accepts them, to end a sentence with.
    """

    storage: Storage
    command: str

    async def covers(self, contacts: Contacts) -> bool:
        """Return whether these are the contacts that a person accepted last."""
        if not self.storage.exists:
            return False
        return await (await self.storage.open()).accepted_contacts.is_accepted(contacts.digest)

    @property
    def way_out(self) -> str:
        """The command to run; or, if the state is in the server's memory, the advice to restart."""
        return self.command if self.storage.location.is_durable else "restart this server."


_NONE = Contacts()

_NOTHING_IS_SENT = (
    "They decide who may be texted (ELKS_ALLOWED_RECIPIENTS), so no text is sent until they can be read."
)


class AcceptedContacts:
    """The contacts in force.

    `reader` reads the files. `acceptance`: None if contacts do not decide who may be texted; they then need
    no acceptance.
    """

    def __init__(self, reader: ContactReader, acceptance: Acceptance | None = None) -> None:
        self.reader = reader
        self._acceptance = acceptance
        self._in_force: Contacts | None = None
        self.held: Contacts | None = None
        """Contacts that are not used, because no person has accepted them."""

    @property
    def limit_recipients(self) -> bool:
        """Whether the contacts decide who may be texted."""
        return self._acceptance is not None

    @property
    def path(self) -> Path | None:
        """The file or folder of the contacts; None without contacts."""
        return self.reader.path

    @property
    def known(self) -> Contacts:
        """The contacts in force as of the last reading, for guards, which cannot wait for a file."""
        return _NONE if self._in_force is None else self._in_force

    async def start(self) -> None:
        """Read the contacts that are in force until others are accepted, as the server starts."""
        if not self.limit_recipients:
            return
        try:
            self._in_force = await self.read_files()
        except Misconfigured:  # each send reads them again, and reports the error
            self._in_force = Contacts()

    async def read(self) -> Contacts:
        """Return the contacts in force; the files are read again if they have changed.

        Raises:
            Misconfigured: they cannot be read.
            StateUnavailable: whether they were accepted cannot be read.
        """
        now = await self.read_files()
        if await self._may_use(now):
            self._in_force, self.held = now, None
        else:
            self.held = now
        return self.known

    async def read_files(self) -> Contacts:
        """Return the contacts as the files have them now, in force or not.

        Raises:
            Misconfigured: they cannot be read.
        """
        try:
            return await self.reader.read()
        except UnreadableContacts as error:
            if not self.limit_recipients:
                raise
            raise UnreadableContacts(str(error), hint=_NOTHING_IS_SENT) from None

    async def read_leniently(self) -> Contacts:
        """Return the contacts as `read` does, or those of the last reading if that fails."""
        with suppress(Misconfigured):
            return await self.read()
        return self.known

    async def _may_use(self, contacts: Contacts) -> bool:
        if self._acceptance is None or self._in_force is None or contacts.digest == self._in_force.digest:
            return True
        return await self._acceptance.covers(contacts)

    def explain_held(self) -> str:
        """Return why changed contacts are not used, and what to do."""
        how = self._acceptance.way_out if self._acceptance else ""
        return (
            "The contacts changed after this server started. They decide who may be texted, by "
            f"ELKS_ALLOWED_RECIPIENTS, so the changes count once a person accepts them: {how}"
        )

    def explain_adding(self, name: str, number: Number) -> str:
        """Return how the operator adds a contact."""
        return self.reader.explain_adding(name, number)
