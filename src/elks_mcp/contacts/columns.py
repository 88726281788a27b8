"""The columns of a table of contacts, as Google, Outlook and people title them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from elks_mcp.domain.contacts import fold_name
from elks_mcp.spreadsheets.phone_columns import PHONE_TITLES


class Role(StrEnum):
    """The content of a column."""

    NAME = "name"
    GIVEN = "given name"
    MIDDLE = "middle name"
    FAMILY = "family name"
    ALIAS = "alias"
    GROUPS = "groups"
    COMPANY = "company"
    PHONE = "phone"
    LABEL = "label"
    """The label of the phone number in the next column."""


_WORDS = {
    Role.NAME: "name|full name|display name|contact name|namn|fullständigt namn|visningsnamn",
    Role.GIVEN: "given name|first name|förnamn",
    Role.MIDDLE: "middle name|additional name|mellannamn",
    Role.FAMILY: "family name|last name|surname|efternamn",
    Role.ALIAS: "alias|aliases|nickname|nick name|smeknamn",
    Role.GROUPS: "group|groups|labels|group membership|categories|category|tags"
    "|grupp|grupper|etiketter|kategori|kategorier",
    Role.COMPANY: "company|organization|organisation|organization name|organization 1 - name|företag",
    Role.LABEL: r"phone \d+ - (?:label|type)",
    Role.PHONE: PHONE_TITLES,
}
_ROLES = {role: re.compile(words) for role, words in _WORDS.items()}
_LABELS = re.compile(
    r"mobil\w*|mob\b|gsm|cell|home|business|work|other|primary|company|car|hem|arbet\w*|jobb"
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    at: int
    """Its place in a row, from 0."""

    title: str
    """Its title in the first row."""

    role: Role

    @property
    def label(self) -> str:
        """The label of a phone number by the title: `mobile`, `business`, or ""."""
        found = _LABELS.search(fold_name(self.title))
        return found[0] if found and self.role is Role.PHONE else ""


def find_columns(titles: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns with a known title."""
    found = ((at, title.strip(), _find_role(title)) for at, title in enumerate(titles))
    return tuple(Column(at, title, role) for at, title, role in found if role)


def _find_role(title: str) -> Role | None:
    folded = fold_name(title)
    return next((role for role, words in _ROLES.items() if words.fullmatch(folded)), None)


def can_be_read(columns: tuple[Column, ...]) -> bool:
    """Return whether columns have both names and phone numbers."""
    roles = {column.role for column in columns}
    return Role.PHONE in roles and bool(roles & {Role.NAME, Role.GIVEN, Role.FAMILY})
