"""The simulated account: its credentials, its balance, its charges and its phone number."""

import base64
import binascii
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from elks_mcp.sandbox.messages import StoredMessage, new_id

# Clearly made up, so that it is not taken for a leaked one: zeros and something like "sandbox" in
# hexadecimal.
DEFAULT_USERNAME = "u" + "5a4db0".rjust(32, "0")
DEFAULT_NUMBER = "+46701740699"


@dataclass(frozen=True, slots=True)
class Charge:
    """One amount taken from the balance, in ten-thousandths of the account's currency.

    `message_id` is the id of a message or a call, and `parts` its parts or minutes.
    """

    message_id: str
    amount: int
    parts: int
    balance_after: int
    at: datetime


@dataclass(slots=True)
class SandboxNumber:
    """A phone number of the account and where its texts and calls go (docs/configure-number).

    `owner` is the id of the subaccount that it belongs to, "" for the account itself.
    """

    number: str
    allocated_at: datetime
    id: str = field(default_factory=lambda: new_id("n"))
    sms_url: str = ""
    sms_replies: bool = True
    mms_url: str = ""
    voice_start: str = ""
    name: str = ""
    capabilities: tuple[str, ...] = ("sms", "voice", "mms")
    deallocated_at: datetime | None = None
    owner: str = ""

    @property
    def is_active(self) -> bool:
        """Whether the account still has the number."""
        return self.deallocated_at is None


class SandboxNumbers:
    """The numbers of the account. The first is the one that the sandbox itself uses."""

    def __init__(self, own: SandboxNumber) -> None:
        self._all = [own]

    def __iter__(self) -> Iterator[SandboxNumber]:
        """Iterate over the numbers, also those that the account does not have any more."""
        return iter(self._all)

    def __contains__(self, number: object) -> bool:
        """Return whether a number in E.164 is one that the account has."""
        return isinstance(number, str) and self.find(number) is not None

    def add(self, number: SandboxNumber) -> SandboxNumber:
        """Add a number, as renting one does."""
        self._all.append(number)
        return number

    def find(self, number: str) -> SandboxNumber | None:
        """Return the number that the account has with these digits in E.164, or None."""
        return next((each for each in self._all if each.number == number and each.is_active), None)

    def reset(self) -> None:
        """Return to the first number alone, without settings."""
        own = self._all[0]
        self._all = [own]
        own.sms_url, own.sms_replies, own.name = "", True, ""
        own.mms_url, own.voice_start, own.deallocated_at = "", "", None


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
        self._take(message.id, message.cost, message.parts, message.created_at)

    def charge_call(self, call_id: str, cost: int, minutes: int, at: datetime) -> None:
        """Charge a call that has ended; its `minutes` are the parts of the charge."""
        self._take(call_id, cost, minutes, at)

    def _take(self, charged_id: str, cost: int, parts: int, at: datetime) -> None:
        if cost:
            self.balance -= cost
            self.charges.append(Charge(charged_id, cost, parts, self.balance, at))

    def authorizes(self, header: str) -> bool:
        """Return whether an `Authorization` header has this account's credentials (Basic)."""
        return has_credentials(header, self.username, self.password)


def has_credentials(header: str, username: str, password: str) -> bool:
    """Return whether an `Authorization` header has these credentials (Basic)."""
    scheme, _, token = header.partition(" ")
    try:
        given = base64.b64decode(token, validate=True)
    except binascii.Error:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, f"{username}:{password}".encode())
