"""The webhook of an incoming text or MMS: its form, and the action in the answer."""

import json
from typing import Any

from elks_mcp.sandbox.messages import StoredMessage, format_time


def build_incoming_form(message: StoredMessage, picture_address: str = "") -> dict[str, str]:
    """Return the form for an incoming text (docs/receive-sms) or MMS (docs/receive-mms).

    The pictures of an MMS are `image`, `image2`, `image3` and so on, below `picture_address`.
    """
    form = {
        "direction": "incoming",
        "id": message.id,
        "from": message.sender,
        "to": message.to,
        "created": format_time(message.created_at),
        "message": message.text,
    }
    for count, name in enumerate(message.picture_ids, start=1):
        form["image" if count == 1 else f"image{count}"] = f"{picture_address}/{name}.jpg"
    return form


def parse_action(body: str) -> dict[str, Any] | None:
    """Return a webhook's answer as a JSON object, or None for plain text (docs/sms-actions)."""
    try:
        action = json.loads(body)
    except ValueError:
        return None
    return action if isinstance(action, dict) else None
