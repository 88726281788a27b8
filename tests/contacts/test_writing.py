"""The line that a person adds to the contacts: it is read back as that name and number."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elks_mcp.contacts.columns import find_columns
from elks_mcp.contacts.source import ContactSource
from elks_mcp.contacts.tables import Layout
from elks_mcp.contacts.writing import write_card, write_row
from elks_mcp.domain.contact_names import clean_name, find_name_fault
from elks_mcp.domain.phone import Number
from tests.contacts.test_tables import GOOGLE, OLD_GOOGLE, OUTLOOK
from tests.support.contact_files import numbers_by_name, read_bytes

pytestmark = pytest.mark.anyio

NUMBER = Number("+46701740605")
PLAIN = "namn;grupp;telefon\n"


@pytest.mark.parametrize("table", [GOOGLE, OLD_GOOGLE, OUTLOOK, PLAIN, "mobil\tnamn\themtelefon\n"])
@pytest.mark.parametrize("name", ["Karin", "Karin på jouren", 'Karin "Kajsa"', "Karin; jour, natt"])
async def test_the_line_to_add_to_a_table_has_its_columns(tmp_path: Path, table: str, name: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text(table, "utf-8")
    source = ContactSource(file)
    before = await source.read()
    said = source.explain_adding(name, NUMBER)
    assert said.startswith("elks-mcp does not write contacts; a person does.")
    line = said.partition("add this line to people.csv: ")[2]
    reading = read_bytes(tmp_path, "after.csv", f"{table}{line}\n".encode())
    assert len(reading.contacts.people) == len(before.people) + 1
    assert numbers_by_name(reading)[name] == [NUMBER.e164]
    assert reading.contacts.people[-1].chosen
    assert not reading.problems
    assert file.read_text("utf-8") == table


async def test_for_vcards_the_addition_is_a_card(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "a.vcf", "these lines to a.vcf:"),
        (tmp_path, f"lines to {tmp_path.name}:"),
    ):
        said = ContactSource(path).explain_adding("Åsa, jour; natt", NUMBER)
        before, _, lines = said.partition("\n")
        assert before.endswith(words)
        reading = read_bytes(tmp_path, "b.vcf", lines.encode())
        assert numbers_by_name(reading) == {"Åsa, jour; natt": [NUMBER.e164]}


async def test_without_contacts_the_setting_is_named_and_without_a_name_the_error(tmp_path: Path) -> None:
    assert "ELKS_CONTACTS" in ContactSource().explain_adding("Åsa", NUMBER)
    source = ContactSource(tmp_path / "a.csv")
    assert source.explain_adding("Åsa", NUMBER).endswith("add this line to a.csv: Åsa,+46701740605")
    for name, fault in (
        ("@jour", "begins with @"),
        (" \u202e", "is empty"),
        ("070 1740605", "looks like a number"),
    ):
        assert fault in source.explain_adding(name, NUMBER)


@given(st.text(max_size=100), st.sampled_from(";,\t"))
@example("=HYPERLINK(1)", ",")
@example("-+Bo", ";")
def test_no_name_breaks_the_line_or_becomes_a_formula(text: str, delimiter: str) -> None:
    layout = Layout(delimiter, ("namn", "telefon"), find_columns(["namn", "telefon"]))
    said = ContactSource(Path("a.csv")).explain_adding(text, NUMBER)
    name = clean_name(text).lstrip("=+-\t")
    if find_name_fault(name):
        assert said.startswith("That name cannot be used")
        return
    assert "\n" not in write_row(layout, name, NUMBER)
    assert len(write_card(name, NUMBER).split("\n")) == 6
    assert said.partition("a.csv: ")[2].lstrip('"')[0] not in "=+-@"
