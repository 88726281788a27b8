"""Results as CSV: Excel opens it, no cell is a formula, and what was written can be read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.phone import Number
from elks_mcp.spreadsheets.csv_results import write_csv
from elks_mcp.spreadsheets.csv_tables import read_csv
from elks_mcp.spreadsheets.recipient_lists import build_recipient_list

NUMBER = Number("+46701740605")


def test_excel_opens_the_results_with_their_letters_and_columns() -> None:
    written = write_csv(["Rad", "Namn", "Text"], [[2, "Åsa", 'Hej; "du"'], [3, "Bo", "två\nrader"]])
    assert written == b"\xef\xbb\xbf" + (
        'Rad;Namn;Text\r\n2;Åsa;"Hej; ""du"""\r\n3;Bo;"två\nrader"\r\n'.encode()
    )


@pytest.mark.parametrize(("whole", "shown"), [(False, "'+4670*****05"), (True, "'+46701740605")])
def test_phone_numbers_are_written_in_full_only_if_asked(whole: bool, shown: str) -> None:
    assert write_csv(["Till"], [[NUMBER]], whole_numbers=whole).decode("utf-8-sig") == f"Till\r\n{shown}\r\n"


def test_results_with_full_numbers_can_be_the_list_of_a_new_batch() -> None:
    written = write_csv(["Namn", "Mobil"], [["Åsa", NUMBER]], whole_numbers=True)
    (entry,) = build_recipient_list(read_csv(written), "SE").entries
    assert entry.to == NUMBER


@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\n", "\u200b", "'", "' "])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d"])
def test_no_cell_is_read_as_a_formula(before: str, sign: str) -> None:
    text = f"{before}{sign}HYPERLINK(1)"
    cell = read_csv(write_csv(["Titel"], [[text]])).rows[0].cells[0]
    assert cell == f"'{cleaned(text)}"
    assert write_csv([text], []).decode("utf-8-sig").strip('"')[0] == "'"


def test_counts_are_written_as_numbers() -> None:
    assert write_csv(["Delar"], [[-1]]).endswith(b"\r\n-1\r\n")


texts = st.text(st.sampled_from("abÅ€=+-@'\t\r\n;,\" \u202e") | st.characters(codec="utf-8"), max_size=12)


@given(st.lists(st.tuples(texts, texts), max_size=6))
def test_written_results_are_read_back_unchanged(rows: list[tuple[str, str]]) -> None:
    table = read_csv(write_csv(["Ett", "Två"], rows), is_title=lambda title: title == "Ett")
    expected = [tuple(map(cleaned, row)) for row in rows]
    found = {row.number - 2: row.cells for row in table.rows}
    for at, row in enumerate(expected):
        cells = [re.sub(r"^'(?=['\s]*[=+\-@＝＋－＠])", "", cell) for cell in found.get(at, ())]
        assert [cell.strip() for cell in [*cells, "", ""][:2]] == [cell.strip() for cell in row]
    assert not any(re.match(r"\s*[=+\-@]", cell) for row in found.values() for cell in row)
