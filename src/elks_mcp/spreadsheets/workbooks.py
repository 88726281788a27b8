"""Read tables from Excel workbooks (.xlsx), with python-calamine, loaded at its first use."""

import lzma
import re
import struct
import zlib
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from io import BytesIO
from types import ModuleType
from typing import Any
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from elks_mcp.domain.contacts import shorten
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import Misconfigured
from elks_mcp.runtime.launcher import find_installation
from elks_mcp.spreadsheets.decoding import UnreadableFile
from elks_mcp.spreadsheets.phone_columns import is_phone_title
from elks_mcp.spreadsheets.table import MOST_COLUMNS, MOST_ROWS, IsTitle, Table, TableRow, build_table

_OLD_FORMAT = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")

_MOST_UNPACKED = 50_000_000
"""Bytes of all XML in a workbook."""

_MOST_CELLS = 2_000_000
"""Cells between A1 and the last one, for each of which python-calamine takes memory."""

_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_REFERENCE = re.compile("([A-Za-z]{1,3})([0-9]{1,7})")

_OTHER = "It is not an Excel workbook (.xlsx)."
_DAMAGED = "It is damaged. Open it in Excel, and save it again."
_DAMAGES = (
    *(BadZipFile, EOFError, OSError, RuntimeError, ValueError),
    *(struct.error, zlib.error, lzma.LZMAError, expat.ExpatError),
)

Cell = Any
"""A value of python-calamine: a text, a number, a truth value, a date, a time or a duration."""


def read_workbook(content: bytes, is_title: IsTitle = is_phone_title) -> Table:
    """Return the table in the first visible sheet of an .xlsx workbook that has rows.

    Formulas have the values that they had when the workbook was saved. A cell that was merged over several
    rows is the cell of each of these rows. `is_title`: as for `read_csv`.

    Raises:
        UnreadableFile: it is not such a workbook, has a password, is damaged or too large.
        Misconfigured: python-calamine is not installed.
    """
    hidden = _check_archive(content)
    calamine = _load_reader()
    try:
        with calamine.CalamineWorkbook.from_filelike(BytesIO(content)) as workbook:
            return _read_first_sheet(_list_sheets(calamine, workbook), hidden, is_title)
    except calamine.CalamineError:
        raise UnreadableFile(_DAMAGED) from None
    except BaseException as error:  # a panic of the reader, which is written in Rust, is not an Exception
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableFile(_DAMAGED) from None


def _load_reader() -> ModuleType:
    try:
        import python_calamine  # noqa: PLC0415  (only for workbooks, and not always installed)
    except ImportError:
        source = find_installation().source
        package = f"elks-mcp[excel] @ {source}" if source else "elks-mcp[excel]"
        raise Misconfigured(
            "The package python-calamine, which reads Excel workbooks, is not installed.",
            hint=f'Install it with `uv tool install "{package}"`, or save the table as CSV.',
        ) from None
    return python_calamine


def _check_archive(content: bytes) -> int:
    """Check a workbook: reading it must not take all memory. Return how many rows it hides.

    Raises:
        UnreadableFile: it is not a workbook, or is too large.
    """
    if content.startswith(_OLD_FORMAT):
        if _ENCRYPTED in content:
            raise UnreadableFile("It has a password. Save it without one.")
        raise UnreadableFile("It is an old Excel workbook (.xls). Save it as .xlsx.")
    try:
        with ZipFile(BytesIO(content)) as archive:
            names = archive.namelist()
            if "content.xml" in map(str.lower, names) or not any(map(_SHEET.fullmatch, names)):
                raise UnreadableFile(_OTHER)
            hidden = _check_parts(archive)
    except _DAMAGES:
        raise UnreadableFile(_DAMAGED if content.startswith(b"PK") else _OTHER) from None
    return hidden


def _check_parts(archive: ZipFile) -> int:
    left, cells, hidden = _MOST_UNPACKED, 0, 0
    for part in archive.infolist():
        part.file_size = 2 * _MOST_UNPACKED  # more than is read, whatever the archive says
        with archive.open(part) as file:
            content = file.read(left + 1)
        left -= len(content)
        if left < 0:
            raise UnreadableFile(f"It is larger than {_MOST_UNPACKED // 1_000_000} MB.")
        extent = _measure(content)
        cells += extent.rows * extent.columns
        hidden += extent.hidden
        if cells > _MOST_CELLS:
            raise UnreadableFile(
                "A sheet has cells far to the right or far below. Delete them, and save it again."
            )
    return hidden


