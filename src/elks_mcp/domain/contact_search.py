"""Find contacts by name: those that a name means, and those with a similar name.

A name never stands for a person by similarity: only a name, an alias or a given name that is written exactly
so counts. Similar names are suggestions, which a caller has to write out.
"""

import heapq
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.contacts import (
    Contact,
    ContactNumber,
    Contacts,
    fold_accents,
    fold_name,
    quote_name,
    shorten,
)
from elks_mcp.domain.phone import Number

_WITH_DIGITS = re.compile(
    r"[\"“”]?(?P<name>.+?)[\"“”]?\s*\((?:…|\.\.\.)(?P<digits>[0-9]{2})\)(?P<more>\s*,.*)?", re.DOTALL
)
"""A name with the last two digits of a number, as answers write it: `Åsa B (…05), work`."""

_IN_QUOTES = re.compile(r"[\"“”]([^\"“”]+)[\"“”]")
"""A person as errors write them."""

_MOST_DIGITS = 4
"""Digits in a text that can be a misspelled name; a text with more of them is meant as a number."""

_SHORTEST_PART = 2
"""Letters of a name from which other names are suggested."""


class Candidate(NamedTuple):
    """One number of one contact that a text can mean; None if the contact has no number."""

    contact: Contact
    number: ContactNumber | None

    @property
    def in_words(self) -> str:
        """The candidate as a caller can write it, also without the quotation marks.

        For example `"Åsa B (…05), work, Kliniken"`.
        """
        if self.number is None:
            return quote_name(f"{self.contact.shown_name} (no number)")
        return quote_name(show_with_digits(self.contact, self.number) + self.details)

    @property
    def details(self) -> str:
        """The label of the number and the company: `, work, Kliniken`."""
        label = self.number.label if self.number else ""
        return "".join(f", {shorten(part)}" for part in (label, self.contact.company) if part)


def show_with_digits(contact: Contact, number: ContactNumber) -> str:
    """Return a name with the last two digits of a number: `Åsa B (…05)`."""
    return f"{contact.shown_name} (…{number.number.e164[-2:]})"


def may_be_name(text: str) -> bool:
    """Return whether a text other than a phone number can be a name."""
    digits = sum(map(str.isdigit, text))  # few, or fewer than letters
    return bool(text.strip()) and (digits <= _MOST_DIGITS or sum(map(str.isalpha, text)) > digits)


def has_many_digits(text: str) -> bool:
    """Return whether a text that matches no contact was meant as a number."""
    return sum(map(str.isdigit, text)) > _MOST_DIGITS


def list_candidates(contacts: Contacts, text: str) -> tuple[Candidate, ...]:
    """List every number that a text can mean.

    It can be a name, or a person as answers and `contacts list` write one. A name may be written like that
    too. The text then means both, so that no person gets the texts of another.
    """
    quoted = _IN_QUOTES.fullmatch(text.strip())
    return _list_candidates(contacts, text) or (_list_candidates(contacts, quoted[1]) if quoted else ())


def _list_candidates(contacts: Contacts, text: str) -> tuple[Candidate, ...]:
    written = _WITH_DIGITS.fullmatch(text.strip())
    if written:
        shown = [each for each in _list_all(contacts.list_named(written["name"])) if _fits(each, written)]
    else:
        shown = _list_all(_list_described(contacts, text))
    return tuple(dict.fromkeys((*_list_all(contacts.list_named(text)), *shown)))


def _list_all(people: Iterable[Contact]) -> list[Candidate]:
    return [Candidate(each, number) for each in people for number in each.numbers or (None,)]


def _list_described(contacts: Contacts, text: str) -> list[Contact]:
    """List the contacts with a name and facts in brackets as in a text: `Åsa (Kliniken)`."""
    names = [text[:at] for at, letter in enumerate(text) if letter == "("]
    named = (each for name in names for each in contacts.list_named(name))
    return [each for each in named if fold_name(each.described) == fold_name(text)]


