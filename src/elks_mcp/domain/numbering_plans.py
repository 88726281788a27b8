"""Look up phone numbers in numbering plans: E.164 form, region, kind, time zones.

Only this module uses libphonenumber and ISO 3166. They are imported when the first number needs them, since
loading them takes time and memory that a start without a number saves.
"""

import re
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache

from elks_mcp.domain.phone_spelling import quoted
from elks_mcp.errors import InvalidInput

HOME_REGION = "SE"

WRITE_E164 = "Write it with the country code, as in +46701740605."
"""The advice of errors about a number that cannot be read."""

SWEDISH_SPELLING = "+46701740605, or 070-174 06 05 for a Swedish number"
"""How to write a number: the result of `describe_spelling` for Sweden."""

_INTERNATIONAL = "001"


class NumberKind(StrEnum):
    """The use of a number, by the numbering plan of its country."""

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
"""libphonenumber's PhoneNumberType, as literals so that the library is not imported."""

_MACHINE = re.compile(r"\+46719[0-9]{10}")
"""Numbers for machines (M2M) in Sweden, of 15 digits, which libphonenumber's plan lacks."""


def is_machine(e164: str) -> bool:
    """Return whether a number is one of Sweden's 15-digit numbers for machines (M2M)."""
    return _MACHINE.fullmatch(e164) is not None


@lru_cache(maxsize=4096)
def look_up_plan(e164: str) -> tuple[str, NumberKind]:
    """Return the region of a number and its kind, by libphonenumber.

    The region is an ISO 3166 code, "001" for international networks, and "" if it is unknown.
    """
    import phonenumbers as lib  # noqa: PLC0415

    if is_machine(e164):
        return "SE", NumberKind.MOBILE
    parsed = lib.parse(e164)
    region = lib.region_code_for_number(parsed) or ""
    kind = _KINDS.get(lib.number_type(parsed), NumberKind.UNASSIGNED)
    if region == _INTERNATIONAL and kind in {NumberKind.MOBILE, NumberKind.VOIP}:
        kind = NumberKind.SATELLITE
    return region, kind


@lru_cache(maxsize=4096)
def find_zones(e164: str) -> tuple[str, ...]:
    """Return the IANA time zones in which a number can be."""
    import phonenumbers as lib  # noqa: PLC0415
    from phonenumbers import timezone  # noqa: PLC0415

    number = lib.parse(e164)
    # 25 countries share +1. There the area code decides, for mobiles too: Jamaica's are not in Alaska.
    find = (
        timezone.time_zones_for_geographical_number
        if number.country_code == 1
        else timezone.time_zones_for_number
    )
    return tuple(zone for zone in find(number) if zone != timezone.UNKNOWN_TIMEZONE)


def country_name(region: str) -> str:
    """Return a region's country in English, "international network" or "unknown country"."""
    if region == _INTERNATIONAL:
        return "international network"
    from iso3166 import countries_by_alpha2  # noqa: PLC0415  (30 ms, only needed when a person reads)

    country = countries_by_alpha2.get(region)
    return country.apolitical_name if country else RESERVED_REGIONS.get(region, "unknown country")


RESERVED_REGIONS = {"AC": "Ascension Island", "TA": "Tristan da Cunha"}
"""Regions with their own numbers whose codes ISO 3166 has only reserved."""


# ── dialling ──


def country_code(region: str) -> int:
    """Return the country calling code of a region: 46 for Sweden."""
    from phonenumbers import country_code_for_region  # noqa: PLC0415

    return int(country_code_for_region(region))


def has_trunk_prefix(home: str) -> bool:
    """Return whether `home` dials a prefix before a national number, other than 1 (NANP)."""
    from phonenumbers import PhoneMetadata  # noqa: PLC0415

    plan = PhoneMetadata.metadata_for_region(home)
    return plan is None or plan.national_prefix not in {None, "1"}


