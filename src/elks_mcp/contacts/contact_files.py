"""Read the operator's contacts from a file or a folder, as a whole."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from elks_mcp.contacts.entries import ContactEntry, Place, Remark, Weight, build_contacts
from elks_mcp.contacts.tables import Layout, note_unread_columns, read_table
from elks_mcp.contacts.vcards import read_vcards
from elks_mcp.domain.contacts import Contacts
from elks_mcp.spreadsheets.decoding import UnreadableFile

MOST_BYTES = 20_000_000
"""Bytes of all files together."""

MOST_ENTRIES = 50_000
"""Rows or cards of all files together."""

__all__ = ["FileStamp", "Reading", "UnreadableFile", "list_stamps", "read_contacts", "read_files"]

_WORKBOOKS = {".xlsx", ".xls", ".ods", ".numbers"}


class FileStamp(NamedTuple):
    """How a file was when it was looked at; another stamp means that it changed.

    `changed_ns`: the later of two times, of its content and of its status. A file with an older time of its
    content can be moved over another one; that sets the time of its status, which no program can choose.
    On Windows the latter is the time of creation, so it adds nothing there.
    """

    path: str
    changed_ns: int
    size: int = 0
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading the operator's contacts."""

    contacts: Contacts
    remarks: tuple[Remark, ...]
    layout: Layout | None = None
    """How the table is written, if the contacts are one."""

    @property
    def problems(self) -> tuple[Remark, ...]:
        """The remarks about what cannot be used."""
        return tuple(each for each in self.remarks if each.weight is Weight.UNUSABLE)


def list_stamps(path: Path) -> tuple[FileStamp, ...]:
    """List the files that hold contacts, by name; for a folder, the folder first.

    Raises:
        UnreadableFile: there is no such file or folder, or its name does not say what it is.
    """
    try:
        found = path.stat()
        if not stat.S_ISDIR(found.st_mode):
            _check_kind(path, found)
            return (FileStamp(str(path), _read_change(found, path.lstat()), found.st_size),)
        with os.scandir(path) as entries:
            files = sorted(_list_card_files(entries))
        return (FileStamp(str(path), _read_change(found, path.lstat()), is_folder=True), *files)
    except OSError as error:
        raise UnreadableFile(f"{error.strerror or type(error).__name__}.") from None


def _read_change(*found: os.stat_result) -> int:
    """Return when a file changed last; for a link, of the file and the link the later time."""
    return max(max(each.st_mtime_ns, each.st_ctime_ns) for each in found)


def _check_kind(path: Path, found: os.stat_result) -> None:
    if path.suffix.lower() in _WORKBOOKS:
        raise UnreadableFile("It is a workbook. Save it as CSV.")
    if path.suffix.lower() not in {".vcf", ".csv"} or not stat.S_ISREG(found.st_mode):
        raise UnreadableFile("It is neither a .vcf nor a .csv file, nor a folder of .vcf files.")


def _list_card_files(entries: Iterable[os.DirEntry[str]]) -> Iterator[FileStamp]:
    for entry in entries:
        if entry.name.lower().endswith(".vcf") and not entry.name.startswith("."):
            try:
                found = entry.stat()
            except FileNotFoundError:  # it was deleted, or is a link to nothing
                continue
            if stat.S_ISREG(found.st_mode):
                yield FileStamp(entry.path, _read_change(found), found.st_size)


def read_contacts(path: Path, home: str) -> Reading:
    """Return the contacts in a file or a folder, as they are now.

    `home`: the ISO 3166 region of national numbers.

    Raises:
        UnreadableFile: they cannot be read as a whole, or are too large.
        Misconfigured: a package that reads them is not installed.
    """
    return read_files(list_stamps(path), home)


def read_files(stamps: tuple[FileStamp, ...], home: str) -> Reading:
    """Return the contacts in files that `list_stamps` listed.

    Raises:
        UnreadableFile: they cannot be read as a whole, or are too large.
        Misconfigured: a package that reads them is not installed.
    """
    if sum(each.size for each in stamps) > MOST_BYTES:
        raise UnreadableFile(f"It is larger than {MOST_BYTES // 1_000_000} MB.")
    reader = _FileReader()
    entries = list(islice(reader.read(stamps), MOST_ENTRIES + 1))
    if len(entries) > MOST_ENTRIES:
        raise UnreadableFile(f"It has more than {MOST_ENTRIES:,} entries.")
    people, remarks = build_contacts(entries, home)
    changed_at = datetime.fromtimestamp(max(each.changed_ns for each in stamps) / 1e9, UTC)
    contacts = Contacts(people=people, changed_at=changed_at, digest=reader.digest.hexdigest())
    notes = note_unread_columns(reader.layout, Path(stamps[0].path).name) if reader.layout else ()
    return Reading(contacts, (*remarks, *notes), reader.layout)


class _FileReader:
    """Reads the entries of all files, and computes their digest meanwhile."""

    def __init__(self) -> None:
        self.digest = sha256()
        self.layout: Layout | None = None

    def read(self, stamps: tuple[FileStamp, ...]) -> Iterator[ContactEntry | Remark]:
        """Read the entries. In a folder, a file that cannot be read becomes a remark."""
        for stamp in stamps:
            if stamp.is_folder:
                continue
            try:
                yield from self._read_file(Path(stamp.path))
            except UnreadableFile as error:
                if len(stamps) == 1:
                    raise
                yield Remark(Place(Path(stamp.path).name), str(error))

    def _read_file(self, path: Path) -> Iterator[ContactEntry | Remark]:
        name = path.name
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise UnreadableFile(f"{error.strerror or type(error).__name__}.") from None
        if len(content) > MOST_BYTES:
            raise UnreadableFile(f"It is larger than {MOST_BYTES // 1_000_000} MB.")
        self.digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content)
        if path.suffix.lower() == ".csv":
            self.layout, rows = read_table(content, name)
            yield from rows
        else:
            yield from read_vcards(content, name)
