"""Read contacts from CSV, as Google, Outlook and spreadsheets write it."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from elks_mcp.contacts.columns import Column, Role, can_be_read, find_columns
from elks_mcp.contacts.decoding import UnreadableFile, decode
from elks_mcp.contacts.entries import ContactEntry, Phone, Place, Remark, Weight
from elks_mcp.domain.contact_names import clean_name
from elks_mcp.domain.contacts import shorten

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""A first line that names the delimiter for Excel."""

_BETWEEN_VALUES = " ::: "
"""Between several values in one cell, in Google's tables."""

_SAMPLE = 100
"""Rows in which a delimiter is tried."""


_MOST_COLUMNS = 500


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written."""

    delimiter: str
    titles: tuple[str, ...]
    columns: tuple[Column, ...]


def read_table(content: bytes, file: str) -> tuple[Layout, Iterator[ContactEntry | Remark]]:
    """Return the layout and the rows of a table. A row that cannot be read becomes a remark.

    Raises:
        UnreadableFile: the first row does not name columns for names and phone numbers.
    """
    first, _, rest = (text := decode(content)).partition("\n")
    separator = _SEPARATOR_LINE.fullmatch(first.strip())
    if separator or first.strip().casefold() == "sep=":
        text = rest
    lines = text.splitlines(keepends=True)
    layout = _find_layout(lines, separator[1] if separator else "")
    if layout is None:
        raise UnreadableFile("The first row must name the columns: a name and a phone number at least.")
    return layout, _read_rows(lines, layout, file)


def note_unread_columns(layout: Layout, file: str) -> tuple[Remark, ...]:
    """Return a note that names the columns which are not read, if there are any."""
    read = {column.at for column in layout.columns}
    titles = (shorten(clean_name(title)) for at, title in enumerate(layout.titles) if at not in read)
    names = list(filter(None, titles))
    if not names:
        return ()
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    reason = f"These columns are not read: {', '.join(names[:_MOST_NAMED])}{more}."
    return (Remark(Place(file, "row 1"), reason, Weight.NOTE),)


_MOST_NAMED = 20


def _find_layout(lines: list[str], separator: str) -> Layout | None:
    """Return the layout with the most known columns, and among those with the most equal rows."""
    tried = [_try_delimiter(lines, each) for each in ([separator] if separator else [";", ",", "\t"])]
    usable = [(score, layout) for score, layout in tried if can_be_read(layout.columns)]
    return max(usable, key=lambda each: each[0])[1] if usable else None


def _try_delimiter(lines: list[str], delimiter: str) -> tuple[tuple[int, int], Layout]:
    try:
        rows = list(islice(csv.reader(lines, delimiter=delimiter), _SAMPLE))
    except (csv.Error, TypeError, ValueError):  # a cell is too long, or the delimiter cannot be one
        rows = []
    titles = rows[0][:_MOST_COLUMNS] if rows else []
    layout = Layout(delimiter, tuple(titles), find_columns(titles))
    return (len(layout.columns), sum(len(row) == len(titles) for row in rows)), layout


def _read_rows(lines: list[str], layout: Layout, file: str) -> Iterator[ContactEntry | Remark]:
    rows = csv.reader(lines, delimiter=layout.delimiter)
    number, begun = 0, 0
    while True:
        number, begun = number + 1, rows.line_num
        place = Place(file, f"row {number}")
        try:
            row = next(rows, None)
        except csv.Error:
            yield Remark(place, _UNCLOSED)
            continue
        if row is None:
            return
        if number == 1 or not any(cell.strip() for cell in row):
            continue
        spans_lines = rows.line_num - begun > 1
        if spans_lines and rows.line_num == len(lines) and _is_unclosed(lines[begun:], layout.delimiter):
            yield Remark(place, _UNCLOSED)
        else:
            yield _read_row(row, layout, place)


_UNCLOSED = "A quotation mark is not closed in this row or in one below, so these rows cannot be read."


def _is_unclosed(lines: list[str], delimiter: str) -> bool:
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _read_row(row: list[str], layout: Layout, place: Place) -> ContactEntry | Remark:
    if any(cell.strip() for cell in row[len(layout.titles) :]):
        return Remark(place, "It has more cells than the first row. Put a cell with a delimiter in quotes.")
    cells = {column: row[column.at].strip() for column in layout.columns if column.at < len(row)}
    by_role: dict[Role, list[str]] = {}
    for column, cell in cells.items():
        if cell:
            by_role.setdefault(column.role, []).append(cell)
    names = {role: " ".join(by_role.get(role, [])) for role in _NAMES}
    if any("\n" in name for name in names.values()):
        return Remark(place, "The name has several lines. Perhaps a quotation mark is not closed.")
    parts = filter(None, (names[role] for role in (Role.GIVEN, Role.MIDDLE, Role.FAMILY)))
    return ContactEntry(
        place=place,
        name=names[Role.NAME] or " ".join(parts),
        given_name=names[Role.GIVEN],
        family_name=names[Role.FAMILY],
        aliases=tuple(_split(by_role.get(Role.ALIAS, []))),
        groups=tuple(_list_groups(by_role.get(Role.GROUPS, []))),
        company=next(iter(by_role.get(Role.COMPANY, [])), ""),
        phones=tuple(_list_phones(cells)),
    )


_NAMES = (Role.NAME, Role.GIVEN, Role.MIDDLE, Role.FAMILY)


def _list_phones(cells: dict[Column, str]) -> Iterator[Phone]:
    label = ""
    for column, cell in cells.items():
        if column.role is Role.LABEL:
            label = cell
        elif column.role is Role.PHONE:
            for text in filter(None, cell.split(_BETWEEN_VALUES)):
                yield Phone(text, label.removeprefix("* ") or column.label, column.title)
            label = ""


def _split(cells: list[str]) -> Iterator[str]:
    for cell in cells:
        pattern = _BETWEEN_VALUES if _BETWEEN_VALUES in cell else "[;,]"
        yield from filter(None, (each.strip() for each in re.split(pattern, cell)))


def _list_groups(cells: list[str]) -> Iterator[str]:
    """List groups. Google marks its own with an asterisk; everybody is in `myContacts`."""
    names = (each.removeprefix("* ").strip() for each in _split(cells))
    return (name for name in names if name != "myContacts")
