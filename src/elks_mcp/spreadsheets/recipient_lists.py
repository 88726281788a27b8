"""The recipients that a table lists: a number or a name for each, and the merge fields."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from elks_mcp.domain.contact_search import may_be_name
from elks_mcp.domain.contacts import fold_name
from elks_mcp.domain.phone import Number
from elks_mcp.domain.phone_repair import looks_like_number, read_phone
from elks_mcp.spreadsheets.decoding import UnreadableFile
from elks_mcp.spreadsheets.phone_columns import find_phone_column, name_column, name_letter
from elks_mcp.spreadsheets.table import Table, TableRow

_ERRORS = frozenset(
    {
        *("#N/A", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#SPILL!", "#CALC!", "#FIELD!"),
        *("#SAKNAS!", "#SKÄRNING!", "#DIVISION/0!", "#VÄRDEFEL!", "#REFERENS!", "#NAMN?", "#OGILTIGT!"),
    }
)
"""The errors that a formula without a value shows, in English and Swedish."""

_BRACES = str.maketrans("{}|", "()/")
"""Characters that the name of a merge field cannot have, and what stands for them."""


@dataclass(frozen=True, slots=True)
class RecipientEntry:
    """A row of a list of recipients. It has a number, a name or a fault."""

    row: int
    """Its number in the spreadsheet."""

    to: Number | None = None
    name: str = field(default="", repr=False)
    """The text that stands for a number, if it can be a contact's name; else ""."""

    repair: str = ""
    """The repair of the number, as a sentence; or ""."""

    fault: str = ""
    """Why the row cannot be used, with the column, and without the text of any cell; or ""."""

    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its texts, by the names of the list's fields."""


@dataclass(frozen=True, slots=True)
class RecipientList:
    """The recipients that a table lists."""

    fields: tuple[str, ...]
    """The names of the merge fields: the titles of the columns. Equal ones have the column's letter."""

    entries: tuple[RecipientEntry, ...]
    column: str = ""
    """The column with the phone numbers, as a person knows it."""

    note: str = ""
    """Sentences for a person about how the table was read; or ""."""

    @property
    def repairs(self) -> Mapping[str, tuple[int, ...]]:
        """The rows with a repaired number, by what was repaired."""
        return _group((each.repair, each.row) for each in self.entries)


def _group(pairs: Iterable[tuple[str, int]]) -> Mapping[str, tuple[int, ...]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for reason, row in pairs:
        if reason:
            rows[reason].append(row)
    return {reason: tuple(found) for reason, found in rows.items()}


def build_recipient_list(table: Table, home: str) -> RecipientList:
    """Return the recipients that a table lists.

    `home`: the ISO 3166 region of national numbers.

    Raises:
        UnreadableFile: there are no rows, or it is not clear which column has the phone numbers.
    """
    if not table.rows:
        below = " below the titles of its columns" if table.titles else ""
        raise UnreadableFile(f"It has no rows{below}.")
    at = find_phone_column(table, home)
    column, fields = name_column(table, at), _name_fields(table.titles)
    entries = tuple(_read_entry(row, at, column, fields, home) for row in table.rows)
    return RecipientList(tuple(fields.values()), entries, column, table.note)


def _name_fields(titles: tuple[str, ...]) -> dict[int, str]:
    """Return the names of the merge fields by column; equal titles get the column's letter."""
    names = {at: " ".join(title.translate(_BRACES).split()) for at, title in enumerate(titles) if title}
    counts = Counter(map(fold_name, names.values()))
    return {
        at: f"{name} ({name_letter(at)})" if counts[fold_name(name)] > 1 else name
        for at, name in names.items()
    }


def _read_entry(row: TableRow, at: int, column: str, fields: dict[int, str], home: str) -> RecipientEntry:
    if row.fault:
        return RecipientEntry(row.number, fault=row.fault)
    values = {name: _read_value(row.find_cell(each)) for each, name in fields.items()}
    cell = row.find_cell(at)
    read = read_phone(cell, "", home)
    if read.number:
        return RecipientEntry(row.number, read.number, repair=read.repair, fields=values)
    if _is_name(cell):
        return RecipientEntry(row.number, name=cell, fields=values)
    fault = read.fault if cell else "It is empty."
    return RecipientEntry(row.number, fault=f"{column}: {fault}", fields=values)


def _is_name(cell: str) -> bool:
    return (
        may_be_name(cell)
        and any(map(str.isalpha, cell))
        and not looks_like_number(cell)
        and not cell.startswith(("=", "#", "'"))
        and "\n" not in cell
    )


def _read_value(cell: str) -> str:
    """Return the text in a cell without a spreadsheet's marks; "" for the error of a formula."""
    if cell.startswith('="') and cell.endswith('"') and '"' not in cell[2:-1]:
        return cell[2:-1]
    return "" if cell in _ERRORS else cell
