"""The line that a person adds to a file of contacts. The server never writes it."""

import csv
from io import StringIO
from pathlib import Path

from elks_mcp.contacts.columns import Column, Role, find_columns
from elks_mcp.contacts.tables import Layout
from elks_mcp.domain.contact_names import clean_name, find_name_fault
from elks_mcp.domain.phone import Number

_PLAIN = Layout(",", ("name", "phone"), find_columns(["name", "phone"]))
"""The layout of a table that was not read yet."""

_FORMULA_SIGNS = "=+-\t"
"""A spreadsheet reads a cell that begins with one of them as a formula."""


def explain_adding(path: Path | None, layout: Layout | None, name: str, number: Number) -> str:
    """Return how a person adds someone to the contacts, in sentences.

    Args:
        path: the file or folder of the contacts; None if no contacts are configured.
        layout: how the table is written, if the contacts are one.
        name: the name to add, as it was written.
        number: the number to add.
    """
    name = clean_name(name).lstrip(_FORMULA_SIGNS)
    if fault := find_name_fault(name):
        return f"That name cannot be used in the contacts: it {fault}."
    if path is None:
        return (
            "No contacts are configured. The operator can name a .csv or .vcf file in ELKS_CONTACTS, and add "
            "people there."
        )
    if path.suffix.lower() == ".csv":
        line = write_row(layout or _PLAIN, name, number)
        return f"{_ONLY_A_PERSON} To save this number, add this line to {path.name}: {line}"
    lines = write_card(name, number)
    if path.suffix.lower() == ".vcf":
        return f"{_ONLY_A_PERSON} To save this number, add these lines to {path.name}:\n{lines}"
    return f"{_ONLY_A_PERSON} To save this number, add a .vcf file with these lines to {path.name}:\n{lines}"


_ONLY_A_PERSON = "elks-mcp does not write contacts; a person does."


def write_row(layout: Layout, name: str, number: Number) -> str:
    """Return the row for a name and a number, in the columns of a table, without a line break.

    If the table has no column for the whole name, its first word is the given name.
    """
    row = dict.fromkeys(range(len(layout.titles)), "")
    by_role: dict[Role, Column] = {each.role: each for each in reversed(layout.columns)}
    given, _, family = name.partition(" ")
    if Role.GIVEN in by_role and Role.FAMILY in by_role:
        row[by_role[Role.GIVEN].at], row[by_role[Role.FAMILY].at] = given, family
    else:
        whole = by_role.get(Role.NAME) or by_role.get(Role.GIVEN) or by_role[Role.FAMILY]
        row[whole.at] = name
    row[_choose_phone(layout).at] = number.e164
    written = StringIO()
    csv.writer(written, delimiter=layout.delimiter, lineterminator="").writerow(row.values())
    return written.getvalue()


def _choose_phone(layout: Layout) -> Column:
    """Return the column for a mobile number, or else the first one for a number."""
    phones = [each for each in layout.columns if each.role is Role.PHONE]
    return next((each for each in phones if each.label.startswith(("mob", "cell", "gsm"))), phones[0])


def write_card(name: str, number: Number) -> str:
    """Return the vCard for a name and a number, without a final line break."""
    escaped = name.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")
    given, _, family = escaped.partition(" ")
    lines = [
        "BEGIN:VCARD",
        "VERSION:3.0",
        f"N:{family};{given};;;",
        f"FN:{escaped}",
        f"TEL;TYPE=CELL:{number.e164}",
        "END:VCARD",
    ]
    return "\n".join(lines)
