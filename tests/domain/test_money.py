"""Amounts: whole ten-thousandths, never mixed, never rounded on the way."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elks_mcp.domain.money import Money

units = st.integers(-(10**15), 10**15)
currencies = st.sampled_from(["SEK", "EUR", ""])


@pytest.mark.parametrize(
    ("amount", "currency", "printed"),
    [
        (5200, "SEK", "0.52 SEK"),
        (3500, "SEK", "0.35 SEK"),
        (470, "EUR", "0.047 EUR"),
        (1, "EUR", "0.0001 EUR"),
        (0, "SEK", "0.00 SEK"),
        (10_000, "SEK", "1.00 SEK"),
        (10_500, "", "1.05"),
        (-5200, "SEK", "-0.52 SEK"),
        (-1, "", "-0.0001"),
        (1_234_567_890, "SEK", "123456.789 SEK"),
    ],
)
def test_an_amount_prints_with_two_to_four_decimals_and_its_currency(
    amount: int, currency: str, printed: str
) -> None:
    """3500 is 0.35 SEK: https://46elks.se/docs/show-sms-id."""
    assert str(Money(amount, currency)) == printed


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("10", 100_000),
        ("0.52", 5200),
        ("0,52", 5200),
        (" 1.5 ", 15_000),
        (".5", 5000),
        ("5.", 50_000),
        ("0.0001", 1),
        ("0.52000000", 5200),
        ("1,000", 10_000),  # a comma is a decimal one: the cautious reading of a limit
        ("999999999999", 9_999_999_999_990_000),
    ],
)
def test_an_amount_is_read_with_point_or_comma(text: str, amount: int) -> None:
    assert Money.parse(text, "SEK") == Money(amount, "SEK")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        ",",
        "ten",
        "-1",
        "-0.01",
        "0.00001",
        "1e3",
        "1e999999999",
        "nan",
        "sNaN",
        "inf",
        "1_000",
        "1 000",
        "1.000.50",
        "1,000.50",
        "10 SEK",
        "١٠",
        "0x10",
        "1" * 13,
        "0.50000000000000000000000000000000000001",
    ],
)
def test_an_invalid_amount_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount of money"):
        Money.parse(text)


@given(st.integers(0, 10**16 - 1), currencies)
@example(10**16 - 1, "SEK")
def test_a_printed_amount_can_be_read_again(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    assert Money.parse(str(money).removesuffix(currency), currency) == money


@given(units, units, currencies)
def test_sums_and_differences_are_exact(first: int, second: int, currency: str) -> None:
    one, other = Money(first, currency), Money(second, currency)
    assert (one + other) - other == one
    assert Decimal(str(one + other).removesuffix(currency)) == Decimal(first + second) / 10_000


@given(units, st.integers(0, 10_000))
def test_times_is_repeated_addition(amount: int, count: int) -> None:
    assert Money(amount, "SEK").times(count) == Money(amount * count, "SEK")


@given(units.map(lambda amount: amount * 997), st.integers(1, 10_000))
@example(9_007_199_254_740_993, 1)  # 2**53 + 1, which no float holds
@example(5, 2)
@example(7, 2)
@example(-5, 2)
def test_a_share_is_the_nearest_ten_thousandth_and_half_goes_to_even(amount: int, ways: int) -> None:
    share = Money(amount, "SEK").split(ways).units
    exact = Fraction(amount, ways)
    assert abs(share - exact) <= Fraction(1, 2)
    assert abs(share - exact) < Fraction(1, 2) or share % 2 == 0


@given(units, units)
def test_amounts_of_one_currency_are_ordered_as_their_units(first: int, second: int) -> None:
    one, other = Money(first, "EUR"), Money(second, "EUR")
    assert (one < other, one <= other, one > other, one >= other) == (
        first < second,
        first <= second,
        first > second,
        first >= second,
    )


@given(units, units)
def test_amounts_of_different_currencies_are_never_mixed(first: int, second: int) -> None:
    krona, euro, unknown = Money(first, "SEK"), Money(second, "EUR"), Money(second)
    for other in (euro, unknown):
        for mixed in (
            krona.__add__,
            krona.__sub__,
            krona.__lt__,
            krona.__le__,
        ):
            with pytest.raises(ValueError, match="are in different currencies"):
                mixed(other)
        assert krona != other


def test_the_amount_in_whole_currency_is_for_display_only() -> None:
    assert Money(5200, "SEK").amount == pytest.approx(0.52)
