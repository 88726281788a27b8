"""46elks' format, both ways: forms out, answers in. Nothing here touches a network.

Requests are forms, answers JSON objects, refusals one line of plain text
(https://46elks.com/docs/overview). 46elks' own words stop in this file. Its answers are read
leniently: unknown fields are passed over, and an optional field that cannot be read is absent.
"""

import json
import re
from collections.abc import Collection, Mapping
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    WrapValidator,
    model_validator,
)

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.models import (
    Account,
    Direction,
    Draft,
    Estimate,
    Message,
    OwnNumber,
    Page,
    Receipt,
    Report,
    UnreadRow,
)
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import is_plain_number, read_other_party, written
from elks_mcp.errors import NoAnswer, OutOfFunds, ProviderError, Rejected, Throttled, Unauthorized

PAGE_SIZE = 100
"""The most messages 46elks returns at once (https://46elks.com/docs/sms-history)."""

LONGEST_WAIT = timedelta(minutes=5)
"""How much of a Retry-After is believed."""

LONGEST_LINE = 4096
"""More bytes than this are not the one line that 46elks refuses with."""

_LONGEST_NAME = 20
_LONGEST_STATUS = 20
_LONGEST_SAID = 200


# ── forms out ──


def build_sms(draft: Draft, *, dry_run: bool, report_to: str | None = None) -> dict[str, str]:
    """Build the form of POST /sms (https://46elks.com/docs/send-sms). A dry run is free.

    `report_to` is where 46elks tells of the delivery; it may carry a reference of ours
    (https://46elks.com/docs/sms-delivery-reports).
    """
    form = {"from": written(draft.sender), "to": draft.to.e164, "message": draft.text}
    if draft.flash:
        form["flashsms"] = "yes"
    if dry_run:
        form["dryrun"] = "yes"
    elif report_to:
        form["whendelivered"] = report_to
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
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


# ── answers in ──


