"""The recipients in `ELKS_ALLOWED_RECIPIENTS`: numbers, and contacts by name or group."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from elks_mcp.domain.contact_search import list_candidates
from elks_mcp.domain.contacts import ALL_CONTACTS, GROUP_MARK, Contacts, fold_name, shorten
from elks_mcp.domain.phone import Number
from elks_mcp.domain.wording import format_count


@dataclass(frozen=True, slots=True)
class ContactReference:
    """Contacts that the operator names instead of numbers. `str` is as the operator writes it."""

    text: str
    """`contacts` for all, `@jour` for a group, or what a caller may write for one contact."""

    @property
    def is_all(self) -> bool:
        """Whether it stands for everybody in the contacts."""
        return fold_name(self.text) == ALL_CONTACTS

    @property
    def is_group(self) -> bool:
        """Whether it stands for a group."""
        return self.text.startswith(GROUP_MARK)

    def covers(self, number: Number, contacts: Contacts) -> bool:
        """Return whether it stands for a contact with this number, by these contacts.

        A group that is missing or empty covers no person, and neither does a name that several contacts have.
        A name covers all numbers of its contact.
        """
        if self.is_all:
            return bool(contacts.list_owners(number))
        return number in self.list_numbers(contacts)

    def list_numbers(self, contacts: Contacts) -> frozenset[Number]:
        """Return the numbers that it stands for; none if it fits no contact, or a name fits several."""
        if self.is_all:
            return frozenset(contacts.list_numbers())
        if self.is_group:
            members = contacts.list_group(self.text)
            return frozenset(each.number for member in members for each in member.numbers)
        candidates = list_candidates(contacts, self.text)
        numbers = frozenset(each.number.number for each in candidates if each.number)
        is_one = len(numbers) == 1 or len({id(each.contact) for each in candidates}) == 1
        return numbers if is_one else frozenset()

    def __str__(self) -> str:
        return f'"{self.text}"' if "," in self.text else self.text


AllowedRecipient = Number | ContactReference


def split_recipients(text: str) -> list[str]:
    """Return the items of a list with commas between.

    Quotation marks keep a comma in a name: `"Öberg, Åsa"`.

    Raises:
        ValueError: a quotation mark is not closed.
    """
    items, at = [], 0
    while at < len(text):
        found = _ITEM.match(text, at)
        if found is None:
            raise ValueError("close the quotation mark around a name, and put a comma after it")
        items.append((found["quoted"] or "").replace('""', '"') or found["plain"] or "")
        at = found.end()
    return [item.strip() for item in items if item.strip()]


_ITEM = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^",][^,]*)|)\s*(?:,|\Z)')


def list_references(allowed: Iterable[AllowedRecipient]) -> tuple[ContactReference, ...]:
    """List the contacts that the operator allows, in a fixed order."""
    references = [each for each in allowed if isinstance(each, ContactReference)]
    return tuple(sorted(references, key=str))


def allows_contact(allowed: Iterable[AllowedRecipient], number: Number, contacts: Contacts) -> bool:
    """Return whether a number is allowed because of whose it is, by these contacts."""
    return any(each.covers(number, contacts) for each in list_references(allowed))


def describe_allowed_recipients(allowed: frozenset[AllowedRecipient]) -> str:
    """Return who is allowed, without any number or name: `@jour, 2 numbers, 1 contact`."""
    return ", ".join([*_show_groups(allowed), *_count_hidden(allowed)])


def show_allowed_recipients(allowed: frozenset[AllowedRecipient]) -> str:
    """Return how the policy report states who may be texted."""
    if not allowed:
        return "any number in these countries"
    hidden = ", not shown here" if _count_hidden(allowed) else ""
    return f"only {describe_allowed_recipients(allowed)}{hidden}"


def _show_groups(allowed: frozenset[AllowedRecipient]) -> list[str]:
    references = list_references(allowed)
    everybody = ["all contacts"] if any(each.is_all for each in references) else []
    return everybody + [shorten(each.text) for each in references if each.is_group]


def _count_hidden(allowed: frozenset[AllowedRecipient]) -> list[str]:
    """Count the numbers and the names, which are not shown."""
    references = list_references(allowed)
    numbers = len(allowed) - len(references)
    names = sum(not each.is_all and not each.is_group for each in references)
    return ([format_count(numbers, "number")] if numbers else []) + (
        [format_count(names, "contact")] if names else []
    )
