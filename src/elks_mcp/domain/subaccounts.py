"""Subaccounts of 46elks: a cap on spending that 46elks itself enforces."""

import re
from typing import Annotated

from pydantic import Field, SecretStr

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import Money

_LEAST_PRICE = 100
"""Ten-thousandths of the account's currency: nothing that 46elks sells costs less than 0.01."""

_SUBACCOUNT = re.compile(r"a[0-9a-f]{31,32}")
_MAIN_ACCOUNT = re.compile(r"u[0-9a-f]{31,32}")
"""46elks' samples of ids are one digit short in places."""


def is_subaccount(username: str) -> bool:
    """Return whether an API username is that of a subaccount (https://46elks.com/docs/overview)."""
    return _SUBACCOUNT.fullmatch(username) is not None


def is_main_account(username: str) -> bool:
    """Return whether an API username has the form of an account that is not a subaccount."""
    return _MAIN_ACCOUNT.fullmatch(username) is not None


class Subaccount(Frozen):
    """A subaccount: credentials with which only a part of the account's money can be spent.

    46elks counts all that it ever spent, not by month (https://46elks.com/docs/update-subaccount).
    """

    id: str
    """Its API username."""

    name: str = ""
    secret: Annotated[SecretStr | None, Field(repr=False)] = None
    """Its API password, which 46elks returns in clear; None if it was deactivated."""

    limit: Money | None = None
    """The most that it may ever spend; None without a limit."""

    used: Money = Money(0)
    """The amount that it has spent so far."""

    is_active: bool = True

    @property
    def left(self) -> Money | None:
        """The amount that it may still spend; None without a limit."""
        if self.limit is None:
            return None
        return Money(max(0, self.limit.units - self.used.units), self.limit.currency)

    @property
    def refuses_all(self) -> bool:
        """Whether 46elks accepts nothing that costs: less is left than the cheapest text costs.

        False with a limit of 0, since it is not documented whether that means no limit.
        """
        if self.limit is None or not self.limit.units:
            return not self.is_active
        return not self.is_active or (self.left is not None and self.left.units < _LEAST_PRICE)

    def explain(self) -> str:
        """Return what 46elks itself caps, as a sentence."""
        if not self.is_active:
            return "46elks accepts nothing from this subaccount: it was deactivated, for ever."
        if self.limit is None:
            return f"46elks itself caps nothing: the subaccount has no limit. It has used {self.used}."
        if not self.limit.units:
            return (
                f"46elks itself may cap nothing: the limit is 0, which may mean none. {self.used} is used. "
                "Set another limit, or use the command that stops everything."
            )
        if self.refuses_all:
            return (
                f"46elks itself refuses everything that costs: the limit of {self.limit} is used up "
                f"({self.used} used)."
            )
        return f"46elks itself stops at {self.limit}. {self.used} is used, {self.left} is left."


def find_limit(used: Money, amount: Money, *, monthly: bool) -> Money:
    """Return the limit that lets a subaccount spend `amount`: in all, or `monthly` from now on.

    46elks has no limit by month, so one is what was spent already and the amount. `amount` is above 0: it is
    not documented whether a limit of 0 means none.
    """
    return Money(used.units + amount.units, amount.currency) if monthly else amount


def find_stop(used: Money) -> Money:
    """Return the limit that stops all spending now.

    It is never 0, since it is not documented whether that means no limit.
    """
    return Money(max(1, used.units), used.currency)