def parse_time(value: object) -> datetime | None:
    """Read a moment in any of the forms 46elks' documentation shows; None where it is none of them.

    `2018-06-25T08:40:22.109482` and `2016-11-03 12:30:18` have no zone and are UTC;
    `2017-03-14T09:52:10Z` has. Of the malformed `2016-10-01T12:00:00:00.11` the part that makes
    sense is taken.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        found = re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}", value)
        return parse_time(found.group()) if found and found.group() != value else None
    if not MINYEAR < moment.year < MAXYEAR:
        return None  # at either end of the calendar, zones and overlaps cannot be reckoned with
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_estimate(body: bytes, currency: str) -> Estimate:
    """Read the answer of a dry run.

    Raises:
        NoAnswer: there is no price in it.
    """
    answer = _read(_EstimateBody, body)
    return Estimate(price=Money(answer.estimated_cost, currency), parts=answer.parts)


def parse_receipt(body: bytes, currency: str) -> Receipt:
    """Read 46elks' acceptance of a text.

    Raises:
        NoAnswer: it has no message id, so nobody can say whether a text was accepted.
    """
    answer = _read(_AcceptedBody, body)
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
    return _message(_read(_SmsBody, body), currency)


def is_picture_id(message_id: str) -> bool:
    """Return whether an id is that of a picture message (https://46elks.com/docs/show-mms-id)."""
    return re.fullmatch(r"m[0-9a-f]{32}", message_id) is not None


def parse_page(body: bytes, currency: str) -> Page:
    """Read a page of history. A row that cannot be read is in `Page.unread` and hides no other.

    Raises:
        NoAnswer: it is no page, or nobody can say where the next one starts.
    """
    page = _read(_PageBody, body)
    rows = [_try_read(_RowBody, raw) or _RowBody() for raw in page.data]
    times = [row.created for row in rows]
    usable = (row for row in rows if row.id and _direction(row))
    return Page(
        messages=tuple(_message(row, currency) for row in usable),
        older_from=_older_from(page.next, [moment for moment in times if moment]) if rows else None,
        unread=tuple(
            unread
            for index, row in enumerate(rows)
            if (unread := _find_unread(row, page.data[index], next(filter(None, times[:index][::-1]), None)))
        ),
    )


def _find_unread(row: "_RowBody", raw: object, not_after: datetime | None) -> UnreadRow | None:
    """Return what is to be known of a row of history if something that matters in it cannot be read."""
    direction = _direction(row)
    is_left_out = not row.id or direction is None
    may_be_stop = direction is not Direction.OUTBOUND and (
        is_left_out or not _name(row.sender) or (row.message is None and not row.is_picture)
    )
    may_be_sent = direction is not Direction.INBOUND and (
        is_left_out or not _name(row.to) or row.created is None
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


def parse_account(body: bytes) -> Account:
    """Read GET /me (https://46elks.com/docs/get-account), leaving out whose account it is.

    Raises:
        NoAnswer: there is no balance in it.
    """
    answer = _read(_AccountBody, body)
    return Account(id=answer.id or "", balance=Money(answer.balance, answer.currency or ""))


def parse_currency(body: bytes) -> str:
    """Read the currency of GET /me; "" if it cannot be read, whatever else is in the answer.

    Raises:
        NoAnswer: it is no account.
    """
    return _read(_CurrencyBody, body).currency or ""


def parse_numbers(body: bytes) -> tuple[OwnNumber, ...]:
    """Read the account's own numbers, those it has still (https://46elks.com/docs/list-numbers).

    An entry that cannot be read hides no other.

    Raises:
        NoAnswer: it is no list of them.
    """
    return tuple(
        OwnNumber(id=each.id, number=each.number, tells=each.sms_url or "")
        for raw in _read(_NumbersBody, body).data
        if (each := _try_read(_NumberBody, raw)) and each.id and each.number and each.active != "no"
    )


def build_number(address: str | None) -> dict[str, str]:
    """Build the form that says where incoming texts are told of (https://46elks.com/docs/configure-number)."""
    return {"sms_url": address or "none"}


def parse_refusal(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Collection[str] = ()
) -> ProviderError:
    """Turn an answer that is no success into the error it means.

    46elks uses 401 for credentials and 403 for everything it does not like about a request;
    its wording is the only further detail. `secrets` are left out of it, should it repeat them.
    """
    said = _said(headers.get("content-type", ""), body, secrets)
    quoted = f': "{said}".' if said else "."
    if status == 401:  # noqa: PLR2004
        return Unauthorized(f"46elks does not accept the API credentials{quoted}", status=status, said=said)
    if status == 429:  # noqa: PLR2004
        wait = parse_retry_after(headers)
        return Throttled(f"46elks takes no more requests for now (429){quoted}", retry_after=wait, said=said)
    if status >= 500 or status < 300 or status in _MAY_HAVE_ACTED:  # noqa: PLR2004
        return NoAnswer(f"46elks failed with status {status}{quoted}", status=status, said=said)
    if status < 400:  # noqa: PLR2004
        return Rejected(
            f"46elks answered with a redirect ({status}), which is never followed.",
            hint="Check ELKS_API_BASE_URL; it should be https://api.46elks.com/a1.",
            status=status,
        )
    if status == 402 or _OUT_OF_FUNDS.search(said):  # noqa: PLR2004
        return OutOfFunds(f"46elks says there is no money for this{quoted}", status=status, said=said)
    return Rejected(
        f"46elks refused it ({status}){quoted}", hint=_hint(status, said), status=status, said=said
    )


def parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read Retry-After, seconds or a date beside the answer's Date; None where it says nothing.

    No more than five minutes are believed.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return min(timedelta(seconds=int(value)), LONGEST_WAIT) if len(value) < 10 else LONGEST_WAIT  # noqa: PLR2004
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta()), LONGEST_WAIT)


def parse_unreadable(said: str = "") -> NoAnswer:
    """Say that 46elks reported success with something that is no answer."""
    return NoAnswer(f"46elks' answer could not be read{f': {said}' if said else ''}.", status=200)


# ── what 46elks tells us by itself ──


def parse_report(form: Mapping[str, str], order_id: str | None) -> Report | None:
    """Read a delivery report (https://46elks.com/docs/sms-delivery-reports); None where it is none.

    `order_id` is the reference of ours that it carries back.
    """
    try:
        report = _ReportForm.model_validate(form)
    except ValidationError:
        return None
    ours = order_id if order_id and re.fullmatch(r"O-[A-Z0-9]{8}", order_id) else None
    return Report(message_id=report.id, status=report.status, order_id=ours)


