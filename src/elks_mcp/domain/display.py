"""Lay out texts for a person, so that a text cannot pass for words of this server.

A terminal and a client's form show other people's texts next to our own words. Three rules keep them apart:

- Every row of a text has a bar in front, including the rows of a long line that is broken.
- A character that is invisible, or that moves others, is written as an escape.
- A run of empty rows is folded into one, so that a text cannot push our words off the screen.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import groupby

from elks_mcp.domain.cleaning import escape_invisible

FORM_COLUMNS = 72
"""Columns of a text in a client's form: fixed, so that a repeated question stays the same."""

_BAR = "| "
_MOST_EMPTY = 2
"""Empty rows in a run that are shown as they are."""

_MOST_MARKS = 4
"""Accents on one letter that are shown; a taller stack would cover the rows above."""

_PLAIN = re.compile("[ -~\u00a1-\u00ac\u00ae-\u024f]*")
"""Basic Latin to Latin Extended-B, without control characters, the other spaces and the soft hyphen."""

_LINE_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")


def split_lines(text: str) -> list[str]:
    """Split a text at every character that a terminal or a form may treat as a line break."""
    return _LINE_BREAK.split(text)


def quote_lines(text: str, columns: int = FORM_COLUMNS) -> list[str]:
    """Return the rows of a text, each with a bar in front and at most `columns` wide.

    A run of more than two empty rows becomes one row without a bar: `(298 empty lines)`.
    """
    rows = [row for line in split_lines(text) for row in break_line(line, columns - len(_BAR))]
    shown: list[str] = []
    for is_empty, run in groupby(rows, key=lambda row: not row.strip()):
        alike = list(run)
        folded = is_empty and len(alike) > _MOST_EMPTY
        shown += [f"({len(alike)} empty lines)"] if folded else [_BAR + row for row in alike]
    return shown


def break_line(line: str, columns: int) -> list[str]:
    """Break a line into rows of at most `columns` (2 or more), after a space if there is one.

    Width is counted as in a terminal: 2 columns for East Asian letters, emoji and anything else that some
    terminal draws wide, 0 for accents.
    """
    rows, row, used = [], "", 0
    for char in visible(line):
        while row and used + _width(char) > columns:
            kept = row.rfind(" ") + 1 or len(row)
            rows.append(row[:kept])
            row = row[kept:]
            used = sum(map(_width, row))
        row += char
        used += _width(char)
    return [*rows, row]


def lay_out(lines: Iterable[str], columns: int | None) -> list[str]:
    """Return lines in rows of at most `columns`; None is for a form, which breaks lines itself.

    Continued rows are indented, so that a quoted text cannot begin a row that looks like one of ours.
    """
    if columns is None:
        return [visible(line) for line in lines]
    return ["\n  ".join(row.rstrip() for row in break_line(line, columns - 2)) for line in lines]


def is_plain(text: str) -> bool:
    """Return whether a text has only Latin letters, digits and marks that every font draws."""
    return _PLAIN.fullmatch(text) is not None


def visible(line: str) -> str:
    r"""Return a line so that all of it is visible, and nothing in it moves the rest.

    Control, bidi and invisible characters and line breaks are written as escapes (`\u202e`). Joiners between
    pictures are removed, and every space becomes a plain one. Applying it twice changes nothing.
    """
    if is_plain(line):
        return line
    shown, marks = [], _MOST_MARKS  # an accent at the beginning of a line has no letter
    for char in escape_invisible(line):
        marks = marks + 1 if _is_mark(char) else 0
        if unicodedata.category(char) == "Zs":
            shown.append(" ")
        elif char.isprintable() and marks <= _MOST_MARKS:
            shown.append(char)
        else:
            shown.append(char.encode("unicode_escape").decode("ascii"))
    return "".join(shown)


def _width(char: str) -> int:
    """Return the columns that a terminal uses for a character: the most, if terminals differ."""
    if char.isascii():
        return 1
    if _is_mark(char):
        return 0
    is_wide = unicodedata.east_asian_width(char) in {"W", "F", "A"} or unicodedata.category(char) == "So"
    return 2 if is_wide else 1


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in {"Mn", "Me"}
