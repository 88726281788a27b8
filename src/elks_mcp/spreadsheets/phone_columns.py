"""The column of a table that has the phone numbers: by its title, or else by its cells."""

import re
from collections.abc import Callable, Iterable
from itertools import islice

from elks_mcp.domain.contacts import fold_name, shorten
from elks_mcp.domain.phone_repair import looks_like_number, read_phone
from elks_mcp.spreadsheets.decoding import UnreadableFile
from elks_mcp.spreadsheets.table import Table

PHONE_TITLES = (
    r"phone \d+ - value"
    r"|(?:(?:home|business|work|other|primary|company main|car|mobile|cell) )?(?:tele)?phone"
    r"(?: number)?(?: \d)?"
    r"|(?:mobile|cell|phone)(?: (?:number|no\.?|nr\.?))?|cellphone|number"
    r"|(?:hem|arbets|jobb|mobil)?tel(?:efon)?(?:nummer|[ .-]?nr)?\.?(?: \d)?(?: \(\w+\))?"
    r"|(?:mobil|mob|gsm)(?:nummer|[ .-]?nr)?\.?(?: \d)?|nummer"
)
"""A pattern of the titles of phone numbers in tables of people, folded by `fold_name`."""

_NUMBER = r"(?: ?(?:numbers?|nummer|nr|no))?(?: ?\d)?"
_PLACE = r"(?: (?:mobil|hem|arbete|jobb|privat))?"
_TITLE = re.compile(
    rf"{PHONE_TITLES}"
    rf"|(?:(?:home|business|work|office|main|private|contact|customer) )?(?:tele)?phone{_NUMBER}(?: value)?"
    rf"|(?:mobile?|mob|cell|sms|gsm|iphone)(?: ?(?:tele)?(?:phone|fon))?{_NUMBER}{_PLACE}"
    rf"|(?:hem|arbets|jobb|kontakt|privat|kund)?(?:tele?|telefon|tfn){_NUMBER}{_PLACE}"
    r"|nr|no|numbers|msisdn|to|till|recipients?|mottagar(?:e|nummer|nr)"
)
_MOBILE = re.compile(r"mobil|cell|\bmob\b|\bsms|\bgsm\b|iphone")
_VAGUE = {"nr", "no", "number", "numbers", "nummer", "till"}
"""Titles of other columns as well: of running numbers, or of dates."""

_FEWEST_DIGITS = 7
_SAMPLE = 100
"""Rows in which the cells of a column without a known title are tried."""


def is_phone_title(title: str) -> bool:
    """Return whether a title is one of a column with phone numbers."""
    return _TITLE.fullmatch(fold_name(title)) is not None or _TITLE.fullmatch(_fold(title)) is not None


def _fold(title: str) -> str:
    """Return a title without the marks in it: `Tel.nr:`, `phone_number`, `Telefon (hem)`."""
    return " ".join(re.sub(r"[-_.:()#*/]+", " ", fold_name(title)).split())


def find_phone_column(table: Table, home: str) -> int:
    """Return the place of the column with the phone numbers to text, from 0.

    A column for mobile numbers goes before the others. `home`: the ISO 3166 region of national numbers.

    Raises:
        UnreadableFile: there is no such column, or several.
    """
    titled = [at for at, title in enumerate(table.titles) if is_phone_title(title)]
    clear = [at for at in titled if _fold(table.titles[at]) not in _VAGUE]
    vague = [at for at in titled if at not in clear]
    searches: tuple[Callable[[], Iterable[int]], ...] = (
        lambda: (at for at in clear if any(_has_digits(row.find_cell(at)) for row in table.rows)),
        lambda: (at for at in vague if _has_numbers(table, at, home)),
        lambda: clear,
        lambda: (at for at in range(_count_columns(table)) if _has_numbers(table, at, home)),
        lambda: vague,
    )
    found = next(filter(None, (list(search()) for search in searches)), [])
    mobile = [at for at in found if at in titled and _MOBILE.search(_fold(table.titles[at]))]
    chosen = mobile or found
    if not chosen:
        raise UnreadableFile(
            'It has no column with phone numbers. Give that column the title "Mobil" or "Phone".'
        )
    if len(chosen) > 1:
        names = " and ".join(name_column(table, at) for at in chosen)
        raise UnreadableFile(
            f"It has several columns with phone numbers: {names}. Keep one, or give only the one to text the "
            'title "Mobil".'
        )
    return chosen[0]


def _has_digits(cell: str) -> bool:
    """Return whether a cell has a phone number, even if it has more than that or lacks digits."""
    return sum(map(str.isdigit, cell)) >= _FEWEST_DIGITS or looks_like_number(cell)


def _count_columns(table: Table) -> int:
    return max((len(row.cells) for row in table.rows), default=0)


def _has_numbers(table: Table, at: int, home: str) -> bool:
    """Return whether most cells of a column are phone numbers that can be used."""
    cells = [cell for row in islice(table.rows, _SAMPLE) if (cell := row.find_cell(at))]
    usable = sum(looks_like_number(cell) and read_phone(cell, "", home).number is not None for cell in cells)
    return usable * 2 > len(cells)


def name_column(table: Table, at: int) -> str:
    """Return a column's name for a person, its title or else its letter: `"Mobil"`, `column B`."""
    title = table.titles[at] if at < len(table.titles) else ""
    return f'"{shorten(title)}"' if title else f"column {name_letter(at)}"


def name_letter(at: int) -> str:
    """Return the letters of a column in a spreadsheet: A for 0, AA for 26."""
    return (name_letter(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)  # noqa: PLR2004  (the alphabet)
