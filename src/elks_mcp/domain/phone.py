"""Recipients and senders of texts: phone numbers in E.164, and sender names.

People in Sweden (or in the sender's country) may write numbers as they are used to. Each number is kept
in one form only, so that another spelling cannot evade a limit or an opt-out.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from elks_mcp.domain import phone_spelling
from elks_mcp.domain.numbering_plans import (
    HOME_REGION,
    WRITE_E164,
    NumberKind,
    convert_national,
    convert_to_e164,
    country_code,
    country_name,
    find_zones,
    has_trunk_prefix,
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
    "is_e164",
    "is_plain_number",
    "parse_number",
    "parse_sender",
    "read_other_party",
    "written",
]

_CHOOSE_ONE = "Write the one that is meant, with its +."
_CONFIRM = "If that number is meant, write it with its +."

_NAME_LENGTH = range(3, 12)
_SHORT_NUMBER = 6
"""Digits of a short number (112, 72500) at most."""

_SHOWN_LAST = 2
_HIDDEN = 4


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number in E.164. `str` and `repr` mask it; `e164` is the full number."""

    e164: str

    @property
    def masked(self) -> str:
        """The number with at least four digits hidden, the last two shown: `+4670*****05`."""
        first = max(1, min(5, len(self.e164) - _SHOWN_LAST - _HIDDEN))
        return self.e164[:first].ljust(len(self.e164) - _SHOWN_LAST, "*") + self.e164[-_SHOWN_LAST:]

    @property
    def region(self) -> str:
        """ISO 3166 code of the country, "001" for international networks, "" if unknown."""
        return look_up_plan(self.e164)[0]

    @property
    def kind(self) -> NumberKind:
        """The use of the number, by libphonenumber's copy of the numbering plans."""
        return look_up_plan(self.e164)[1]

    @property
    def is_planned(self) -> bool:
        """Whether its country's numbering plan has such numbers."""
        return self.kind is not NumberKind.UNASSIGNED

    @property
    def country(self) -> str:
        """The country's name in English, "international network" or "unknown country"."""
        return country_name(self.region)

    @property
    def zones(self) -> tuple[str, ...]:
        """IANA time zones in which the number can be; a large country has several."""
        return find_zones(self.e164)

    def __repr__(self) -> str:
        return f"Number({self.masked})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class SenderId:
    """A sender name: 3–11 letters, digits or single spaces, beginning with a letter.

    Recipients cannot reply to it. https://46elks.com/kb/text-sender-id
    """

    name: str


Sender = Number | SenderId


def is_e164(text: str) -> bool:
    """Return whether a text is a number in E.164 as 46elks writes it: only + and digits."""
    return re.fullmatch(r"\+[0-9]{1,15}", text) is not None


def is_plain_number(text: str) -> bool:
    """Return whether a text is only a number: E.164, or up to 15 digits such as a short number."""
    return re.fullmatch(r"\+?[0-9]{1,15}", text) is not None


def written(sender: Sender) -> str:
    """Return a sender in full, as 46elks and people write it: the number or the name."""
    return sender.e164 if isinstance(sender, Number) else sender.name


def parse_number(raw: str, home: str = HOME_REGION) -> Number:
    """Return the phone number that a person wrote.

    It accepts `+…`, `00…` (or the international prefix of `home`) and a leading 0, which is a
    number in `home` (an ISO 3166 region). They may have spaces, hyphens, dots, brackets, a slash after
    the area code, full-width or other scripts' digits, and invisible marks in them. Digits without any
    prefix are accepted if `home` has no trunk prefix and they can be only one number. Whether the
    number is in use cannot be checked here; `Number.kind` has its use by its country's plan.

    Raises:
        InvalidInput: `raw` is not a phone number, or could be two different ones.
    """
    text = tidied(raw)
    if not text:
        raise InvalidInput("The phone number is empty.", hint=WRITE_E164)
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise InvalidInput(phone_spelling.explain_not_digits(raw, text), hint=_hint_for(raw, home))
    _check_one_value(raw, home)
    if not text.startswith(("+", "0")):
        return _parse_bare_digits(raw, text, home)
    if home != HOME_REGION:
        _check_not_swedish(raw, text, home)
    try:
        number = Number(convert_to_e164(raw, text, home))
    except InvalidInput as error:
        error.hint = _hint_for(raw, home)
        raise
    if not number.is_planned and (intended := _find_intended(raw, home)):
        raise InvalidInput(f"{quoted(raw)} has extra digits after a phone number.", hint=_suggest(intended))
    return number


def _check_one_value(raw: str, home: str) -> None:
    """Check that no tab, line break or decimal extends a number that is complete without it.

    Raises:
        InvalidInput: one does. The hint names the complete number.
    """
    first, *others = phone_spelling.split_fields(raw)
    values = [first if first.startswith(("+", "0")) else f"+{first}", *others] if others else []
    complete = [number for value in values if (number := _find_planned(value, home))]
    if complete or phone_spelling.is_decimal(raw):
        fault = "separated by a decimal point, a tab or spaces"
        suggested = " or ".join(number.e164 for number in dict.fromkeys(complete))
        raise InvalidInput(f"{quoted(raw)} contains more than one value, {fault}.", hint=_suggest(suggested))


