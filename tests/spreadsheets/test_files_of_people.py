"""Files as people have them: from Excel, Google, Outlook and by hand, and what is right in each."""

from codecs import BOM_UTF16_BE
from datetime import date, datetime

import pytest

from elks_mcp.spreadsheets.decoding import UnreadableFile
from elks_mcp.spreadsheets.recipient_lists import RecipientList, build_recipient_list
from elks_mcp.spreadsheets.table_files import read_table_file
from tests.contacts.test_tables import GOOGLE, OLD_GOOGLE, OUTLOOK
from tests.support.workbooks import CellValue, Failed, Formula, Sheet, build_archive, build_workbook

FIRST, SECOND, THIRD = "+46701740605", "+46701740606", "+46701740607"
ZERO = "[The leading 0 was missing, and was added.]"
PLUS = "[The + was missing, and was added.]"
MARK = "[A spreadsheet's mark for text was removed.]"
DECIMALS = "[The decimals .0 were removed. The + was missing, and was added.]"
LOST = '"Mobil": A spreadsheet shortened the number, and digits are lost. Format the column as text.'
EMPTY = '"Mobil": It is empty.'
SEVERAL = '"Mobil": It looks like more than one phone number.'
OTHER = '"Mobil": It is not a phone number.'
UNCLOSED = "A quotation mark is not closed in this row or in one below, so these rows cannot be read."
TOO_LONG = "It has more cells than the first row. Put a cell with a delimiter in quotes."

TWO = "Namn;Telefon\nÅsa;070-174 06 05\nÖrjan;0701740606\n"
TABS = TWO.replace(";", "\t")
BOTH = [f"2 Åsa {FIRST}", f"3 Örjan {SECOND}"]


def read(name: str, content: bytes) -> RecipientList:
    """Return the recipients in a file."""
    return build_recipient_list(read_table_file(name, content), "SE")


def describe(listed: RecipientList) -> list[str]:
    """Return a line for each row: its number, name and phone number or fault, and what was repaired."""
    lines = []
    for entry in listed.entries:
        found = entry.to.e164 if entry.to else f"<{entry.name}>" if entry.name else entry.fault
        repair = f"[{entry.repair}]" if entry.repair else ""
        lines.append(" ".join(filter(None, (str(entry.row), entry.fields.get("Namn"), found, repair))))
    return lines


