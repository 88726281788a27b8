"""The list of recipients that a table becomes: fields, repairs and faults."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.phone import Number
from elks_mcp.spreadsheets.csv_tables import read_csv
from elks_mcp.spreadsheets.phone_columns import is_phone_title, name_letter
from elks_mcp.spreadsheets.recipient_lists import RecipientList, build_recipient_list

FIRST, SECOND = Number("+46701740605"), Number("+46701740606")


def read(text: str) -> RecipientList:
    """Return the recipients in CSV."""
    return build_recipient_list(read_csv(text.encode()), "SE")


def test_columns_become_fields_and_cells_their_values() -> None:
    listed = read('Namn;Mobil; Tid  på\u200b dagen ;;Kod\nÅsa;0701740605;"9\n10";x;="007"\n')
    assert listed.fields == ("Namn", "Mobil", "Tid på dagen", "Kod")
    assert listed.column == '"Mobil"'
    (entry,) = listed.entries
    assert (entry.row, entry.to, entry.name, entry.repair, entry.fault) == (2, FIRST, "", "", "")
    assert entry.fields == {"Namn": "Åsa", "Mobil": "0701740605", "Tid på dagen": "9\n10", "Kod": "007"}


def test_equal_titles_get_the_letter_of_their_column() -> None:
    listed = read("Namn;Mobil;namn;NAMN\nÅsa;0701740605;Bo;Eva\n")
    assert listed.fields == ("Namn (A)", "Mobil", "namn (C)", "NAMN (D)")
    assert listed.entries[0].fields["namn (C)"] == "Bo"


def test_a_title_with_braces_becomes_a_valid_field_name() -> None:
    assert read("Namn {kort|lång};Mobil\nÅsa;0701740605\n").fields == ("Namn (kort/lång)", "Mobil")


def test_without_titles_there_are_no_fields() -> None:
    listed = read("Åsa;0701740605\n")
    assert (listed.fields, listed.column, listed.entries[0].fields) == ((), "column B", {})


def test_repairs_and_faults_are_counted_by_reason() -> None:
    listed = read("Mobil\n701740605\n0701740606\n701740606\n\n\n4,67E+10\n1, 2, 3 eller 4 5 6 7\n4,67E+10\n")
    assert listed.repairs == {"The leading 0 was missing, and was added.": (2, 4)}
    lost = '"Mobil": A spreadsheet shortened the number, and digits are lost. Format the column as text.'
    several = '"Mobil": It looks like more than one phone number.'
    assert [(each.row, each.fault) for each in listed.entries if each.fault] == [
        (7, lost),
        (8, several),
        (9, lost),
    ]


@pytest.mark.parametrize("error", ["#N/A", "#SAKNAS!", "#REF!"])
def test_the_error_of_a_formula_is_an_empty_value(error: str) -> None:
    assert read(f"Namn;Mobil\n{error};0701740605\n").entries[0].fields["Namn"] == ""


@pytest.mark.parametrize(
    "row",
    [
        "hemlig;hemlig 1 2 3 4 5 6 7;",
        "hemlig;=hemlig;",
        "hemlig;#hemlig;",
        "hemlig;a;b;hemlig",
        'a;"hemlig\nhemlig',
    ],
)
def test_no_fault_repeats_what_a_cell_holds(row: str) -> None:
    listed = read(f"Namn;Mobil;Not\n{row}\n")
    faults = [each.fault for each in listed.entries if each.fault]
    assert faults
    assert "hemlig" not in str(faults)


def test_printing_a_list_shows_neither_numbers_nor_names() -> None:
    shown = repr(read("Namn;Mobil\nÅsa;0701740605\nBo;Pyret\n"))
    assert not any(text in shown for text in ("0701740605", FIRST.e164, "Åsa", "Pyret"))


PHONE = (
    "Telefon|telefonnummer|Tel.|Tel.nr|TELNR|Tfn|Mobil|Mobilnr|Mobil nr.|Mobiltelefon|Mobilnummer"
    "|Mobil (privat)|Mobiltelefonnummer|Telefon (mobil)|Telefon 1|Hemtelefon|Kontakttelefon|Nr|Nr.|Nummer"
    "|number|No.|tel|to|Till|mottagare|Recipient|Phone|Phone number|phone_number|phoneNumber|Phone #"
    "|Phone 1 - Value|Mobile|Mobile Phone|Mobile no.|cell|Cell Phone|Cell phone number|SMS|SMS-nummer"
    "|MSISDN|Business Phone|Home Phone 2"
)
OTHER = (
    "Namn|Personnummer|Kundnummer|Ordernummer|Postnr|Phone 1 - Label|Phone 1 - Type|Fax|Business Fax|E-post"
    "|Totalt|Telefontid|Kommentar|Datum|Antal|Organisationsnummer|Mobilabonnemang|"
)


@pytest.mark.parametrize("title", PHONE.split("|"))
def test_titles_of_phone_numbers_are_known(title: str) -> None:
    assert is_phone_title(title)


@pytest.mark.parametrize("title", OTHER.split("|"))
def test_titles_of_other_columns_are_not_taken_for_them(title: str) -> None:
    assert not is_phone_title(title)


def test_columns_are_lettered_as_in_a_spreadsheet() -> None:
    assert [name_letter(at) for at in (0, 25, 26, 51, 52, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]


cells = st.text(st.sampled_from('abÅé;,\t|" \n'), max_size=12)


@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=9),
    st.sampled_from(";,\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_every_row_is_found_whatever_the_delimiter_the_encoding_and_the_texts(
    texts: list[tuple[str, str]], delimiter: str, encoding: str, line_break: str
) -> None:
    written = StringIO()
    table = csv.writer(written, delimiter=delimiter, lineterminator=line_break)
    table.writerow(["Not", "Mobil", "Fler"])
    for at, (before, after) in enumerate(texts):
        table.writerow([before, f"+467017406{5 + at:02}", after])
    listed = build_recipient_list(read_csv(written.getvalue().encode(encoding)), "SE")
    found = [(entry.row, entry.to and entry.to.e164) for entry in listed.entries]
    assert found == [(2 + at, f"+467017406{5 + at:02}") for at in range(len(texts))]
    values = [(entry.fields["Not"], entry.fields["Fler"]) for entry in listed.entries]
    assert values == [(before.strip(), after.strip()) for before, after in texts]