def parse_incoming(form: Mapping[str, str], now: datetime) -> Message | None:
    """Read an incoming text or picture message; None if it is neither.

    https://46elks.com/docs/receive-sms, https://46elks.com/docs/receive-mms

    A time that is more than a week off is not believed.
    """
    try:
        sms = _IncomingForm.model_validate(form)
    except ValidationError:
        return None
    message = _message(_SmsBody.model_validate({**form, "direction": "incoming"}), "")
    likely = sms.created is not None and abs(sms.created - now) < _LIKELY
    return message.model_copy(update={"created_at": sms.created if likely else now})


_LIKELY = timedelta(days=7)


# ── 46elks' objects, as far as we use them ──


def _or_none(value: Any, handler: Any) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _without_switch(value: Any) -> Any:
    """Make nothing of true and false where a number belongs; Python takes them for 1 and 0."""
    return None if isinstance(value, bool) else value


def _tidied(words: str) -> str:
    return cleaned(words).strip()[:_LONGEST_SAID]


def _repaired(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can hold and nothing can pass on."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


T = TypeVar("T")
Lenient = Annotated[T | None, WrapValidator(_or_none)]
Time = Annotated[datetime | None, BeforeValidator(parse_time)]
Id = Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]
Words = Annotated[str, AfterValidator(_tidied)]
StatusField = Annotated[str, AfterValidator(lambda words: _tidied(words)[:_LONGEST_STATUS])]
Whole = Annotated[int, BeforeValidator(_without_switch)]
Units = Annotated[Whole, Field(ge=-(10**15), le=10**15)]
Parts = Annotated[Whole, Field(ge=1, le=10**6)]


class _EstimateBody(BaseModel):
    estimated_cost: Annotated[Units, Field(ge=0)]
    parts: Lenient[Parts] = None


class _AcceptedBody(BaseModel):
    id: Id
    status: Lenient[StatusField] = None
    created: Time = None
    cost: Lenient[Units] = None
    parts: Lenient[Parts] = None


class _SmsBody(_AcceptedBody):
    direction: Lenient[Words] = None
    sender: Annotated[Lenient[Annotated[str, AfterValidator(_repaired)]], Field(alias="from")] = None
    to: Lenient[Words] = None
    message: Lenient[Annotated[str, AfterValidator(_repaired)]] = None
    delivered: Time = None
    image: Lenient[str] = None
    images: Lenient[list[Any]] = None

    @property
    def is_picture(self) -> bool:
        """Whether it is an MMS (https://46elks.com/docs/show-mms-id, https://46elks.com/docs/receive-mms)."""
        return is_picture_id(self.id or "") or bool(self.image or self.images)


class _RowBody(_SmsBody):
    """A row of history, in which nothing has to be readable."""

    id: Lenient[Id] = None  # type: ignore[assignment]


class _ReportForm(BaseModel):
    id: Id
    status: Literal["sent", "delivered", "failed"]


class _IncomingForm(BaseModel):
    id: Id
    direction: Literal["incoming"]
    sender: Annotated[str, Field(alias="from", min_length=1)]
    to: Annotated[str, Field(min_length=1)]
    message: str | None = None
    image: str | None = None
    created: Time = None

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if self.message is None and not self.image:
            raise ValueError("it has neither a text nor a picture")
        return self


class _NumberBody(BaseModel):
    id: Lenient[Id] = None
    number: Lenient[Words] = None
    active: Lenient[Words] = None
    sms_url: Lenient[str] = None


class _NumbersBody(BaseModel):
    data: list[Any]


class _PageBody(BaseModel):
    data: list[Any]
    next: Any = None


class _CurrencyBody(BaseModel):
    currency: Lenient[Annotated[str, Field(pattern=r"^[A-Z]{3}$")]] = None


class _AccountBody(_CurrencyBody):
    id: Lenient[Id] = None
    balance: Units


_BodyType = TypeVar("_BodyType", bound=BaseModel)


def _read(kind: type[_BodyType], body: bytes) -> _BodyType:
    """Read an answer; not with pydantic's own JSON, which lets half a character spoil the whole."""
    try:
        content = json.loads(body.decode("utf-8-sig", "replace"), strict=False, parse_int=_parse_int)
    except (ValueError, RecursionError):
        raise parse_unreadable("it is not JSON") from None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise parse_unreadable(_fault(error)) from None


def _try_read(kind: type[_BodyType], raw: object) -> _BodyType | None:
    """Read one entry of a list; None if it is no object."""
    try:
        return kind.model_validate(raw)
    except ValidationError:
        return None


def _parse_int(digits: str) -> int | None:
    """Read a whole number; one with more digits than any amount is as good as none."""
    return int(digits) if len(digits) < 20 else None  # noqa: PLR2004