CSV: dict[str, tuple[str | bytes, list[str]]] = {
    # encodings
    "UTF-8": (TWO, BOTH),
    "UTF-8 with a byte order mark": (TWO.encode("utf-8-sig"), BOTH),
    "two byte order marks": ("\ufeff\ufeff" + TWO, BOTH),
    "UTF-16, Excel's Unicode text": (TABS.encode("utf-16"), BOTH),
    "UTF-16, the other byte order": (BOM_UTF16_BE + TWO.encode("utf-16-be"), BOTH),
    "Windows-1252": (TWO.encode("cp1252"), BOTH),
    "line breaks of Windows": (TWO.replace("\n", "\r\n").encode("cp1252"), BOTH),
    "line breaks of an old Mac": (TWO.replace("\n", "\r"), BOTH),
    "no line break at the end": (TWO.rstrip(), BOTH),
    # delimiters
    "commas": ('Namn,Telefon\n"Åsa",070-174 06 05\nÖrjan,0701740606\n', BOTH),
    "tabs": (TABS, BOTH),
    "bars": (TWO.replace(";", "|"), BOTH),
    "sep= names the delimiter, and is no row": (f"sep=;\r\n{TWO}", BOTH),
    "sep= in quotes": (f'"sep=|"\n{TWO.replace(";", "|")}', BOTH),
    "sep= names a delimiter of its own": (f"sep=^\n{TWO.replace(';', '^')}", BOTH),
    "sep= with a tab": (f"sep=\t\n{TABS}", BOTH),
    "commas in texts between semicolons": (
        "Namn;Telefon;Hälsning\nÅsa;0701740605;Hej, du, där\nÖrjan;0701740606;Hej, hej, hej\n",
        BOTH,
    ),
    "decimal commas between semicolons": (
        "Namn;Telefon;Pris\nÅsa;0701740605;1,50\nÖrjan;0701740606;2,75\n",
        BOTH,
    ),
    "a comma in a title": ('Namn;Telefon;"Ort, land"\nÅsa;0701740605;Lund\nÖrjan;0701740606;Oslo\n', BOTH),
    # numbers
    "wrapped in formulas": (
        'Namn;Mobil\nÅsa;="0701740605"\nÖrjan;"=""0701740606"""\n',
        [f"{a} {MARK}" for a in BOTH],
    ),
    "apostrophes": ("Namn;Mobil\nÅsa;'0701740605\nÖrjan;'070-174 06 06\n", [f"{a} {MARK}" for a in BOTH]),
    "no-break spaces": ("Namn;Mobil\nÅsa;070\u00a0174\u202f06\u00a005\nÖrjan;\u00a00701740606 \n", BOTH),
    "(0)": ("Namn;Mobil\nÅsa;+46 (0)70-174 06 05\nÖrjan;0046 70 174 06 06\n", BOTH),
    "all kinds of dashes": ("Namn;Mobil\nÅsa;070–174 06 05\nÖrjan;070‑174‑06‑06\n", BOTH),
    "a lost 0": ("Namn;Mobil\nÅsa;701740605\nÖrjan;70 174 06 06\n", [f"{a} {ZERO}" for a in BOTH]),
    "a lost +": ("Namn;Mobil\nÅsa;46701740605\nÖrjan;46 70 174 06 06\n", [f"{a} {PLUS}" for a in BOTH]),
    "decimals": ("Namn;Mobil\nÅsa;46701740605.0\nÖrjan;46701740606,0\n", [f"{a} {DECIMALS}" for a in BOTH]),
    "lost digits": (
        "Namn;Mobil\nÅsa;4,67E+10\nÖrjan;4.6701740606E+10\n",
        [f"2 Åsa {LOST}", f"3 Örjan {LOST}"],
    ),
    "two numbers in a cell": (
        "Namn;Mobil\nÅsa;0701740605, 0701740606\nÖrjan;0701740606/0701740607\n",
        [f"2 Åsa {SEVERAL}", f"3 Örjan {SEVERAL}"],
    ),
    "dates, amounts and errors in place of numbers": (
        "Namn;Mobil\nÅsa;0701740605\nA;30/11/2026\nB;1250.50\nC;#VÄRDEFEL!\nD;112\nE;-\n",
        BOTH[:1] + [f"{row} {name} {OTHER}" for row, name in enumerate("ABCDE", 3)],
    ),
    "names in place of numbers": (
        "Namn;Mobil\nÅsa;Åsa\nÖrjan;0701740606\nJour;@jour\n",
        ["2 Åsa <Åsa>", BOTH[1], "4 Jour <@jour>"],
    ),
    "a number of another country": ("Namn;Mobil\nÅsa;+47 412 34 567\n", ["2 Åsa +4741234567"]),
    # rows
    "empty lines": (
        "\n\nNamn;Mobil\n\nÅsa;0701740605\n;\n \nÖrjan;0701740606\n\n\n",
        [f"5 Åsa {FIRST}", f"8 Örjan {SECOND}"],
    ),
    "a heading above the titles": ("Kunder 2026;;\n;;\nNamn;Mobil;\nÅsa;0701740605;\n", [f"4 Åsa {FIRST}"]),
    "a sum below the rows": ("Namn;Mobil;Pris\nÅsa;0701740605;5\nSumma;;5\n", [BOTH[0], f"3 Summa {EMPTY}"]),
    "cells of several lines": (
        'Namn;Anteckning;Mobil\n"Åsa";"två\nrader; ett ""citat""";0701740605\nÖrjan;en;0701740606\n',
        BOTH,
    ),
    "titles of several lines": ('Namn;"Mobil\n(privat)"\nÅsa;0701740605\n', [f"2 Åsa {FIRST}"]),
    "short rows": ("Namn;Mobil;Ort\nÅsa;0701740605\nÖrjan\n", [BOTH[0], f"3 Örjan {EMPTY}"]),
    "a long row": ("Namn;Mobil\nÅsa;0701740605\nÖrjan;0701740606;hej; du\n", [BOTH[0], f"3 {TOO_LONG}"]),
    "empty cells after the last column": ("Namn;Mobil\nÅsa;0701740605;;;\nÖrjan;0701740606; ;\n", BOTH),
    "empty columns": ("Namn;;Mobil;;;\nÅsa;;0701740605;;;\nÖrjan;;0701740606;;;\n", BOTH),
    "a quotation mark that is not closed": (
        'Namn;Mobil;Not\nÅsa;0701740605;a\nÖrjan;0701740606;"ring\nBo;0701740607;b\n',
        [BOTH[0], f"3 {UNCLOSED}"],
    ),
    "a quotation mark that closes in a row below": (
        'Namn;Mobil;Not\nÅsa;0701740605;"ring\nÖrjan;0701740606;"nej"\nBo;0701740607;b\n',
        [f"2 {UNCLOSED}", f"3 Bo {THIRD}"],
    ),
    "quotation marks within a cell": ('Namn;Mobil;Tv\nÅsa;0701740605;5" skärm\nÖrjan;0701740606;6"\n', BOTH),
    # columns
    "titles with spaces and capitals": (" Namn ; MOBIL :\nÅsa;0701740605\n", [BOTH[0]]),
    "a mobile number before others": (
        "Namn;Hemtelefon;Mobilnr;Telefon arbete\nÅsa;08-500 12 34;0701740605;08-500 12 35\n",
        [BOTH[0]],
    ),
    "running numbers called Nr": ("Nr;Namn;Telefon\n1;Åsa;0701740605\n2;Örjan;0701740606\n", BOTH),
    "customer numbers called Nummer": (
        "Nummer;Namn;Tel\n1234567;Åsa;0701740605\n1234568;Örjan;0701740606\n",
        BOTH,
    ),
    "phone numbers called Nr": ("Namn;Nr\nÅsa;0701740605\nÖrjan;0701740606\n", BOTH),
    "an unknown title": ("Namn;Nås på\nÅsa;0701740605\nÖrjan;0701740606\n", BOTH),
    "one column": ("Telefon\n0701740605\n0701740606\n", [f"2 {FIRST}", f"3 {SECOND}"]),
    "bare numbers": (
        "0701740605\n+46701740606\n\n701740607\n",
        [f"1 {FIRST}", f"2 {SECOND}", f"4 {THIRD} {ZERO}"],
    ),
    "no titles": ("Åsa;0701740605\nÖrjan;0701740606\n", [f"1 {FIRST}", f"2 {SECOND}"]),
    "no titles, and texts with commas": (
        '0701740605,"Hej; du"\n0701740606,"Hej; hej"\n',
        [f"1 {FIRST}", f"2 {SECOND}"],
    ),
    "English, for a shop": (
        "Order ID,Customer,Shipping Phone,Phone\n1001,Åsa,,0701740605\n1002,Örjan,,0701740606\n",
        [f"2 {FIRST}", f"3 {SECOND}"],
    ),
    "Google": (GOOGLE.replace(" ::: 070-174 06 06", "").replace("Work,070-174 06 07", ","), [f"2 {FIRST}"]),
    "Google, before 2024": (
        OLD_GOOGLE.replace(" ::: 070-174 06 06", "").replace("Work,070-174 06 07", ","),
        [f"2 {FIRST}"],
    ),
    "Outlook": (OUTLOOK, [f"2 {FIRST}"]),
    "pandas": (
        ",Namn,phone_number\n0,Åsa,46701740605.0\n1,Örjan,\n",
        [f"{BOTH[0]} {DECIMALS}", '3 Örjan "phone_number": It is empty.'],
    ),
}


