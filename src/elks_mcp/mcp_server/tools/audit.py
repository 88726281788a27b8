"""Write one audit line for each tool call: tool, caller, outcome, duration and arguments.

Phone numbers are masked; texts and names are replaced by their length.
"""

import logging
from collections.abc import Mapping
from typing import Any

from elks_mcp.mcp_server.hidden_numbers import PEOPLE

log = logging.getLogger("elks_mcp.audit")

_PLAIN = frozenset(
    {
        "direction",
        "limit",
        "dryRun",
        "dry_run",
        "flashsms",
        "timeout",
        "change",
        "again",
        "testRow",
        "index",
        "ask",
    }
)
_LARGEST_SHOWN, _LONGEST_SHOWN = 1000, 8
_MASKED = PEOPLE | {
    "message",
    "image",
    "messageId",
    "message_id",
    "orderId",
    "idempotencyKey",
    "after",
    "since",
    "until",
    "sendAt",
    "timeZone",
    "query",
    "recipients",
    "csv",
    "file",
    "group",
    "name",
    "restOf",
    "batchId",
    "alertId",
    "policy",
    "say",
    "prompt",
    "recordingId",
}
_KNOWN = _PLAIN | _MASKED


def write_audit_line(
    tool: str, arguments: Mapping[str, Any], outcome: str, seconds: float, caller: str = ""
) -> None:
    """Write the audit line of one call, without its texts.

    `seconds`: how long the call took. `caller`: the name of the token that was used, if any.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    shown = {name: _shown(name, value) for name, value in arguments.items() if name in _KNOWN}
    unknown = len(arguments) - len(shown)
    details = {"tool": tool, "outcome": outcome, "ms": round(seconds * 1000), "arguments": shown}
    details |= {"unknown_arguments": unknown} if unknown else {}
    log.info("tool call", extra=details | ({"caller": caller} if caller else {}))


def _shown(name: str, value: Any) -> Any:
    if name in _PLAIN and (value is None or (isinstance(value, int) and 0 <= value <= _LARGEST_SHOWN)):
        return value
    text = str(value)
    if name in _PLAIN:
        return text[:_LONGEST_SHOWN] if text.isalpha() else f"({len(text)} characters)"
    is_number = name in PEOPLE and not any(map(str.isalpha, text))  # three letters can be a whole name
    return f"{text[:3]}… ({len(text)} characters)" if is_number else f"({len(text)} characters)"
