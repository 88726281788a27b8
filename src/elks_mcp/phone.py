"""Who a text goes to and comes from: phone numbers in E.164, and text sender ids.

Numbers are understood as a Swede (or whoever lives in the sender's country) types them and
kept in one form only, so that a limit or an opt-out cannot be dodged by spelling.
"""

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from elks_mcp.errors import InvalidInput

HOME_REGION = "SE"

_WRITE_E164 = "Write it with the country code, as in +46701740605."
_INTERNATIONAL = "001"
_SENDER_LENGTH = range(3, 12)
_SHORT_NUMBER = 6
_SHOWN_LAST = 2
_HIDDEN = 4


class NumberKind(StrEnum):
    """What a number is for, by the numbering plan of its country."""

    MOBILE = "mobile"
    FIXED_LINE = "fixed line"
    FIXED_LINE_OR_MOBILE = "fixed line or mobile"
    VOIP = "internet telephony"
    PREMIUM_RATE = "premium rate"
    SHARED_COST = "shared cost"
    TOLL_FREE = "toll-free"
    SATELLITE = "satellite or other international network"
    PAGER = "pager"
    PERSONAL = "personal number"
    COMPANY = "company number"
    VOICEMAIL = "voicemail"
    UNASSIGNED = "unassigned"


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number. Printing it masks it; `e164` is the number itself."""

    e164: str

    @property
    def masked(self) -> str:
        """Show the beginning and the last two digits: `+4670*****05`. Four or more are hidden."""
        first = max(1, min(5, len(self.e164) - _SHOWN_LAST - _HIDDEN))
        return self.e164[:first].ljust(len(self.e164) - _SHOWN_LAST, "*") + self.e164[-_SHOWN_LAST:]

    @property
    def region(self) -> str:
        """ISO 3166 code of the country, "001" for international networks, "" where unknown."""
        return _look_up(self.e164)[0]

    @property
    def kind(self) -> NumberKind:
        """What the number is for, by libphonenumber's copy of the numbering plans."""
        return _look_up(self.e164)[1]

    @property
    def country(self) -> str:
        """The country's name in English, or what there is instead."""
        return country_name(self.region)

    @property
    def zones(self) -> tuple[str, ...]:
        """IANA time zones the number can be in; a large country has several."""
        return _zones(self.e164)

    def __repr__(self) -> str:
        return f"Number({self.masked})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class SenderId:
    """A name as sender: 3–11 letters or digits, the first a letter. Nobody can answer it.

    https://46elks.com/kb/text-sender-id
    """

    name: str


Sender = Number | SenderId


def is_e164(text: str) -> bool:
    """Return whether a text is a number in E.164, as 46elks writes them: nothing but + and digits."""
    return re.fullmatch(r"\+[0-9]+", text) is not None


def read_other_party(raw: str, ours: str) -> str:
    """Return the number in 46elks' history that is not the account's in E.164, however it is written.

    `ours` is the account's number, whose country's national numbers are understood. Digits without + or 0 are
    read with a country code first. A name, a short number, and what is no valid number stay as they are.
    """
    digits = re.sub(r"[\s\-().]", "", raw)
    if is_e164(raw) or not re.fullmatch(r"\+?[0-9]{7,15}", digits):
        return raw
    from phonenumbers import country_code_for_region  # noqa: PLC0415

    region = Number(ours).region if is_e164(ours) else ""
    home = region if region.isalpha() else HOME_REGION
    at_home = f"+{country_code_for_region(home)}{digits}"
    for reading in (digits,) if digits.startswith(("+", "0")) else (f"+{digits}", at_home):
        with suppress(InvalidInput):
            number = parse_number(reading, home)
            if number.kind is not NumberKind.UNASSIGNED:
                return number.e164
    return raw


def written(sender: Sender) -> str:
    """Spell a sender in full, as 46elks and people write it."""
    return sender.e164 if isinstance(sender, Number) else sender.name