@pytest.mark.parametrize(("content", "expected"), CSV.values(), ids=CSV)
def test_a_csv_file_as_people_save_it_is_read(content: str | bytes, expected: list[str]) -> None:
    assert describe(read("a.csv", content.encode() if isinstance(content, str) else content)) == expected


TITLES = ["Namn", "Mobil"]
WORKBOOKS: dict[str, tuple[bytes, list[str]]] = {
    "texts": (build_workbook({"Blad1": [TITLES, ["Åsa", "070-174 06 05"], ["Örjan", "+46701740606"]]}), BOTH),
    "floats": (
        build_workbook({"Blad1": [TITLES, ["Åsa", 46701740605.0], ["Örjan", 701740606]]}),
        [f"{BOTH[0]} {PLUS}", f"{BOTH[1]} {ZERO}"],
    ),
    "formulas, with and without a saved value": (
        build_workbook(
            {
                "B": [
                    TITLES,
                    ["Åsa", Formula('"0"&701740605', "0701740605")],
                    ["Örjan", Formula("A1")],
                    ["Bo", Failed("#N/A")],
                ]
            }
        ),
        [BOTH[0], f"3 Örjan {EMPTY}", f"4 Bo {EMPTY}"],
    ),
    "merged cells": (
        build_workbook(
            {
                "B": [
                    ["Kunder", None],
                    ["Namn", "Kontakt"],
                    [None, "Mobil"],
                    ["Åsa", "0701740605"],
                    [None, "0701740606"],
                ]
            },
            merged=["A1:B1", "A2:A3", "A4:A5"],
        ),
        [f"4 Åsa {FIRST}", f"5 Åsa {SECOND}"],
    ),
    "a table that begins further down": (
        build_workbook({"B": [[None, *TITLES], [None, "Åsa", "0701740605"]]}, top=4),
        [f"5 Åsa {FIRST}"],
    ),
    "empty rows and styled empty cells": (
        build_workbook(
            {"B": [TITLES, [], ["Åsa", "0701740605", None], [None, None], ["Örjan", "0701740606"]]}
        ),
        [f"3 Åsa {FIRST}", f"5 Örjan {SECOND}"],
    ),
    "a note beside the table": (
        build_workbook({"B": [TITLES, ["Åsa", "0701740605", None, "ring först"], ["Örjan", "0701740606"]]}),
        BOTH,
    ),
    "several sheets, the first empty or hidden": (
        build_workbook(
            {
                "Tom": [],
                "Dold": [TITLES, ["Bo", "0701740607"]],
                "A": [TITLES, ["Åsa", "0701740605"]],
                "B": [TITLES],
            },
            hidden=["Dold"],
        ),
        BOTH[:1],
    ),
    "dates in place of numbers": (
        build_workbook({"B": [TITLES, ["Åsa", "0701740605"], ["Bo", date(2026, 11, 30)]]}),
        [BOTH[0], f"3 Bo {OTHER}"],
    ),
    "bare numbers": (
        build_workbook({"B": [[46701740605], [46701740606]]}),
        [f"1 {FIRST} {PLUS}", f"2 {SECOND} {PLUS}"],
    ),
}


