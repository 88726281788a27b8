"""Phone numbers as address books have them, and as spreadsheets leave them."""

import pytest

from elks_mcp.domain.phone_repair import looks_like_number, read_phone

NUMBER = "+46701740605"
PLUS = "The + was missing, and was added."
ZERO = "The leading 0 was missing, and was added."
DECIMALS = "The decimals .0 were removed."
MARK = "A spreadsheet's mark for text was removed."
NONE = "It has no country code and no leading 0."
LOST = "A spreadsheet shortened the number, and digits are lost. Format the column as text."
SEVERAL = "It looks like more than one phone number."
OTHER = "It is not a phone number."


@pytest.mark.parametrize(
    ("text", "number", "repair"),
    [
        ("070-174 06 05", NUMBER, ""),
        ("+46 (0)70 174 06 05", NUMBER, ""),
        ("0046701740605", NUMBER, ""),
        ("tel:+46-70-174-06-05", NUMBER, ""),
        ("tel:+46701740605;ext=5", NUMBER, ""),
        ("tel:070%20174%2006%2005", NUMBER, ""),
        ("701740605", NUMBER, ZERO),
        ("701 740 605", NUMBER, ZERO),
        ("46701740605", NUMBER, PLUS),
        ("'0701740605", NUMBER, MARK),
        ('="0701740605"', NUMBER, MARK),
        (' ="701740605" ', NUMBER, f"{MARK} {ZERO}"),
        ("46701740605.0", NUMBER, f"{DECIMALS} {PLUS}"),
        ("701740605,00", NUMBER, f"{DECIMALS} {ZERO}"),
        ('="46701740605.0"', NUMBER, f"{MARK} {DECIMALS} {PLUS}"),
        ("+47 412 34 567", "+4741234567", ""),
        ("08-500 12 34", "+4685001234", ""),
    ],
)
def test_a_number_is_read_as_people_and_programs_write_it(text: str, number: str, repair: str) -> None:
    read = read_phone(text, "", "SE")
    assert read.number
    assert (read.number.e164, read.repair, read.fault) == (number, repair, "")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("4,67E+10", LOST),
        ("4.67017E+10", LOST),
        ("4.6701740605E+10", LOST),
        ("46701740605.5", OTHER),
        ("0701740605.0", OTHER),
        ("+46701740605.0", OTHER),
        ("2026-11-30", OTHER),
        ("30/11/2026", OTHER),
        ("070-174 06 05 / 070-174 06 06", SEVERAL),
        ("070-174 06 05 ::: 070-174 06 06", SEVERAL),
        ("070-1740605, 070-1740606", SEVERAL),
        ("tel:1740605;phone-context=+4670", SEVERAL),
        ("8500 12 34", NONE),
        ("1740605", NONE),
        ("112", OTHER),
        ("'112", OTHER),
        ("''0701740605", OTHER),
        ('="4,67E+10"', LOST),
        ('=HYPERLINK("0701740605")', OTHER),
        ("#VALUE!", OTHER),
        ("Ring växeln", OTHER),
        ("+4670", OTHER),
        ("+46201234567890", "Its country has no such number."),
    ],
)
def test_a_number_that_is_unclear_is_not_guessed(text: str, fault: str) -> None:
    read = read_phone(text, "", "SE")
    assert (read.number, read.repair, read.fault) == (None, "", fault)


@pytest.mark.parametrize("label", ["fax", "Home Fax", "work fax", "Pager", "arbetsfax"])
def test_a_fax_or_a_pager_is_left_out(label: str) -> None:
    read = read_phone(NUMBER, label, "SE")
    assert (read.number, read.fault, read.note) == (None, "", "It is a fax or a pager, so it is left out.")


@pytest.mark.parametrize(
    ("text", "label", "is_mobile"),
    [
        (NUMBER, "", True),
        (NUMBER, "work", True),
        ("+4685001234", "mobile", False),
        ("+4685001234", "work", False),
        ("+12025550123", "", False),
        ("+12025550123", "iPhone", True),
    ],
)
def test_a_number_is_mobile_by_its_plan_or_else_by_its_label(text: str, label: str, is_mobile: bool) -> None:
    assert read_phone(text, label, "SE").is_mobile is is_mobile


@pytest.mark.parametrize(
    "text",
    [
        "070-174 06 05",
        "701740605",
        '="0701740605"',
        "'0701740605",
        "46701740605.0",
        "4,67E+10",
        "tel:+46701740605",
    ],
)
def test_a_text_that_is_written_as_a_number_is_known(text: str) -> None:
    assert looks_like_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "112",
        "12345",
        "2026-11-30",
        "30/11/2026",
        "2026-11-30 09:00",
        "Phone 1 - Value",
        "Åsa",
        "1 500 kr",
    ],
)
def test_dates_amounts_and_words_are_not_written_as_numbers(text: str) -> None:
    assert not looks_like_number(text)
