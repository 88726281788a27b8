"""The simulated account: its credentials, its balance, its charges and its phone number."""

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from datetime import datetime

from elks_mcp.sandbox.messages import StoredMessage, new_id

# Clearly made up, so that it is not taken for a leaked one: zeros and something like "sandbox" in
# hexadecimal.
DEFAULT_USERNAME = "u" + "5a4db0".rjust(32, "0")
DEFAULT_NUMBER = "+46701740699"


@dataclass(frozen=True, slots=True)
class Charge:
    """One amount taken from the balance, in ten-thousandths of the account's currency."""

    message_id: str
    amount: int
    parts: int
    balance_after: int
    at: datetime


@dataclass(slots=True)
class SandboxNumber:
    """The account's phone number and its settings for incoming texts (docs/configure-number)."""

    number: str
    allocated_at: datetime
    id: str = field(default_factory=lambda: new_id("n"))
    sms_url: str = ""
    sms_replies: bool = True
    name: str = ""


@dataclass(slots=True)
class SandboxAccount:
    """The credentials, the balance and the charges."""

    username: str
    password: str = field(repr=False)
    balance: int
    currency: str
    charges: list[Charge] = field(default_factory=list)

    def can_pay(self, cost: int) -> bool:
        """Return whether the account may be charged `cost`.

        46elks refuses charges once the balance has reached 0 (faq); the last charge before that may take it
        below 0.
        """
        return cost == 0 or self.balance > 0

    def charge(self, message: StoredMessage) -> None:
        """Charge the cost of `message` to the balance."""
        if message.cost:
            self.balance -= message.cost
            self.charges.append(
                Charge(message.id, message.cost, message.parts, self.balance, message.created_at)
            )

    def authorizes(self, header: str) -> bool:
        """Return whether an `Authorization` header has this account's credentials (Basic)."""
        scheme, _, token = header.partition(" ")
        try:
            given = base64.b64decode(token, validate=True)
        except binascii.Error:
            return False
        expected = f"{self.username}:{self.password}".encode()
        return scheme.lower() == "basic" and hmac.compare_digest(given, expected)