def _fault(error: ValidationError) -> str:
    """Name what is wrong with an answer, never repeating what stands in it."""
    first = error.errors(include_input=False, include_url=False)[0]
    location = ".".join(str(step) for step in first["loc"])
    return f"it has no usable {location}" if location else "it is not a JSON object"


def _name(words: str | None) -> str:
    """Read a number or a sender's name, which a stranger chose: one line, and no longer than they get."""
    return " ".join(cleaned(words or "").split())[:_LONGEST_NAME]


def _sender(raw: str, ours: str) -> str:
    """Read who wrote an incoming text: a number if nothing else stands there, otherwise a name.

    Cleaning or cutting a name never turns it into a number, since the sender could then pass for the owner of
    that number. A name that looks like a number begins with U+FFFD.
    """
    number = read_other_party(raw.strip(" "), ours)
    if is_plain_number(number):
        return number
    name = _name(raw)
    looks_like_number = re.fullmatch(r"[0-9+ \-().]+", name) is not None
    return f"\N{REPLACEMENT CHARACTER}{name}" if looks_like_number else name


def _direction(sms: _SmsBody) -> Direction | None:
    words = sms.direction or ""
    if words.startswith("incoming"):
        return Direction.INBOUND
    return Direction.OUTBOUND if words.startswith("outgoing") else None


def _message(sms: _SmsBody, currency: str) -> Message:
    """Make a message.

    If its direction cannot be read, its text and its sender's name may be a stranger's and are left out.
    """
    direction = _direction(sms)
    inbound = direction is Direction.INBOUND
    sender, to = _name(sms.sender), _name(sms.to)
    if inbound:  # else a STOP from `0701740605` or `46701740605` would not count
        sender = _sender(sms.sender or "", to)
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
        text=_text(sms) if direction else None,
        is_picture=sms.is_picture,
        cost=_money(sms.cost, currency),
        parts=sms.parts,
    )


def _text(sms: _SmsBody) -> str | None:
    """Return the text; a picture message without one says nothing."""
    return "" if sms.message is None and sms.is_picture else sms.message


def _older_from(following: object, times: list[datetime]) -> datetime | None:
    """Say where the next page starts: at `next`, or at the oldest of `times`, whichever is later.

    So neither a `next` nor a time that cannot be right passes anything over. Taking an unreadable `next`
    for none would pass off half a history as the whole.
    """
    if not following:
        return None
    moments = [moment for moment in (parse_time(following), min(times, default=None)) if moment]
    if moments:
        return max(moments)
    raise parse_unreadable("it has no usable next")


def _money(units: int | None, currency: str) -> Money | None:
    return None if units is None else Money(units, currency)


def _said(content_type: str, body: bytes, secrets: Collection[str]) -> str:
    """Take 46elks' one line, cleaned and cut; a page of HTML, or a book, is not 46elks' line.

    Secrets go last before the cut: cleaning could put one together that came in pieces.
    """
    text = cleaned(body[: LONGEST_LINE + 1].decode("utf-8", "replace")).strip()
    if not text or len(body) > LONGEST_LINE or "html" in content_type.lower() or _TAG.search(text):
        return ""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text.splitlines()[0][:_LONGEST_SAID]


_TAG = re.compile(r"<\s*[!/?a-z]", re.IGNORECASE)
_OUT_OF_FUNDS = re.compile(r"\b(credits?|balance|funds|usage ?limit)\b", re.IGNORECASE)
"""No refusal for want of money was ever captured, so its words are guessed, its status too (402, 403)."""

_MAY_HAVE_ACTED = frozenset({303, 408})
"""See Other is what follows upon something done; and who timed out may have done it."""

_HINTS = {
    "disallowed by default": "The country is blocked on the account; ask 46elks' support to open it.",
    "missing key": "46elks wants a value for it.",
    "alphanumeric": "A text sender is 3–11 letters A–Z, digits or spaces, the first a letter.",
    "invalid to": "Check the recipient's number.",
    "from": "Check the sender: a number of the account, or 3–11 letters, digits or spaces.",
}


def _hint(status: int, said: str) -> str:
    if status == 404:  # noqa: PLR2004
        return "There is nothing at that address; check ELKS_API_BASE_URL, if it is set."
    words = said.lower()
    return next((hint for word, hint in _HINTS.items() if word in words), Rejected.default_hint)
