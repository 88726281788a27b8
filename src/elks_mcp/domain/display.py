"""How a text is laid out for a person, so that nothing in it can pass for what we say.

A terminal and a client's form show other people's texts beside our own words. Three things keep them apart:
every row of a text has a bar in front, also where a long line is broken; a character that is not seen, or
that moves others, is written by its number; and a run of empty rows is folded into one, so that a text
cannot push our words off the screen.
"""

import re
import unicodedata
from datetime import datetime
from itertools import groupby

from elks_mcp.domain.cleaning import escape_invisible

FORM_COLUMNS = 72
"""How wide a text is in a client's form. It is fixed, so that the same question is always the same."""

_BAR = "| "
_MOST_EMPTY = 2
"""So many empty rows in a run are shown as they are."""

_MOST_MARKS = 4
"""So many accents on one letter are shown; a taller stack would cover the rows above it."""

_LINE_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")


def time_in_words(moment: datetime) -> str:
    """Write a moment as its own zone does: 2026-11-29 14:05 +01:00."""
    written = moment.isoformat(sep=" ", timespec="minutes")
    return f"{written[:16]} {written[16:]}"


def split_lines(text: str) -> list[str]:
    """Split a text at everything that a terminal or a form may take for the end of a line."""
    return _LINE_BREAK.split(text)


def quote_lines(text: str, columns: int = FORM_COLUMNS) -> list[str]:
    """Return the rows of a text, none wider than `columns`, each behind a bar.

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
    """Break a line into rows of at most `columns` (2 or more), after a space where there is one.

    Width is that of a terminal: 2 for East Asian letters, emoji and whatever else some terminal draws wide,
    0 for accents.
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


def visible(line: str) -> str:
    r"""Write one line so that all of it is seen, and nothing in it moves the rest.

    Control, bidi and invisible characters, line breaks too, are written by their number (`\u202e`). What
    joins pictures is left out, and any space is a plain one. Doing it twice changes nothing.
    """
    shown, marks = [], _MOST_MARKS  # an accent that begins a line has no letter to stand on
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
    """Return how many columns a terminal takes for a character: the most, where terminals differ."""
    if char.isascii():
        return 1
    if _is_mark(char):
        return 0
    is_wide = unicodedata.east_asian_width(char) in {"W", "F", "A"} or unicodedata.category(char) == "So"
    return 2 if is_wide else 1


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in {"Mn", "Me"}
