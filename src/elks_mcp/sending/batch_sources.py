"""Read the recipients of a batch: a list, pasted CSV, a file, a group, or an earlier batch."""

__lazy_modules__ = [
    "elks_mcp.spreadsheets.csv_tables",
    "elks_mcp.spreadsheets.table",
    "elks_mcp.spreadsheets.table_files",
]

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from elks_mcp.domain.contact_search import choose, list_candidates
from elks_mcp.domain.contacts import GROUP_MARK, Contact, Contacts, shorten
from elks_mcp.domain.phone_repair import read_phone
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.confined_files import FileNotAllowed, list_confined, read_confined
from elks_mcp.sending.batch_plans import BatchPlanner
from elks_mcp.spreadsheets.csv_tables import read_csv
from elks_mcp.spreadsheets.decoding import UnreadableFile
from elks_mcp.spreadsheets.recipient_lists import RecipientEntry, RecipientList, build_recipient_list
from elks_mcp.spreadsheets.table import Table
from elks_mcp.spreadsheets.table_files import MOST_FILE_BYTES, NOT_A_TABLE, TABLE_ENDINGS, read_table_file

MOST_PASTED = 64 * 1024
"""Bytes of a pasted list."""

NAME_FIELDS = "name", "namn"
"""The merge fields of a contact: the given name, or else the whole name."""

_MOST_LISTED = 10
_SEPARATORS = re.compile(r"[,;\n\r\t]+")


class GroupedContacts(Protocol):
    """The operator's contacts, whose groups can be texted."""

    @property
    def path(self) -> Path | None:
        """The file or folder of the contacts; None without contacts."""
        ...

    @property
    def limit_recipients(self) -> bool:
        """Whether the contacts decide who may be texted."""
        ...

    async def read(self) -> Contacts:
        """Return the contacts. Raises Misconfigured if they cannot be read."""
        ...

    async def read_leniently(self) -> Contacts:
        """Return the contacts, or those of the last reading if they cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class BatchSource:
    """The source of a batch's recipients, as the caller gave it; exactly one field is set."""

    recipients: tuple[str, ...] = field(default=(), repr=False)
    """Numbers, names of contacts, or groups."""

    csv: str = field(default="", repr=False)
    file: str = ""
    group: str = ""
    rest_of: str = ""
    """The id of an earlier batch."""


