"""An entry of the operator's contacts as its file has it, and the contact that it becomes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from elks_mcp.domain.contact_names import LONGEST_NAME, clean_name, find_name_fault
from elks_mcp.domain.contacts import GROUP_MARK, Contact, ContactNumber, fold_name
from elks_mcp.domain.phone_repair import read_phone
from elks_mcp.runtime.validation import is_empty_word


class Weight(Enum):
    """How much a remark matters."""

    UNUSABLE = auto()
    """Something in the file cannot be used."""

    REPAIRED = auto()
    """A number was repaired."""

    NOTE = auto()
    """The entry is as it should be, and a person may want to know something about it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file."""

    file: str
    entry: str = ""
    """The row or the card: `row 5`, `card 3 (line 40)`; "" if it is about the whole file."""

    column: str = ""
    """The column or the property: `Mobile Phone`, `TEL`."""

    def __str__(self) -> str:
        return ", ".join(part for part in (self.file, self.entry, self.column) if part)


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark of `elks-mcp contacts check` about an entry. It repeats nothing of the entry."""

    place: Place
    reason: str
    """A sentence."""

    weight: Weight = Weight.UNUSABLE


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number as a file has it."""

    text: str
    label: str = ""
    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactEntry:
    """A row or a card, with its texts as they are in the file."""

    place: Place
    name: str = ""
    given_name: str = ""
    family_name: str = ""
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    company: str = ""
    phones: tuple[Phone, ...] = ()
    uid: str = ""
    members: tuple[str, ...] | None = None
    """The `uid` of each member, if the entry is a group; else None."""


def build_contacts(
    entries: Iterable[ContactEntry | Remark], home: str
) -> tuple[tuple[Contact, ...], tuple[Remark, ...]]:
    """Return the contacts that entries become, and the remarks about the entries.

    Several entries with the same name and the same numbers are one contact.

    `home`: the ISO 3166 region of national numbers.
    """
    people: dict[tuple[str, frozenset[ContactNumber]], Contact] = {}
    remarks: list[Remark] = []
    found: list[ContactEntry] = []
    for each in entries:
        if isinstance(each, Remark):
            remarks.append(each)
        else:
            found.append(each)
    for entry in _join_groups(found):
        contact = _build(entry, home, remarks)
        if contact:
            key = fold_name(contact.name), frozenset(contact.numbers)
            people[key] = _merge(people[key], contact) if key in people else contact
    return tuple(people.values()), tuple(remarks)


def _join_groups(entries: list[ContactEntry]) -> Iterator[ContactEntry]:
    """Give each person the groups that other entries put them in."""
    groups: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        for uid in entry.members or ():
            groups[uid] = (*groups.get(uid, ()), entry.name)
    for entry in entries:
        if entry.members is None:
            added = groups.get(entry.uid, ()) if entry.uid else ()
            yield replace(entry, groups=(*entry.groups, *added)) if added else entry


def _merge(first: Contact, second: Contact) -> Contact:
    return replace(
        first,
        aliases=tuple(dict.fromkeys((*first.aliases, *second.aliases))),
        groups=tuple(dict.fromkeys((*first.groups, *second.groups))),
        company=first.company or second.company,
        given_name=first.given_name or second.given_name,
    )


_MOST_ALIKE = 50
"""Numbers, aliases or groups of one contact that are used."""


def _build(entry: ContactEntry, home: str, remarks: list[Remark]) -> Contact | None:
    entry = _shorten(entry, remarks)
    about_names: list[Remark] = []
    given = _use_name(entry, entry.given_name, "given name", about_names)
    family = clean_name(entry.family_name)
    aliases = [_use_name(entry, each, "alias", about_names) for each in entry.aliases]
    company = clean_name(entry.company)
    name = _use_name(entry, entry.name, "name", about_names)
    candidates = [name, clean_name(f"{given} {family}"), *aliases, company]
    chosen = next((each for each in candidates if not find_name_fault(each)), "")
    if not chosen:
        reasons = dict.fromkeys(("It has no name that can be used.", *(each.reason for each in about_names)))
        remarks.append(Remark(entry.place, " ".join(reasons)))
        return None
    remarks += about_names
    numbers = tuple(_read_numbers(entry, home, remarks))
    if not entry.phones:
        remarks.append(Remark(entry.place, "It has no phone number.", Weight.NOTE))
    return Contact(
        name=chosen,
        numbers=tuple({each.number: each for each in reversed(numbers)}.values())[::-1],
        given_name=given if given != chosen else "",
        aliases=tuple(dict.fromkeys(each for each in aliases if each and each != chosen)),
        groups=tuple(dict.fromkeys(filter(None, map(_clean_group, entry.groups)))),
        company=company if company != chosen else "",
    )


def _shorten(entry: ContactEntry, remarks: list[Remark]) -> ContactEntry:
    """Return an entry with as many numbers, aliases and groups as are used."""
    if max(map(len, (entry.phones, entry.aliases, entry.groups))) <= _MOST_ALIKE:
        return entry
    reason = f"It has more than {_MOST_ALIKE} numbers, aliases or groups. Only the first of them are used."
    remarks.append(Remark(entry.place, reason))
    return replace(
        entry,
        phones=entry.phones[:_MOST_ALIKE],
        aliases=entry.aliases[:_MOST_ALIKE],
        groups=entry.groups[:_MOST_ALIKE],
    )


def _use_name(entry: ContactEntry, raw: str, what: str, remarks: list[Remark]) -> str:
    """Return a name that can be used, cleaned; else "", with a remark about why."""
    name = clean_name(raw)
    if not name:
        return ""
    if fault := find_name_fault(name):
        remarks.append(Remark(entry.place, f"The {what} {fault}, so it is not used."))
        return ""
    if is_empty_word(name):
        reason = f"The {what} also is a word for no value, so a call with `with` or `from` needs its digits."
        remarks.append(Remark(entry.place, reason, Weight.NOTE))
    if len(raw.strip()) > LONGEST_NAME == len(name):
        reason = f"The {what} has more than {LONGEST_NAME} characters, and was cut."
        remarks.append(Remark(entry.place, reason, Weight.REPAIRED))
    return name


def _clean_group(raw: str) -> str:
    return clean_name(raw).lstrip(f"{GROUP_MARK} ")


def _read_numbers(entry: ContactEntry, home: str, remarks: list[Remark]) -> Iterator[ContactNumber]:
    for phone in entry.phones:
        read = read_phone(phone.text, phone.label, home)
        place = replace(entry.place, column=clean_name(phone.column))
        if read.fault:
            remarks.append(Remark(place, read.fault))
        if read.repair:
            remarks.append(Remark(place, read.repair, Weight.REPAIRED))
        if read.note:
            remarks.append(Remark(place, read.note, Weight.NOTE))
        if read.number:
            yield ContactNumber(read.number, clean_name(phone.label), is_mobile=read.is_mobile)
