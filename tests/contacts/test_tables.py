"""Tables of contacts as Google, Outlook and spreadsheets write them."""

import csv
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.contacts.entries import Weight
from elks_mcp.domain.contacts import Contact
from elks_mcp.spreadsheets.decoding import UnreadableFile
from tests.support.contact_files import list_remarks, numbers_by_name, read_bytes

FIRST, SECOND, THIRD = "+46701740605", "+46701740606", "+46701740607"

GOOGLE = """\
First Name,Middle Name,Last Name,Nickname,Organization Name,Notes,Labels,\
Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value
Åsa,,Jour,Pyret,Vårdcentralen,"two
lines",* myContacts ::: onsdag ::: A & B,* Mobile,070-174 06 05 ::: 070-174 06 06,Work,070-174 06 07
"""
OLD_GOOGLE = """\
Name,Given Name,Additional Name,Family Name,Nickname,Group Membership,\
Phone 1 - Type,Phone 1 - Value,Phone 2 - Type,Phone 2 - Value,Organization 1 - Name
Åsa Jour,Åsa,,Jour,Pyret,* myContacts ::: onsdag ::: A & B,\
* Mobile,070-174 06 05 ::: 070-174 06 06,Work,070-174 06 07,Vårdcentralen
"""
OUTLOOK = """\
"First Name","Middle Name","Last Name","Company","Nickname",\
"Business Fax","Business Phone","Mobile Phone","Primary Phone","Categories"
"Åsa","","Jour","Vårdcentralen","Pyret",\
"08-500 12 34","070-174 06 07","070-174 06 05","070-174 06 06","onsdag;A & B"
"""


def read_one(folder: Path, content: bytes) -> Contact:
    """Return the only contact of a table."""
    (contact,) = read_bytes(folder, "a.csv", content).contacts.people
    return contact


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("table", [GOOGLE, OLD_GOOGLE, OUTLOOK], ids=["google", "old google", "outlook"])
def test_the_tables_of_programs_are_read(tmp_path: Path, table: str, encoding: str, line_break: str) -> None:
    contact = read_one(tmp_path, table.replace("\n", line_break).encode(encoding))
    assert (contact.name, contact.given_name, contact.company) == ("Åsa Jour", "Åsa", "Vårdcentralen")
    assert contact.aliases == ("Pyret",)
    assert contact.groups == ("onsdag", "A & B")
    assert {each.number.e164 for each in contact.numbers} == {FIRST, SECOND, THIRD}
    labels = {each.number.e164: each.label.lower() for each in contact.numbers}
    assert labels[FIRST] == "mobile"
    assert labels[THIRD] in {"work", "business"}


@pytest.mark.parametrize(
    "table",
    [
        "name,phone,groups,alias\nÅsa,070-174 06 05,jour;natt,Pyret\n",
        "Namn;Telefon;Grupp;Smeknamn\nÅsa;070-174 06 05;jour,natt;Pyret\n",
        "NAMN\tMobil\tGrupper\tAlias\nÅsa\t0701740605\tjour, natt\tPyret\n",
        "sep=;\nnamn;mobilnummer;grupp;alias\nÅsa;0701740605;jour,natt;Pyret\n",
        'sep=|\nnamn|nummer|grupp|alias\n"Åsa"|0701740605|jour,natt|Pyret\n',
        "ort;namn;telefonnummer;anteckning;grupp;alias\nUmeå;Åsa;0701740605;a, b, c;jour,natt;Pyret\n",
        "namn;telefon;grupp;alias\n\nÅsa;0701740605;jour,natt;Pyret\n;;;\n",
        "\nKontakter 2026;;;\nnamn;telefon;grupp;alias\nÅsa;0701740605;jour,natt;Pyret\n",
        "namn|telefon|grupp|alias\nÅsa|46701740605.0|jour,natt|Pyret\n",
    ],
)
def test_a_plain_table_is_read(tmp_path: Path, table: str) -> None:
    contact = read_one(tmp_path, table.encode())
    assert (contact.name, contact.aliases, contact.groups) == ("Åsa", ("Pyret",), ("jour", "natt"))
    assert [each.number.e164 for each in contact.numbers] == [FIRST]


