"""46elks' routes for MMS and pictures: docs/send-mms, docs/mms-history, docs/get-images.

46elks has no dry run for MMS. Undocumented behaviour has a switch in `Rules`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from elks_mcp.sandbox import responses
from elks_mcp.sandbox.api_checks import (
    check_spending,
    check_webhook,
    find_page,
    is_visible,
    parse_range,
    plus,
)
from elks_mcp.sandbox.faults import Fault
from elks_mcp.sandbox.messages import PAGE_LIMIT, StoredMessage, format_time
from elks_mcp.sandbox.network import Outgoing, is_number
from elks_mcp.sandbox.number_routes import is_usable_by
from elks_mcp.sandbox.pictures import SAMPLE, Picture, is_web_address, parse_data_url
from elks_mcp.sandbox.requests import ApiAnswer, ApiRequest, RefusedError, as_json
from elks_mcp.sandbox.simulation import Simulation

_NO_REPLY = "noreply"
_BINARY = "application/octet-stream"


def answer_mms(
    simulation: Simulation, request: ApiRequest, rest: list[str], at: datetime, hidden_since: datetime | None
) -> ApiAnswer | None:
    """Carry out a request below `/mms`; return None if 46elks has no such path."""
    log = simulation.network.log.only(mms=True)
    match (request.method, *rest):
        case ("POST",):
            return _send(simulation, request, at)
        case ("GET",):
            found = find_page(simulation, log, request, hidden_since)
            content: dict[str, Any] = {"data": [_item(simulation, each) for each in found.messages]}
            return as_json(content | ({"next": format_time(found.next)} if found.next else {}))
        case (("GET" | "DELETE"), message_id):
            message = log.find(message_id)
            if message is None or not is_visible(simulation, request, message, hidden_since):
                return None
            if request.method == "GET":
                return as_json(_item(simulation, message))
            simulation.network.log.delete(message)
            return as_json({"id": message.id, "deleted": format_time(at)})
    return None


def answer_images(simulation: Simulation, request: ApiRequest, rest: list[str]) -> ApiAnswer | None:
    """Carry out a request below `/images`; return None if 46elks has no such path."""
    if request.method != "GET":
        return None
    if not rest:
        return as_json(_list_images(simulation, request))
    if len(rest) != 1:
        return None
    name = rest[0].removesuffix(".jpg")
    for message, image_id, picture in _all_images(simulation):
        if image_id == name and rest[0] != name:
            return ApiAnswer(200, picture.content, _BINARY)
        if image_id == name:
            return as_json(responses.image(message, image_id, picture))
    return None


def _send(simulation: Simulation, request: ApiRequest, at: datetime) -> ApiAnswer:
    """Send an MMS (docs/send-mms), with the checks in a likely order; most texts are made up."""
    asked, rules = _parse_outgoing(simulation, request), simulation.rules
    check_webhook(simulation, "whendelivered", asked.whendelivered or "")
    if not is_number(asked.to):
        raise RefusedError("Invalid to number")
    if not any(asked.to.startswith(f"+{code}") for code in rules.mms_countries):
        raise RefusedError("Sending MMS to this country is not supported")
    size = len(asked.text.encode()) + sum(len(picture.content) for picture in asked.pictures or ())
    if size > rules.mms_max_bytes and rules.mms_too_large is not None:
        raise RefusedError(rules.mms_too_large)
    check_spending(simulation, request, simulation.network.price(asked)[1])
    fails = request.fault == Fault.FAILED_AT_ONCE.value
    message = simulation.network.accept(asked, at, fails=fails)
    simulation.subaccounts.charge(request.subaccount, message.cost)
    request.message_id = message.id
    return as_json(responses.accepted_mms(message, simulation.account.username))


def _parse_outgoing(simulation: Simulation, request: ApiRequest) -> Outgoing:
    parameters = request.parameters
    for key in ("from", "to"):
        if not parameters.get(key):
            raise RefusedError(f"Missing key {key}")
    if not parameters.get("message") and not parameters.get("image"):
        raise RefusedError("Missing key message or image")
    return Outgoing(
        sender=_parse_sender(simulation, request, plus(parameters["from"])),
        to=plus(parameters["to"]),
        text=parameters.get("message", ""),
        dontlog=parameters.get("dontlog") == "message",
        whendelivered=parameters.get("whendelivered") or None,
        pictures=tuple(_parse_pictures(parameters)),
        subaccount=request.subaccount,
    )


def _parse_sender(simulation: Simulation, request: ApiRequest, sender: str) -> str:
    """Return the sender's number; one of the account's must have the capability `mms`."""
    rules, number = simulation.rules, simulation.numbers.find(sender)
    if sender == _NO_REPLY and rules.mms_noreply_number:
        return rules.mms_noreply_number
    if not is_number(sender) or (number is None and rules.own_senders_only):
        raise RefusedError("Invalid from number")
    can_send = "mms" in number.capabilities and rules.own_number_sends_mms if number else True
    if not can_send or (number and not is_usable_by(simulation, request.subaccount, number)):
        raise RefusedError("Invalid from number")
    return sender


def _parse_pictures(parameters: dict[str, str]) -> Iterator[Picture]:
    """Read `image`, `image2`, `image3` and so on.

    The sandbox connects to no other machine, so a picture at a web address becomes a sample.
    """
    key, count = "image", 1
    while written := parameters.get(key):
        picture = SAMPLE if is_web_address(written) else parse_data_url(written)
        if picture is None:
            raise RefusedError(f"Invalid {key}")
        yield picture
        count += 1
        key = f"image{count}"


def _item(simulation: Simulation, message: StoredMessage) -> dict[str, Any]:
    return responses.mms_item(message, simulation.account.username, simulation.rules)


def _all_images(simulation: Simulation) -> Iterator[tuple[StoredMessage, str, Picture]]:
    """Iterate over the pictures of the account's MMS, the newest MMS first."""
    for message in reversed(list(simulation.network.log.only(mms=True))):
        for image_id, picture in zip(message.picture_ids, message.pictures, strict=True):
            yield message, image_id, picture


def _list_images(simulation: Simulation, request: ApiRequest) -> dict[str, Any]:
    """Return a page of pictures, newest first (docs/get-images)."""
    start, end, limit = parse_range(request)
    found = [
        entry
        for entry in _all_images(simulation)
        if (start is None or entry[0].stored_at < start) and (end is None or entry[0].stored_at > end)
    ]
    shown = found[: max(1, min(limit, PAGE_LIMIT))]
    content: dict[str, Any] = {"data": [responses.image(*entry) for entry in shown]}
    if len(found) > len(shown):
        content["next"] = format_time(shown[-1][0].stored_at)
    return content
