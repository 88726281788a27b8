"""Find the person that a caller means: by number, or by the name of a contact."""

import re

from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.contacts import GROUP_MARK, Contact, ContactNumber
from elks_mcp.domain.display import visible
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.errors import InvalidInput

_LAST_DIGITS = re.compile(r"(?P<name>.*?)\s*\(?(?:…|\.\.\.)(?P<digits>\d\d)\)?", re.DOTALL)
"""A name with the last two digits of a number, as answers and errors write it: `Åsa (…05)`."""


class Recipients:
    """Reads what callers write for a person. `home` is the ISO 3166 region of national numbers."""

    def __init__(self, source: ContactSource, home: str) -> None:
        self._source = source
        self._home = home

    async def find(self, text: str) -> Number:
        """Return the number of the person that a text means.

        Raises:
            InvalidInput: the text is no number and no contact's name, or can mean several numbers.
            Misconfigured: the contacts cannot be read.
        """
        if not self._source.path or not _is_name(text):
            return parse_number(text, self._home)
        if text.strip().startswith(GROUP_MARK):
            raise InvalidInput(f"{_quoted(text)} is a group; a text goes to one person.", hint="Name one.")
        contacts = await self._source.read()
        with_digits = _LAST_DIGITS.fullmatch(text.strip())
        name, digits = (with_digits["name"], with_digits["digits"]) if with_digits else (text, "")
        return _choose(text, contacts.list_named(name), digits)


def _is_name(text: str) -> bool:
    """Return whether a text is meant as a name: it has more letters than digits."""
    letters, numerals = sum(map(str.isalpha, text)), sum(map(str.isdigit, text))
    return letters > numerals or text.strip().startswith(GROUP_MARK)


def _choose(text: str, found: tuple[Contact, ...], digits: str) -> Number:
    if not found:
        raise InvalidInput(f"No contact is called {_quoted(text)}.", hint="Ask for the person's number.")
    fitting = [
        (contact, each) for contact in found for each in contact.numbers if each.number.e164.endswith(digits)
    ]
    chosen = {each.number for _, each in fitting} if digits else _choose_without_digits(found)
    if len(chosen) == 1:
        return chosen.pop()
    if not fitting:
        raise InvalidInput(f"{_quoted(text)} has no such number in the contacts.", hint="Ask for the number.")
    candidates = ", ".join(describe_candidate(contact, each) for contact, each in fitting)
    raise InvalidInput(
        f"{_quoted(text)} can mean several numbers: {candidates}.",
        hint="Ask which one is meant, and write it as it is listed here.",
    )


def _choose_without_digits(found: tuple[Contact, ...]) -> set[Number]:
    if len(found) == 1:
        return {found[0].chosen.number} if found[0].chosen else set()
    return set()


def describe_candidate(contact: Contact, number: ContactNumber) -> str:
    """Return one of the numbers that a name can mean, as a caller can write it: `Åsa Lind (…05), work`."""
    more = ", ".join(part for part in (number.label, contact.company) if part)
    return f"{visible(contact.name)} (…{number.number.e164[-2:]})" + (f", {visible(more)}" if more else "")


def _quoted(text: str) -> str:
    return f'"{visible(text.strip())[:40]}"'
