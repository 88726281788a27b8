"""The answer of a search: the people whose names are like the one that was given."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Self

from pydantic import Field

from elks_mcp.answers.structured import Answer, StructuredAnswer
from elks_mcp.app import App
from elks_mcp.domain.contact_search import may_be_name, search
from elks_mcp.domain.contacts import GROUP_MARK, Contact, ContactNumber, Contacts, quote_name, shorten
from elks_mcp.domain.handles import HANDLE_PATTERN
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import InvalidInput

_MOST_FOUND = 20
_MOST_GROUPS = 20


class FoundContact(StructuredAnswer):
    """One person, with the last two digits of each number."""

    name: str
    also: Annotated[tuple[str, ...], Field(description="Other names that a text can be sent to.")] = ()
    company: str = ""
    groups: tuple[str, ...] = ()
    numbers: Annotated[tuple[str, ...], Field(description="Last digits, kind; the one that is texted first.")]

    @classmethod
    def of(cls, contact: Contact) -> Self:
        """Return a contact as the answer shows it."""
        chosen = contact.chosen
        numbers = sorted(contact.numbers, key=lambda each: each != chosen)
        return cls(
            name=contact.shown_name,
            also=tuple(map(shorten, contact.aliases)),
            company=shorten(contact.company),
            groups=tuple(f"{GROUP_MARK}{shorten(group)}" for group in contact.groups),
            numbers=tuple(map(_show_number, numbers)),
        )

    def in_words(self) -> str:
        """Return the person in one line."""
        about = [", ".join(self.numbers) or "no number", self.company, " ".join(self.groups)]
        about += [f"also {', '.join(self.also)}"] if self.also else []
        return f"- {self.name}: {'; '.join(part for part in about if part)}"


def _show_number(number: ContactNumber) -> str:
    kind = shorten(number.label) or ("mobile" if number.is_mobile else "")
    return f"…{number.number.e164[-2:]}" + (f" {kind}" if kind else "")


class ContactsAnswer(Answer):
    """The people that were found, best first."""

    contacts: tuple[FoundContact, ...]
    summary: str

    def in_words(self) -> str:
        """Return the summary, and each person in one line."""
        return "\n".join([self.summary, *(each.in_words() for each in self.contacts)])


async def find_contacts(app: App, query: str) -> ContactsAnswer:
    """Return the contacts that a name, a group (`@jour`) or a number means.

    If no contact has the number, the answer says how to add it, with the name before it if there is one. It
    also says if changed contacts that a person has not accepted yet would change it.

    Raises:
        InvalidInput: the query is empty, or a number or handle that cannot be read.
        Misconfigured: the contacts cannot be read.
    """
    if not app.contacts.path:
        return ContactsAnswer(contacts=(), summary=_NO_CONTACTS)
    text = query.strip()
    if not text:
        raise InvalidInput("`query` is empty.", hint="Give a name or a part of one, a group, or a number.")
    found = await _find(app, await app.contacts.read(), text)
    if (held := app.contacts.held) and (await _find(app, held, text)).contacts != found.contacts:
        return found.model_copy(update={"summary": f"{found.summary} {app.contacts.explain_held()}"})
    return found


async def _find(app: App, contacts: Contacts, text: str) -> ContactsAnswer:
    if text.startswith(GROUP_MARK):
        return _report_group(contacts, text)
    if not contacts.list_named(text) and (named := await _read_named_number(app, text)):
        return _report_owners(app, contacts, *named)
    if number := _read_number(text, app.policy.home):
        return _report_owners(app, contacts, "Name", number)
    return _report_similar(contacts, text)


_NO_CONTACTS = (
    "This server has no contacts, so only numbers can be texted. "
    "The operator can set ELKS_CONTACTS to a .vcf or .csv file."
)


_NAMED_NUMBER = re.compile(
    rf"(?P<name>[^\W\d_].*?)[\s,;:]+(?P<number>[+0][\d\s()/.–-]*|{HANDLE_PATTERN})", re.IGNORECASE
)

_LONGEST_NAMED = 200
"""Characters of a name and a number together."""


async def _read_named_number(app: App, text: str) -> tuple[str, Number] | None:
    """Return a name and the number after it, as in `Rut +46701740630`; None for any other text.

    Raises:
        InvalidInput: a handle that stands for the number is not known.
    """
    found = _NAMED_NUMBER.fullmatch(text[: _LONGEST_NAMED + 1])
    if not found or len(text) > _LONGEST_NAMED:
        return None
    number = await app.handles.find(found["number"])
    with suppress(InvalidInput):
        return found["name"], number or parse_number(found["number"], app.policy.home)
    return None


def _read_number(text: str, home: str) -> Number | None:
    """Return the number that a text is; None for a name.

    Raises:
        InvalidInput: the text is a number that cannot be read.
    """
    try:
        return parse_number(text, home)
    except InvalidInput:
        if may_be_name(text):
            return None
        raise


def _report_group(contacts: Contacts, text: str) -> ContactsAnswer:
    if members := contacts.list_group(text):
        return _report(members, len(members), f"{quote_name(shorten(text))} has")
    return ContactsAnswer(
        contacts=(), summary=f"No contact is in a group {quote_name(shorten(text))}. {_list_groups(contacts)}"
    )


def _list_groups(contacts: Contacts) -> str:
    groups = [f"{GROUP_MARK}{shorten(group)}" for group in contacts.list_groups()]
    if not groups:
        return "There are no groups."
    more = f" and {len(groups) - _MOST_GROUPS} more" if len(groups) > _MOST_GROUPS else ""
    return f"Groups: {', '.join(groups[:_MOST_GROUPS])}{more}."


def _report_owners(app: App, contacts: Contacts, name: str, number: Number) -> ContactsAnswer:
    owners = contacts.list_owners(number)
    if owners:
        return _report(owners, len(owners), "The number belongs to")
    how = app.contacts.explain_adding(name, number)
    return ContactsAnswer(contacts=(), summary=f"No contact has that number. {how}")


def _report_similar(contacts: Contacts, text: str) -> ContactsAnswer:
    found = search(contacts, text, _MOST_FOUND)
    if found.total:
        exact = contacts.list_named(text)
        start = "Found" if exact else f"No contact is called exactly {quote_name(shorten(text))}. Similar:"
        return _report(found.best, found.total, start, _mention_group(contacts, text))
    if contacts.list_group(text):
        return _report_group(contacts, f"{GROUP_MARK}{text}")
    return ContactsAnswer(
        contacts=(),
        summary=f"No contact has a name like {quote_name(shorten(text))}. {_list_groups(contacts)}",
    )


def _mention_group(contacts: Contacts, text: str) -> str:
    return (
        f" There is also a group {quote_name(GROUP_MARK + shorten(text))}."
        if contacts.list_group(text)
        else ""
    )


def _report(found: Sequence[Contact], count: int, start: str, also: str = "") -> ContactsAnswer:
    shown = found[:_MOST_FOUND]
    more = f", of which the best {len(shown)} are shown" if count > len(shown) else ""
    summary = f"{start} {format_count(count, 'contact')}{more}.{also}"
    return ContactsAnswer(contacts=tuple(map(FoundContact.of, shown)), summary=summary)
