"""Phone numbers and senders: one form each, however they are written, and masked when printed."""

import logging
import re
from collections.abc import Callable

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from elks_mcp.domain.orders import Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, SenderId, country_name, parse_number, parse_sender, written
from elks_mcp.domain.phone_spelling import is_decimal
from elks_mcp.errors import InvalidInput
from tests.support.strategies import gaps, swedish_prefixes, zeros
from tests.tables.phones import HOME, KINDS, NO_SENDERS, READ, REFUSED, SENDERS

# ── reading numbers ──


@pytest.mark.parametrize(("raw", "home", "e164", "why"), READ)
def test_a_number_is_read_as_its_writer_meant_it(raw: str, home: str, e164: str, why: str) -> None:
    assert parse_number(raw, home).e164 == e164, why


@pytest.mark.parametrize(("raw", "home", "words", "why"), REFUSED)
def test_an_invalid_or_ambiguous_number_is_refused_with_the_reason(
    raw: str, home: str, words: str, why: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_number(raw, home)
    explanation = refusal.value.explain()
    assert re.search(words.replace("+", r"\+"), explanation), f"{why}: {explanation}"
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 250


def test_the_tables_of_numbers_are_complete() -> None:
    assert len(READ) + len(REFUSED) >= 100
    assert len(SENDERS) + len(NO_SENDERS) >= 60


@given(swedish_prefixes, st.integers(605, 699), st.lists(gaps, min_size=9, max_size=9), zeros)
def test_all_spellings_of_a_number_are_one_number(
    prefix: str, last: int, between: list[str], zero: int
) -> None:
    digits = f"701740{last}"
    spelled = "".join(gap + chr(zero + int(digit)) for gap, digit in zip(between, digits, strict=True))
    assume(not is_decimal(prefix + spelled))
    assert parse_number(prefix + spelled) == Number(f"+46{digits}")


@given(
    st.one_of(st.text(max_size=30), st.text("+0123456789 ()/-", max_size=20)),
    st.sampled_from(["SE", "NO", "IT", "US", "AU"]),
)
def test_any_input_is_one_number_or_refused(raw: str, home: str) -> None:
    """Two spellings of one number would be two numbers to a limit, and to a recipient who opted out."""
    try:
        number = parse_number(raw, home)
    except InvalidInput:
        return
    assert re.fullmatch(r"\+[1-9]\d{3,16}", number.e164)
    assert parse_number(number.e164, home) == number
    assert phonenumbers.is_possible_number(phonenumbers.parse(number.e164))


examples = [
    (region, example)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (example := phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE))
]


def test_every_countrys_mobiles_are_read_as_they_are_written_abroad() -> None:
    written_abroad = phonenumbers.PhoneNumberFormat.INTERNATIONAL
    assert len(examples) > 200
    for region, example in examples:
        e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        assert parse_number(phonenumbers.format_number(example, written_abroad)).e164 == e164, region


@pytest.mark.parametrize("home", ["SE", "NO", "DK", "FI", "DE", "FR", "GB", "US"])
def test_a_national_number_is_read_in_its_home_country_or_refused_with_both_readings(
    home: str,
) -> None:
    example = phonenumbers.example_number_for_type(home, phonenumbers.PhoneNumberType.MOBILE)
    assert example
    forms = phonenumbers.PhoneNumberFormat
    e164 = phonenumbers.format_number(example, forms.E164)
    for form in (forms.E164, forms.INTERNATIONAL):
        assert parse_number(phonenumbers.format_number(example, form), home).e164 == e164
    national = phonenumbers.format_number(example, forms.NATIONAL)
    if national.startswith("0") or home in {"DK", "NO"}:
        assert parse_number(national, home).e164 == e164
    else:
        with pytest.raises(InvalidInput, match=re.escape(e164)):
            parse_number(national, home)


@given(
    st.sampled_from(examples), st.sampled_from(["\t", "\x0b", "\x1f", "  ", ".", "\x00"]), st.integers(0, 99)
)
def test_a_number_followed_by_another_value_is_never_read_as_a_longer_number(
    example: tuple[str, phonenumbers.PhoneNumber], between: str, behind: int
) -> None:
    e164 = phonenumbers.format_number(example[1], phonenumbers.PhoneNumberFormat.E164)
    with pytest.raises(InvalidInput) as refusal:
        parse_number(f"{e164}{between}{behind}")
    assert f"If {e164} is meant" in refusal.value.explain()


# ── what a number is ──


