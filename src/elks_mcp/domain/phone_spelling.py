"""Spellings of phone numbers: characters between digits, and two values in one field."""

import re
import unicodedata

from elks_mcp.domain.normalization import normalize

_IGNORED_CATEGORIES = "Cf", "Cc", "Zs"
"""Unicode categories allowed between digits: format, control and space characters."""

_LONGEST_QUOTE = 40

_FIELD_ENDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+|[^\S\x00-\x1f\x7f-\x9f\u2028\u2029]{2,}")
"""Separators in a table: control characters, including tab and line breaks, or two spaces."""

_DECIMAL = re.compile(r"([^.,·]*[0-9][^.,·]*)[.,·]([0-9]+)")
_EXPONENT = re.compile(r"'?\+?([0-9])(?:[.,]([0-9]+))?[Ee]\+?([0-9]{1,3})")


def tidied(raw: str) -> str:
    """Return `raw` with ASCII digits, without what people and programs put between digits.

    Compatibility characters stay: a footnote's ² is not a digit of the number. A slash is only removed after
    an area code: 08-123 456/57 is two numbers.
    """
    kept = (
        char
        for char in raw.strip()
        if unicodedata.category(char) not in _IGNORED_CATEGORIES or char in "\r\n"
    )
    text = re.sub(r"[\-\u2010-\u2015\u2212().\[\]·]", "", _with_ascii_digits("".join(kept)))
    return re.sub(r"^(\+?[0-9]{2,6})/(?=[0-9]{5,}$)", r"\1", text)


def split_fields(raw: str) -> list[str]:
    """Return the fields of `raw` as part of a table: one, unless a separator splits it.

    A decimal ("…567.0") counts as a separator. Several dots ("070.174.06.05") do not.
    """
    text = _with_ascii_digits(raw.strip())
    if decimal := _DECIMAL.fullmatch(text):
        return [decimal[1], decimal[2]]
    return _FIELD_ENDS.split(text)


def is_decimal(raw: str) -> bool:
    """Return whether `raw` ends in ".0", ".00" and so on, as only spreadsheets write it."""
    decimal = _DECIMAL.fullmatch(_with_ascii_digits(raw.strip()))
    return bool(decimal and not decimal[2].strip("0"))


def read_exponent_digits(raw: str) -> str | None:
    """Return all digits of a number such as 4.67E+10.

    Return "" if the notation hides some of them, and None if `raw` is not in this notation.
    """
    found = _EXPONENT.fullmatch(_with_ascii_digits(raw.strip()))
    if not found:
        return None
    digits = found[1] + (found[2] or "")
    return digits if len(digits) == int(found[3]) + 1 else ""


def list_beginnings(raw: str) -> list[str]:
    """Return the beginnings of `raw` up to each character that is not a digit, longest first.

    Letters and signs before the first digit ("tel:") are left out.
    """
    text = re.sub(r"^[^+0-9]*", "", _with_ascii_digits(raw.strip()))
    ends = {match.start() for match in re.finditer(r"[^0-9]+", text)} | {len(text)}
    return [text[:end] for end in sorted(ends, reverse=True) if end]


def explain_not_digits(raw: str, text: str) -> str:
    """Return why `text`, the tidied `raw`, is not the digits of one number."""
    if read_exponent_digits(raw) is not None:
        return f"{quoted(raw)} is a number that a spreadsheet shortened; some of its digits may be lost."
    if re.search(r"[,;/|&\r\n]", text) or text.count("+") > 1:
        return f"{quoted(raw)} looks like more than one phone number. Send one text to each number."
    odd = re.search(r"[^0-9]", text.removeprefix("+"))
    fault = f"it contains {named(odd.group())}" if odd else "it has no digits"
    return f"{quoted(raw)} is not a phone number: {fault}."


def quoted(raw: str) -> str:
    """Return `raw` in quotation marks, cut after 40 characters, invisible ones escaped."""
    return repr(raw if len(raw) <= _LONGEST_QUOTE else f"{raw[:_LONGEST_QUOTE]}…")


def named(char: str) -> str:
    """Return a character in quotation marks, with its Unicode name."""
    return f"{char!r} ({unicodedata.name(char, f'U+{ord(char):04X}').lower()})"


def _with_ascii_digits(text: str) -> str:
    return text if text.isascii() else "".join(map(_to_ascii_digit, text))


def _to_ascii_digit(char: str) -> str:
    """Return the ASCII digit for a decimal digit of any script, and other characters as is."""
    wide = unicodedata.decomposition(char).startswith(("<wide>", "<small>"))
    ordinary = normalize("NFKC", char) if wide else char
    return str(unicodedata.decimal(ordinary, ordinary))