@pytest.mark.parametrize(
    "title",
    [
        "Mobilnr",
        "Mobilnr.",
        "mobil nr",
        "GSM",
        "gsm-nr",
        "Mob",
        "mob.nr",
        "Tel",
        "Tel.",
        "telnr",
        "Tel nr",
        "Telefonnr",
        "Mobiltel",
        "Mobiltelefonnummer",
        "Phone no.",
        "Mobile no",
        "Mobile Phone Number",
    ],
)
def test_a_column_of_numbers_is_known_by_its_usual_titles(tmp_path: Path, title: str) -> None:
    contact = read_one(tmp_path, f"namn;{title}\nÅsa;0701740605\n".encode())
    assert [each.number.e164 for each in contact.numbers] == [FIRST]


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    table = "ort;namn;telefon;Fax;;\u202eSignal\x1b[2J\nUmeå;Åsa;0701740605;0701740606;;x\n"
    (note,) = list_remarks(read_bytes(tmp_path, "a.csv", table.encode()), Weight.NOTE)
    assert note == "a.csv, row 1: These columns are not read: ort, Fax, Signal[2J."
    table = f"namn;telefon;{';'.join(f'ort {number}' for number in range(25))}\nÅsa;0701740605\n"
    (note,) = list_remarks(read_bytes(tmp_path, "a.csv", table.encode()), Weight.NOTE)
    assert note.endswith(", ort 18, ort 19 and 5 more.")


def test_a_fax_number_in_a_google_table_is_left_out(tmp_path: Path) -> None:
    table = "Name,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value\n"
    reading = read_bytes(tmp_path, "a.csv", f"{table}Åsa,Home Fax,070-174 06 06,Mobile,{FIRST}\n".encode())
    assert numbers_by_name(reading) == {"Åsa": [FIRST]}
    assert list_remarks(reading, Weight.NOTE) == [
        "a.csv, row 2, Phone 1 - Value: It is a fax or a pager, so it is left out."
    ]


@pytest.mark.parametrize("name", ["Nan", "NIL", "None", "null", "undefined"])
def test_a_name_that_is_a_word_for_no_value_is_noted(tmp_path: Path, name: str) -> None:
    reading = read_bytes(tmp_path, "a.csv", f"namn;telefon\n{name};0701740605\n".encode())
    assert numbers_by_name(reading) == {name: [FIRST]}
    (note,) = list_remarks(reading, Weight.NOTE)
    assert note.startswith("a.csv, row 2: The name also is a word for no value")


NAMELESS = "It has no name that can be used."
SHOWN = "The name looks like a handle, or like a name with digits as answers show it, so it is not used."
ROWS = [
    ("Åsa;070-174 06 05;", ""),
    (
        "Bo;4,67E+10;",
        "telefon: A spreadsheet shortened the number, and digits are lost. Format the column as text.",
    ),
    ("Karin;;", ""),
    (";0701740606;", NAMELESS),
    ("0701740606;0701740606;", f"{NAMELESS} The name looks like a number, so it is not used."),
    ("@jour;0701740606;", f"{NAMELESS} The name begins with @, as groups do, so it is not used."),
    (
        "contacts;0701740606;",
        f"{NAMELESS} The name is a word with a special meaning in elks-mcp, so it is not used.",
    ),
    (
        "you;0701740606;",
        f"{NAMELESS} The name is a word with a special meaning in elks-mcp, so it is not used.",
    ),
    ("Bo (…05);0701740606;", f"{NAMELESS} The name looks like a number, so it is not used."),
    (
        "P-7F3K9QXR;0701740606;",
        f"{NAMELESS} {SHOWN}",
    ),
    (
        "p-7f3k9qxr;0701740606;",
        f"{NAMELESS} {SHOWN}",
    ),
    ("Bo (…05), mobil;0701740606;", f"{NAMELESS} {SHOWN}"),
    ("Bo (...05), mobil, Kliniken;0701740606;", f"{NAMELESS} {SHOWN}"),
    ("Bo: … 05 mobil;0701740606;", f"{NAMELESS} {SHOWN}"),
    ("Bo (no number);0701740606;", f"{NAMELESS} {SHOWN}"),
    ("\u202e\u200b;0701740606;", NAMELESS),
    ('"Bo\nEva";0701740606;', "The name has several lines. Perhaps a quotation mark is not closed."),
    ("Bo;0701740606;a;b", "It has more cells than the first row. Put a cell with a delimiter in quotes."),
    ("Bo;0701740606/0701740607;", "telefon: It looks like more than one phone number."),
    ("Bo;ring växeln;", "telefon: It is not a phone number."),
    ("Bo;+4670;", "telefon: It is not a phone number."),
    ("Bo;+46799999999999;", "telefon: Its country has no such number."),
]
"""Rows, and what is said of each."""


@pytest.mark.parametrize(("row", "reason"), ROWS)
def test_a_row_that_cannot_be_used_is_reported_with_its_place_and_the_reason(
    tmp_path: Path, row: str, reason: str
) -> None:
    table = f"namn;telefon;grupp\nEva;0701740607;\n{row}\n"
    reading = read_bytes(tmp_path, "a.csv", table.encode())
    remarks = list_remarks(reading)
    assert remarks == ([f"a.csv, row 3{', ' if ': ' in reason else ': '}{reason}"] if reason else [])
    assert numbers_by_name(reading)["Eva"] == [THIRD]


