"""Read the phone numbers of address books and tables, and repair what a spreadsheet changed."""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from elks_mcp.domain.phone import Number, NumberKind, parse_number
from elks_mcp.domain.phone_spelling import read_exponent_digits, tidied
from elks_mcp.errors import InvalidInput

_MOBILE = re.compile(r"mobil|cell|handy|iphone|gsm", re.IGNORECASE)
_NOT_A_PHONE = re.compile(r"fax|pager", re.IGNORECASE)
_BARE_DIGITS = re.compile(r"[1-9](?:[ \-]?[0-9]){6,14}")
_MARKED_AS_TEXT = re.compile(r"""\s*(?:'(?P<after>[^'"]+)|="(?P<between>[^"]+)")\s*""")
"""A cell that a spreadsheet takes for text: `'0701740605` or `="0701740605"`."""

_UNMARKED = "A spreadsheet's mark for text was removed."

_AMOUNT = re.compile(r"\s*([1-9][0-9]{6,14})[.,]0+\s*")
"""A number that a program took for an amount: `46701740605.0`."""

_NOT_DECIMAL = "The decimals .0 were removed."
_AMBIGUOUS = "It has no + and no leading 0, and can be read as two numbers."
_NO_PHONE = "It is not a phone number."

_DATE = re.compile(r"\s*(?:[0-9]{4}([-./])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-./])[0-9]{1,2}\2[0-9]{4})\b.*")


@dataclass(frozen=True, slots=True)
class ReadPhone:
    """A phone number as it was read; sentences say what was repaired, or why it is not used."""

    number: Number | None = None
    repair: str = ""
    fault: str = ""
    note: str = ""
    is_mobile: bool = False


def read_phone(text: str, label: str, home: str) -> ReadPhone:
    """Return the phone number that a file has.

    `label`: what the file calls the number. `home`: the ISO 3166 region of national numbers.
    """
    if _NOT_A_PHONE.search(label):
        return ReadPhone(note="It is a fax or a pager, so it is left out.")
    if marked := _MARKED_AS_TEXT.fullmatch(text):
        return _add_repair(read_phone(marked["after"] or marked["between"], label, home), _UNMARKED)
    if amount := _AMOUNT.fullmatch(text):
        return _add_repair(read_phone(amount[1], label, home), _NOT_DECIMAL)
    raw = _strip_uri(text.strip())
    number, repair = _parse(raw, home), ""
    readings = _list_repairs(raw, home) if number is None and _BARE_DIGITS.fullmatch(raw) else []
    if len(readings) == 1:
        number, repair = readings[0]
    if number is None:
        return ReadPhone(fault=_AMBIGUOUS if readings else _explain(raw))
    if not number.is_planned:
        return ReadPhone(fault="Its country has no such number.")
    return ReadPhone(number, repair, is_mobile=_is_mobile(number, label))


def _add_repair(read: ReadPhone, repair: str) -> ReadPhone:
    return replace(read, repair=f"{repair} {read.repair}".strip()) if read.number else read


def looks_like_number(text: str) -> bool:
    """Return whether a text is written as a phone number, whether or not it can be used."""
    marked = _MARKED_AS_TEXT.fullmatch(text)
    raw = marked["after"] or marked["between"] if marked else text
    if _DATE.fullmatch(raw):
        return False
    digits = tidied(_strip_uri(raw.strip()))
    return re.fullmatch(r"\+?[0-9]{7,17}", digits) is not None or read_exponent_digits(raw) is not None


def _strip_uri(text: str) -> str:
    """Return the number in a `tel:` URI (RFC 3966); other texts as they are."""
    if not text.casefold().startswith(("tel:", "sms:")):
        return text
    return unquote(text[4:].partition(";")[0]) if "phone-context" not in text.casefold() else text


def _parse(raw: str, home: str) -> Number | None:
    try:
        return parse_number(raw, home)
    except InvalidInput:
        return None


def _list_repairs(digits: str, home: str) -> list[tuple[Number, str]]:
    """List the numbers that digits can be, if a spreadsheet removed the + or the leading 0.

    Only a mobile number may lack its 0: too many other digits are a fixed line somewhere.
    """
    international, national = _parse(f"+{digits}", home), _parse(f"0{digits}", home)
    found = []
    if international and international.is_planned:
        found.append((international, "The + was missing, and was added."))
    if national and national.kind is NumberKind.MOBILE and national != international:
        found.append((national, "The leading 0 was missing, and was added."))
    return found


def _is_mobile(number: Number, label: str) -> bool:
    kind = number.kind
    return kind is NumberKind.MOBILE or (
        kind is not NumberKind.FIXED_LINE and _MOBILE.search(label) is not None
    )


def _explain(raw: str) -> str:
    if read_exponent_digits(raw) is not None:
        return "A spreadsheet shortened the number, and digits are lost. Format the column as text."
    if _DATE.fullmatch(raw):
        return _NO_PHONE
    if re.search(r"[,;/|&\n]|:::", tidied(raw)):
        return "It looks like more than one phone number."
    if _BARE_DIGITS.fullmatch(raw):
        return "It has no country code and no leading 0."
    return _NO_PHONE
