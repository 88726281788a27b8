"""vCards as phones and programs write them."""

import sys
import unicodedata
from pathlib import Path

import pytest

from elks_mcp.contacts.contact_files import UnreadableFile, read_contacts
from elks_mcp.contacts.entries import Weight
from elks_mcp.domain.contacts import Contact
from elks_mcp.errors import Misconfigured
from tests.support.contact_files import card, list_remarks, numbers_by_name, read_bytes

FIRST, SECOND, THIRD = "+46701740605", "+46701740606", "+46701740607"

OLD_PHONE = b"""\
BEGIN:VCARD\r
VERSION:2.1\r
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Jour;=C3=85sa;;;\r
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=85sa =\r
Jour\r
TEL;CELL;PREF:0701740605\r
TEL;WORK;VOICE:0701740606\r
PHOTO;JPEG;ENCODING=BASE64:\r
 /9j/4AAQSkZJRgABAQEASABIAAD/2wBD\r
 N;TEL\r
\r
END:VCARD\r
"""
APPLE = """\
BEGIN:VCARD
VERSION:3.0
PRODID:-//Apple Inc.//macOS 14//EN
N:Jour;Åsa;;;
FN:Åsa Jour
NICKNAME:Pyret,Å\\,Å
ORG:Vårdcentralen;Mottagning
item1.TEL;type=pref:+46 70-174 06 05
item1.X-ABLabel:_$!<Mobile>!$_
item2.TEL;type=CELL;type=VOICE:070-174 06 06
item2.X-ABLabel:Jour\\, natt
TEL;type=HOME;type=FAX:070-174 06 07
NOTE:a line that goes
  on\\nand on
END:VCARD
"""
NEXTCLOUD = """\
BEGIN:VCARD
VERSION:4.0
UID:urn:uuid:a1
FN:Åsa Jour
N:Jour;Åsa;;;
TEL;VALUE=uri;TYPE="cell,voice":tel:+46-70-174-06-05
CATEGORIES:jour,ledning
END:VCARD
BEGIN:VCARD
VERSION:4.0
UID:urn:uuid:a2
FN:Bo
TEL;VALUE=uri:tel:+46701740606
END:VCARD
BEGIN:VCARD
VERSION:4.0
KIND:group
FN:Natt
MEMBER:urn:uuid:a1
MEMBER:urn:uuid:a2
END:VCARD
"""


def read_one(folder: Path, content: bytes) -> Contact:
    """Return the only contact of a file."""
    (contact,) = read_bytes(folder, "a.vcf", content).contacts.people
    return contact


def test_a_card_from_an_old_phone_is_read(tmp_path: Path) -> None:
    contact = read_one(tmp_path, OLD_PHONE)
    assert (contact.name, contact.given_name) == ("Åsa Jour", "Åsa")
    assert [(each.number.e164, each.label) for each in contact.numbers] == [(FIRST, "cell"), (SECOND, "work")]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_card_from_apple_is_read(tmp_path: Path, form: str, line_break: str, encoding: str) -> None:
    written = unicodedata.normalize(form, APPLE).replace("\n", line_break)  # type: ignore[arg-type]
    contact = read_one(tmp_path, written.encode(encoding))
    assert (contact.name, contact.given_name, contact.company) == ("Åsa Jour", "Åsa", "Vårdcentralen")
    assert contact.aliases == ("Pyret", "Å,Å")
    assert [(each.number.e164, each.label, each.is_mobile) for each in contact.numbers] == [
        (FIRST, "Mobile", True),
        (SECOND, "Jour, natt", True),
    ], "without the fax"


@pytest.mark.parametrize("line_break", ["\n ", "\r\n\t"])
def test_folded_lines_are_read_as_one(tmp_path: Path, line_break: str) -> None:
    folded = card("Åsa").replace("Åsa", f"Ås{line_break}a").replace("46701740605", f"467{line_break}01740605")
    contact = read_one(tmp_path, folded.encode())
    assert (contact.name, contact.numbers[0].number.e164) == ("Åsa", FIRST)


def test_categories_and_cards_of_groups_are_groups(tmp_path: Path) -> None:
    reading = read_bytes(tmp_path, "a.vcf", NEXTCLOUD.encode())
    assert numbers_by_name(reading) == {"Åsa Jour": [FIRST], "Bo": [SECOND]}
    assert [each.groups for each in reading.contacts.people] == [("jour", "ledning", "Natt"), ("Natt",)]
    assert [each.name for each in reading.contacts.list_group("@natt")] == ["Åsa Jour", "Bo"]


