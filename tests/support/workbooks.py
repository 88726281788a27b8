"""Excel workbooks as bytes, with the parts that Excel writes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from io import BytesIO
from typing import NamedTuple
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

_SHEETS = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'

_TYPES = f"""{_HEAD}<Types xmlns="{_PACKAGE}/content-types">\
<Default Extension="xml" ContentType="application/xml"/>\
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>"""
_RELATED = f"""{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">\
<Relationship Id="r1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>"""
_STYLES = f"""{_HEAD}<styleSheet {_SHEETS}><fonts count="1"><font/></fonts>\
<fills count="1"><fill/></fills><borders count="1"><border/></borders>\
<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="3"><xf numFmtId="0"/>\
<xf numFmtId="14" applyNumberFormat="1"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>"""
"""Style 1 is a date, style 2 a date with a time."""

_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001  (a spreadsheet has no zones)


class Formula(NamedTuple):
    """A formula, and the value that Excel saved with it; None if the program computes none."""

    text: str
    value: str | float | None = None


class Failed(NamedTuple):
    """A formula without a value, and the error that is shown in its place."""

    shown: str


CellValue = str | float | bool | date | Formula | Failed | None
Sheet = Sequence[Sequence[CellValue]]


def build_workbook(
    sheets: Mapping[str, Sheet], *, merged: Sequence[str] = (), hidden: Sequence[str] = (), top: int = 1
) -> bytes:
    """Return an .xlsx workbook.

    Args:
        sheets: the rows of each sheet, by its name.
        merged: ranges of merged cells in all sheets: `A2:A3`.
        hidden: the sheets that are hidden.
        top: the number of the first row.
    """
    parts = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _RELATED,
        "xl/workbook.xml": _list_sheets(sheets, hidden),
        "xl/_rels/workbook.xml.rels": _relate_sheets(len(sheets)),
        "xl/styles.xml": _STYLES,
    }
    for number, rows in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{number}.xml"] = _write_sheet(rows, merged, top)
    return build_archive(parts)


def build_archive(parts: Mapping[str, str | bytes]) -> bytes:
    """Return a zip file with these files in it."""
    written = BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return written.getvalue()


def _list_sheets(names: Iterable[str], hidden: Sequence[str]) -> str:
    sheets = "".join(
        f'<sheet name="{escape(name)}" sheetId="{at}" r:id="r{at}"{_HIDDEN if name in hidden else ""}/>'
        for at, name in enumerate(names, 1)
    )
    return f'{_HEAD}<workbook {_SHEETS} xmlns:r="{_RELATIONS}"><sheets>{sheets}</sheets></workbook>'


_HIDDEN = ' state="hidden"'


def _relate_sheets(count: int) -> str:
    related = {f"r{number}": ("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, count + 1)}
    related["s"] = ("styles", "styles.xml")
    written = "".join(
        f'<Relationship Id="{key}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
        for key, (kind, target) in related.items()
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{written}</Relationships>'


def _write_sheet(rows: Sheet, merged: Sequence[str], top: int) -> str:
    written = "".join(_write_row(number, row) for number, row in enumerate(rows, top))
    ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged)
    merges = f'<mergeCells count="{len(merged)}">{ranges}</mergeCells>' if merged else ""
    return f"{_HEAD}<worksheet {_SHEETS}><sheetData>{written}</sheetData>{merges}</worksheet>"


def _write_row(number: int, row: Sequence[CellValue]) -> str:
    cells = "".join(_write_cell(f"{_letter(at)}{number}", cell) for at, cell in enumerate(row))
    return f'<row r="{number}">{cells}</row>'


def _letter(at: int) -> str:
    return chr(ord("A") + at)


def _write_cell(place: str, cell: CellValue) -> str:  # noqa: PLR0911  (a line for each kind of cell)
    match cell:
        case None:
            return f'<c r="{place}" s="0"/>'
        case bool():
            return f'<c r="{place}" t="b"><v>{cell:d}</v></c>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
        case Failed():
            return f'<c r="{place}" t="e"><f>A1</f><v>{cell.shown}</v></c>'
        case Formula():
            value = "" if cell.value is None else f"<v>{escape(str(cell.value))}</v>"
            kind = ' t="str"' if isinstance(cell.value, str) else ""
            return f'<c r="{place}"{kind}><f>{escape(cell.text)}</f>{value}</c>'
        case datetime():
            days = (cell - _FIRST_DAY).total_seconds() / 86_400
            return f'<c r="{place}" s="2"><v>{days!r}</v></c>'
        case date():
            return f'<c r="{place}" s="1"><v>{(cell - _FIRST_DAY.date()).days}</v></c>'
        case _:
            return f'<c r="{place}"><v>{cell!r}</v></c>'