def _measure(xml: bytes) -> "_Extent":
    """Return the extent of a sheet; that of any other file is 0."""
    extent = _Extent()
    if b"sheetData" in xml:
        parser = expat.ParserCreate()
        parser.StartElementHandler = extent.begin_element
        parser.StartDoctypeDeclHandler = extent.refuse_doctype
        parser.Parse(xml, True)
    return extent


class _Extent:
    """The last row and column of a sheet with a value, from 1, and how many rows are hidden."""

    def __init__(self) -> None:
        self.rows = self.columns = self.hidden = 0
        self._is_hidden = False
        self._row = 0
        self._cell = 0, 0

    def begin_element(self, name: str, attributes: dict[str, str]) -> None:
        """Take note of a row, of a cell, or of the value in a cell. Cells may have no reference."""
        reference = attributes.get("r")
        match name.rpartition(":")[2]:
            case "row":
                self._row = int(reference) if reference else self._row + 1
                self._cell = self._row, 0
                self._is_hidden = attributes.get("hidden") in {"1", "true"}
            case "c":
                self._cell = _read_reference(reference) if reference else (self._row, self._cell[1] + 1)
            case "v" | "is":
                self.rows, self.columns = max(self.rows, self._cell[0]), max(self.columns, self._cell[1])
                self.hidden += self._is_hidden
                self._is_hidden = False

    def refuse_doctype(self, *_: object) -> None:
        """Refuse declarations, by which a small file can become a large one. Excel writes none."""
        raise UnreadableFile(_DAMAGED)


def _read_reference(reference: str) -> tuple[int, int]:
    """Return the row and the column that `C5` means: 5 and 3."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise UnreadableFile(_DAMAGED)
    column = 0
    for letter in found[1].upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(found[2]), column


def _list_sheets(calamine: ModuleType, workbook: Any) -> list[Any]:
    """List the visible sheets that have cells."""
    visible = [
        each.name
        for each in workbook.sheets_metadata
        if each.typ == calamine.SheetTypeEnum.WorkSheet and each.visible == calamine.SheetVisibleEnum.Visible
    ]
    return [sheet for name in visible if (sheet := workbook.get_sheet_by_name(name)).height]


def _read_first_sheet(sheets: list[Any], hidden: int, is_title: IsTitle) -> Table:
    if not sheets:
        return Table((), ())
    first, *others = sheets
    notes = []
    if others:
        more = format_count(len(others), "other sheet")
        notes.append(f'The sheet "{shorten(first.name)}" was read. The workbook has {more} with rows.')
    if hidden:
        notes.append(f"The workbook has {format_count(hidden, 'hidden row')}. Hidden rows are read as well.")
    return build_table(_read_rows(first), is_title, note=" ".join(notes))


def _read_rows(sheet: Any) -> Iterator[TableRow]:
    rows: list[list[Cell]] = sheet.to_python(skip_empty_area=False, nrows=None)
    _fill_merged(rows, sheet.merged_cell_ranges or [])
    for number, row in enumerate(rows, 1):
        cells = tuple(map(_write_cell, row[:MOST_COLUMNS]))
        if any(cell.strip() for cell in cells):
            yield TableRow(number, cells)


def _fill_merged(rows: list[list[Cell]], ranges: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Put the value of a cell that was merged over several rows into each of these rows."""
    left = MOST_ROWS
    for (top, column), (bottom, _) in ranges:
        below = rows[top + 1 : bottom + 1]
        left -= len(below)
        if left < 0:
            raise UnreadableFile(_DAMAGED)
        for row in below:
            row[column : column + 1] = rows[top][column : column + 1]


def _write_cell(value: Cell) -> str:
    """Return a value as a person writes it: whole numbers without decimals, dates as 2026-11-30."""
    match value:
        case bool():
            return str(value).upper()
        case float():
            return f"{value:.15g}"
        case datetime() if value.time() == time():
            return str(value.date())
        case datetime() | time():
            return str(value).removesuffix(":00")
        case timedelta():
            minutes = round(value.total_seconds() / 60)
            return f"{minutes // 60}:{minutes % 60:02}"
        case _:
            return str(value)