@pytest.mark.parametrize(("e164", "kind", "region", "why"), KINDS)
def test_a_number_has_the_type_of_its_countrys_numbering_plan(
    e164: str, kind: str, region: str, why: str
) -> None:
    number = parse_number(e164)
    assert (number.kind, number.region) == (kind, region), why


@pytest.mark.parametrize(
    ("region", "name"),
    [
        ("SE", "Sweden"),
        ("JM", "Jamaica"),
        ("XK", "Kosovo"),
        ("AC", "Ascension Island"),
        ("001", "international network"),
        ("", "unknown country"),
        ("ZZ", "unknown country"),
    ],
)
def test_a_region_has_a_familiar_name(region: str, name: str) -> None:
    assert country_name(region) == name


@pytest.mark.parametrize(
    ("e164", "zones"),
    [
        (HOME, ("Europe/Stockholm",)),
        ("+12025550123", ("America/New_York",)),
        ("+14155550123", ("America/Los_Angeles",)),
        ("+18762101234", ("America/Jamaica",)),
        ("+882161234567", ()),
        ("+80012345678", ()),
    ],
)
def test_a_number_is_in_the_zones_of_its_place(e164: str, zones: tuple[str, ...]) -> None:
    assert parse_number(e164).zones == zones


def test_a_mobile_of_a_wide_country_may_be_anywhere_in_it() -> None:
    assert {"Australia/Perth", "Australia/Sydney"} <= set(parse_number("+61412345678").zones)


# ── senders ──


@pytest.mark.parametrize(("raw", "sender", "why"), SENDERS)
def test_a_sender_is_a_number_or_a_name_that_46elks_accepts(raw: str, sender: str, why: str) -> None:
    """https://46elks.com/kb/text-sender-id."""
    parsed = parse_sender(raw)
    assert written(parsed) == sender, why
    assert isinstance(parsed, Number if sender.startswith("+") else SenderId), why


@pytest.mark.parametrize(("raw", "words", "why"), NO_SENDERS)
def test_an_invalid_sender_is_refused_with_the_reason(raw: str, words: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_sender(raw)
    assert words.replace("\\\\", "\\") in str(refusal.value), f"{why}: {refusal.value}"


@given(st.text(max_size=15))
def test_a_name_that_passes_is_ascii_and_of_the_right_length(raw: str) -> None:
    try:
        sender = parse_sender(raw)
    except InvalidInput:
        return
    if isinstance(sender, SenderId):
        assert re.fullmatch(r"(?=.{3,11}$)[A-Za-z][A-Za-z0-9]*( [A-Za-z0-9]+)*", sender.name)


# ── masking ──


def in_pydantics_repr(number: Number) -> str:
    return repr(Draft(to=number, payload=Sms(text="Hej Anna, koden är 4711"), sender=number))


def in_pydantics_str(number: Number) -> str:
    return str(Draft(to=number, payload=Sms(text="Hej Anna, koden är 4711"), sender=number))


def in_a_log_line(number: Number) -> str:
    return logging.LogRecord("x", logging.INFO, "", 0, "to %s %r", (number, number), None).getMessage()


SHOWN: dict[str, Callable[[Number], str]] = {
    "str": str,
    "repr": repr,
    "percent": lambda number: "%s %r" % (number, number),  # noqa: UP031  (as logging does)
    "f-string": lambda number: f"{number} {number!s}",
    "containers": lambda number: repr([number, {number: number}]),
    "pydantic's repr": in_pydantics_repr,
    "pydantic's str": in_pydantics_str,
    "a log line": in_a_log_line,
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize(
    "e164", [HOME, "+46850012345", "+29022222", "+6834002", "+4705000", "+883510000000094"]
)
def test_printing_masks_a_number_and_hides_a_text(show: Callable[[Number], str], e164: str) -> None:
    shown = show(Number(e164))
    assert "*" * 4 in shown
    assert e164 not in shown
    assert e164.removeprefix("+") not in shown
    assert "Anna" not in shown
    assert "4711" not in shown


@pytest.mark.parametrize(
    ("e164", "masked"),
    [
        (HOME, "+4670*****05"),
        ("+29022222", "+29****22"),
        ("+4705000", "+4****00"),
        ("+4681234567", "+4681****67"),
    ],
)
def test_a_mask_shows_the_country_and_the_last_two_digits(e164: str, masked: str) -> None:
    assert Number(e164).masked == masked
    assert len(masked) == len(e164)
