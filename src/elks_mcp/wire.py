"""46elks' format, both ways: forms out, answers in. Nothing here touches a network.

Requests are forms, answers JSON objects, refusals one line of plain text
(https://46elks.com/docs/overview). 46elks' own words stop in this file. Its answers are read
leniently: unknown fields are passed over, and an optional field that cannot be read is absent.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, WrapValidator

from elks_mcp.errors import NoAnswer, OutOfFunds, ProviderError, Rejected, Throttled, Unauthorized
from elks_mcp.models import Account, Direction, Draft, Estimate, Message, Page, Receipt
from elks_mcp.money import Money
from elks_mcp.phone import written
from elks_mcp.text import cleaned

PAGE_SIZE = 100
"""The most messages 46elks returns at once (https://46elks.com/docs/sms-history)."""

LONGEST_WAIT = timedelta(minutes=5)
"""How much of a Retry-After is believed."""

_LONGEST_SAID = 200


# ── forms out ──


def build_sms(draft: Draft, *, dry_run: bool) -> dict[str, str]:
    """Build the form of POST /sms (https://46elks.com/docs/send-sms). A dry run is free."""
    form = {"from": written(draft.sender), "to": draft.to.e164, "message": draft.text}
    if draft.flash:
        form["flashsms"] = "yes"
    if dry_run:
        form["dryrun"] = "yes"
    return form


def build_history_query(*, limit: int, before: datetime | None = None) -> dict[str, str]:
    """Build the query of GET /sms: at most `limit` (1–100) messages, those before a moment.

    46elks calls the newer bound `start` and the older one `end`
    (https://46elks.com/docs/sms-history).
    """
    query = {"limit": str(min(limit, PAGE_SIZE))}
    if before:
        query["start"] = build_time(before)
    return query


def build_time(moment: datetime) -> str:
    """Write a moment as 46elks does: UTC, microseconds, no zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


# ── answers in ──


def parse_time(value: object) -> datetime | None:
    """Read a moment in any of the forms 46elks' documentation shows; None where it is none of them.

    `2018-06-25T08:40:22.109482` and `2016-11-03 12:30:18` have no zone and are UTC;
    `2017-03-14T09:52:10Z` has.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        found = re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", value)
        return parse_time(found.group()) if found and found.group() != value else None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_estimate(body: bytes, currency: str) -> Estimate:
    """Read the answer of a dry run.

    Raises:
        NoAnswer: there is no price in it.
    """
    answer = _read(_Estimate, body)
    return Estimate(price=Money(answer.estimated_cost, currency), parts=answer.parts)


def parse_receipt(body: bytes, currency: str) -> Receipt:
    """Read 46elks' acceptance of a text.

    Raises:
        NoAnswer: it has no message id, so nobody can say whether a text was accepted.
    """
    answer = _read(_Accepted, body)
    return Receipt(
        message_id=answer.id,
        status=answer.status or "created",
        created_at=answer.created,
        cost=_money(answer.cost, currency),
        parts=answer.parts,
    )


def parse_message(body: bytes, currency: str) -> Message:
    """Read one message of the history (https://46elks.com/docs/show-sms-id).

    Raises:
        NoAnswer: it is none.
    """
    return _message(_read(_Sms, body), currency)


def parse_page(body: bytes, currency: str) -> Page:
    """Read a page of history.

    Raises:
        NoAnswer: it is none.
    """
    page = _read(_Page, body)
    return Page(messages=tuple(_message(sms, currency) for sms in page.data), older_from=page.next)


def parse_account(body: bytes) -> Account:
    """Read GET /me (https://46elks.com/docs/get-account), leaving out whose account it is.

    Raises:
        NoAnswer: there is no balance in it.
    """
    answer = _read(_Me, body)
    return Account(id=answer.id, balance=Money(answer.balance, answer.currency or ""))


def parse_refusal(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Turn an answer other than 200 into the error it means.

    46elks uses 401 for credentials and 403 for everything it does not like about a request;
    its wording is the only further detail.
    """
    said = _said(headers.get("content-type", ""), body)
    quoted = f': "{said}"' if said else "."
    if status == 401:  # noqa: PLR2004
        return Unauthorized(f"46elks does not accept the API credentials{quoted}", status=status, said=said)
    if status == 429:  # noqa: PLR2004
        wait = parse_retry_after(headers)
        return Throttled(f"46elks takes no more requests for now (429){quoted}", retry_after=wait, said=said)
    if status >= 500 or status in {200, 408}:  # noqa: PLR2004
        return NoAnswer(f"46elks failed with status {status}{quoted}", status=status, said=said)
    if status < 400:  # noqa: PLR2004
        return Rejected(
            f"46elks answered with a redirect ({status}), which is never followed.",
            hint="Check ELKS_API_BASE_URL; it should be https://api.46elks.com/a1.",
            status=status,
        )
    if re.search(r"\b(credits?|balance|funds)\b", said, re.IGNORECASE):
        return OutOfFunds(f"46elks says there is no money for this{quoted}", status=status, said=said)
    return Rejected(f"46elks refused it ({status}){quoted}", hint=_hint(said), status=status, said=said)


def parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read Retry-After, seconds or a date beside the answer's Date; None where it says nothing.

    No more than five minutes are believed.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return min(timedelta(seconds=int(value)), LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return min(max(wait, timedelta()), LONGEST_WAIT)


def parse_unreadable(said: str = "") -> NoAnswer:
    """Say that 46elks answered 200 with something that is no answer."""
    return NoAnswer(f"46elks' answer could not be read{f': {said}' if said else ''}.", status=200)


# ── 46elks' objects, as far as we use them ──


def _or_none(value: Any, handler: Any) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


T = TypeVar("T")
Lenient = Annotated[T | None, WrapValidator(_or_none)]
Time = Annotated[datetime | None, BeforeValidator(parse_time)]


class _Estimate(BaseModel):
    estimated_cost: int
    parts: Lenient[int] = None


class _Accepted(BaseModel):
    id: Annotated[str, Field(min_length=1)]
    status: Lenient[str] = None
    created: Time = None
    cost: Lenient[int] = None
    parts: Lenient[int] = None


class _Sms(_Accepted):
    direction: Lenient[str] = None
    sender: Annotated[str, Field(alias="from")] = ""
    to: str = ""
    message: Lenient[str] = None
    delivered: Time = None


class _Page(BaseModel):
    data: list[_Sms]
    next: Time = None


class _Me(BaseModel):
    id: str = ""
    balance: int
    currency: Lenient[str] = None


_Answer = TypeVar("_Answer", bound=BaseModel)


def _read(kind: type[_Answer], body: bytes) -> _Answer:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise parse_unreadable(_fault(error)) from None


def _fault(error: ValidationError) -> str:
    """Name what is wrong with an answer, never repeating what stands in it."""
    first = error.errors(include_input=False, include_url=False)[0]
    if first["type"] == "json_invalid":
        return "it is not JSON"
    place = ".".join(str(step) for step in first["loc"])
    return f"it has no usable {place}" if place else "it is not a JSON object"


def _message(sms: _Sms, currency: str) -> Message:
    inbound = sms.direction == "incoming"
    return Message(
        id=sms.id,
        direction=Direction.INBOUND if inbound else Direction.OUTBOUND,
        is_reply=sms.direction == "outgoing-reply",
        sender=sms.sender,
        to=sms.to,
        created_at=sms.created,
        delivered_at=sms.delivered,
        status="received" if inbound else sms.status or "unknown",
        text=sms.message,
        cost=_money(sms.cost, currency),
        parts=sms.parts,
    )


def _money(units: int | None, currency: str) -> Money | None:
    return None if units is None else Money(units, currency)


def _said(content_type: str, body: bytes) -> str:
    """Take 46elks' one line, cleaned and cut; a page of HTML is not 46elks' line."""
    if "html" in content_type or body.lstrip()[:1] == b"<":
        return ""
    text = cleaned(body[: 4 * _LONGEST_SAID].decode("utf-8", "replace")).strip()
    return text.splitlines()[0][:_LONGEST_SAID] if text else ""


_HINTS = {
    "disallowed by default": "The country is blocked on the account; ask 46elks' support to open it.",
    "missing key": "46elks wants a value for it.",
    "alphanumeric": "A text sender is 3–11 letters A–Z or digits, the first a letter.",
    "invalid to": "Check the recipient's number.",
    "from": "Check the sender: a number of the account, or 3–11 letters or digits.",
}


def _hint(said: str) -> str:
    words = said.lower()
    return next((hint for word, hint in _HINTS.items() if word in words), Rejected.default_hint)
