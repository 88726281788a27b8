"""Read a table from a file, by the ending of its name."""

from elks_mcp.spreadsheets.csv_tables import read_csv
from elks_mcp.spreadsheets.decoding import UnreadableFile
from elks_mcp.spreadsheets.table import Table

MOST_FILE_BYTES = 5_000_000

_TEXT_ENDINGS = ".csv", ".tsv", ".txt"
_WORKBOOK_ENDINGS = ".xlsx", ".xlsm"
TABLE_ENDINGS = (*_TEXT_ENDINGS, *_WORKBOOK_ENDINGS)
NOT_A_TABLE = f"Its name does not end in one of {', '.join(TABLE_ENDINGS)}."


def read_table_file(name: str, content: bytes) -> Table:
    """Return the table in a file, which is CSV or an Excel workbook by the ending of its name.

    Raises:
        UnreadableFile: its name or its content is neither, or it is too large.
        Misconfigured: it is a workbook, and the package that reads them is not installed.
    """
    ending = name.lower()
    if len(content) > MOST_FILE_BYTES:
        raise UnreadableFile(f"It is larger than {MOST_FILE_BYTES // 1_000_000} MB.")
    if not content:
        raise UnreadableFile("It is empty.")
    if ending.endswith(_TEXT_ENDINGS):
        return read_csv(content)
    if ending.endswith(_WORKBOOK_ENDINGS):
        from elks_mcp.spreadsheets.workbooks import read_workbook  # noqa: PLC0415  (only for workbooks)

        return read_workbook(content)
    raise UnreadableFile(NOT_A_TABLE)
