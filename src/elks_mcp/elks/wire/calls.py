"""Making a call, and reading calls: POST /calls, GET /calls and GET /calls/{id}.

https://46elks.com/docs/make-call, https://46elks.com/docs/call-history, https://46elks.com/docs/show-call-id,
https://46elks.com/docs/call-actions
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from elks_mcp.domain.call_payload import Call, require_call
from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks
from elks_mcp.domain.calls import (
    MOST_DIGITS,
    SECONDS_FOR_A_DIGIT,
    TIMES_PLAYED,
    CallEvent,
    CallPage,
    CallRecord,
    CallState,
    count_minutes,
    parse_digits,
)
from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.models import Direction
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Estimate, Receipt
from elks_mcp.domain.phone import written
from elks_mcp.elks.wire.field_types import (
    Id,
    Lenient,
    Line,
    Time,
    Units,
    Whole,
    parse_body,
    parse_cost,
    parse_entry,
)
from elks_mcp.elks.wire.history import parse_older_from

_BEEP = "sound/beep"
_ENGLISH = "en_US/"
"""The prefix of a text that 46elks speaks itself, in English: a beta (https://46elks.com/docs/voice-play)."""

LONGEST_ENGLISH = 180
"""The most characters that 46elks speaks well."""

_STATES = {
    "ongoing": CallState.ONGOING,
    "success": CallState.ANSWERED,
    "busy": CallState.BUSY,
    "failed": CallState.FAILED,
}
_NOTHING_PRESSED = "failed"
"""The result of a menu if nothing was pressed; the documentation does not say it."""

_LONGEST_NAME = 20
_HANG_UP = {"hangup": "reject"}
HANG_UP = b'{"hangup":"reject"}'
"""The action that ends a call."""


def build_call(draft: Draft, *, callbacks: Callbacks = NO_CALLBACKS) -> dict[str, str]:
    """Build the form of POST /calls.

    Args:
        draft: what is said to whom, from which number.
        callbacks: where 46elks fetches the audio, asks how to go on after digits, and reports the end.
    """
    call = require_call(draft.payload)
    form = {
        "from": written(draft.sender),
        "to": draft.to.e164,
        "voice_start": json.dumps(_build_action(call, callbacks), ensure_ascii=False, separators=(",", ":")),
        "timeout": str(call.ring),
    }
    if callbacks.report:
        form["whenhangup"] = callbacks.report
    return form


def _build_action(call: Call, callbacks: Callbacks) -> dict[str, Any]:
    """Return what happens once somebody picks up.

    Each path ends with the action that ends the call, so that its length does not depend on what 46elks does
    after the last action. No action leads back to another one.
    """
    if call.digits == 0:
        plays = {"play": callbacks.audio or f"{_ENGLISH}{call.text}", "skippable": False}
        return plays | {"next": plays | {"next": _HANG_UP}}
    menu = {
        "digits": call.digits,
        "timeout": SECONDS_FOR_A_DIGIT,
        "next": callbacks.pressed or _HANG_UP,  # the server at that address answers with it
    }
    if callbacks.audio:
        return {"ivr": callbacks.audio, "repeat": TIMES_PLAYED, **menu}
    # Only `play` is documented to speak, so a beep asks for the digits.
    asks = {"ivr": _BEEP, "repeat": TIMES_PLAYED, **menu}
    return {"play": f"{_ENGLISH}{call.text}", "skippable": False, "next": asks}


def price_call(draft: Draft, currency: str) -> Estimate:
    """Return the most that a call may cost by what its operator reserves for a minute.

    46elks has no dry run for calls, and its API names no prices.
    """
    call = require_call(draft.payload)
    minutes = count_minutes(call.longest)
    return Estimate(price=Money(call.per_minute * minutes, currency), parts=minutes)


def parse_call_receipt(body: bytes, currency: str) -> Receipt:
    """Read the answer that accepts a call.

    Raises:
        NoAnswer: it has no id, so it is unknown whether 46elks makes the call.
    """
    answer = parse_body(_CallBody, body)
    return Receipt(
        message_id=answer.id,
        status=answer.state or "ongoing",
        created_at=answer.created,
        cost=parse_cost(answer.cost, currency),
    )


def parse_call(body: bytes, currency: str) -> CallRecord:
    """Read one call.

    Raises:
        NoAnswer: it is not a call.
    """
    return _build_record(parse_body(_CallBody, body), currency)


def parse_call_page(body: bytes, currency: str) -> CallPage:
    """Read a page of calls; rows that cannot be read are counted.

    Raises:
        NoAnswer: it is not a page, or the start of the next page is unknown.
    """
    page = parse_body(_CallPageBody, body)
    rows = [parse_entry(_CallBody, raw) for raw in page.data]
    times = [row.created for row in rows if row and row.created]
    return CallPage(
        calls=tuple(_build_record(row, currency) for row in rows if row),
        older_from=parse_older_from(page.next, times) if rows else None,
        unread=sum(row is None for row in rows),
    )


def parse_pressed(form: Mapping[str, str], order_id: str) -> CallEvent | None:
    """Read the webhook after a menu, which says what was pressed; None if it is not one.

    https://46elks.com/docs/voice-ivr
    """
    event = _read_event(form, order_id)
    result = form.get("result", "")
    digits = "" if result == _NOTHING_PRESSED else parse_digits(result, MOST_DIGITS)
    if event is None or digits is None or "result" not in form:
        return None
    return event.model_copy(update={"digits": digits})


def parse_ended(form: Mapping[str, str], order_id: str) -> CallEvent | None:
    """Read the webhook at the end of a call; None if it is not one.

    Its numbers are text, and its actions are JSON as text. https://46elks.com/docs/call-actions
    """
    event = _read_event(form, order_id)
    state = _STATES.get(form.get("state", ""), CallState.UNKNOWN)
    if event is None or state is CallState.ONGOING:
        return None
    return event.model_copy(
        update={
            "state": state,
            "digits": _find_digits(_read_json(form.get("actions", ""))),
            "seconds": _read_whole(form.get("duration", "")),
            "cost_units": _read_whole(form.get("cost", "")),
        }
    )


def _read_event(form: Mapping[str, str], order_id: str) -> CallEvent | None:
    """Return the part that all webhooks about a call have; the id has one of two names."""
    try:
        known = _EventForm.model_validate({"callid": form.get("id"), **form})
    except ValidationError:
        return None
    return CallEvent(order_id=order_id, call_id=known.callid, sender=known.sender, to=known.to)


def _read_whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None  # noqa: PLR2004


def _read_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _find_digits(actions: object) -> str | None:
    """Return what was pressed at the last menu whose result is known; None if there is none.

    A call that does not carry results says nothing, so that digits stay unknown instead of missing.
    """
    found = None
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict) and "ivr" in action and isinstance(action.get("result"), str):
            result = action["result"]
            found = "" if result == _NOTHING_PRESSED else parse_digits(result, MOST_DIGITS)
    return found


