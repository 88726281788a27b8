"""Write results as CSV that Excel opens, without a cell that it takes for a formula."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.phone import Number

_FORMULA = re.compile(r"['\s]*[=+\-@＝＋－＠]")
"""The beginning of a cell that a spreadsheet may take for a formula (OWASP, CSV injection)."""

_TEXT_MARK = "'"


def write_csv(
    titles: Sequence[str], rows: Iterable[Sequence[str | int | Number]], *, whole_numbers: bool = False
) -> bytes:
    """Return a table as CSV for Excel: UTF-8 with a byte order mark, semicolons, CRLF.

    Texts are cleaned of invisible characters. One that would be a formula gets an apostrophe in front, and so
    do phone numbers, whose + a spreadsheet would remove.

    `whole_numbers`: whether phone numbers are written in full; otherwise only their last two digits.
    """
    written = StringIO(newline="")
    table = csv.writer(written, delimiter=";", lineterminator="\r\n")
    table.writerow(map(_mark, titles))
    for row in rows:
        table.writerow(_write_cell(value, whole_numbers=whole_numbers) for value in row)
    return written.getvalue().encode("utf-8-sig")


def _write_cell(value: str | int | Number, *, whole_numbers: bool) -> str | int:
    if isinstance(value, Number):
        return _mark(value.e164 if whole_numbers else value.masked)
    return _mark(value) if isinstance(value, str) else value


def _mark(text: str) -> str:
    text = cleaned(text)
    return f"{_TEXT_MARK}{text}" if _FORMULA.match(text) else text
