"""Read contacts from CSV, as Google, Outlook and spreadsheets write it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from elks_mcp.contacts.columns import Column, Role, can_be_read, find_columns
from elks_mcp.contacts.entries import ContactEntry, Phone, Place, Remark, Weight
from elks_mcp.domain.contact_names import clean_name
from elks_mcp.domain.contacts import shorten
from elks_mcp.spreadsheets.csv_tables import read_csv
from elks_mcp.spreadsheets.decoding import UnreadableFile
from elks_mcp.spreadsheets.table import TableRow

_BETWEEN_VALUES = " ::: "
"""Between several values in one cell, in Google's tables."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written."""

    delimiter: str
    titles: tuple[str, ...]
    columns: tuple[Column, ...]


def read_table(content: bytes, file: str) -> tuple[Layout, Iterator[ContactEntry | Remark]]:
    """Return the layout and the rows of a table. A row that cannot be read becomes a remark.

    Raises:
        UnreadableFile: no row names columns for names and phone numbers.
    """
    table = read_csv(content, is_title=lambda title: bool(find_columns([title])))
    layout = Layout(table.delimiter, table.titles, find_columns(table.titles))
    if not can_be_read(layout.columns):
        raise UnreadableFile("The first row must name the columns: a name and a phone number at least.")
    return layout, (_read_row(row, layout, Place(file, f"row {row.number}")) for row in table.rows)


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


def _read_row(row: TableRow, layout: Layout, place: Place) -> ContactEntry | Remark:
    if row.fault:
        return Remark(place, row.fault)
    cells = {column: row.find_cell(column.at) for column in layout.columns}
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
