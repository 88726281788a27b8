"""Who a text goes to and comes from: phone numbers in E.164, and text sender ids.

Numbers are understood as a Swede (or whoever lives in the sender's country) types them and
kept in one form only, so that a limit or an opt-out cannot be dodged by phone_spelling.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from elks_mcp.domain import phone_spelling
from elks_mcp.domain.numbering_plans import (
    HOME_REGION,
    NumberKind,
    country_name,
    find_zones,
    has_trunk_prefix,
    is_machine,
    look_up_plan,
)
from elks_mcp.domain.phone_spelling import named, quoted, tidied
from elks_mcp.errors import InvalidInput

__all__ = [
    "HOME_REGION",
    "Number",
    "NumberKind",
    "Sender",
    "SenderId",
    "country_name",
    "parse_number",
    "parse_sender",
    "written",
]

_WRITE_E164 = "Write it with the country code, as in +46701740605."
_WHICH = "Write the one that is meant, with its +."
_IF_MEANT = "If that number is meant, write it with its +."
_SENDER_LENGTH = range(3, 12)
_SHORT_NUMBER = 6
_SHOWN_LAST = 2
_HIDDEN = 4


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
        return look_up_plan(self.e164)[0]

    @property
    def kind(self) -> NumberKind:
        """What the number is for, by libphonenumber's copy of the numbering plans."""
        return look_up_plan(self.e164)[1]

    @property
    def is_planned(self) -> bool:
        """Whether its country's numbering plan has such numbers."""
        return self.kind is not NumberKind.UNASSIGNED

    @property
    def country(self) -> str:
        """The country's name in English, or what there is instead."""
        return country_name(self.region)

    @property
    def zones(self) -> tuple[str, ...]:
        """IANA time zones the number can be in; a large country has several."""
        return find_zones(self.e164)

    def __repr__(self) -> str:
        return f"Number({self.masked})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class SenderId:
    """A name as sender: 3–11 letters, digits or single spaces, the first a letter. Nobody can answer it.

    https://46elks.com/kb/text-sender-id
    """

    name: str


Sender = Number | SenderId


def is_e164(text: str) -> bool:
    """Return whether a text is a number in E.164, as 46elks writes them: nothing but + and digits."""
    return re.fullmatch(r"\+[0-9]{1,15}", text) is not None


def is_plain_number(text: str) -> bool:
    """Return whether a text is nothing but a number: E.164, or up to 15 digits, as a short number has."""
    return re.fullmatch(r"\+?[0-9]{1,15}", text) is not None


def read_other_party(raw: str, ours: str) -> str:
    """Return the number in 46elks' history that is not the account's in E.164, however it is written.

    `ours` is the account's number, whose country's national numbers are understood. Digits without + or 0 are
    read with a country code first. A name, a short number, and what is no valid number stay as they are.
    """
    digits = re.sub(r"[ \-().]", "", raw)
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
    area code, full-width and other scripts' digits, and invisible marks. So are digits alone, if
    `home` has no trunk prefix and they can be one number only. Whether the number is
    in use is not known here; `Number.kind` says what its country's plan keeps it for.

    Raises:
        InvalidInput: it is no phone number, or could be two different ones.
    """
    text = tidied(raw)
    if not text:
        raise InvalidInput("The phone number is empty.", hint=_WRITE_E164)
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise InvalidInput(phone_spelling.why_not_digits(raw, text), hint=_offer(raw, home))
    _check_one_value(raw, home)
    if not text.startswith(("+", "0")):
        return _read_bare(raw, text, home)
    if home != HOME_REGION:
        _check_not_swedish(raw, text, home)
    try:
        number = Number(_to_e164(raw, text, home))
    except InvalidInput as error:
        error.hint = _offer(raw, home)
        raise
    if not number.is_planned and (meant := _find_meant(raw, home)):
        raise InvalidInput(f"{quoted(raw)} has digits behind a phone number.", hint=_write(meant))
    return number


def _check_one_value(raw: str, home: str) -> None:
    """Check that no tab, line break or decimal made a longer number of one that is complete without.

    Raises:
        InvalidInput: one did. The number that was meant is offered.
    """
    first, *others = phone_spelling.fields(raw)
    values = [first if first.startswith(("+", "0")) else f"+{first}", *others] if others else []
    whole = [number for value in values if (number := _read_planned(value, home))]
    if whole or phone_spelling.is_decimal(raw):
        fault = "a decimal, a tab or spaces divide it"
        offer = " or ".join(number.e164 for number in dict.fromkeys(whole))
        raise InvalidInput(f"{quoted(raw)} holds more than one value: {fault}.", hint=_write(offer))


def _check_not_swedish(raw: str, text: str, home: str) -> None:
    """Check that a number in the national form of another country is no Swedish mobile as well.

    Raises:
        InvalidInput: it is. 46elks' customers and the people they text are mostly Swedes, so both are likely.
    """
    if not re.fullmatch(r"0[1-9][0-9]*", text):
        return
    swedish = _read_planned(text, HOME_REGION)
    if swedish is None or swedish.kind is not NumberKind.MOBILE:
        return
    sweden = f"as {swedish.e164}, a number in {country_name(HOME_REGION)}"
    if at_home := _read_planned(raw, home):
        both = f"as {at_home.e164}, a number in {country_name(home)}, or {sweden}"
        raise InvalidInput(f"{quoted(raw)} can be read in two ways: {both}.", hint=_WHICH)
    raise InvalidInput(f"{quoted(raw)} has no country code. It can be read {sweden}.", hint=_IF_MEANT)


def _find_meant(raw: str, home: str) -> str:
    """Return the number, in E.164, that stands at the beginning of something longer; "" if there is none."""
    if digits := phone_spelling.exponent_digits(raw):
        found = _read_planned(f"+{digits}", home)
        return found.e164 if found else ""
    readings = (_read_planned(beginning, home) for beginning in phone_spelling.beginnings(raw))
    return next((number.e164 for number in readings if number), "")


def _read_planned(raw: str, home: str) -> Number | None:
    """Read a number that its country's plan knows; None if it is not the spelling of one."""
    text = tidied(raw)
    if not re.fullmatch(r"(\+|0)[0-9]+", text):
        return None
    try:
        number = Number(_to_e164(raw, text, home))
    except InvalidInput:
        return None
    return number if number.is_planned else None