def test_a_group_from_apples_address_book_is_read(tmp_path: Path) -> None:
    group = (
        "BEGIN:VCARD\nVERSION:3.0\nN:Natt\nFN:Natt\nX-ADDRESSBOOKSERVER-KIND:group\n"
        "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:A1\nEND:VCARD\n"
    )
    member = card().replace("END:", "UID:a1\nEND:")
    assert read_one(tmp_path, (group + member).encode()).groups == ("Natt",)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("END:VCARD\n", "", "The card has no END:VCARD."),
        ("TEL;", 'TEL;X=",;', "A name or a number of the card cannot be read."),
        ("FN:", "FN;CHARSET=KLINGON;ENCODING=QUOTED-PRINTABLE:", "It is damaged."),
        ("FN:", "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C5", "It is damaged."),
        ("Karin", "\0", "It is not a text file. Save it as UTF-8."),
        ("Karin", "", "It has no name that can be used."),
    ],
)
def test_a_damaged_card_is_named_and_the_others_are_read(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    written = card("Åsa", FIRST) + card("Karin", SECOND).replace(old, new) + card("Bo", THIRD)
    reading = read_bytes(tmp_path, "a.vcf", written.encode())
    assert numbers_by_name(reading) == {"Åsa": [FIRST], "Bo": [THIRD]}
    assert list_remarks(reading) == [f"a.vcf, card 2 (line 7): {reason}"]


def test_cards_in_different_encodings_are_read(tmp_path: Path) -> None:
    written = card("Åsa", FIRST).encode("cp1252") + card("Örjan", SECOND).encode()
    assert numbers_by_name(read_bytes(tmp_path, "a.vcf", written)) == {"Åsa": [FIRST], "Örjan": [SECOND]}


def test_a_number_that_cannot_be_used_leaves_the_person_and_the_other_numbers(tmp_path: Path) -> None:
    written = card(number="4,67E+10").replace("END:", "TEL:070-174 06 06\nEND:")
    reading = read_bytes(tmp_path, "a.vcf", written.encode())
    assert numbers_by_name(reading) == {"Åsa": [SECOND]}
    (remark,) = list_remarks(reading)
    assert remark.startswith("a.vcf, card 1 (line 1), TEL: A spreadsheet shortened the number")


def test_a_line_that_would_take_exponential_time_to_parse_is_refused(tmp_path: Path) -> None:
    written = card("Bo") + card().replace("TEL;", f"TEL;X{',' * 60};")
    reading = read_bytes(tmp_path, "a.vcf", written.encode())
    assert list_remarks(reading) == ["a.vcf, card 2 (line 7): A name or a number of the card cannot be read."]


def test_a_long_folded_note_takes_no_quadratic_time(tmp_path: Path) -> None:
    note = "NOTE:" + "\n x" * 300_000
    assert read_one(tmp_path, card().replace("END:", f"{note}\nEND:").encode()).name == "Åsa"


def test_a_card_with_far_too_many_lines_is_refused_quickly(tmp_path: Path) -> None:
    many = card("Åsa", FIRST).replace("END:", "TEL:+46701740605\n" * 100_000 + "END:")
    some = card("Bo", SECOND).replace("END:", f"NICKNAME:{','.join(map(chr, range(0x61, 0x161)))}\nEND:")
    reading = read_bytes(tmp_path, "a.vcf", (many + some).encode())
    assert numbers_by_name(reading) == {"Bo": [SECOND]}
    first, second, *_ = list_remarks(reading)
    assert first == "a.vcf, card 1 (line 1): The card has too many lines of one kind."
    assert second.endswith(
        ": It has more than 50 numbers, aliases or groups. Only the first of them are used."
    )


def test_a_folder_has_the_cards_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(card("Åsa", FIRST), "utf-8")
    (tmp_path / "b.VCF").write_text(card("Bo", SECOND), "utf-8")
    (tmp_path / ".c.vcf").write_text(card("Karin", THIRD), "utf-8")
    (tmp_path / "d.vcf").write_text("nothing", "utf-8")
    (tmp_path / "e.vcf").mkdir()
    if sys.platform != "win32":
        (tmp_path / "f.vcf").symlink_to(tmp_path / "none.vcf")
    (tmp_path / "notes.txt").write_text("x", "utf-8")
    reading = read_contacts(tmp_path, "SE")
    assert numbers_by_name(reading) == {"Åsa": [FIRST], "Bo": [SECOND]}
    assert list_remarks(reading) == ["d.vcf: It contains no vCard."]


def test_an_empty_folder_has_no_contacts(tmp_path: Path) -> None:
    assert read_contacts(tmp_path, "SE").contacts.people == ()


def test_a_file_without_cards_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"Name,Phone\n"):
        with pytest.raises(UnreadableFile, match="It contains no vCard"):
            read_bytes(tmp_path, "a.vcf", content)


def test_without_vobject_the_extra_is_named_and_tables_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vobject.base", None)
    with pytest.raises(Misconfigured, match=r"vobject, which reads \.vcf files, is not installed") as caught:
        read_bytes(tmp_path, "a.vcf", card().encode())
    assert "its extra `contacts`" in caught.value.hint
    table = b"name,phone\nBo,+46701740606\n"
    assert numbers_by_name(read_bytes(tmp_path, "a.csv", table)) == {"Bo": [SECOND]}


def test_the_same_person_twice_is_one_contact(tmp_path: Path) -> None:
    twice = card() + card().replace("END:", "CATEGORIES:jour\nEND:")
    assert read_one(tmp_path, twice.encode()).groups == ("jour",)
    two = read_bytes(tmp_path, "a.vcf", (card() + card(number=SECOND)).encode())
    assert [each.name for each in two.contacts.list_named("ÅSA")] == ["Åsa", "Åsa"]


def test_a_person_without_a_number_is_noted_and_kept(tmp_path: Path) -> None:
    reading = read_bytes(tmp_path, "a.vcf", card().replace("TEL;TYPE=CELL:+46701740605\n", "").encode())
    assert numbers_by_name(reading) == {"Åsa": []}
    assert list_remarks(reading) == []
    assert list_remarks(reading, Weight.NOTE) == ["a.vcf, card 1 (line 1): It has no phone number."]
