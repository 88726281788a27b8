"""What the numbering plans of the world say about a number, by libphonenumber and ISO 3166."""

import re
from enum import StrEnum
from functools import lru_cache

HOME_REGION = "SE"

SWEDISH_SPELLING = "+46701740605, or 070-174 06 05 for a Swedish number"
"""How to write a number, as `describe_spelling` says it for Sweden."""

_INTERNATIONAL = "001"


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


_MACHINES = re.compile(r"\+46719[0-9]{10}")
"""Numbers of machines in Sweden, which have 15 digits. libphonenumber's copy of the plan lacks them."""


def is_machine(e164: str) -> bool:
    """Return whether a number is kept for machines (M2M), and is longer than others of its country."""
    return _MACHINES.fullmatch(e164) is not None


def has_trunk_prefix(home: str) -> bool:
    """Return whether `home` dials a prefix before a national number; the 1 of North America is none."""
    from phonenumbers import PhoneMetadata  # noqa: PLC0415

    plan = PhoneMetadata.metadata_for_region(home)
    return plan is None or plan.national_prefix not in {None, "1"}


@lru_cache(maxsize=4096)
def look_up_plan(e164: str) -> tuple[str, NumberKind]:
    """Return the region of a number, and what its plan keeps it for, by libphonenumber."""
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
    """Return the IANA time zones that a number can be in."""
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


def country_name(region: str) -> str:
    """Name the country of an ISO 3166 region in English, or say that it is none."""
    if region == _INTERNATIONAL:
        return "international network"
    from iso3166 import countries_by_alpha2  # noqa: PLC0415  (30 ms, wanted only where a person reads)

    country = countries_by_alpha2.get(region)
    return country.apolitical_name if country else RESERVED_REGIONS.get(region, "unknown country")


RESERVED_REGIONS = {"AC": "Ascension Island", "TA": "Tristan da Cunha"}
"""Regions with numbers of their own that ISO 3166 has only reserved a code for."""


def describe_spelling(home: str) -> str:
    """Return how to write a number, for a tool's description: with +, and as people in `home` do.

    Digits of another country's example are hidden: it may be a real person's number.
    """
    if home == HOME_REGION:
        return SWEDISH_SPELLING
    import phonenumbers as lib  # noqa: PLC0415

    example = lib.example_number_for_type(home, lib.PhoneNumberType.MOBILE)
    if example is None:
        return "with its country code, +46701740605"
    abroad = lib.format_number(example, lib.PhoneNumberFormat.INTERNATIONAL)
    national = lib.format_number(example, lib.PhoneNumberFormat.NATIONAL)
    if not national.lstrip("(").startswith("0") and has_trunk_prefix(home):  # only the country code tells
        return f"with its country code, as {_without_end(abroad)} in {home}"
    return f"{_without_end(abroad)}, or {_without_end(national)} for a number in {home}"


def _without_end(spelled: str) -> str:
    return re.sub(r"[0-9](?=(?:[^0-9]*[0-9]){0,3}[^0-9]*$)", "X", spelled)
