"""Workbooks that are damaged, hostile, or cannot be read on this machine."""

import sys
from contextlib import suppress
from io import BytesIO
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.errors import Misconfigured
from elks_mcp.spreadsheets.decoding import UnreadableFile
from elks_mcp.spreadsheets.table_files import read_table_file
from elks_mcp.spreadsheets.workbooks import read_workbook
from tests.support.workbooks import Sheet, build_archive, build_workbook

ROWS: Sheet = [["Namn", "Mobil"], ["Åsa", "0701740605"], ["Bo", 46701740606.0]]
WORKBOOK = build_workbook({"Blad1": ROWS}, merged=["A2:A3"])
with ZipFile(BytesIO(WORKBOOK)) as archive:
    PARTS = {name: archive.read(name) for name in archive.namelist()}


def write_sheet(rows: str) -> bytes:
    """Return a sheet with these rows."""
    names = 'xmlns="{0}" xmlns:x="{0}"'.format("http://schemas.openxmlformats.org/spreadsheetml/2006/main")
    return f"<worksheet {names}><sheetData>{rows}</sheetData></worksheet>".encode()


def test_without_python_calamine_the_error_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(
        Misconfigured, match="python-calamine, which reads Excel workbooks, is not installed"
    ) as caught:
        read_table_file("a.xlsx", WORKBOOK)
    assert caught.value.hint.startswith('Install it with `uv tool install "elks-mcp[excel]')
    assert read_table_file("a.csv", b"Mobil\n0701740605\n").rows


@pytest.mark.parametrize("merged", ["B1:XFD1", "A3:A2", "A4:A9", "D1:D9", "A3:A1048576"])
def test_merged_cells_outside_the_rows_are_ignored(merged: str) -> None:
    table = read_workbook(build_workbook({"Blad1": ROWS}, merged=[merged]))
    assert [row.cells for row in table.rows] == [("Åsa", "0701740605"), ("Bo", "46701740606")]


@pytest.mark.parametrize("merged", [["A2:A3"] * 60_000, ["x"]], ids=["many", "unreadable"])
def test_invalid_merged_cells_are_refused(merged: list[str]) -> None:
    with pytest.raises(UnreadableFile, match="It is damaged"):
        read_workbook(build_workbook({"Blad1": ROWS}, merged=merged))


FAR = "A sheet has cells far|It is damaged"


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c a=">" r="xfd1048576"><v>1</v></c></row>',
        '<x:row r="1048576"><x:c r="J1048576"><x:v>1</x:v></x:c></x:row>',
        f'<row r="1048576">{"<c><v>1</v></c>" * 10}</row>',
        '<row r="1"><c r="XFD9999999"><is><t>a</t></is></c></row>',
        '<row r="1"><c r="AAAAAA1"><v>1</v></c></row>',
        '<row r="99999999999"><c><v>1</v></c><c><v>1</v></c></row>',
    ],
)
def test_a_sheet_that_would_use_all_memory_is_refused(rows: str) -> None:
    with pytest.raises(UnreadableFile, match=FAR):
        read_workbook(build_archive(PARTS | {"xl/worksheets/sheet1.xml": write_sheet(rows)}))


def test_a_style_far_below_does_not_count_as_a_cell() -> None:
    rows = '<row r="1"><c r="A1"><v>46701740605</v></c></row><row r="1048576"><c r="XFD1048576" s="1"/></row>'
    table = read_workbook(build_archive(PARTS | {"xl/worksheets/sheet1.xml": write_sheet(rows)}))
    assert [row.cells for row in table.rows] == [("46701740605",)]


def test_a_workbook_with_declarations_is_refused() -> None:
    sheet = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + write_sheet("<row><c><v>&a;</v></c></row>")
    with pytest.raises(UnreadableFile, match="It is damaged"):
        read_workbook(build_archive(PARTS | {"xl/worksheets/sheet1.xml": sheet}))


def test_rows_that_a_filter_hides_are_read_and_counted() -> None:
    rows = (
        "<row><c><v>46701740605</v></c></row>"
        + '<row hidden="1"><c><v>46701740606</v></c><c><v>1</v></c></row>' * 2
    )
    table = read_workbook(build_archive(PARTS | {"xl/worksheets/sheet1.xml": write_sheet(rows)}))
    assert len(table.rows) == 3
    assert table.note == "The workbook has 2 hidden rows. Hidden rows are read as well."


def test_cells_without_references_are_read_in_order() -> None:
    rows = "<row><c><v>46701740605</v></c><c><v>1</v></c></row><row/><row><c/><c><v>2</v></c></row>"
    table = read_workbook(build_archive(PARTS | {"xl/worksheets/sheet1.xml": write_sheet(rows)}))
    assert [(row.number, row.cells) for row in table.rows] == [(1, ("46701740605", "1")), (3, ("", "2"))]


@given(st.lists(st.tuples(st.integers(0, len(WORKBOOK) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_workbook_is_read_or_refused(damages: list[tuple[int, int]]) -> None:
    content = bytearray(WORKBOOK)
    for at, byte in damages:
        content[at] = byte
    with suppress(UnreadableFile):
        assert read_workbook(bytes(content)).delimiter == ""


@given(st.text(st.sampled_from('<>/c vr="A19zt is sheetData row &;'), max_size=200))
def test_a_sheet_of_random_content_is_read_or_refused(xml: str) -> None:
    with suppress(UnreadableFile):
        assert (
            read_workbook(build_archive(PARTS | {"xl/worksheets/sheet1.xml": write_sheet(xml)})).delimiter
            == ""
        )