def list_labels(contacts: Contacts, number: Number, *, with_digits: bool) -> list[str]:
    """List the names of a number that callers can write and that mean no other number.

    `with_digits`: whether each name has the last two digits of the number: `Åsa Lind (…05)`.
    """
    labels = [
        show_with_digits(owner, own) if with_digits else owner.shown_name
        for owner in contacts.list_owners(number)
        for own in owner.numbers
        if own.number == number
    ]
    return [label for label in labels if choose(list_candidates(contacts, label)) == number]


def _fits(candidate: Candidate, written: re.Match[str]) -> bool:
    """Return whether a candidate has the digits, the label and the company that were written."""
    number = candidate.number
    if number is None or not number.number.e164.endswith(written["digits"]):
        return False
    return fold_name(candidate.details).startswith(fold_name(written["more"] or ""))


def choose(candidates: tuple[Candidate, ...]) -> Number | None:
    """Return the one number that candidates come to; None if that is not clear.

    A contact with several numbers means the mobile one, if there is only one.
    """
    by_contact: defaultdict[int, list[Candidate]] = defaultdict(list)
    for each in candidates:
        by_contact[id(each.contact)].append(each)
    chosen = {_choose_for_one(group) for group in by_contact.values()}
    return chosen.pop() if len(chosen) == 1 else None


def _choose_for_one(candidates: list[Candidate]) -> Number | None:
    """Return the number that candidates of one contact come to; None if that is not clear."""
    numbers = [each.number for each in candidates]
    preferred = candidates[0].contact.chosen
    chosen = numbers[0] if len(numbers) == 1 else preferred if preferred in numbers else None
    return chosen.number if chosen else None


class SearchResult(NamedTuple):
    """The contacts that a search found."""

    best: list[Contact]
    """As many as were asked for, best first."""

    total: int
    """How many there are in all."""


def search(contacts: Contacts, query: str, most: int) -> SearchResult:
    """Find the contacts with a name like `query`, accents aside, and return the best ones.

    `most`: how many to return. First come the exact names, then names that are equal without accents, then
    those that begin with the query, that have a word which does, that contain it, and that have each of its
    words.
    """
    wanted = fold_accents(cleaned(query))
    words = _list_words(wanted)
    people = {id(each): each for each in contacts.list_named(query)}
    ranks = dict.fromkeys(people, 0)
    for name, named in contacts.iterate_names() if wanted else ():
        if wanted not in name and not _has_words(name, words):
            continue
        rank = _rank(name, wanted)
        for each in named:
            if ranks.get(id(each), _WORST) > rank:
                ranks[id(each)], people[id(each)] = rank, each
    best = heapq.nsmallest(most, ranks, key=lambda key: (ranks[key], people[key].name))
    return SearchResult([people[key] for key in best], len(ranks))


_WORST = 6
"""More than every rank."""


def _list_words(wanted: str) -> tuple[str, ...]:
    """Return the words of a text that has several, each after a space, and the longest first.

    A word with which another begins is left out, since a name that has the other has it too. Few names have
    the longest word, so most names need no look at the others.
    """
    kept: list[str] = []
    for word in sorted(wanted.split(), key=len, reverse=True):
        if not any(each.startswith(word) for each in kept):
            kept.append(word)
    return tuple(f" {word}" for word in kept) if " " in wanted else ()


def _has_words(name: str, words: tuple[str, ...]) -> bool:
    """Return whether each of several words begins a word of a name, as without the middle name."""
    spaced = f" {name}"
    return bool(words) and words[0] in spaced and all(word in spaced for word in words[1:])


def _rank(name: str, wanted: str) -> int:
    if name == wanted:
        return 1
    if name.startswith(wanted):
        return 2
    if f" {wanted}" in name:
        return 3
    return 4 if wanted in name else 5


def suggest(contacts: Contacts, text: str, most: int) -> list[Contact]:
    """List the contacts that an unknown name may have been meant for, best first."""
    written = _WITH_DIGITS.fullmatch(text.strip())
    name = written["name"] if written else text
    return search(contacts, name, most).best if len(fold_accents(cleaned(name))) >= _SHORTEST_PART else []
