"""Read tables from CSV, as spreadsheets, Google, Outlook and people write it."""

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from itertools import islice
from typing import NamedTuple

from elks_mcp.domain.phone_repair import looks_like_number
from elks_mcp.spreadsheets.decoding import UnreadableFile, decode
from elks_mcp.spreadsheets.phone_columns import is_phone_title
from elks_mcp.spreadsheets.table import IsTitle, Table, TableRow, build_table, clean_title, find_titles

_DELIMITERS = ";", ",", "\t", "|"

_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"])?"?', re.IGNORECASE)
"""A first line that names the delimiter for Excel, which does not count it as a row."""

_MARKUP = re.compile(r"\s*<(?:!doctype|html|head|meta|table|\?xml)\b", re.IGNORECASE)

_SAMPLE = 100
"""Rows in which a delimiter is tried."""

_UNCLOSED = "A quotation mark is not closed in this row or in one below, so these rows cannot be read."


def read_csv(content: bytes, is_title: IsTitle = is_phone_title) -> Table:
    """Return the table in a CSV file.

    `is_title`: tells whether a text is the title of a column that the caller knows. It helps to find the
    delimiter and the row with the titles.

    Raises:
        UnreadableFile: it is not a text file, or is too large.
    """
    text = decode(content)
    if _MARKUP.match(text):
        raise UnreadableFile("It is a web page, although spreadsheets can open it. Save the table as CSV.")
    first, _, rest = text.partition("\n")
    separator = _SEPARATOR_LINE.fullmatch(first.strip())
    lines = StringIO(rest if separator else text).readlines()
    delimiter = separator[1] if separator else None
    delimiter = delimiter or max(_DELIMITERS, key=lambda each: _rate(lines, each, is_title))
    return build_table(_read_rows(lines, delimiter), is_title, delimiter=delimiter)


class _Rating(NamedTuple):
    """How well a delimiter fits; the greatest fits best."""

    known: int = 0
    """Titles that are known, or phone numbers in the first row if it has no titles."""

    is_split: bool = False
    equal: int = 0
    """Rows with as many cells as the titles."""

    cells: int = 0


def _rate(lines: list[str], delimiter: str, is_title: IsTitle) -> _Rating:
    rows: list[list[str]] = []
    with suppress(csv.Error):  # a cell is too long
        rows.extend(filter(_has_text, islice(csv.reader(lines, delimiter=delimiter), _SAMPLE)))
    if not rows:
        return _Rating()
    at = find_titles(rows, is_title)
    top = rows[at or 0]
    known = sum(map(looks_like_number, top) if at is None else (is_title(clean_title(cell)) for cell in top))
    return _Rating(known, len(top) > 1, sum(len(row) == len(top) for row in rows), len(top))


def _has_text(cells: list[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _read_rows(lines: list[str], delimiter: str) -> Iterator[TableRow]:
    rows = csv.reader(lines, delimiter=delimiter)
    number = 0
    while True:
        number, begun = number + 1, rows.line_num
        try:
            cells = next(rows, None)
        except csv.Error:  # a cell is too long
            yield TableRow(number, (), _UNCLOSED)
            continue
        if cells is None:
            return
        if rows.line_num - begun > 1 and not _is_strict(lines[begun : rows.line_num], delimiter):
            yield TableRow(number, (), _UNCLOSED)
        elif _has_text(cells):
            yield TableRow(number, tuple(cells))


def _is_strict(lines: list[str], delimiter: str) -> bool:
    """Return whether the quotation marks of a row are where they belong."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True
