"""The account's messages: GET /sms and GET /sms/{id} (https://46elks.com/docs/sms-history)."""

import json
import re
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from pydantic import BaseModel, Field

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.models import Direction, Message, Page, UnreadRow
from elks_mcp.domain.phone import is_plain_number, read_other_party
from elks_mcp.elks.wire.field_types import (
    Id,
    Lenient,
    Line,
    MessageText,
    Time,
    build_time,
    build_unreadable,
    parse_body,
    parse_cost,
    parse_entry,
    parse_time,
)
from elks_mcp.elks.wire.mms import Images, list_image_ids
from elks_mcp.elks.wire.sms import AcceptedBody

PAGE_SIZE = 100
"""The most messages in one answer (https://46elks.com/docs/sms-history)."""

_LONGEST_NAME = 20


def build_history_query(*, limit: int, before: datetime | None = None) -> dict[str, str]:
    """Build the query of GET /sms: at most `limit` messages (1–100), created before a moment.

    46elks calls the newer bound `start` and the older one `end` (https://46elks.com/docs/sms-history).
    """
    query = {"limit": str(min(limit, PAGE_SIZE))}
    if before:
        query["start"] = build_time(before)
    return query


def parse_message(body: bytes, currency: str) -> Message:
    """Read one message (https://46elks.com/docs/show-sms-id).

    Raises:
        NoAnswer: it is not a message.
    """
    return build_message(parse_body(SmsBody, body), currency)


def parse_page(body: bytes, currency: str) -> Page:
    """Read a page of history.

    A row that cannot be read goes into `Page.unread`; the other rows are kept.

    Raises:
        NoAnswer: it is not a page, or the start of the next page is unknown.
    """
    page = parse_body(_PageBody, body)
    rows = [parse_entry(_RowBody, raw) or _RowBody() for raw in page.data]
    times = [row.created for row in rows]
    usable = (row for row in rows if row.id and _parse_direction(row))
    return Page(
        messages=tuple(build_message(row, currency) for row in usable),
        older_from=parse_older_from(page.next, [moment for moment in times if moment]) if rows else None,
        unread=tuple(
            unread
            for index, row in enumerate(rows)
            if (unread := _find_unread(row, page.data[index], next(filter(None, times[:index][::-1]), None)))
        ),
    )


def is_picture_id(message_id: str) -> bool:
    """Return whether an id is that of a picture message (https://46elks.com/docs/show-mms-id)."""
    return re.fullmatch(r"m[0-9a-f]{32}", message_id) is not None


class SmsBody(AcceptedBody):
    """A message of history, or one that a webhook brings."""

    direction: Lenient[Line] = None
    sender: Annotated[Lenient[MessageText], Field(alias="from")] = None
    to: Lenient[Line] = None
    message: Lenient[MessageText] = None
    delivered: Time = None
    image: Lenient[str] = None
    images: Images = None

    @property
    def is_picture(self) -> bool:
        """Whether it is an MMS.

        https://46elks.com/docs/show-mms-id, https://46elks.com/docs/receive-mms
        """
        return is_picture_id(self.id or "") or bool(self.image or self.images)


class _RowBody(SmsBody):
    """A row of history, in which any field may be unreadable."""

    id: Lenient[Id] = None  # type: ignore[assignment]


class _PageBody(BaseModel):
    data: list[Any]
    next: Any = None


def build_message(sms: SmsBody, currency: str) -> Message:
    """Return 46elks' message as one of ours.

    If its direction cannot be read, a stranger may have written its text and its sender's name, so both are
    left out.
    """
    direction = _parse_direction(sms)
    inbound = direction is Direction.INBOUND
    sender, to = _clean_name(sms.sender), _clean_name(sms.to)
    if inbound:  # a STOP from `0701740605` or `46701740605` has to count for +46701740605
        sender = _parse_stranger(sms.sender or "", to)
    else:
        to = read_other_party(to, sender)
    if direction is None and not is_plain_number(sender):
        sender = ""
    return Message(
        id=sms.id,
        direction=direction or Direction.OUTBOUND,
        is_reply=sms.direction == "outgoing-reply",
        sender=sender,
        to=to,
        created_at=sms.created,
        delivered_at=sms.delivered,
        status="received" if inbound else sms.status or "unknown",
        text=_parse_text(sms) if direction else None,
        is_picture=sms.is_picture,
        image_ids=list_image_ids(sms.images),
        cost=parse_cost(sms.cost, currency),
        parts=sms.parts,
    )


def _parse_direction(sms: SmsBody) -> Direction | None:
    direction = sms.direction or ""
    if direction.startswith("incoming"):
        return Direction.INBOUND
    return Direction.OUTBOUND if direction.startswith("outgoing") else None


def _parse_text(sms: SmsBody) -> str | None:
    """Return the text; an empty one for a picture message without any."""
    return "" if sms.message is None and sms.is_picture else sms.message


def _clean_name(name: str | None) -> str:
    """Return a number or a name, which a stranger may have chosen, as one short line."""
    return " ".join(cleaned(name or "").split())[:_LONGEST_NAME]


def _parse_stranger(raw: str, ours: str) -> str:
    """Read the sender of an incoming text: a number if that is all there is, otherwise a name.

    Cleaning or cutting a name never turns it into a number, since the sender could then pass for the owner of
    that number. A name that looks like a number begins with U+FFFD.
    """
    number = read_other_party(raw.strip(" "), ours)
    if is_plain_number(number):
        return number
    name = _clean_name(raw)
    looks_like_number = re.fullmatch(r"[0-9+ \-().]+", name) is not None
    return f"\N{REPLACEMENT CHARACTER}{name}" if looks_like_number else name


def _find_unread(row: _RowBody, raw: object, not_after: datetime | None) -> UnreadRow | None:
    """Return what is known of a row in which something that matters cannot be read, or None."""
    direction = _parse_direction(row)
    is_left_out = not row.id or direction is None
    may_be_stop = direction is not Direction.OUTBOUND and (
        is_left_out or not _clean_name(row.sender) or (row.message is None and not row.is_picture)
    )
    may_be_sent = direction is not Direction.INBOUND and (
        is_left_out or not _clean_name(row.to) or row.created is None
    )
    if not (is_left_out or may_be_stop or may_be_sent):
        return None
    return UnreadRow(
        mark=sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:16],
        not_after=not_after,
        is_left_out=is_left_out,
        may_be_stop=may_be_stop,
        may_be_sent=may_be_sent,
    )


def parse_older_from(following: object, times: list[datetime]) -> datetime | None:
    """Return the start of the next page; None after the last page.

    It is `next` or the oldest of `times`, whichever is later, so that a wrong value skips no message. An
    unreadable `next` is an error: taken for the end of history, half of it would pass for the whole.
    """
    if not following:
        return None
    moments = [moment for moment in (parse_time(following), min(times, default=None)) if moment]
    if moments:
        return max(moments)
    raise build_unreadable("it has no usable next")
