"""The account's own phone numbers: GET /numbers and POST /numbers/{id}."""

from typing import Any

from pydantic import BaseModel

from elks_mcp.domain.numbers import NumberChange, OwnNumber
from elks_mcp.elks.wire.field_types import Id, Lenient, Line, parse_body, parse_entry


def parse_numbers(body: bytes) -> tuple[OwnNumber, ...]:
    """Read the account's numbers, also those whose rental has ended.

    https://46elks.com/docs/list-numbers

    An entry that cannot be read is left out; the others are kept.

    Raises:
        NoAnswer: it is not a list of numbers.
    """
    return tuple(
        OwnNumber(
            id=each.id,
            number=each.number,
            capabilities=tuple(name for name in each.capabilities or () if isinstance(name, str)),
            name=each.name or "",
            is_active=each.active != "no",
            sms_url=each.sms_url or "",
            mms_url=each.mms_url or "",
            voice_start=each.voice_start or "",
            replies=each.sms_replies != "no",
        )
        for raw in parse_body(_NumbersBody, body).data
        if (each := parse_entry(_NumberBody, raw)) and each.id and each.number
    )


def build_number(change: NumberChange) -> dict[str, str]:
    """Build the form that changes a number; `none` removes a setting.

    https://46elks.com/docs/configure-number
    """
    texts = {name: getattr(change, name) for name in ("name", "sms_url", "mms_url", "voice_start")}
    form = {name: value or "none" for name, value in texts.items() if value is not None}
    if change.replies is not None:
        form["sms_replies"] = "yes" if change.replies else "no"
    return form


class _NumbersBody(BaseModel):
    data: list[Any]


class _NumberBody(BaseModel):
    id: Lenient[Id] = None
    number: Lenient[Line] = None
    active: Lenient[Line] = None
    capabilities: Lenient[list[Any]] = None
    name: Lenient[Line] = None
    sms_url: Lenient[str] = None
    mms_url: Lenient[str] = None
    voice_start: Lenient[str] = None
    sms_replies: Lenient[Line] = None
