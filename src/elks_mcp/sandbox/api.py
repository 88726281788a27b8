"""46elks' routes: carry out a request and answer it.

Every answer follows the documentation at https://46elks.se/docs. If that does not cover a case, the answer
follows published real answers, and otherwise it is the most likely one. docs/sandbox.md says which is which.
"""

import re
from datetime import datetime, timedelta

from elks_mcp.sandbox import responses
from elks_mcp.sandbox.faults import Fault
from elks_mcp.sandbox.messages import PAGE_LIMIT, StoredMessage, format_time, is_hidden, parse_time
from elks_mcp.sandbox.network import Outgoing, is_number
from elks_mcp.sandbox.requests import ApiAnswer, ApiRequest, as_json, plain
from elks_mcp.sandbox.simulation import Simulation

_UNAUTHORIZED = "API access requires Basic HTTP authentication. Read documentation or examples."
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 .]{2,10}")
_REQUIRED = ("from", "to", "message")


class _RefusedError(Exception):
    """46elks refuses the request with 403; the message is the line that it answers."""


def answer(
    simulation: Simulation, request: ApiRequest, at: datetime, *, history_lag: timedelta = timedelta(0)
) -> ApiAnswer:
    """Carry out `request` at the moment `at`, and return the answer.

    Messages sent within `history_lag` before `at` are not in history yet.
    """
    if not request.authorized:
        return unauthorized()
    hidden_since = at - history_lag if history_lag else None
    try:
        return _find(simulation, request, at, hidden_since) or not_found()
    except _RefusedError as error:
        return plain(403, str(error))


def _find(
    simulation: Simulation, request: ApiRequest, at: datetime, hidden_since: datetime | None
) -> ApiAnswer | None:
    """Carry out `request`; return None if 46elks has no such path."""
    match request.segments:
        case [_, *_, last] if request.method == "GET" and last.upper() == "POST":
            raise _RefusedError(
                "The sandbox does not take a GET as a POST, since any link is a GET. Send a POST"
            )
        case ["sms", *rest]:
            return _sms(simulation, request, rest, at, hidden_since)
        case ["numbers", *rest]:
            return _numbers(simulation, request, rest)
        case ["me"] if request.method == "GET":
            return as_json(responses.account(simulation.account))
    return None


def unauthorized() -> ApiAnswer:
    """Return 46elks' answer to missing or wrong credentials."""
    return plain(401, _UNAUTHORIZED, WWW_Authenticate='Basic realm="46elks API"')


def not_found() -> ApiAnswer:
    """Return 46elks' answer to an unknown id or path, most likely also to a wrong method."""
    return plain(404, "Not found")


def _sms(
    simulation: Simulation, request: ApiRequest, rest: list[str], at: datetime, hidden_since: datetime | None
) -> ApiAnswer | None:
    match (request.method, *rest):
        case ("POST",):
            return _send(simulation, request, at)
        case ("GET",):
            return _history(simulation, request, hidden_since)
        case (("GET" | "DELETE"), message_id):
            message = simulation.network.log.find(message_id)
            if message is None or is_hidden(message, hidden_since):
                return not_found()
            return _one_message(simulation, request, message, at)
    return None


def _numbers(simulation: Simulation, request: ApiRequest, rest: list[str]) -> ApiAnswer | None:
    if not rest and request.method == "GET":
        return as_json({"data": [responses.number(simulation.own)]})
    if rest == [simulation.own.id] and request.method in {"GET", "POST"}:
        return _one_number(simulation, request)
    return None


def _send(simulation: Simulation, request: ApiRequest, at: datetime) -> ApiAnswer:
    """Send an SMS or quote its price (docs/send-sms), with the checks in 46elks' likely order."""
    asked = _parse_outgoing(request.parameters)
    _check_sender(simulation, asked.sender)
    _check_webhook(simulation, "whendelivered", asked.whendelivered or "")
    if simulation.rules.is_blocked(asked.to):
        raise _RefusedError("Sending SMS to this country is disallowed by default")
    parts, cost = simulation.network.quote(asked.to, asked.text)
    if request.parameters.get("dryrun") == "yes":
        # A dry run checks neither the number nor the balance: 46elks has quoted a price for "+4612".
        return as_json(responses.quoted(asked, parts, cost))
    if not is_number(asked.to):
        raise _RefusedError("Invalid to number")
    if not simulation.account.can_pay(cost):
        raise _RefusedError("Not enough credits")
    fails = request.fault == Fault.FAILED_AT_ONCE.value
    message = simulation.network.accept(asked, at, fails=fails)
    request.message_id = message.id
    return as_json(responses.accepted(message))


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
    """Return `written` with a leading space as a plus; 46elks' curl examples do not encode it."""
    return "+" + written[1:] if written.startswith(" ") else written


def _check_sender(simulation: Simulation, sender: str) -> None:
    """Refuse the senders that 46elks refuses (kb/text-sender-id).

    46elks' text for a sender with bad characters is not known.
    """
    if sender[0].isdigit():
        raise _RefusedError("Alphanumeric numbers may not start with a digit")
    if not is_number(sender) and not _NAME.fullmatch(sender):
        raise _RefusedError("Invalid from number")
    if is_number(sender) and simulation.rules.own_senders_only and sender != simulation.own.number:
        raise _RefusedError("Invalid from number")


def _check_webhook(simulation: Simulation, key: str, url: str) -> None:
    """Refuse an address of this machine on a port that is not configured; 46elks refuses none."""
    if refusal := simulation.webhooks.find_refusal(url):
        raise _RefusedError(f"{key} {refusal}")


def _history(simulation: Simulation, request: ApiRequest, hidden_since: datetime | None) -> ApiAnswer:
    """Return a page of history (docs/sms-history); 46elks does not filter by `direction`."""
    asked = request.query
    try:
        start = parse_time(asked["start"]) if asked.get("start") else None
        end = parse_time(asked["end"]) if asked.get("end") else None
        limit = int(asked.get("limit") or PAGE_LIMIT)
    except ValueError:
        return plain(403, "Invalid start, end or limit")
    found = simulation.network.log.page(
        start=start, end=end, to=asked.get("to") or None, limit=limit, hidden_since=hidden_since
    )
    return as_json(responses.page(found))


def _one_message(
    simulation: Simulation, request: ApiRequest, message: StoredMessage, at: datetime
) -> ApiAnswer:
    """Return one SMS (docs/show-sms-id), or delete it (official specification of 2018)."""
    if request.method == "GET":
        return as_json(responses.item(message))
    simulation.network.log.delete(message)
    return as_json({"id": message.id, "deleted": format_time(at)})


def _one_number(simulation: Simulation, request: ApiRequest) -> ApiAnswer:
    """Return the account's number, or configure it; `none` or a space clears a field.

    docs/configure-number
    """
    asked, own = request.parameters, simulation.own
    if request.method == "POST":
        if "sms_url" in asked:
            _check_webhook(simulation, "sms_url", asked["sms_url"])
            own.sms_url = "" if asked["sms_url"].strip() in {"", "none"} else asked["sms_url"]
        if "sms_replies" in asked:
            own.sms_replies = asked["sms_replies"] != "no"
        if "name" in asked:
            own.name = asked["name"][:50]
    return as_json(responses.number(own))