def split_recipients(value: object) -> tuple[str, ...]:
    """Return the recipients in a list, or in a text with commas, semicolons or lines between.

    Some clients send a list as the text of a JSON array.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _read_json(value)
    if isinstance(value, str):
        value = _SEPARATORS.split(value)
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError("it must be a list of numbers or names")
    return tuple(each.strip() for each in value if each.strip())


def _read_json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def read_source(
    batch_planner: BatchPlanner, contacts: GroupedContacts, source: BatchSource, folder: Path | None = None
) -> RecipientList:
    """Return the recipients of a batch. `folder`: whose files may be read; None for no files.

    Raises:
        InvalidInput: none or several sources are given, or it cannot be read.
        Refused: it has too many rows for a batch.
        NotFound: the caller has no such earlier batch.
        Misconfigured: the contacts cannot be read, or a package is missing.
    """
    given = [source.recipients, source.csv, source.file, source.group, source.rest_of]
    if sum(map(bool, given)) != 1:
        number = "None" if not any(given) else "More than one"
        raise InvalidInput(
            f"{number} of recipients, csv, file, group and restOf is given.", hint="Give exactly one."
        )
    known = await _read_contacts(contacts, source)
    if source.rest_of:
        return await batch_planner.list_rest(source.rest_of)
    if source.file:
        return await _read_file(batch_planner, source.file, folder)
    if source.csv:
        return await _read_pasted(batch_planner, source.csv)
    items = source.recipients or (f"{GROUP_MARK}{source.group.removeprefix(GROUP_MARK)}",)
    return _read_list(items, known, batch_planner.planner.policy.home)


async def _read_contacts(contacts: GroupedContacts, source: BatchSource) -> Contacts:
    """Return the contacts. If they cannot be read, numbers can still be texted."""
    if not contacts.path:
        return Contacts()
    needs_them = source.group or contacts.limit_recipients
    return await (contacts.read() if needs_them else contacts.read_leniently())


async def _build_list(batch_planner: BatchPlanner, table: Table) -> RecipientList:
    """Return the recipients that a table lists, unless it has too many rows for a batch."""
    batch_planner.check_size(len(table.rows))
    return await anyio.to_thread.run_sync(build_recipient_list, table, batch_planner.planner.policy.home)


async def _read_pasted(batch_planner: BatchPlanner, text: str) -> RecipientList:
    try:
        return await _build_list(batch_planner, read_csv(text.encode()))
    except UnreadableFile as error:
        raise InvalidInput(f"The pasted list cannot be used. {error}") from None


async def _read_file(batch_planner: BatchPlanner, name: str, folder: Path | None) -> RecipientList:
    if folder is None:
        raise InvalidInput(
            "This server reads no files.",
            hint="Over stdio, the operator can set ELKS_FILES_DIR. Or paste the list as `csv`.",
        )
    try:
        content = await anyio.to_thread.run_sync(_read_offered, folder, name)
        table = await anyio.to_thread.run_sync(read_table_file, name, content)
        return await _build_list(batch_planner, table)
    except (FileNotAllowed, UnreadableFile) as error:
        listed = ", ".join(map(shorten, list_confined(folder, TABLE_ENDINGS, _MOST_LISTED)))
        hint = f"Files there: {listed}." if listed and isinstance(error, FileNotAllowed) else ""
        raise InvalidInput(f'The file "{shorten(name)}" cannot be used. {error}', hint=hint) from None


async def read_local_file(
    batch_planner: BatchPlanner, contacts: GroupedContacts, path: Path
) -> RecipientList:
    """Return the recipients in a file of any directory, which a person named at a terminal.

    Raises:
        InvalidInput: it cannot be read, or used.
        Refused: it has too many rows for a batch.
        Misconfigured: the contacts cannot be read, or a package is missing.
    """
    await _read_contacts(contacts, BatchSource())
    try:
        content = await anyio.to_thread.run_sync(_read_beginning, path)
        table = await anyio.to_thread.run_sync(read_table_file, path.name, content)
        return await _build_list(batch_planner, table)
    except UnreadableFile as error:
        raise InvalidInput(f'The file "{shorten(path.name)}" cannot be used. {error}') from None
    except OSError as error:
        raise InvalidInput(f'The file "{shorten(path.name)}" cannot be read: {error.strerror}.') from None


def _read_beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_FILE_BYTES + 1)


def _read_offered(folder: Path, name: str) -> bytes:
    if not name.lower().endswith(TABLE_ENDINGS):
        raise FileNotAllowed(NOT_A_TABLE)
    return read_confined(folder, name, MOST_FILE_BYTES)


def _read_list(items: tuple[str, ...], contacts: Contacts, home: str) -> RecipientList:
    entries: list[RecipientEntry] = []
    for item in items:
        if item.startswith(GROUP_MARK):
            entries += map(_read_member, _list_group(contacts, item))
        else:
            entries.append(_read_item(item, contacts, home))
    numbered = tuple(replace(each, row=row) for row, each in enumerate(entries, 1))
    return RecipientList(NAME_FIELDS, numbered)


def _list_group(contacts: Contacts, group: str) -> tuple[Contact, ...]:
    if people := contacts.list_group(group):
        return people
    raise InvalidInput(
        f'No contact is in a group "{shorten(group)}".', hint="Ask the user which group is meant."
    )


def _read_member(contact: Contact) -> RecipientEntry:
    """Return a member of a group, with the contact's only number, or its mobile one."""
    if contact.chosen:
        return RecipientEntry(_NO_ROW, contact.chosen.number, fields=_name(contact))
    fault = "The contact has several numbers." if contact.numbers else "The contact has no number."
    return RecipientEntry(_NO_ROW, fault=fault, fields=_name(contact))


def _read_item(item: str, contacts: Contacts, home: str) -> RecipientEntry:
    read = read_phone(item, "", home)
    if read.number:
        owner = contacts.find_owner(read.number)
        fields = _name(owner) if owner else {}
        return RecipientEntry(_NO_ROW, read.number, repair=read.repair, fields=fields)
    candidates = list_candidates(contacts, item)
    if number := choose(candidates):
        return RecipientEntry(_NO_ROW, number, fields=_name(candidates[0].contact))
    if any(map(str.isalpha, item)):
        return RecipientEntry(_NO_ROW, name=item)  # the planner reports an unknown or ambiguous name
    return RecipientEntry(_NO_ROW, fault=read.fault)


def _name(contact: Contact) -> dict[str, str]:
    return dict.fromkeys(NAME_FIELDS, contact.given_name or contact.name)


_NO_ROW = 0
"""The row of an entry before all are numbered."""
