"""Calls and recordings in 46elks' answers: their fields, in order (docs/show-call-id)."""

from typing import Any

from elks_mcp.sandbox.messages import format_time, to_milliseconds
from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.voice.call_log import StoredCall, StoredRecording


def accepted(call: StoredCall) -> dict[str, Any]:
    """Return the answer to an accepted POST (official specification)."""
    return {
        "direction": call.direction,
        "from": call.sender,
        "created": format_time(call.created_at),
        "to": call.to,
        "state": call.state,
        "id": call.id,
    }


def item(call: StoredCall, owner: str, rules: Rules) -> dict[str, Any]:
    """Return one call; without a pick-up it has only the fields of the answer to the POST."""
    if call.started_at is None:
        return accepted(call) | {"created": format_time(call.stored_at)}
    shown: dict[str, Any] = {
        "direction": call.direction,
        "from": call.sender,
        "to": call.to,
        "created": format_time(call.stored_at),
    }
    is_over = call.ended_at is not None
    if call.direction == "outgoing":
        shown["owner"] = owner
    if is_over or rules.ongoing_shows_actions:
        shown["actions"] = show_actions(call, with_results=rules.actions_carry_results)
    shown["start"] = format_time(to_milliseconds(call.started_at))
    shown["state"] = call.state
    if is_over:
        shown["cost"] = call.cost
    if call.direction == "outgoing":
        shown["timeout"] = call.timeout
    if is_over:
        shown["duration"] = call.duration
    shown["legs"] = show_legs(call)
    if call.recordings:
        shown["recordings"] = list(call.recordings)
    return shown | {"id": call.id}


def show_actions(call: StoredCall, *, with_results: bool) -> list[dict[str, Any]]:
    """Return the actions that were carried out, with their results unless they go on."""
    return [
        run.action | ({"result": run.result} if with_results and run.result is not None else {})
        for run in call.actions
    ]


def show_legs(call: StoredCall) -> list[dict[str, Any]]:
    """Return the calls that the action `connect` made."""
    return [
        {"duration": leg.duration, "to": leg.to, "state": leg.state, "from": leg.sender} for leg in call.legs
    ]


def show_recording(recording: StoredRecording) -> dict[str, Any]:
    """Return one recording (official specification)."""
    return {
        "duration": recording.duration,
        "id": recording.id,
        "created": format_time(recording.stored_at),
    }
