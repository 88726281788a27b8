"""Phone numbers in texts, in every spelling; and digits that are no phone numbers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.number_search import find_numbers

NUMBER = "+46701740606"

SPELLINGS = [
    "+46701740606",
    "＋46701740606",
    "0046701740606",
    "0701740606",
    "070-174 06 06",
    "070 174 06 06",
    "070.174.06.06",
    "(070) 174 06 06",
    "070/1740606",
    "+46 70 174 06 06",
    "+46-70-174-06-06",
    "+46 (0)70 174 06 06",
    "0046 70-174 06 06",
    "46701740606",
    "46 70 174 06 06",
    "0\u20117\u20110\u20111740606",
    "070\u00a0174\u00a006\u00a006",
    "070\u200b1740606",
    "070\\u200b174\\t06\\x0006",
    "701740606",
    "070_174_06_06",
    "070*174*06*06",
    "070**1740606",
    "070|174|06|06",
    "070~174~06~06",
    "070~1740606",
    "070=1740606",
    "070-174\n06 06",
    "070-\r\n174 06 06",
    "070-174⏎06 06",
    "+46 70 174\n06 06",
    "０７０１７４０６０６",
    "٠٧٠١٧٤٠٦٠٦",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "around", ["{}", "Ring {}!", "tel:{}", "nr{}", "<{}>", "{}, tack", "12 {} kl 14", "{} 2 st"]
)
def test_a_number_is_found_in_every_spelling(spelling: str, around: str) -> None:
    text = around.format(spelling)
    (found,) = find_numbers(text, "SE")
    assert found.number
    assert found.number.e164 == NUMBER
    assert text[found.start : found.end].strip("( ") == spelling.strip("( ")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-30 09:24",
        "2026-01-05T09:24:00.000123Z",
        "2026-01-05T09:24:15+01:00",
        "01-05 09:24 from",
        "0.3500 SEK of 100.0000 SEK",
        "0.3500 0.7000 0.1000",
        "c-123456",
        "c-701740606 c-123456789",
        "20260701123456, 202607011234, 20260701T123456",
        "19700701-1234, 197007011234, 20070301-1234",
        "20070301 1234 5678",
        "701 740 606 kr, 701 740 606,50 kr",
        "kl 0930\n- 11-23 13:05 from Bo",
        "kl 0930\n10-15\n\n0701\n\n740606",
        "070\n- 174 06 06",
        "751740606",
        "O-23456789, A-2345",
        "P-23456789",
        "s07017406060701740606070174060607",
        "<received-0701740606070174>",
        "12345678",
        "as in +46701740605.",
        "1 234 567 kr",
        "19990101-1234",
        "199912312359",
        "1999-12-31 23:59",
        "kl 07:00 08:30 09:45 10:15",
        "x=0, y=174, z=0606",
        "| 0 | 174 | 06 | 06 | 12 |",
        "kl 0930-1015",
        "2-1 0-3 0-4 5-6",
    ],
)
def test_other_digits_are_not_taken_for_numbers(text: str) -> None:
    assert not list(find_numbers(text, "SE"))


@pytest.mark.parametrize("code", ["O-22345678", "P-22345678", "B-22345678"])
def test_a_code_is_no_number_in_countries_with_eight_digits(code: str) -> None:
    assert list(find_numbers(code[2:], "NO"))
    assert not list(find_numbers(code, "NO"))


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("070000000", "070000000"),
        ("+4670000", "4670000"),
        ("+99912345678", "99912345678"),
        ("07017406060701740606", "07017406060701740606"),
    ],
)
def test_digits_that_begin_like_a_number_are_found_even_if_no_country_has_it(text: str, digits: str) -> None:
    assert [(found.digits, found.number) for found in find_numbers(text, "SE")] == [(digits, None)]


@pytest.mark.parametrize(
    "text", ["+199912312359", "＋199912312359", "+ 199912312359", "+(199912312359", "+1999-12-31"]
)
def test_a_number_with_a_plus_is_found_although_it_reads_as_a_time(text: str) -> None:
    (found,) = find_numbers(text, "SE")
    assert text[found.start : found.end] == text


def test_several_numbers_in_a_row_are_told_apart() -> None:
    text = "0701740606 0701740607, +46701740608 46701740609\n070-174 06 10 / 0701740611"
    found = [each.number.e164 for each in find_numbers(text, "SE") if each.number]
    assert found == [f"+467017406{last:02}" for last in (6, 7, 8, 9, 10, 11)]


@pytest.mark.parametrize("text", ["2026070174 0606", "20260701740606", "den 2026070-174 06 06"])
def test_a_mobile_number_after_a_year_is_found(text: str) -> None:
    (found,) = find_numbers(text, "SE")
    assert found.number
    assert (found.number.e164, found.start) == (NUMBER, text.index("2026") + 4)


def test_a_number_ends_with_its_line_if_it_can() -> None:
    text = "0701740606\n12 st\n0701740607\n0701740608\n08-465 004 05\n90 kr"
    found = [each.number.e164 for each in find_numbers(text, "SE") if each.number]
    assert found == [*(f"+467017406{last:02}" for last in (6, 7, 8)), "+46846500405"]


def test_a_national_number_is_one_of_the_home_country() -> None:
    (found,) = find_numbers("Call (202) 555-0123", "US")
    assert found.number
    assert found.number.e164 == "+12025550123"


@given(st.text(st.sampled_from("0123456789+ -()x\n.é"), max_size=60))
def test_the_rest_of_a_text_has_no_digits_that_begin_like_a_number(text: str) -> None:
    left, end = "", 0
    for found in find_numbers(text, "SE"):
        assert found.start >= end
        left += text[end : found.start] + "#"
        end = found.end
    left += text[end:]
    runs = re.findall(r"(?<![0-9])[+0][0-9]{8,}", left)
    assert not runs