def _offer(raw: str, home: str) -> str:
    return _write(_find_meant(raw, home))


def _write(meant: str) -> str:
    return f"If {meant} is meant, write exactly that." if meant else _WRITE_E164


def parse_sender(raw: str, home: str = HOME_REGION) -> Sender:
    """Read a sender: a phone number, or a name of 3–11 letters A–Z, digits or single spaces inside.

    A name begins with a letter. 46elks takes more characters at its discretion, and refuses a hyphen or a
    leading digit (https://46elks.com/kb/text-sender-id).

    Raises:
        InvalidInput: it is neither.
    """
    name = raw.strip()
    if re.fullmatch(r"\+.*|[0-9]*", tidied(name), re.DOTALL):
        return parse_number(name, home)
    if reason := _why_not_sender(name):
        raise InvalidInput(
            f"{quoted(name)} cannot be a sender: {reason}.",
            hint="A sender is a phone number (+46…), or 3–11 letters A–Z, digits or spaces; a letter first.",
        )
    return SenderId(name)


def _why_not_sender(name: str) -> str:
    if odd := next((char for char in name if not re.match(r"[A-Za-z0-9 ]", char)), None):
        return f"{named(odd)} is not a letter A–Z, a digit or a space"
    if "  " in name:
        return "it has two spaces in a row"
    if len(name) not in _SENDER_LENGTH:
        return f"it has {len(name)} characters, and 3 to 11 are allowed"
    if name[0].isdigit():
        return "it begins with a digit"
    return ""


def _read_bare(raw: str, digits: str, home: str) -> Number:
    """Read digits without +, 00 or 0, if they can be one number only.

    That is so if `home` has no trunk prefix and its plan has the number, and no other country's plan has it.

    Raises:
        InvalidInput: they can be several numbers, or `home` has a trunk prefix. A wrong guess would text a
            stranger, so every number that they can be is named.
    """
    if len(digits) <= _SHORT_NUMBER:
        raise InvalidInput(
            f"{quoted(raw)} is too short for a phone number; short numbers take no texts from here.",
            hint=_WRITE_E164,
        )
    abroad, at_home = _read_planned(f"+{digits}", home), _read_at_home(digits, home)
    if at_home and at_home.region == home and abroad in {None, at_home} and not has_trunk_prefix(home):
        return at_home
    readings = [f"as {abroad.e164}"] if abroad and abroad != at_home else []
    readings += [f"as {at_home.e164}, a number in {country_name(at_home.region)}"] if at_home else []
    if not readings:
        zero = " and no leading 0" if has_trunk_prefix(home) else ""
        raise InvalidInput(f"{quoted(raw)} has no country code{zero}.", hint=_WRITE_E164)
    if len(readings) == 1:
        fault = f"{quoted(raw)} has no country code. It can be read {readings[0]}."
        raise InvalidInput(fault, hint=_IF_MEANT)
    raise InvalidInput(f"{quoted(raw)} can be read in two ways: {', or '.join(readings)}.", hint=_WHICH)


def _read_at_home(digits: str, home: str) -> Number | None:
    """Read digits as a national number of `home`, or of a country with the same code."""
    import phonenumbers as lib  # noqa: PLC0415

    with suppress(lib.NumberParseException):
        parsed = lib.parse(digits, home)
        if lib.is_valid_number(parsed):
            return Number(lib.format_number(parsed, lib.PhoneNumberFormat.E164))
    return None


def _to_e164(raw: str, text: str, home: str) -> str:
    import phonenumbers as lib  # noqa: PLC0415  (22 ms and 5 MiB, wanted at the first number)

    try:
        parsed = lib.parse(_dialled(text, home), home)
        e164 = lib.format_number(parsed, lib.PhoneNumberFormat.E164)
        length = lib.is_possible_number_with_reason(parsed)
    except lib.NumberParseException as error:
        raise InvalidInput(_why_not_number(raw, error.error_type), hint=_WRITE_E164) from None
    if length != lib.ValidationResult.IS_POSSIBLE and not is_machine(e164):
        fault = _WRONG_LENGTH.get(length, "is too short for a phone number")
        raise InvalidInput(f"{quoted(raw)} {fault}.", hint=_WRITE_E164)
    # +46 00 70… would be another spelling of +46 70…, and dodge its limits
    if parsed.italian_leading_zero and not lib.is_valid_number(parsed):
        raise InvalidInput(f"{quoted(raw)} has a zero too many.", hint=_WRITE_E164)
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
        return f"{quoted(raw)} begins with no country's code."
    if error_type == NumberParseException.TOO_LONG:
        return f"{quoted(raw)} is too long for a phone number."
    return f"{quoted(raw)} is too short for a phone number."
