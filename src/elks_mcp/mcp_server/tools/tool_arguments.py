"""Check the arguments of a call, and explain in sentences what is wrong with them."""

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from elks_mcp.app import App
from elks_mcp.domain.contact_search import show_with_digits
from elks_mcp.domain.contacts import quote_name
from elks_mcp.domain.mms_payload import MOST_PASTED_PICTURE
from elks_mcp.domain.payloads import LONGEST_TEXT
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.validation import is_empty_word, wanted
from elks_mcp.sending.batch_sources import MOST_PASTED

WIRE_NAMES = {
    "sender": "from",
    "dry_run": "dryRun",
    "idempotency_key": "idempotencyKey",
    "send_at": "sendAt",
    "time_zone": "timeZone",
    "message_id": "messageId",
    "order_id": "orderId",
    "seconds": "timeout",
    "person": "with",
    "rest_of": "restOf",
    "test_row": "testRow",
    "batch_id": "batchId",
    "alert_id": "alertId",
    "recording_id": "recordingId",
}
"""Parameters whose Python name differs from the public one."""

PYTHON_NAMES = {wire: python for python, wire in WIRE_NAMES.items()}

ALIASES = {"dry_run": "dryRun", "message_id": "messageId"}
"""Alternative spellings that are accepted but not listed."""

INJECTED = frozenset({"toolCallId", "sessionId", "action", "chatInput", "random_string"})
"""Arguments that clients add to every call: the first four n8n (n8n-io/n8n#21500), the last Cursor.

Each is ignored by a tool that has no parameter of that name.
"""

_NEVER_BLANK = "dryRun"
"""A blank `dryRun` may have meant true, so it is refused instead of read as the operator's default (P1)."""


def is_absent(name: str, value: Any) -> bool:
    """Return whether an optional argument is empty: null, blank, or a word for null."""
    if not isinstance(value, str):
        return value is None
    return is_empty_word(value) or (not value.strip() and name != _NEVER_BLANK)


async def check_not_named(app: App, arguments: dict[str, Any]) -> None:
    """Refuse a word for null that is also a contact's name.

    Without it, a call about one person would be about everybody.

    Raises:
        InvalidInput: an optional argument that names a person is such a word.
    """
    for name in _ONE_PERSON & arguments.keys():
        value = arguments[name]
        if not (isinstance(value, str) and is_empty_word(value) and app.contacts.path):
            continue
        if named := (await app.contacts.read_leniently()).list_named(value):
            shown = quote_name(show_with_digits(named[0], named[0].numbers[0]) if named[0].numbers else value)
            raise InvalidInput(
                f"`{name}` is {quote_name(value)}, which is a contact's name and a word for no value.",
                hint=f"Write {shown} for the contact, or leave `{name}` out.",
            )


_ONE_PERSON = frozenset({"with", "from"})


def check_length(name: str, value: Any) -> None:
    """Refuse an argument that is too long, before it is processed."""
    most = _LONGEST.get(name, _LONGEST_ARGUMENT)
    if isinstance(value, list):
        value = json.dumps(value, default=str)
    if isinstance(value, str) and len(value) > most:
        raise InvalidInput(
            f"`{name[:_LONGEST_SHOWN]}` has {len(value):,} characters; {most:,} is the most.",
            hint="Shorten it.",
        )


def list_faults(error: ValidationError) -> list[str]:
    """Return one sentence about each invalid argument."""
    return [_sentence(fault) for fault in error.errors(include_url=False)]


def _sentence(fault: ErrorDetails) -> str:
    field = str(fault["loc"][0])
    name = WIRE_NAMES.get(field, field)
    if fault["type"] == "missing":
        return f"`{name}` is missing."
    return f"`{name}` cannot be {_shown(fault['input'])}: {wanted(fault)}."


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


_LONGEST_SHOWN = 40
_LONGEST_ARGUMENT = 200
"""Characters in an argument: numbers, names, keys, times."""

_LONGEST = {
    "message": LONGEST_TEXT,
    "image": MOST_PASTED_PICTURE + 100,
    "say": LONGEST_TEXT,
    "messageId": 1500,
    "message_id": 1500,
    "recipients": MOST_PASTED,
    "csv": MOST_PASTED,
}
"""Arguments that may be longer: texts, lists of ids, and lists of recipients."""
