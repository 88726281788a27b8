"""Files of contacts, as programs write them."""

from pathlib import Path

from elks_mcp.contacts.contact_files import Reading, read_contacts
from elks_mcp.contacts.entries import Weight

CARD = """\
BEGIN:VCARD
VERSION:3.0
N:;{name};;;
FN:{name}
TEL;TYPE=CELL:{number}
END:VCARD
"""


def card(name: str = "Åsa", number: str = "+46701740605") -> str:
    """Return a vCard."""
    return CARD.format(name=name, number=number)


def read_bytes(folder: Path, name: str, content: bytes) -> Reading:
    """Write a file, and return what is read from it."""
    file = folder / name
    file.write_bytes(content)
    return read_contacts(file, "SE")


def numbers_by_name(reading: Reading) -> dict[str, list[str]]:
    """Return the numbers of everybody, by name."""
    return {each.name: [phone.number.e164 for phone in each.numbers] for each in reading.contacts.people}


def list_remarks(reading: Reading, weight: Weight = Weight.UNUSABLE) -> list[str]:
    """List the remarks of a weight, each in one line."""
    return [f"{each.place}: {each.reason}" for each in reading.remarks if each.weight is weight]