def convert_to_e164(raw: str, text: str, home: str) -> str:
    """Return in E.164 the number that is dialled as `text` in `home`, abroad or national.

    Raises:
        InvalidInput: `text` has an unknown country code or a wrong length. The error quotes `raw`.
    """
    import phonenumbers as lib  # noqa: PLC0415  (22 ms and 5 MiB)

    try:
        parsed = lib.parse(_with_plus(text, home), home)
        e164 = lib.format_number(parsed, lib.PhoneNumberFormat.E164)
        length = lib.is_possible_number_with_reason(parsed)
    except lib.NumberParseException as error:
        raise InvalidInput(_explain_parse_error(raw, error.error_type), hint=WRITE_E164) from None
    if length != lib.ValidationResult.IS_POSSIBLE and not is_machine(e164):
        fault = _WRONG_LENGTH.get(length, "is too short for a phone number")
        raise InvalidInput(f"{quoted(raw)} {fault}.", hint=WRITE_E164)
    # +46 00 70… would be a second spelling of +46 70…, which limits and opt-outs do not know.
    if parsed.italian_leading_zero and not lib.is_valid_number(parsed):
        raise InvalidInput(f"{quoted(raw)} has one zero too many.", hint=WRITE_E164)
    return e164


def convert_national(digits: str, home: str) -> str | None:
    """Return in E.164 a national number of `home` or a country with its code; None if invalid."""
    import phonenumbers as lib  # noqa: PLC0415

    with suppress(lib.NumberParseException):
        parsed = lib.parse(digits, home)
        if lib.is_valid_number(parsed):
            return lib.format_number(parsed, lib.PhoneNumberFormat.E164)
    return None


_WRONG_LENGTH = {3: "is too long for a phone number", 5: "has a length that no number of its country has"}
"""libphonenumber's ValidationResult, as literals like its kinds above."""


def _with_plus(text: str, home: str) -> str:
    """Replace 00 by +, unless the international prefix of `home` begins so (Australia: 0011)."""
    from phonenumbers import PhoneMetadata  # noqa: PLC0415

    plan = PhoneMetadata.metadata_for_region(home)
    if plan and plan.international_prefix and re.match(plan.international_prefix, text):
        return text
    return re.sub(r"^00", "+", text)


def _explain_parse_error(raw: str, error_type: int) -> str:
    from phonenumbers import NumberParseException  # noqa: PLC0415

    if error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return f"{quoted(raw)} does not begin with a country code."
    if error_type == NumberParseException.TOO_LONG:
        return f"{quoted(raw)} is too long for a phone number."
    return f"{quoted(raw)} is too short for a phone number."


# ── spelling ──


def format_number(e164: str, home: str) -> str:
    """Return a number as people write it.

    In its own country it is `070-174 06 05`, elsewhere `+46 70 174 06 05`. `home`: the ISO 3166 region of
    the reader. A number that no plan knows stays as it is.
    """
    import phonenumbers as lib  # noqa: PLC0415

    try:
        parsed = lib.parse(e164)
    except lib.NumberParseException:
        return e164
    if is_machine(e164) or not lib.is_possible_number(parsed):
        return e164
    is_national = has_trunk_prefix(home) and lib.region_code_for_number(parsed) == home
    style = lib.PhoneNumberFormat.NATIONAL if is_national else lib.PhoneNumberFormat.INTERNATIONAL
    return str(lib.format_number(parsed, style))


def describe_spelling(home: str) -> str:
    """Return how to write a number, for a tool's description: with + and as people in `home` do.

    The last digits of another country's example are hidden, since it may be a real person's number.
    """
    if home == HOME_REGION:
        return SWEDISH_SPELLING
    import phonenumbers as lib  # noqa: PLC0415

    example = lib.example_number_for_type(home, lib.PhoneNumberType.MOBILE)
    if example is None:
        return "with its country code, +46701740605"
    abroad = lib.format_number(example, lib.PhoneNumberFormat.INTERNATIONAL)
    national = lib.format_number(example, lib.PhoneNumberFormat.NATIONAL)
    if not national.lstrip("(").startswith("0") and has_trunk_prefix(home):  # needs its country code
        return f"with its country code, as {_hide_last_digits(abroad)} in {home}"
    return f"{_hide_last_digits(abroad)}, or {_hide_last_digits(national)} for a number in {home}"


def _hide_last_digits(spelled: str) -> str:
    return re.sub(r"[0-9](?=(?:[^0-9]*[0-9]){0,3}[^0-9]*$)", "X", spelled)