def _check_not_swedish(raw: str, text: str, home: str) -> None:
    """Check that a national number of another country is not a Swedish mobile number as well.

    46elks' customers and the people they text are mostly Swedes, so both readings are likely.

    Raises:
        InvalidInput: it is.
    """
    if not re.fullmatch(r"0[1-9][0-9]*", text):
        return
    swedish = _find_planned(text, HOME_REGION)
    if swedish is None or swedish.kind is not NumberKind.MOBILE:
        return
    sweden = f"as {swedish.e164}, a number in {country_name(HOME_REGION)}"
    if at_home := _find_planned(raw, home):
        both = f"as {at_home.e164}, a number in {country_name(home)}, or {sweden}"
        raise InvalidInput(f"{quoted(raw)} can be read in two ways: {both}.", hint=_CHOOSE_ONE)
    raise InvalidInput(f"{quoted(raw)} has no country code. It can be read {sweden}.", hint=_CONFIRM)


def _find_intended(raw: str, home: str) -> str:
    """Return in E.164 the number that a longer text begins with; "" if there is none."""
    if digits := phone_spelling.read_exponent_digits(raw):
        found = _find_planned(f"+{digits}", home)
        return found.e164 if found else ""
    readings = (_find_planned(beginning, home) for beginning in phone_spelling.list_beginnings(raw))
    return next((number.e164 for number in readings if number), "")


def _find_planned(raw: str, home: str) -> Number | None:
    """Return the number that `raw` spells, if its country's numbering plan has it; else None."""
    text = tidied(raw)
    if not re.fullmatch(r"(\+|0)[0-9]+", text):
        return None
    try:
        number = Number(convert_to_e164(raw, text, home))
    except InvalidInput:
        return None
    return number if number.is_planned else None


def _hint_for(raw: str, home: str) -> str:
    return _suggest(_find_intended(raw, home))


def _suggest(e164: str) -> str:
    return f"If {e164} is meant, write exactly that." if e164 else WRITE_E164


def _parse_bare_digits(raw: str, digits: str, home: str) -> Number:
    """Return the number for digits without +, 00 or 0, if they can be only one number.

    That is the case if `home` has no trunk prefix, its plan has the number, and no other country's plan does.

    Raises:
        InvalidInput: the digits can be several numbers, or `home` has a trunk prefix. The error names every
            number that they can be, since a wrong guess would text a stranger.
    """
    if len(digits) <= _SHORT_NUMBER:
        raise InvalidInput(
            f"{quoted(raw)} is too short for a phone number; short numbers cannot receive texts from here.",
            hint=WRITE_E164,
        )
    abroad, national = _find_planned(f"+{digits}", home), convert_national(digits, home)
    at_home = Number(national) if national else None
    if at_home and at_home.region == home and abroad in {None, at_home} and not has_trunk_prefix(home):
        return at_home
    readings = [f"as {abroad.e164}"] if abroad and abroad != at_home else []
    readings += [f"as {at_home.e164}, a number in {country_name(at_home.region)}"] if at_home else []
    if not readings:
        zero = " and no leading 0" if has_trunk_prefix(home) else ""
        raise InvalidInput(f"{quoted(raw)} has no country code{zero}.", hint=WRITE_E164)
    if len(readings) == 1:
        fault = f"{quoted(raw)} has no country code. It can be read {readings[0]}."
        raise InvalidInput(fault, hint=_CONFIRM)
    raise InvalidInput(f"{quoted(raw)} can be read in two ways: {', or '.join(readings)}.", hint=_CHOOSE_ONE)


def read_other_party(raw: str, ours: str) -> str:
    """Return in E.164 the other party's number in 46elks' history, however it is written.

    `ours` is the account's number; national numbers of its country are understood. Digits without + or 0
    are first tried with a country code. A name, a short number and an invalid number are returned unchanged.
    """
    digits = re.sub(r"[ \-().]", "", raw)
    if is_e164(raw) or not re.fullmatch(r"\+?[0-9]{7,15}", digits):
        return raw
    region = Number(ours).region if is_e164(ours) else ""
    home = region if region.isalpha() else HOME_REGION
    at_home = f"+{country_code(home)}{digits}"
    for reading in (digits,) if digits.startswith(("+", "0")) else (f"+{digits}", at_home):
        with suppress(InvalidInput):
            number = parse_number(reading, home)
            if number.is_planned:
                return number.e164
    return raw


def parse_sender(raw: str, home: str = HOME_REGION) -> Sender:
    """Return the sender that a person wrote: a phone number, or a name.

    A name has 3–11 letters A–Z, digits or single spaces inside, and begins with a letter. 46elks accepts more
    characters at its discretion, and rejects a hyphen or a leading digit
    (https://46elks.com/kb/text-sender-id).

    Raises:
        InvalidInput: `raw` is neither.
    """
    name = raw.strip()
    if re.fullmatch(r"\+.*|[0-9]*", tidied(name), re.DOTALL):
        return parse_number(name, home)
    if reason := _find_name_fault(name):
        raise InvalidInput(
            f"{quoted(name)} cannot be a sender: {reason}.",
            hint="A sender is a phone number (+46…), or 3–11 letters A–Z, digits or spaces; a letter first.",
        )
    return SenderId(name)


def _find_name_fault(name: str) -> str:
    if odd := next((char for char in name if not re.match(r"[A-Za-z0-9 ]", char)), None):
        return f"{named(odd)} is not a letter A–Z, a digit or a space"
    if "  " in name:
        return "it has two spaces in a row"
    if len(name) not in _NAME_LENGTH:
        return f"it has {len(name)} characters, and 3 to 11 are allowed"
    if name[0].isdigit():
        return "it begins with a digit"
    return ""