def _build_record(call: "_CallBody", currency: str) -> CallRecord:
    return CallRecord(
        id=call.id,
        direction=_DIRECTIONS.get(call.direction or ""),
        sender=_clean_party(call.sender),
        to=_clean_party(call.to),
        state=_STATES.get(call.state or "", CallState.UNKNOWN),
        created_at=call.created,
        started_at=call.start,
        seconds=call.duration,
        cost=parse_cost(call.cost, currency),
        digits=_find_digits(call.actions),
        recordings=tuple(each for each in call.recordings or () if isinstance(each, str) and each.isascii()),
    )


_DIRECTIONS = {"incoming": Direction.INBOUND, "outgoing": Direction.OUTBOUND}


def _clean_party(name: str | None) -> str:
    """Return a number or a name, which a stranger may have chosen, as one short line."""
    return " ".join(cleaned(name or "").split())[:_LONGEST_NAME]


class _CallBody(BaseModel):
    id: Id
    direction: Lenient[Line] = None
    sender: Annotated[Lenient[str], Field(alias="from")] = None
    to: Lenient[Line] = None
    state: Lenient[Line] = None
    created: Time = None
    start: Time = None
    duration: Lenient[Annotated[Whole, Field(ge=0, le=10**7)]] = None
    cost: Lenient[Units] = None
    actions: Lenient[list[Any]] = None
    recordings: Lenient[list[Any]] = None


class _CallPageBody(BaseModel):
    data: list[Any]
    next: Any = None


class _EventForm(BaseModel):
    callid: Id
    sender: Annotated[str, Field(alias="from", min_length=1, max_length=100)]
    to: Annotated[str, Field(min_length=1, max_length=100)]