def parse_number(raw: str, home: str = HOME_REGION) -> Number:
    """Read a phone number as a person writes it.

    `+…`, `00…` (or what dials abroad from `home`) and a leading 0 (a number in `home`, an
    ISO 3166 region) are understood, with spaces, hyphens, dots, brackets, a slash behind the
    area code, full-width and other scripts' digits, and invisible marks. Whether the number is
    in use is not known here; `Number.kind` says what its country's plan keeps it for.

    Raises:
        InvalidInput: it is no phone number, or could be two different ones.
    """
    text = _tidied(raw)
    if not text:
        raise InvalidInput("The phone number is empty.", hint=_WRITE_E164)
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise InvalidInput(_why_not_digits(raw, text), hint=_WRITE_E164)
    if not text.startswith(("+", "0")):
        raise _cannot_tell(raw, text, home)
    return Number(_to_e164(raw, text, home))


def parse_sender(raw: str, home: str = HOME_REGION) -> Sender:
    """Read a sender: a phone number, or a name of 3–11 letters A–Z or digits, the first a letter.

    46elks takes more characters at its discretion, and refuses a hyphen or a leading digit
    (https://46elks.com/kb/text-sender-id).

    Raises:
        InvalidInput: it is neither.
    """
    name = raw.strip()
    if re.fullmatch(r"\+.*|[0-9]*", _tidied(name), re.DOTALL):
        return parse_number(name, home)
    if reason := _why_not_sender(name):
        raise InvalidInput(
            f"{_quoted(name)} cannot be a sender: {reason}.",
            hint="A sender is a phone number (+46…), or 3–11 letters A–Z or digits, the first a letter.",
        )
    return SenderId(name)


def country_name(region: str) -> str:
    """Name the country of an ISO 3166 region in English, or say that it is none."""
    if region == _INTERNATIONAL:
        return "international network"
    from iso3166 import countries_by_alpha2  # noqa: PLC0415  (30 ms, wanted only where a person reads)

    country = countries_by_alpha2.get(region)
    return country.apolitical_name if country else RESERVED_REGIONS.get(region, "unknown country")


RESERVED_REGIONS = {"AC": "Ascension Island", "TA": "Tristan da Cunha"}
"""Regions with numbers of their own that ISO 3166 has only reserved a code for."""


def _tidied(raw: str) -> str:
    """Drop what people and word processors put between digits; all digits become ordinary.

    Not all that is compatible: a footnote's ² is no digit of the number. And a slash only
    behind the area code: 08-123 456/57 is two numbers.
    """
    kept = (
        char for char in raw.strip() if unicodedata.category(char) not in {"Cf", "Cc", "Zs"} or char in "\r\n"
    )
    text = "".join(map(_plain, kept))
    text = re.sub(r"[\-\u2010-\u2015\u2212().\[\]·]", "", text)
    return re.sub(r"^(\+?[0-9]{2,6})/(?=[0-9]{5,}$)", r"\1", text)


def _plain(char: str) -> str:
    wide = unicodedata.decomposition(char).startswith(("<wide>", "<small>"))
    ordinary = unicodedata.normalize("NFKC", char) if wide else char
    return str(unicodedata.decimal(ordinary, ordinary))


def _why_not_digits(raw: str, text: str) -> str:
    if re.search(r"[,;/|&\r\n]", text) or text.count("+") > 1:
        return f"{_quoted(raw)} looks like more than one phone number; each gets a text of its own."
    odd = re.search(r"[^0-9]", text.removeprefix("+"))
    fault = f"it has {_named(odd.group())} in it" if odd else "it has no digits"
    return f"{_quoted(raw)} is not a phone number: {fault}."


def _why_not_sender(name: str) -> str:
    if odd := next((char for char in name if not re.match(r"[A-Za-z0-9]", char)), None):
        return f"{_named(odd)} is not a letter A–Z or a digit"
    if len(name) not in _SENDER_LENGTH:
        return f"it has {len(name)} characters, and 3 to 11 are allowed"
    if name[0].isdigit():
        return "it begins with a digit"
    return ""


def _cannot_tell(raw: str, digits: str, home: str) -> InvalidInput:
    """Say both things that digits without +, 00 or 0 may mean; a wrong guess would text a stranger."""
    from phonenumbers import country_code_for_region  # noqa: PLC0415

    if len(digits) <= _SHORT_NUMBER:
        return InvalidInput(
            f"{_quoted(raw)} is too short for a phone number; short numbers take no texts from here.",
            hint=_WRITE_E164,
        )
    at_home = f"a number in {country_name(home)} +{country_code_for_region(home)}{digits}"
    return InvalidInput(
        f"{_quoted(raw)} can be read in two ways: +{digits}, or as {at_home}.",
        hint="Write the one that is meant, with its +.",
    )