@pytest.mark.parametrize(("content", "expected"), WORKBOOKS.values(), ids=WORKBOOKS)
def test_a_workbook_as_people_save_it_is_read(content: bytes, expected: list[str]) -> None:
    assert describe(read("a.xlsx", content)) == expected


def test_other_sheets_with_rows_are_reported() -> None:
    one: Sheet = [["Telefon"], ["0701740605"]]
    assert read("a.xlsx", build_workbook({"Kunder": one, "Tom": []})).note == ""
    listed = read("a.xlsx", build_workbook({"Kunder": one, "Fler": one, "Andra": one}))
    assert listed.note == 'The sheet "Kunder" was read. The workbook has 2 other sheets with rows.'


def test_cells_of_a_workbook_are_written_as_people_write_them() -> None:
    at = datetime(2026, 12, 1, 9, 30)  # noqa: DTZ001  (a spreadsheet has no zones)
    cells: list[CellValue] = [
        "Åsa",
        12.0,
        0.1 + 0.2,
        True,
        date(2026, 12, 1),
        at,
        Formula("1+1", 2),
        Failed("#N/A"),
        12345678901234567,
    ]
    titles = [f"Fält {number}" for number in range(len(cells))]
    listed = read("a.xlsx", build_workbook({"B": [["Mobil", *titles], ["0701740605", *cells]]}))
    assert [listed.entries[0].fields[title] for title in titles] == [
        *("Åsa", "12", "0.3", "TRUE", "2026-12-01", "2026-12-01 09:30", "2", "", "1.23456789012346e+16"),
    ]


WORKBOOK = build_workbook({"B": [TITLES, ["Åsa", "0701740605"]]})
OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
TEN_COLUMNS = [[str(number) for number in range(10)]]


