"""The account: GET /me (https://46elks.com/docs/get-account)."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictBool

from elks_mcp.domain.models import Account
from elks_mcp.domain.money import Money
from elks_mcp.elks.wire.field_types import Id, Lenient, Units, parse_body


def parse_account(body: bytes) -> Account:
    """Read id, balance and currency. The holder's name, e-mail and phone number are not read.

    Raises:
        NoAnswer: it has no balance.
    """
    answer = parse_body(_AccountBody, body)
    return Account(id=answer.id or "", balance=Money(answer.balance, answer.currency or ""))


def parse_currency(body: bytes) -> str:
    """Read the currency alone; "" if it cannot be read.

    The other fields may hold anything.

    Raises:
        NoAnswer: it is not an account.
    """
    return parse_body(_CurrencyBody, body).currency or ""


def parse_sandbox(body: bytes) -> bool:
    """Return whether an account says that it is a sandbox; 46elks has no such field.

    Raises:
        NoAnswer: it is not an account.
    """
    return parse_body(_SandboxBody, body).sandbox is True


class _SandboxBody(BaseModel):
    sandbox: Lenient[StrictBool] = None


class _CurrencyBody(BaseModel):
    currency: Lenient[Annotated[str, Field(pattern=r"^[A-Z]{3}$")]] = None


class _AccountBody(_CurrencyBody):
    id: Lenient[Id] = None
    balance: Units
