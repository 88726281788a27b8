"""Measure how long 5,000 contacts take to read, to look at for a change, and to search.

The figures are processor time, which other programs on the machine disturb less than elapsed time.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from elks_mcp.contacts.contact_files import list_stamps, read_contacts
from elks_mcp.domain.contact_search import search

_PEOPLE = 5_000
_CARD = """\
BEGIN:VCARD
VERSION:3.0
N:på plats {place};Åsa {at};;;
FN:Åsa {at} på plats {place}
item1.TEL;type=CELL;type=VOICE;type=pref:070-174 {number:04}
item1.X-ABLabel:Jour
NICKNAME:ropnamn {at}
CATEGORIES:grupp {place}
PHOTO;ENCODING=b;TYPE=JPEG:{photo}
END:VCARD
"""
_ROW = "Åsa {at} på plats {place};070-174 {number:04};grupp {place};ropnamn {at}\n"
_FOLDED_PHOTO = "\n ".join(["A" * 70] * 30)


def main() -> None:
    """Print the figures for a table, a file of vCards and a folder of vCards."""
    with TemporaryDirectory() as folder:
        for path in _write_contacts(Path(folder)):
            print(_measure_all(path))


def _measure_all(path: Path) -> str:
    read_contacts(path, "SE")  # loads what reads contacts
    begun = process_time()
    contacts = read_contacts(path, "SE").contacts
    read = process_time()
    list_stamps(path)
    looked = process_time()
    found = contacts.list_named("åsa 4321 på plats 1")
    ended = process_time()
    search(contacts, "a", 20)  # everybody fits
    searched = process_time()
    search(contacts, "åsa plats", 20)  # as without the middle name, so each word is looked for
    searched_words = process_time()
    return (
        f"{len(contacts.people):,} contacts in {path.name}: read {read - begun:.2f} s, "
        f"look {(looked - read) * 1e3:.1f} ms, find {len(found)} in {(ended - looked) * 1e3:.2f} ms, "
        f"search {(searched - ended) * 1e3:.0f} ms, by two words {(searched_words - searched) * 1e3:.0f} ms"
    )


def _write_contacts(folder: Path) -> list[Path]:
    facts = [
        {"at": at, "place": at % 20, "number": at % 10_000, "photo": _FOLDED_PHOTO} for at in range(_PEOPLE)
    ]
    table, cards, files = folder / "people.csv", folder / "people.vcf", folder / "people"
    table.write_text("namn;telefon;grupp;alias\n" + "".join(_ROW.format(**each) for each in facts), "utf-8")
    cards.write_text("".join(_CARD.format(**each) for each in facts), "utf-8")
    files.mkdir()
    for each in facts:
        (files / f"{each['at']}.vcf").write_text(_CARD.format(**each), "utf-8")
    return [table, cards, files]


if __name__ == "__main__":
    main()
