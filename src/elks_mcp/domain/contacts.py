"""The people that the operator's contacts name, and how a name finds one of them.

Names are compared without regard to case and to how an accent is encoded. `Åsa` and `Asa` are two names.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from elks_mcp.domain.display import is_plain, visible
from elks_mcp.domain.normalization import normalize
from elks_mcp.domain.phone import Number

Indexed = TypeVar("Indexed")

GROUP_MARK = "@"
"""Before the name of a group, wherever a name can stand as well: `@jour`."""

ALL_CONTACTS = "contacts"
"""The word for everybody in the contacts, in `ELKS_ALLOWED_RECIPIENTS`."""

_MOST_OWNERS = 3
"""Names that are shown for one number."""

_LONGEST_SHOWN = 40
"""Characters of a name, a label or a company in an answer: a longer one may be an instruction."""


@dataclass(frozen=True, slots=True)
class ContactNumber:
    """One number of a contact."""

    number: Number
    label: str = ""
    """The name of the number in the contacts, cleaned: `work`, `Hemma`; "" if it has none."""

    is_mobile: bool = False
    """Whether it is a mobile phone, by its country's numbering plan, or else by its label."""


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
    """One person or company in the operator's contacts.

    All texts are cleaned, and one line each. `str` and `repr` show neither names nor numbers, which must
    not get into logs.
    """

    name: str
    numbers: tuple[ContactNumber, ...] = ()
    given_name: str = ""
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """The groups that the contact is in, without `@`."""

    company: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a caller may use for the contact."""
        return tuple(name for name in (self.name, self.given_name, *self.aliases) if name)

    @property
    def shown_name(self) -> str:
        """The name as answers show it; a caller may use that as well."""
        return shorten(self.name)

    @property
    def described(self) -> str:
        """The name with the aliases, the company and the groups: `Åsa Lind (Kliniken, @jour)`."""
        groups = [f"{GROUP_MARK}{group}" for group in self.groups]
        about = ", ".join(part for part in (*self.aliases, self.company, *groups) if part)
        return self.name + (f" ({about})" if about else "")

    @property
    def chosen(self) -> ContactNumber | None:
        """The number to text: the only one, or else the only mobile one; None if there is neither."""
        mobiles = [each for each in self.numbers if each.is_mobile]
        choices = mobiles or list(self.numbers)
        return choices[0] if len(choices) == 1 else None

    def __repr__(self) -> str:
        return f"Contact({len(self.numbers)} numbers)"


def shorten(text: str) -> str:
    """Return a text from the contacts as answers show it: visible, and at most 40 characters."""
    shown = visible(text)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[: _LONGEST_SHOWN - 1]}…"


def fold_name(text: str) -> str:
    """Return a name in the form in which names are compared.

    An invisible character becomes an escape, so a name with one is another name. Apostrophes, quotation marks
    and hyphens are the same in every style, since programs replace them while people type.
    """
    if is_plain(text):  # by far the most names, of which there may be thousands
        return " ".join(text.casefold().translate(_MARKS).split())
    folded = normalize("NFC", visible(normalize("NFC", text)).casefold())
    return " ".join(folded.translate(_MARKS).split())


_MARKS = str.maketrans(
    dict.fromkeys('"\u2018\u2019\u201a\u201c\u201d\u201e\u00b4`', "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013", "-")
)


def quote_name(text: str) -> str:
    """Return a text about a contact in quotation marks, and visible.

    A caller may write it like that. Quotation marks inside become apostrophes, which is the same when names
    are compared.
    """
    inner = visible(text).replace('"', "'")
    return f'"{inner}"'


def fold_accents(text: str) -> str:
    """Return a name in the form in which similar names are the same: `Åsa` and `Asa`."""
    return _drop_accents(fold_name(text))


def _drop_accents(folded: str) -> str:
    if folded.isascii():
        return folded
    letters = folded.translate(_WITHOUT_STROKE)
    return "".join(letter for letter in normalize("NFD", letters) if not unicodedata.combining(letter))


_WITHOUT_STROKE = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "ı": "i", "æ": "ae", "œ": "oe"})


@dataclass(frozen=True, slots=True)
class Contacts:
    """All contacts, as they were when they were read."""

    people: tuple[Contact, ...] = ()
    changed_at: datetime | None = None
    """When the newest file of the contacts was changed last; None without contacts."""

    digest: str = ""
    """SHA-256 over the names and the content of all files, in hexadecimal; "" without contacts."""

    _by_name: dict[str, list[Contact]] = field(init=False, repr=False, compare=False)
    _by_number: dict[Number, list[Contact]] = field(init=False, repr=False, compare=False)
    _by_group: dict[str, list[Contact]] = field(init=False, repr=False, compare=False)
    _by_similar_name: dict[str, list[Contact]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Build the indexes."""
        people = self.people
        set_field = object.__setattr__
        names = [(fold_name(name), p) for p in people for name in dict.fromkeys((*p.names, p.shown_name))]
        set_field(self, "_by_name", _index(names))
        set_field(self, "_by_similar_name", _index((_drop_accents(name), p) for name, p in names))
        set_field(self, "_by_number", _index((each.number, p) for p in people for each in p.numbers))
        set_field(self, "_by_group", _index((fold_name(g), p) for p in people for g in p.groups))

    def list_named(self, name: str) -> tuple[Contact, ...]:
        """List the contacts that a name can mean: by full name, alias or given name."""
        return tuple(self._by_name.get(fold_name(name), ()))

    def list_group(self, group: str) -> tuple[Contact, ...]:
        """List the contacts in a group, whose name may begin with `@`."""
        return tuple(self._by_group.get(fold_name(group.removeprefix(GROUP_MARK)), ()))

    def list_groups(self) -> tuple[str, ...]:
        """List the names of all groups, without `@`, in the order of the alphabet."""
        groups = {fold_name(group): group for person in self.people for group in person.groups}
        return tuple(groups[folded] for folded in sorted(groups))

    def iterate_names(self) -> Iterator[tuple[str, list[Contact]]]:
        """Iterate over all names, without accents, and the contacts that each can mean."""
        return iter(self._by_similar_name.items())

    def list_owners(self, number: Number) -> tuple[Contact, ...]:
        """List the contacts that have a number."""
        return tuple(self._by_number.get(number, ()))

    def list_numbers(self) -> tuple[Number, ...]:
        """List the numbers of all contacts."""
        return tuple(self._by_number)

    def find_name(self, number: Number) -> str | None:
        """Return the name of the contact with a number, or the names of several; else None."""
        names = list(dict.fromkeys(each.shown_name for each in self.list_owners(number)))
        return " or ".join(names[:_MOST_OWNERS]) or None

    def find_owner(self, number: Number) -> Contact | None:
        """Return the first contact that has a number; None if no contact has it."""
        return next(iter(self._by_number.get(number, ())), None)


def _index(pairs: Iterable[tuple[Indexed, Contact]]) -> dict[Indexed, list[Contact]]:
    index: defaultdict[Indexed, list[Contact]] = defaultdict(list)
    for key, contact in pairs:
        known = index[key]
        if not known or known[-1] is not contact:  # the pairs of a contact follow each other
            known.append(contact)
    return dict(index)
