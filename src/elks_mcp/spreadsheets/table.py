"""A table of texts, with the row numbers that a person sees in a spreadsheet."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.phone_repair import looks_like_number
from elks_mcp.spreadsheets.decoding import UnreadableFile

MOST_ROWS = 50_000
MOST_COLUMNS = 500

_SEARCHED = 10
"""Rows in which the titles are searched; there may be a heading above them."""

_TOO_LONG = "It has more cells than the first row. Put a cell with a delimiter in quotes."

IsTitle = Callable[[str], bool]
"""Tells whether a text is the title of a column that the reader knows."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row that is not empty."""

    number: int
    """Its number in the spreadsheet, from 1."""

    cells: tuple[str, ...]
    """Its texts. Empty cells at the end may be left out."""

    fault: str = ""
    """Why the row cannot be read, as a sentence; "" if it can."""

    def find_cell(self, at: int) -> str:
        """Return the text in a column, from 0, without spaces around it; "" if there is none."""
        return self.cells[at].strip() if at < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class Table:
    """The titles of a table, and the rows below them."""

    titles: tuple[str, ...]
    """One for each column, cleaned; "" for a column without a title. Empty if no row has titles."""

    rows: tuple[TableRow, ...]
    delimiter: str = ""
    """The delimiter of its cells, if it is CSV."""

    note: str = ""
    """Sentences for a person about how it was read; or ""."""


def build_table(rows: Iterable[TableRow], is_title: IsTitle, *, delimiter: str = "", note: str = "") -> Table:
    """Return the table that rows make, from the row with the titles on.

    With a `delimiter`, a row with more cells than titles is faulty: a delimiter in its text moved the others.

    Raises:
        UnreadableFile: the row with the titles cannot be read, or there are more rows than can be used.
    """
    remaining = iter(rows)
    first = list(islice(remaining, _SEARCHED))
    at = find_titles([row.cells for row in first], is_title)
    for row in () if at is None else first[: at + 1]:
        if row.fault:
            raise UnreadableFile(f"Row {row.number}: {row.fault}")
    titles = () if at is None else tuple(map(clean_title, first[at].cells[:MOST_COLUMNS]))
    below = chain(first if at is None else first[at + 1 :], remaining)
    kept = [_trim(row, len(titles) if delimiter else 0) for row in islice(below, MOST_ROWS + 1)]
    if len(kept) > MOST_ROWS:
        raise UnreadableFile(f"It has more than {MOST_ROWS:,} rows.")
    return Table(titles, tuple(kept), delimiter, note)


def find_titles(rows: Sequence[Sequence[str]], is_title: IsTitle) -> int | None:
    """Return the place of the row with the titles; None if there is none.

    It is one of the first rows, above all phone numbers: the first with a known title, else the very first.
    """
    for at, cells in enumerate(rows[:_SEARCHED]):
        if any(map(looks_like_number, cells)):
            return 0 if at else None
        if any(is_title(clean_title(cell)) for cell in cells):
            return at
    return 0 if rows else None


def clean_title(cell: str) -> str:
    """Return the title in a cell: on one line, without invisible characters."""
    return " ".join(cleaned(cell).split())


def _trim(row: TableRow, most: int) -> TableRow:
    """Return a row without empty cells at its end. It may have `most` cells; 0 for any number."""
    length = len(row.cells)
    while length and not row.cells[length - 1].strip():
        length -= 1
    if most and length > most:
        return replace(row, cells=(), fault=_TOO_LONG)
    return row if length == len(row.cells) else replace(row, cells=row.cells[:length])
