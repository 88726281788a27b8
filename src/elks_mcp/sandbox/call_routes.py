"""46elks' routes for calls and recordings."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from elks_mcp.sandbox.api_checks import check_spending, check_webhook, find_owner, plus
from elks_mcp.sandbox.faults import Fault
from elks_mcp.sandbox.messages import PAGE_LIMIT, format_time, parse_time
from elks_mcp.sandbox.network import is_number
from elks_mcp.sandbox.number_routes import is_usable_by
from elks_mcp.sandbox.requests import ApiAnswer, ApiRequest, RefusedError, as_json, plain
from elks_mcp.sandbox.simulation import Simulation
from elks_mcp.sandbox.voice.call_answers import accepted, item, show_recording
from elks_mcp.sandbox.voice.call_log import PageQuery, StoredCall
from elks_mcp.sandbox.voice.exchange import Exchange
from elks_mcp.sandbox.voice.voice_actions import parse_action, read_whole
from elks_mcp.sandbox.webhooks import is_web_address

_REQUIRED = ("from", "to", "voice_start")
_NOT_FOUND = plain(404, "Not found")


def answer(
    simulation: Simulation,
    request: ApiRequest,
    path: Sequence[str],
    at: datetime,
    hidden_since: datetime | None,
) -> ApiAnswer | None:
    """Carry out a request for calls or recordings; return None for a wrong method.

    Calls that were made after `hidden_since` are not in history yet.
    """
    exchange, owner = simulation.exchange, find_owner(simulation, request)

    def is_shown(call: StoredCall) -> bool:
        if owner not in {None, call.subaccount}:
            return False
        return hidden_since is None or call.direction == "incoming" or call.created_at <= hidden_since

    match (request.method, *path):
        case ("POST", "calls"):
            return _make(simulation, request, at)
        case ("GET", "calls"):
            found, older = exchange.log.page(_read_page(request), is_shown)
            return _page([item(call, exchange.account.username, exchange.rules) for call in found], older)
        case (("GET" | "DELETE"), "calls", call_id):
            call = exchange.log.find(call_id)
            return _one_call(exchange, request, call, at) if call and is_shown(call) else _NOT_FOUND
        case ("GET", "recordings"):
            return _list_recordings(exchange, request, at)
        case ("GET", "recordings", recording_id):
            return _one_recording(exchange, recording_id, at)
    return None


def _make(simulation: Simulation, request: ApiRequest, at: datetime) -> ApiAnswer:
    """Make a call (docs/make-call), with the checks in their likely order; there is no dry run."""
    given, rules = request.parameters, simulation.rules
    for key in _REQUIRED:
        if not given.get(key):
            raise RefusedError(f"Missing key {key}")
    sender, to = plus(given["from"]), plus(given["to"])
    number = simulation.numbers.find(sender)
    is_foreign = not is_number(sender) or (rules.own_senders_only and number is None)
    if is_foreign or (number and not is_usable_by(simulation, request.subaccount, number)):
        raise RefusedError("Invalid from number")
    _check_start(simulation, given["voice_start"])
    if whenhangup := given.get("whenhangup", ""):
        check_webhook(simulation, "whenhangup", whenhangup)
    if rules.is_blocked(to):
        raise RefusedError("Calls to this country are disallowed by default")
    if not is_number(to):
        raise RefusedError("Invalid to number")
    check_spending(simulation, request, rules.call_price(to))
    timeout = read_whole(given, "timeout", rules.ring_timeout)
    call = StoredCall(sender, to, at, timeout, given["voice_start"], whenhangup)
    call.subaccount = request.subaccount
    simulation.exchange.place(call, fails=request.fault == Fault.FAILED_AT_ONCE.value)
    request.message_id = call.id
    return as_json(accepted(call))


def _check_start(simulation: Simulation, voice_start: str) -> None:
    """Refuse a first action that is neither an address nor an object; the text is made up."""
    if voice_start.lstrip().startswith("{"):
        if parse_action(voice_start) is None:
            raise RefusedError("Invalid voice_start")
    elif is_web_address(voice_start):
        check_webhook(simulation, "voice_start", voice_start)
    else:
        raise RefusedError("Invalid voice_start")


def _one_call(exchange: Exchange, request: ApiRequest, call: StoredCall, at: datetime) -> ApiAnswer:
    """Return one call (docs/show-call-id), or delete it (official specification of 2018)."""
    if request.method == "GET":
        return as_json(item(call, exchange.account.username, exchange.rules))
    exchange.log.delete(call)
    return as_json({"id": call.id, "deleted": format_time(at)})


def _list_recordings(exchange: Exchange, request: ApiRequest, at: datetime) -> ApiAnswer:
    found, older = exchange.recorder.log.page(
        _read_page(request), lambda recording: exchange.recorder.is_available(recording, at)
    )
    return _page([show_recording(recording) for recording in found], older)


def _one_recording(exchange: Exchange, recording_id: str, at: datetime) -> ApiAnswer:
    """Return one recording, or its sound if the id ends with `.wav`."""
    recording = exchange.recorder.log.find(recording_id.removesuffix(".wav"))
    if recording is None or not exchange.recorder.is_available(recording, at):
        return _NOT_FOUND
    if recording_id.endswith(".wav"):
        return ApiAnswer(200, recording.content, "application/octet-stream")
    return as_json(show_recording(recording))


def _read_page(request: ApiRequest) -> PageQuery:
    asked = request.query
    try:
        start = parse_time(asked["start"]) if asked.get("start") else None
        end = parse_time(asked["end"]) if asked.get("end") else None
        return PageQuery(start, end, int(asked.get("limit") or PAGE_LIMIT))
    except ValueError:
        raise RefusedError("Invalid start, end or limit") from None


def _page(shown: list[dict[str, Any]], older: datetime | None) -> ApiAnswer:
    return as_json({"data": shown} | ({"next": format_time(older)} if older else {}))
