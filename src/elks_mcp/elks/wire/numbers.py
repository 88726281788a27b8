"""The account's own phone numbers: GET /numbers and POST /numbers/{id}."""

from typing import Any

from pydantic import BaseModel

from elks_mcp.domain.models import OwnNumber
from elks_mcp.elks.wire.field_types import Id, Lenient, Line, parse_body, parse_entry


def parse_numbers(body: bytes) -> tuple[OwnNumber, ...]:
    """Read the numbers that the account still has (https://46elks.com/docs/list-numbers).

    An entry that cannot be read is left out; the others are kept.

    Raises:
        NoAnswer: it is not a list of numbers.
    """
    return tuple(
        OwnNumber(id=each.id, number=each.number, sms_url=each.sms_url or "")
        for raw in parse_body(_NumbersBody, body).data
        if (each := parse_entry(_NumberBody, raw)) and each.id and each.number and each.active != "no"
    )


def build_number(address: str | None) -> dict[str, str]:
    """Build the form that sets a number's webhook for incoming texts; None removes the webhook.

    https://46elks.com/docs/configure-number
    """
    return {"sms_url": address or "none"}


class _NumbersBody(BaseModel):
    data: list[Any]


class _NumberBody(BaseModel):
    id: Lenient[Id] = None
    number: Lenient[Line] = None
    active: Lenient[Line] = None
    sms_url: Lenient[str] = None