def explain_several(*columns: str) -> str:
    """Return why a file with several columns of phone numbers is refused."""
    names = " and ".join(columns)
    advice = 'Keep one, or give only the one to text the title "Mobil".'
    return f"It has several columns with phone numbers: {names}. {advice}"


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "an empty file": ("a.csv", b"", "It is empty."),
    "only line breaks": ("a.csv", b"\n\n\r\n", "It has no rows."),
    "only titles": ("a.csv", b"Namn;Mobil\n", "It has no rows below the titles of its columns."),
    "an empty workbook": ("a.xlsx", build_workbook({"B": []}), "It has no rows."),
    "titles in a quotation mark that is not closed": (
        "a.csv",
        b'"Namn;Mobil\nBo;0701740605\n',
        f"Row 1: {UNCLOSED}",
    ),
    "no column with numbers": (
        "a.csv",
        b"Namn;Ort\nBo;Lund\n",
        'It has no column with phone numbers. Give that column the title "Mobil" or "Phone".',
    ),
    "two columns with numbers": (
        "a.csv",
        b"Namn;Telefon;Jobbtelefon\nBo;0701740605;0701740606\n",
        explain_several('"Telefon"', '"Jobbtelefon"'),
    ),
    "two columns with numbers and no titles": (
        "a.csv",
        b"0701740605;Bo;0701740606\n",
        explain_several("column A", "column C"),
    ),
    "Google, with a second number": (
        "a.csv",
        GOOGLE.encode(),
        explain_several('"Phone 1 - Value"', '"Phone 2 - Value"'),
    ),
    "a workbook called CSV": (
        "a.csv",
        WORKBOOK,
        "It is an Excel workbook or a zip file, not a text file. Save the table as CSV.",
    ),
    "an old workbook called CSV": (
        "a.csv",
        OLD,
        "It is an Excel workbook, an old one or one with a password, not a text file. Save the table as CSV.",
    ),
    "a PDF called CSV": (
        "a.csv",
        b"%PDF-1.7\n1 0 obj\n",
        "It is a PDF, not a text file. Save the table as CSV.",
    ),
    "a web page called CSV": (
        "a.csv",
        b"\r\n<html><table><tr><td>0701740605",
        "It is a web page, although spreadsheets can open it. Save the table as CSV.",
    ),
    "UTF-16 without a byte order mark": (
        "a.csv",
        TWO.encode("utf-16-le"),
        "It is not a text file. Save it as UTF-8.",
    ),
    "another encoding": (
        "a.csv",
        b"Namn;Mobil\n\x81\x8d;1\n",
        "It is neither UTF-8 nor Windows-1252. Save it as UTF-8.",
    ),
    "CSV called a workbook": ("a.xlsx", TWO.encode(), "It is not an Excel workbook (.xlsx)."),
    "an old workbook": ("a.xlsx", OLD, "It is an old Excel workbook (.xls). Save it as .xlsx."),
    "a workbook with a password": (
        "a.xlsx",
        OLD + "EncryptedPackage".encode("utf-16-le"),
        "It has a password. Save it without one.",
    ),
    "another zip file called a workbook": (
        "a.xlsx",
        build_archive({"word/document.xml": "<document/>"}),
        "It is not an Excel workbook (.xlsx).",
    ),
    "a workbook of another program called .xlsx": (
        "a.xlsx",
        build_archive({"content.xml": "", "mimetype": "", "xl/worksheets/sheet1.xml": ""}),
        "It is not an Excel workbook (.xlsx).",
    ),
    "half a workbook": ("a.xlsx", WORKBOOK[:900], "It is damaged. Open it in Excel, and save it again."),
    "a workbook without its list of sheets": (
        "a.xlsx",
        build_archive({"xl/worksheets/sheet1.xml": "<worksheet/>"}),
        "It is damaged. Open it in Excel, and save it again.",
    ),
    "a workbook with cells far away": (
        "a.xlsx",
        build_workbook({"B": TEN_COLUMNS}, top=1_048_576),
        "A sheet has cells far to the right or far below. Delete them, and save it again.",
    ),
    "a large file": ("a.csv", b"x" * 5_000_001, "It is larger than 5 MB."),
    "many rows": ("a.csv", b"Mobil\n" + b"0701740605\n" * 50_001, "It has more than 50,000 rows."),
    "another kind of file": (
        "a.docx",
        b"0701740605",
        "Its name does not end in one of .csv, .tsv, .txt, .xlsx, .xlsm.",
    ),
}


@pytest.mark.parametrize(("name", "content", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(
    name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read(name, content)
    assert str(caught.value) == reason


def test_a_workbook_that_unpacks_to_far_more_is_refused() -> None:
    content = build_archive({"xl/worksheets/sheet1.xml": b"<sheetData>" + bytes(51_000_000)})
    assert len(content) < 100_000
    with pytest.raises(UnreadableFile, match="It is larger than 50 MB"):
        read("a.xlsx", content)
