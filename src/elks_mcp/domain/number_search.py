"""Find phone numbers in texts, in any spelling, so that they can be hidden from a model.

A number begins with +, 0 or a country code; a mobile number of the home country can lack its 0. Times, ids
and the codes of this server are left alone.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from elks_mcp.domain.numbering_plans import NumberKind, country_code, has_trunk_prefix
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.errors import InvalidInput

_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_FEWEST_IF_UNSURE = 9
"""Digits of a number without its prefix, or of one that no country has; fewer can be hours or a score."""

_INTERNATIONAL_PREFIX = 2
"""Digits of 00, which come on top of those of the number."""

_KEPT = re.compile(
    r"""as\ in\ \+46701740605(?!\d)  # the example in errors, a number that reaches no phone
    | (?<![\d+＋])(?<![+＋][ (\[])(?:19|20)\d\d(?:
        (?:0\d|1[0-2])[0-3]\dT?[0-2]\d[0-5]\d(?:[0-5]\d)?(?!\d)
        | -[01]\d-[0-3]\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?
    )
    | \b[a-z][0-9a-f]{32}\b
    | \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b
    | \bc-[1-9]\d{0,8}\b
    | \breceived-[0-9a-f]{16}\b
    | \b[OABP]-[2-9A-HJKMNP-TV-Z]{4,8}\b
    """,
    re.VERBOSE,
)
"""Times (which have no +), 46elks' ids, cursors, marks and codes."""

_ESCAPE = r"\\(?:[tnr]|x[0-9a-f]{2}|u[0-9a-f]{4})"
"""An invisible character as errors write it."""

_INVISIBLE = r"\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_LINE_BREAK = r"[\r\n⏎]"
_BETWEEN = (
    rf"(?:[^\S\n\r]|[\-\u2010-\u2015\u2212().\[\]/·_*{_INVISIBLE}]|(?<=\d)[|~=](?=\d)"
    rf"|{_ESCAPE}|{_LINE_BREAK}(?![ \t]*[\-–*•]))"
)
"""A separator between digits. A line that begins as an item of a list does not continue a number."""

_AFTER_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?=0)")
_MOBILE = frozenset({NumberKind.MOBILE, NumberKind.FIXED_LINE_OR_MOBILE})
_DIGITS = re.compile(rf"[+＋]?(?:\d{_BETWEEN}{{0,5}}){{{_FEWEST_DIGITS - 1},}}\d")
_PART = re.compile(rf"{_ESCAPE}|(?P<digit>\d)|(?P<line>\r\n|{_LINE_BREAK})")
_DECIMAL = re.compile(r"0{1,2}\.\d")
"""The beginning of an amount or of seconds, such as 0.3500 and 00.123456."""


class FoundNumber(NamedTuple):
    """A phone number in a text, from `start` to before `end`."""

    start: int
    end: int
    digits: str
    number: Number | None
    """None if it cannot be read as one number."""


def find_numbers(text: str, home: str) -> Iterator[FoundNumber]:
    """Find all phone numbers in a text, from left to right.

    `home`: the ISO 3166 region whose national numbers are understood.
    """
    start = 0
    for kept in (*_KEPT.finditer(text), None):
        end = kept.start() if kept else len(text)
        for span in _DIGITS.finditer(text, start, end):
            yield from _split(text, span.start(), span.end(), home)
        start = kept.end() if kept else end


class _Digit(NamedTuple):
    """A digit of a text, and where it stands."""

    value: str
    at: int
    begins: bool
    """Whether a number can begin here: the character before it is not a digit."""

    follows_year: bool
    """Whether the characters before it are a year, as in `20260701740606`."""

    line: int
    """How many line breaks of the run are before it."""


def _split(text: str, start: int, end: int, home: str) -> Iterator[FoundNumber]:
    """Find the numbers in a run of digits and of what people write between digits."""
    digits: list[_Digit] = []
    years = {match.end() for match in _AFTER_YEAR.finditer(text, start, end)}
    line = 0
    for match in _PART.finditer(text, start, end):
        line += bool(match["line"])
        if match["digit"]:
            at, value = match.start(), str(unicodedata.decimal(match["digit"]))
            begins = not (at and text[at - 1].isdecimal())
            digits.append(_Digit(value, at, begins, at in years, line))
    index = 0
    while index < len(digits):
        if found := _find_first(text, digits, index, home):
            yield found
            index += len(found.digits)
        else:
            index += 1


def _find_first(text: str, digits: list[_Digit], index: int, home: str) -> FoundNumber | None:
    """Return the longest number that begins with the digit at an index; None if none does.

    A number in one line is preferred. One that continues in the next line, or follows a year, has to be a
    mobile number.
    """
    first = digits[index]
    if not (first.begins or first.follows_year) or _DECIMAL.match(text, first.at):
        return None
    plus = _find_plus(text, first.at)
    start = first.at if plus is None else plus
    ends = _list_ends(digits, index)
    in_line = [end for end in ends if digits[end - 1].line == first.line]
    in_next = [end for end in ends if digits[end - 1].line == first.line + 1]
    for end in (*reversed(in_line), *reversed(in_next)):
        value = _join(digits[index:end])
        may_be_bare = _may_be_bare(digits[index:end], home)
        number = _read(value if plus is None else f"+{value}", home, may_be_bare)
        is_sure = first.begins and end in in_line
        if number and (is_sure or number.kind in _MOBILE):
            return FoundNumber(start, digits[end - 1].at + 1, value, number)
    if not (first.begins and in_line):
        return None
    if plus is None and (first.value != "0" or in_line[-1] - index < _FEWEST_IF_UNSURE):
        return None
    return FoundNumber(start, digits[in_line[-1] - 1].at + 1, _join(digits[index : in_line[-1]]), None)


def _list_ends(digits: list[_Digit], index: int) -> list[int]:
    """List where a number that begins at an index can end; one end if all are too far."""
    ends: list[int] = []
    for end in range(index + _FEWEST_DIGITS, len(digits) + 1):
        if end > index + _MOST_DIGITS + _INTERNATIONAL_PREFIX and ends:
            break
        if end == len(digits) or digits[end].begins:
            ends.append(end)
    return ends


def _join(digits: list[_Digit]) -> str:
    return "".join(digit.value for digit in digits)


def _find_plus(text: str, at: int) -> int | None:
    """Return where the + before a digit stands; None if there is none."""
    before = at - 1
    while before >= 0 and text[before] in "([ ":
        before -= 1
    return before if before >= 0 and text[before] in "+＋" else None


def _may_be_bare(digits: list[_Digit], home: str) -> bool:
    """Return whether digits without + and 0 can be a number.

    They can if they are in one piece, begin with the home country's code, or need no trunk prefix there.
    """
    value = _join(digits)
    in_one_piece = len(digits) >= _FEWEST_IF_UNSURE and not any(digit.begins for digit in digits[1:])
    return in_one_piece or value.startswith(str(country_code(home))) or not has_trunk_prefix(home)


@lru_cache(maxsize=4096)
def _read(value: str, home: str, may_be_bare: bool) -> Number | None:
    """Return the number that digits are, if its country's numbering plan has it; else None."""
    if len(value) > 1 + _MOST_DIGITS + _INTERNATIONAL_PREFIX:
        return None
    readings = [value] if value.startswith(("+", "0")) else [f"+{value}", value] if may_be_bare else []
    for reading in readings:
        with suppress(InvalidInput):
            number = parse_number(reading, home)
            if number.is_planned:
                return number
    if may_be_bare and len(value) >= _FEWEST_IF_UNSURE and value[0] not in "+0" and has_trunk_prefix(home):
        return _read_without_trunk_prefix(value, home)
    return None


def _read_without_trunk_prefix(value: str, home: str) -> Number | None:
    """Return the home country's mobile number that digits without a 0 are; else None."""
    with suppress(InvalidInput):
        number = parse_number(f"+{country_code(home)}{value}", home)
        if number.kind in _MOBILE:
            return number
    return None
