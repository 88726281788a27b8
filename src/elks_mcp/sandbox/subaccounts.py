"""Subaccounts: credentials of their own, and a limit on what they may spend.

Sources: https://46elks.se/docs/create-subaccount and https://46elks.se/docs/update-subaccount.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from elks_mcp.sandbox.messages import new_id


def new_secret() -> str:
    """Return a new secret in 46elks' form: 32 hexadecimal digits in upper case."""
    return secrets.token_hex(16).upper()


@dataclass(slots=True, eq=False)
class SandboxSubaccount:
    """One subaccount, which spends the account's money.

    Amounts are in ten-thousandths of the account's currency. They count from its creation, not by month.
    `usage_limit` is None without a limit. `deactivated_at` is None while the subaccount is active.
    """

    name: str
    created_at: datetime
    usage_limit: int | None = None
    used: int = 0
    deactivated_at: datetime | None = None
    id: str = field(default_factory=lambda: new_id("a"))
    secret: str = field(default_factory=new_secret, repr=False)

    @property
    def is_active(self) -> bool:
        """Whether the subaccount may make requests."""
        return self.deactivated_at is None

    def may_spend(self, cost: int, *, exactly: bool) -> bool:
        """Return whether the limit allows a charge of `cost`.

        `exactly`: refuse a charge that would pass the limit. Otherwise only a limit that is used up refuses,
        as 46elks does with the balance.
        """
        if self.usage_limit is None or cost == 0:
            return True
        return self.used + cost <= self.usage_limit if exactly else self.used < self.usage_limit


class SandboxSubaccounts:
    """The subaccounts of the account, the oldest first."""

    def __init__(self) -> None:
        self._all: list[SandboxSubaccount] = []

    def __iter__(self) -> Iterator[SandboxSubaccount]:
        """Iterate over the subaccounts, the oldest first."""
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, name: str, at: datetime, usage_limit: int | None = None) -> SandboxSubaccount:
        """Create a subaccount."""
        created = SandboxSubaccount(name, at, usage_limit)
        self._all.append(created)
        return created

    def find(self, subaccount_id: str) -> SandboxSubaccount | None:
        """Return the subaccount with this id, or None."""
        return next((each for each in self._all if each.id == subaccount_id), None)

    def charge(self, subaccount_id: str, cost: int) -> None:
        """Count what a subaccount spent; "" is the account itself, which has no limit."""
        if spender := self.find(subaccount_id):
            spender.used += cost

    def clear(self) -> None:
        """Remove all subaccounts."""
        self._all.clear()
