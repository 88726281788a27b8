"""Find the person that a caller means: by number, or by the name of a contact."""

from elks_mcp.contacts.accepted import AcceptedContacts
from elks_mcp.domain.contact_search import (
    Candidate,
    choose,
    has_many_digits,
    list_candidates,
    may_be_name,
    show_with_digits,
    suggest,
)
from elks_mcp.domain.contacts import GROUP_MARK, Contact, Contacts, quote_name, shorten
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import InvalidInput

_MOST_CANDIDATES = 10
_MOST_SUGGESTIONS = 3
_ASK = "Ask which one is meant, do not guess, and write it exactly as it is listed here."


class Recipients:
    """Reads what callers write for a person. `home` is the ISO 3166 region of national numbers."""

    def __init__(self, contacts: AcceptedContacts, home: str) -> None:
        self._contacts = contacts
        self._home = home

    async def find(self, text: str) -> Number:
        """Return the number of the person that a text means.

        Without contacts, only a number is understood. A text that reads as a number is one, even if a contact
        is called so.

        Raises:
            InvalidInput: the text is neither a number nor a contact's name, or can mean several numbers.
            Misconfigured: the contacts cannot be read.
        """
        found = await self._read(text)
        return found if isinstance(found, Number) else self._choose(text, found)

    async def find_all(self, text: str) -> tuple[Number, ...]:
        """Return all numbers of the person that a text means.

        It is one number if the text is a number, or a name with digits. It raises the errors of `find`, but a
        contact may have several numbers.
        """
        found = await self._read(text)
        if isinstance(found, Number):
            return (found,)
        numbers = tuple(dict.fromkeys(each.number.number for each in found if each.number))
        is_one = len({id(each.contact) for each in found}) == 1
        return numbers if is_one and len(numbers) > 1 else (self._choose(text, found),)

    async def _read(self, text: str) -> Number | tuple[Candidate, ...]:
        """Return the number that a text is, or what a name can mean, which is not empty."""
        if not self._contacts.path:
            return parse_number(text, self._home)
        try:
            number = parse_number(text, self._home)
        except InvalidInput:
            if not may_be_name(text):
                raise
        else:
            await self._read_for_guards()
            return number
        contacts = await self._contacts.read()
        candidates = list_candidates(contacts, text)
        if candidates:
            return candidates
        if has_many_digits(text):
            return parse_number(text, self._home)  # it raises: the error is about the number
        raise self._explain_unknown(contacts, text)

    async def _read_for_guards(self) -> None:
        """Read the contacts, by which guards know people.

        A number can be texted even if the contacts cannot be read, unless they decide who may be texted.
        """
        if self._contacts.limit_recipients:
            await self._contacts.read()
        else:
            await self._contacts.read_leniently()

    def _choose(self, text: str, candidates: tuple[Candidate, ...]) -> Number:
        if number := choose(candidates):
            self._check_unchanged(text, number)
            return number
        if all(each.number is None for each in candidates):
            raise InvalidInput(f"{_quoted(text)} has no phone number in the contacts.", hint=_ASK_NUMBER)
        raise InvalidInput(f"{_quoted(text)} can mean several numbers: {_list(candidates)}.", hint=_ASK)

    def _check_unchanged(self, text: str, number: Number) -> None:
        """Check that changed contacts, which no person has accepted, have the same number.

        Raises:
            InvalidInput: they do not. The number in force may be an old one, or that of a deleted contact.
        """
        held = self._contacts.held
        if held and choose(list_candidates(held, text)) != number:
            changed = f"The number of {_quoted(text)} was changed in the contacts, or removed from them."
            raise InvalidInput(f"{changed} {self._contacts.explain_held()}")

    def _explain_unknown(self, contacts: Contacts, text: str) -> InvalidInput:
        """Return the error for a name that no contact has, with similar names."""
        if text.strip().startswith(GROUP_MARK):
            return _explain_group(contacts, text)
        if (held := self._contacts.held) and list_candidates(held, text):
            return InvalidInput(f"{_quoted(text)} is a new name. {self._contacts.explain_held()}")
        similar = [each for each in suggest(contacts, text, _MOST_SUGGESTIONS) if each.numbers]
        unknown = f"No contact is called {_quoted(text)}."
        if not similar:
            return InvalidInput(unknown, hint=_ASK_NUMBER)
        names = ", ".join(_suggest_one(each) for each in similar)
        return InvalidInput(f"{unknown} Did you mean {names}?", hint=_ASK)


_ASK_NUMBER = "Ask for the number, or for the name in the contacts."


def _explain_group(contacts: Contacts, text: str) -> InvalidInput:
    people = contacts.list_group(text.strip())
    if not people:
        return InvalidInput(f"No contact is in a group {_quoted(text)}.", hint="Name one person.")
    group = f"{_quoted(text)} is a group of {format_count(len(people), 'contact')}"
    hint = "Name one person. A text to a group needs a batch."
    return InvalidInput(f"{group}, and one text goes to one person.", hint=hint)


def _list(candidates: tuple[Candidate, ...]) -> str:
    words = list(dict.fromkeys(each.in_words for each in candidates))
    more = f", and {len(words) - _MOST_CANDIDATES} more" if len(words) > _MOST_CANDIDATES else ""
    return ", ".join(words[:_MOST_CANDIDATES]) + more


def _suggest_one(contact: Contact) -> str:
    return quote_name(show_with_digits(contact, contact.chosen) if contact.chosen else contact.shown_name)


def _quoted(text: str) -> str:
    return quote_name(shorten(text.strip()))
