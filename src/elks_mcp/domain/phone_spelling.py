"""How phone numbers are spelled: what may stand between digits, and what makes two values of one field."""

import re
import unicodedata

from elks_mcp.domain.normalization import normalize

_BETWEEN = "Cf", "Cc", "Zs"
_LONGEST_SHOWN = 40

_FIELD_ENDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+|[^\S\x00-\x1f\x7f-\x9f\u2028\u2029]{2,}")
"""What divides the columns and lines of a table: controls, tabs and line breaks among them, or two spaces."""

_DECIMAL = re.compile(r"([^.,·]*[0-9][^.,·]*)[.,·]([0-9]+)")
_EXPONENT = re.compile(r"'?\+?([0-9])(?:[.,]([0-9]+))?[Ee]\+?([0-9]{1,3})")


def tidied(raw: str) -> str:
    """Return `raw` without what people and word processors put between digits; all digits are ASCII.

    Not all that is compatible: a footnote's ² is no digit of the number. And a slash only
    behind the area code: 08-123 456/57 is two numbers.
    """
    kept = (char for char in raw.strip() if unicodedata.category(char) not in _BETWEEN or char in "\r\n")
    text = re.sub(r"[\-\u2010-\u2015\u2212().\[\]·]", "", _with_plain_digits("".join(kept)))
    return re.sub(r"^(\+?[0-9]{2,6})/(?=[0-9]{5,}$)", r"\1", text)


def fields(raw: str) -> list[str]:
    """Return the values that a table could have held in `raw`: one, unless something divides it.

    A decimal ("…567.0") is a division too. Several dots ("070.174.06.05") are not.
    """
    text = _with_plain_digits(raw.strip())
    if decimal := _DECIMAL.fullmatch(text):
        return [decimal[1], decimal[2]]
    return _FIELD_ENDS.split(text)


def is_decimal(raw: str) -> bool:
    """Return whether `raw` ends in ".0", ".00" and so on: a spreadsheet's number, never a person's."""
    decimal = _DECIMAL.fullmatch(_with_plain_digits(raw.strip()))
    return bool(decimal and not decimal[2].strip("0"))


def exponent_digits(raw: str) -> str | None:
    """Return the digits of a number such as 4.67E+10; "" if the exponent hides some, None if it is none."""
    found = _EXPONENT.fullmatch(_with_plain_digits(raw.strip()))
    if not found:
        return None
    digits = found[1] + (found[2] or "")
    return digits if len(digits) == int(found[3]) + 1 else ""


def beginnings(raw: str) -> list[str]:
    """Return what `raw` begins with, up to each place that is no digit, the longest first.

    Letters and signs before the first digit ("tel:") are left out.
    """
    text = re.sub(r"^[^+0-9]*", "", _with_plain_digits(raw.strip()))
    ends = {match.start() for match in re.finditer(r"[^0-9]+", text)} | {len(text)}
    return [text[:end] for end in sorted(ends, reverse=True) if end]


def why_not_digits(raw: str, text: str) -> str:
    """Return why `text`, which is `raw` tidied, is not the digits of one number."""
    if exponent_digits(raw) is not None:
        return f"{quoted(raw)} is a number as a spreadsheet shortens it, and digits of it may be lost."
    if re.search(r"[,;/|&\r\n]", text) or text.count("+") > 1:
        return f"{quoted(raw)} looks like more than one phone number; each gets a text of its own."
    odd = re.search(r"[^0-9]", text.removeprefix("+"))
    fault = f"it has {named(odd.group())} in it" if odd else "it has no digits"
    return f"{quoted(raw)} is not a phone number: {fault}."


def quoted(raw: str) -> str:
    """Return what was written, cut short and with invisible characters made visible."""
    return repr(raw if len(raw) <= _LONGEST_SHOWN else f"{raw[:_LONGEST_SHOWN]}…")


def named(char: str) -> str:
    """Return a character and its Unicode name."""
    return f"{char!r} ({unicodedata.name(char, f'U+{ord(char):04X}').lower()})"


def _with_plain_digits(text: str) -> str:
    return "".join(map(_plain, text))


def _plain(char: str) -> str:
    wide = unicodedata.decomposition(char).startswith(("<wide>", "<small>"))
    ordinary = normalize("NFKC", char) if wide else char
    return str(unicodedata.decimal(ordinary, ordinary))
