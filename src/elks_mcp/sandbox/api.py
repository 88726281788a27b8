"""46elks' own routes: what is asked for, and what comes back.

Every answer follows the documentation at https://46elks.se/docs; where that is silent, answers that others
published; where there are none, the most likely one. docs/sandbox.md says which is which.
"""

import re
from datetime import datetime, timedelta

from elks_mcp.sandbox import responses
from elks_mcp.sandbox.faults import Fault
from elks_mcp.sandbox.messages import PAGE_LIMIT, StoredMessage, format_time, is_hidden, parse_time
from elks_mcp.sandbox.network import Outgoing, is_number
from elks_mcp.sandbox.requests import ApiAnswer, ApiRequest, as_json, plain
from elks_mcp.sandbox.world import World

_UNAUTHORISED = "API access requires Basic HTTP authentication. Read documentation or examples."
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 .]{2,10}")
_REQUIRED = ("from", "to", "message")


class _RefusedError(Exception):
    """46elks says no, in the one line that is the message of this exception."""


def answer(
    world: World, request: ApiRequest, at: datetime, *, history_lag: timedelta = timedelta(0)
) -> ApiAnswer:
    """Do at *at* what *request* asks for, and answer it.

    With *history_lag*, what was sent that recently is not in history yet.
    """
    if not request.authorised:
        return unauthorised()
    hidden_since = at - history_lag if history_lag else None
    try:
        return _find(world, request, at, hidden_since) or not_found()
    except _RefusedError as error:
        return plain(403, str(error))


def _find(world: World, request: ApiRequest, at: datetime, hidden_since: datetime | None) -> ApiAnswer | None:
    """Do what is asked for; None where there is no such thing."""
    match request.segments:
        case [_, *_, last] if request.method == "GET" and last.upper() == "POST":
            raise _RefusedError("The sandbox takes no GET as a POST, since any link is a GET. Send a POST")
        case ["sms", *rest]:
            return _sms(world, request, rest, at, hidden_since)
        case ["numbers", *rest]:
            return _numbers(world, request, rest)
        case ["me"] if request.method == "GET":
            return as_json(responses.account(world.account))
    return None


def unauthorised() -> ApiAnswer:
    """Answer as 46elks does to missing or wrong credentials."""
    return plain(401, _UNAUTHORISED, WWW_Authenticate='Basic realm="46elks API"')


def not_found() -> ApiAnswer:
    """Answer as 46elks does to an unknown id or path; the most likely answer to a wrong method too."""
    return plain(404, "Not found")


def _sms(
    world: World, request: ApiRequest, rest: list[str], at: datetime, hidden_since: datetime | None
) -> ApiAnswer | None:
    match (request.method, *rest):
        case ("POST",):
            return _send(world, request, at)
        case ("GET",):
            return _history(world, request, hidden_since)
        case (("GET" | "DELETE"), message_id):
            message = world.network.log.find(message_id)
            if message is None or is_hidden(message, hidden_since):
                return not_found()
            return _one_message(world, request, message, at)
    return None


def _numbers(world: World, request: ApiRequest, rest: list[str]) -> ApiAnswer | None:
    if not rest and request.method == "GET":
        return as_json({"data": [responses.number(world.own)]})
    if rest == [world.own.id] and request.method in {"GET", "POST"}:
        return _one_number(world, request)
    return None


def _send(world: World, request: ApiRequest, at: datetime) -> ApiAnswer:
    """Send one SMS, or quote it (docs/send-sms), with the checks in the order that 46elks seems to have."""
    asked = _parse_outgoing(request.parameters)
    _check_sender(world, asked.sender)
    _check_webhook(world, "whendelivered", asked.whendelivered or "")
    if world.rules.is_blocked(asked.to):
        raise _RefusedError("Sending SMS to this country is disallowed by default")
    parts, cost = world.network.quote(asked.to, asked.text)
    if request.parameters.get("dryrun") == "yes":
        # A dry run looks neither at the number nor at the balance: "+4612" has been seen to be priced.
        return as_json(responses.quoted(asked, parts, cost))
    if not is_number(asked.to):
        raise _RefusedError("Invalid to number")
    if not world.account.can_pay(cost):
        raise _RefusedError("Not enough credits")
    fails = request.fault == Fault.FAILED_AT_ONCE.value
    return as_json(responses.accepted(world.network.accept(asked, at, fails=fails)))


def _parse_outgoing(parameters: dict[str, str]) -> Outgoing:
    for key in _REQUIRED:
        if not parameters.get(key):
            raise _RefusedError(f"Missing key {key}")
    return Outgoing(
        sender=_plus(parameters["from"]),
        to=_plus(parameters["to"]),
        text=parameters["message"],
        flash=parameters.get("flashsms") == "yes",
        dontlog=parameters.get("dontlog") == "message",
        whendelivered=parameters.get("whendelivered") or None,
    )


def _plus(written: str) -> str:
    """Read a leading space as a plus: 46elks' own curl examples do not encode it (docs/send-sms)."""
    return "+" + written[1:] if written.startswith(" ") else written


def _check_sender(world: World, sender: str) -> None:
    """Refuse a sender that 46elks would (kb/text-sender-id). The words for bad characters are not known."""
    if sender[0].isdigit():
        raise _RefusedError("Alphanumeric numbers may not start with a digit")
    if not is_number(sender) and not _NAME.fullmatch(sender):
        raise _RefusedError("Invalid from number")
    if is_number(sender) and world.rules.own_senders_only and sender != world.own.number:
        raise _RefusedError("Invalid from number")


def _check_webhook(world: World, key: str, url: str) -> None:
    """Refuse an address on this machine that was not named at the start. 46elks would call any."""
    if refusal := world.webhooks.find_refusal(url):
        raise _RefusedError(f"{key} {refusal}")


def _history(world: World, request: ApiRequest, hidden_since: datetime | None) -> ApiAnswer:
    """Read history (docs/sms-history). ``direction`` is not a filter of 46elks'."""
    asked = request.query
    try:
        start = parse_time(asked["start"]) if asked.get("start") else None
        end = parse_time(asked["end"]) if asked.get("end") else None
        limit = int(asked.get("limit") or PAGE_LIMIT)
    except ValueError:
        return plain(403, "Invalid start, end or limit")
    found = world.network.log.page(
        start=start, end=end, to=asked.get("to") or None, limit=limit, hidden_since=hidden_since
    )
    return as_json(responses.page(found))


def _one_message(world: World, request: ApiRequest, message: StoredMessage, at: datetime) -> ApiAnswer:
    """Show one SMS (docs/show-sms-id), or delete it (official specification of 2018)."""
    if request.method == "GET":
        return as_json(responses.item(message))
    world.network.log.delete(message)
    return as_json({"id": message.id, "deleted": format_time(at)})


def _one_number(world: World, request: ApiRequest) -> ApiAnswer:
    """Show our number, or configure it; ``none`` or a space clears a field (docs/configure-number)."""
    asked, own = request.parameters, world.own
    if request.method == "POST":
        if "sms_url" in asked:
            _check_webhook(world, "sms_url", asked["sms_url"])
            own.sms_url = "" if asked["sms_url"].strip() in {"", "none"} else asked["sms_url"]
        if "sms_replies" in asked:
            own.sms_replies = asked["sms_replies"] != "no"
        if "name" in asked:
            own.name = asked["name"][:50]
    return as_json(responses.number(own))