@pytest.mark.parametrize(
    "row",
    [
        "@hemlig;+4670hemlig;hemlig;@hemlig",
        "hemlig;4,67E+10;hemlig;hemlig;hemlig",
        '"hemlig\nhemlig";0701740605;hemlig;hemlig',
        f"hemlig {'x' * 99};hemlig;hemlig;hemlig {'x' * 99}",
        'hemlig;hemlig;hemlig;"hemlig\nhemlig',
    ],
)
def test_no_remark_repeats_the_content_of_a_row(tmp_path: Path, row: str) -> None:
    reading = read_bytes(tmp_path, "a.csv", f"namn;telefon;grupp;alias\n{row}\n".encode())
    assert reading.remarks
    assert "hemlig" not in str(reading.remarks)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [("701740605", "The leading 0"), ("46701740605", "The +"), ("701 740 605", "The leading 0")],
)
def test_a_repair_is_visible(tmp_path: Path, cell: str, reason: str) -> None:
    reading = read_bytes(tmp_path, "a.csv", f"namn;mobil\nÅsa;{cell}\n".encode())
    assert numbers_by_name(reading) == {"Åsa": [FIRST]}
    assert list_remarks(reading) == []
    repairs = list_remarks(reading, Weight.REPAIRED)
    assert repairs == [f"a.csv, row 2, mobil: {reason} was missing, and was added."]


def test_a_quotation_mark_that_is_not_closed_does_not_lose_people_silently(tmp_path: Path) -> None:
    table = 'namn;telefon;not\nÅsa;0701740605;\nBo;0701740606;"ring först\nKarin;0701740607;\n'
    reading = read_bytes(tmp_path, "a.csv", table.encode())
    assert numbers_by_name(reading) == {"Åsa": [FIRST]}
    (remark,) = list_remarks(reading)
    assert remark.startswith("a.csv, row 3: A quotation mark is not closed in this row")


def test_a_name_is_cleaned_to_one_short_line(tmp_path: Path) -> None:
    table = f"namn;telefon;alias\n \u202eÅsa\u200b\u00a0 \tÖ ;0701740605;{'x' * 99}\n"
    reading = read_bytes(tmp_path, "a.csv", table.encode())
    (contact,) = reading.contacts.people
    assert (contact.name, contact.aliases) == ("Åsa Ö", ("x" * 80,))
    assert list_remarks(reading, Weight.REPAIRED) == [
        "a.csv, row 2: The alias has more than 80 characters, and was cut."
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The first row must name the columns"),
        (b"0701740605\n0701740606\n", "The first row must name the columns"),
        (b"namn;ort\nBo;Lund\n", "The first row must name the columns"),
        (b"PK\x03\x04\x00\x00", "It is an Excel workbook or a zip file, not a text file"),
        (b"namn;telefon\n\x81\n", "It is neither UTF-8 nor Windows-1252"),
        ("namn;telefon\n".encode("utf-16-le"), "It is not a text file"),
        (b"name,phone\n" + b"x,1\n" * 50_001, "It has more than 50,000 rows"),
        (b"name,phone\n" + b"x" * 20_000_000, "It is larger than 20 MB"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        read_bytes(tmp_path, "a.csv", content)


@pytest.mark.parametrize(("name", "reason"), [("a.xlsx", "Save it as CSV"), ("a.txt", "neither a .vcf nor")])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        read_bytes(tmp_path, name, b"namn;telefon\n")


cells = st.text(st.sampled_from('abÅé;,\t" '), max_size=12)


@given(
    st.lists(cells, min_size=1, max_size=9),
    st.sampled_from(";,\t"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_every_person_is_found_whatever_the_delimiter_encoding_and_notes(
    notes: list[str], delimiter: str, encoding: str, line_break: str
) -> None:
    written = StringIO()
    rows = csv.writer(written, delimiter=delimiter, lineterminator=line_break)
    rows.writerow(["anteckning", "namn", "telefon"])
    people = {f"{'ÅÄÖ'[at % 3]} nummer{'x' * at}": f"+467017406{5 + at:02}" for at in range(len(notes))}
    for note, (name, number) in zip(notes, people.items(), strict=True):
        rows.writerow([note, name, number])
    with TemporaryDirectory() as folder:
        reading = read_bytes(Path(folder), "a.csv", written.getvalue().encode(encoding))
    assert numbers_by_name(reading) == {name: [number] for name, number in people.items()}
    assert list_remarks(reading) == []
