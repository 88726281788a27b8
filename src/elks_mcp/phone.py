"""Who a text goes to and comes from: phone numbers in E.164, and text sender ids.

Numbers are understood as a Swede (or whoever lives in the sender's country) types them and
kept in one form only, so that a limit or an opt-out cannot be dodged by spelling.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from elks_mcp.errors import InvalidInput

HOME_REGION = "SE"

_WRITE_E164 = "Write it with the country code, as in +46701740605."
_INTERNATIONAL = "001"
_SENDER_LENGTH = range(3, 12)


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
        """Show the beginning and the last two digits: `+4670*****05`."""
        return f"{self.e164[:5]}{'*' * (len(self.e164) - 7)}{self.e164[-2:]}"

    @property
    def region(self) -> str:
        """ISO 3166 code of the country, "001" for international networks, "" where unknown."""
        return _look_up(self.e164)[0]

    @property
    def kind(self) -> NumberKind:
        """What the number is for."""
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


def written(sender: Sender) -> str:
    """Spell a sender in full, as 46elks and people write it."""
    return sender.e164 if isinstance(sender, Number) else sender.name


def parse_number(raw: str, home: str = HOME_REGION) -> Number:
    """Read a phone number as a person writes it.

    `+…`, `00…` and a leading 0 (a number in `home`, an ISO 3166 region) are understood, with
    spaces, hyphens, dots, slashes, brackets, full-width digits and invisible marks in between.

    Raises:
        InvalidInput: it is no phone number, or could be two different ones.
    """
    text = _tidied(raw)
    if not text:
        raise InvalidInput("The phone number is empty.", hint=_WRITE_E164)
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise InvalidInput(_why_not_digits(raw, text), hint=_WRITE_E164)
    text = re.sub(r"^00", "+", text)
    if not text.startswith(("+", "0")):
        raise InvalidInput(
            f"{_quoted(raw)} can be read in two ways: {_both_readings(text, home)}.",
            hint="Write the one that is meant, with its +.",
        )
    return Number(_to_e164(raw, text, home))


def parse_sender(raw: str, home: str = HOME_REGION) -> Sender:
    """Read a sender: a phone number, or a name of 3–11 letters or digits.

    Raises:
        InvalidInput: it is neither.
    """
    name = raw.strip()
    if re.fullmatch(r"\+?[0-9]*", _tidied(name)):
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
    return country.apolitical_name if country else "unknown country"


def _tidied(raw: str) -> str:
    """Drop what people and word processors put between digits; full-width becomes ordinary."""
    text = unicodedata.normalize("NFKC", raw)
    text = "".join(char for char in text if unicodedata.category(char) not in {"Cf", "Cc", "Zs"})
    text = re.sub(r"[\-\u2010-\u2015\u2212().\[\]/·]", "", text)
    return "".join(str(unicodedata.decimal(char, char)) for char in text)


def _why_not_digits(raw: str, text: str) -> str:
    if re.search(r"[,;]", text) or text.count("+") > 1:
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


def _both_readings(digits: str, home: str) -> str:
    """Say both things that digits without +, 00 or 0 may mean; a wrong guess would text a stranger."""
    from phonenumbers import country_code_for_region  # noqa: PLC0415

    return f"+{digits}, or as a number in {country_name(home)} +{country_code_for_region(home)}{digits}"


def _to_e164(raw: str, text: str, home: str) -> str:
    import phonenumbers as lib  # noqa: PLC0415  (22 ms and 5 MiB, wanted at the first number)

    try:
        parsed = lib.parse(text, home)
    except lib.NumberParseException as error:
        raise InvalidInput(_why_not_number(raw, error.error_type), hint=_WRITE_E164) from None
    length = lib.is_possible_number_with_reason(parsed)
    if length != lib.ValidationResult.IS_POSSIBLE:
        size = "long" if length == lib.ValidationResult.TOO_LONG else "short"
        raise InvalidInput(f"{_quoted(raw)} is too {size} for a phone number.", hint=_WRITE_E164)
    return lib.format_number(parsed, lib.PhoneNumberFormat.E164)


def _why_not_number(raw: str, error_type: int) -> str:
    import phonenumbers as lib  # noqa: PLC0415

    if error_type == lib.NumberParseException.INVALID_COUNTRY_CODE:
        return f"{_quoted(raw)} begins with no country's code."
    if error_type == lib.NumberParseException.TOO_LONG:
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

    zones = timezone.time_zones_for_number(lib.parse(e164))
    return tuple(zone for zone in zones if zone != timezone.UNKNOWN_TIMEZONE)


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
