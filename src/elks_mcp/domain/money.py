"""Amounts of money in 46elks' unit: whole ten-thousandths of the account's currency."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Self

UNITS = 10_000
"""46elks' units in one krona or euro (https://46elks.se/docs/show-sms-id: 3500 is 0.35 SEK)."""

_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,8})?|\.[0-9]{1,8}")
"""At most twenty digits. Decimal keeps 28, so nothing is rounded."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount. `units` are ten-thousandths; `currency` is an ISO 4217 code, or "" if unknown.

    46elks states amounts without a currency. It is a property of the account, and an account that was never
    set up has none. Amounts of different currencies cannot be added or compared.
    """

    units: int
    currency: str = ""

    @classmethod
    def parse(cls, text: str, currency: str = "") -> Self:
        """Return the amount written as "10", "0.52" or "0,52"; a comma is always a decimal comma.

        Raises:
            ValueError: `text` is not a number, is negative, is 10**12 or more, or is finer than 1/10000.
        """
        written = text.strip().replace(",", ".")
        if not _AMOUNT.fullmatch(written) or (units := Decimal(written) * UNITS) % 1:
            raise ValueError(f"{text!r} is not an amount of money")
        return cls(int(units), currency)

    def __str__(self) -> str:
        sign, digits = "-" if self.units < 0 else "", f"{abs(self.units):05d}"
        decimals = digits[-4:].rstrip("0").ljust(2, "0")
        return f"{sign}{digits[:-4]}.{decimals} {self.currency}".rstrip()

    def __add__(self, other: Self) -> Self:
        self._check_currency(other)
        return type(self)(self.units + other.units, self.currency)

    def __sub__(self, other: Self) -> Self:
        self._check_currency(other)
        return type(self)(self.units - other.units, self.currency)

    def __lt__(self, other: Self) -> bool:
        self._check_currency(other)
        return self.units < other.units

    def __le__(self, other: Self) -> bool:
        self._check_currency(other)
        return self.units <= other.units

    def times(self, count: int) -> Self:
        """Return the amount multiplied by a whole number."""
        return type(self)(self.units * count, self.currency)

    def split(self, ways: int) -> Self:
        """Return one of `ways` (1 or more) equal parts, rounded half to even to a ten-thousandth."""
        return type(self)(round(Fraction(self.units, ways)), self.currency)

    @property
    def amount(self) -> float:
        """The amount in the currency itself, for display only: calculations use `units`."""
        return self.units / UNITS

    def _check_currency(self, other: Self) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self} and {other} are in different currencies")