def _to_e164(raw: str, text: str, home: str) -> str:
    import phonenumbers as lib  # noqa: PLC0415  (22 ms and 5 MiB, wanted at the first number)

    try:
        parsed = lib.parse(_dialled(text, home), home)
        e164 = lib.format_number(parsed, lib.PhoneNumberFormat.E164)
        length = lib.is_possible_number_with_reason(parsed)
    except lib.NumberParseException as error:
        raise InvalidInput(_why_not_number(raw, error.error_type), hint=_WRITE_E164) from None
    if length != lib.ValidationResult.IS_POSSIBLE:
        fault = _WRONG_LENGTH.get(length, "is too short for a phone number")
        raise InvalidInput(f"{_quoted(raw)} {fault}.", hint=_WRITE_E164)
    # +46 00 70… would be another spelling of +46 70…, and dodge its limits
    if parsed.italian_leading_zero and not lib.is_valid_number(parsed):
        raise InvalidInput(f"{_quoted(raw)} has a zero too many.", hint=_WRITE_E164)
    return e164


_WRONG_LENGTH = {3: "is too long for a phone number", 5: "has a length that no number of its country has"}
"""libphonenumber's ValidationResult, spelled out as its kinds are below."""


def _dialled(text: str, home: str) -> str:
    """Read 00 as +, unless `home` dials abroad in another way that begins with it, as Australia's 0011."""
    from phonenumbers import PhoneMetadata  # noqa: PLC0415

    plan = PhoneMetadata.metadata_for_region(home)
    if plan and plan.international_prefix and re.match(plan.international_prefix, text):
        return text
    return re.sub(r"^00", "+", text)


def _why_not_number(raw: str, error_type: int) -> str:
    from phonenumbers import NumberParseException  # noqa: PLC0415

    if error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return f"{_quoted(raw)} begins with no country's code."
    if error_type == NumberParseException.TOO_LONG:
        return f"{_quoted(raw)} is too long for a phone number."
    return f"{_quoted(raw)} is too short for a phone number."


@lru_cache(maxsize=4096)
def _look_up(e164: str) -> tuple[str, NumberKind]:
    import phonenumbers as lib  # noqa: PLC0415

    parsed = lib.parse(e164)
    region = lib.region_code_for_number(parsed) or ""
    kind = _KINDS.get(lib.number_type(parsed), NumberKind.UNASSIGNED)
    if region == _INTERNATIONAL and kind in {NumberKind.MOBILE, NumberKind.VOIP}:
        kind = NumberKind.SATELLITE
    return region, kind


@lru_cache(maxsize=4096)
def _zones(e164: str) -> tuple[str, ...]:
    import phonenumbers as lib  # noqa: PLC0415
    from phonenumbers import timezone  # noqa: PLC0415

    number = lib.parse(e164)
    # +1 is 25 countries: there the area code tells, for mobiles too. Jamaica's are not in Alaska.
    find = (
        timezone.time_zones_for_geographical_number
        if number.country_code == 1
        else timezone.time_zones_for_number
    )
    return tuple(zone for zone in find(number) if zone != timezone.UNKNOWN_TIMEZONE)


_KINDS = {
    0: NumberKind.FIXED_LINE,
    1: NumberKind.MOBILE,
    2: NumberKind.FIXED_LINE_OR_MOBILE,
    3: NumberKind.TOLL_FREE,
    4: NumberKind.PREMIUM_RATE,
    5: NumberKind.SHARED_COST,
    6: NumberKind.VOIP,
    7: NumberKind.PERSONAL,
    8: NumberKind.PAGER,
    9: NumberKind.COMPANY,
    10: NumberKind.VOICEMAIL,
}
"""libphonenumber's PhoneNumberType, spelled out so that naming a kind does not import it."""


def _quoted(raw: str) -> str:
    """Show what was written, cut short and with invisible characters made visible."""
    return repr(raw if len(raw) <= 40 else f"{raw[:40]}…")  # noqa: PLR2004


def _named(char: str) -> str:
    return f"{char!r} ({unicodedata.name(char, f'U+{ord(char):04X}').lower()})"
