"""46elks' routes: carry out a request and answer it.

Every answer follows the documentation at https://46elks.se/docs. If that does not cover a case, the answer
follows published real answers, and otherwise it is the most likely one. docs/sandbox.md says which is which.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from elks_mcp.sandbox import call_routes, responses
from elks_mcp.sandbox.api_checks import check_spending, check_webhook, find_page, is_visible, plus
from elks_mcp.sandbox.faults import Fault
from elks_mcp.sandbox.messages import StoredMessage, format_time
from elks_mcp.sandbox.mms import answer_images, answer_mms
from elks_mcp.sandbox.network import Outgoing, is_number
from elks_mcp.sandbox.number_routes import answer_numbers, is_usable_by
from elks_mcp.sandbox.requests import ApiAnswer, ApiRequest, RefusedError, as_json, plain
from elks_mcp.sandbox.simulation import Simulation
from elks_mcp.sandbox.subaccount_routes import answer_subaccounts

_UNAUTHORIZED = "API access requires Basic HTTP authentication. Read documentation or examples."
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 .]{2,10}")
_REQUIRED = ("from", "to", "message")


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
        return _find(simulation, request, at, hidden_since) or _missing(simulation, request)
    except RefusedError as error:
        return plain(403, str(error))


class _Asked(NamedTuple):
    """A request below one of 46elks' resources."""

    simulation: Simulation
    request: ApiRequest
    rest: list[str]
    """The segments of the path after the resource's name."""

    at: datetime
    hidden_since: datetime | None


def _find(
    simulation: Simulation, request: ApiRequest, at: datetime, hidden_since: datetime | None
) -> ApiAnswer | None:
    """Carry out `request`; return None if 46elks has no such path."""
    match request.segments:
        case [_, *_, last] if request.method == "GET" and last.upper() == "POST":
            raise RefusedError(
                "The sandbox does not take a GET as a POST, since any link is a GET. Send a POST"
            )
        case [resource, *rest] if resource in _ROUTES:
            return _ROUTES[resource](_Asked(simulation, request, rest, at, hidden_since))
    return None


def _calls(resource: str, asked: _Asked) -> ApiAnswer | None:
    path = (resource, *asked.rest)
    return call_routes.answer(asked.simulation, asked.request, path, asked.at, asked.hidden_since)


def _account(asked: _Asked) -> ApiAnswer | None:
    if asked.rest or asked.request.method != "GET":
        return None
    if asked.request.subaccount and not asked.simulation.rules.subaccounts_read_account:
        raise RefusedError("Subaccounts may not read the account")
    return as_json(responses.account(asked.simulation.account))


_ROUTES: Mapping[str, Callable[[_Asked], ApiAnswer | None]] = {
    "sms": lambda asked: _sms(*asked),
    "mms": lambda asked: answer_mms(*asked),
    "images": lambda asked: answer_images(asked.simulation, asked.request, asked.rest),
    "calls": lambda asked: _calls("calls", asked),
    "recordings": lambda asked: _calls("recordings", asked),
    "numbers": lambda asked: answer_numbers(asked.simulation, asked.request, asked.rest, asked.at),
    "subaccounts": lambda asked: answer_subaccounts(asked.simulation, asked.request, asked.rest, asked.at),
    "me": _account,
}
"""46elks' resources, each with what carries out a request below it."""


def unauthorized() -> ApiAnswer:
    """Return 46elks' answer to missing or wrong credentials."""
    return plain(401, _UNAUTHORIZED, WWW_Authenticate='Basic realm="46elks API"')


def not_found() -> ApiAnswer:
    """Return 46elks' answer to an unknown id or path."""
    return plain(404, "Not found")


def _missing(simulation: Simulation, request: ApiRequest) -> ApiAnswer:
    """Return the answer to an unknown path, or to a wrong method, as `Rules` says."""
    is_known = request.segments[:1] and request.segments[0] in _ROUTES
    return plain(simulation.rules.wrong_method_status if is_known else 404, "Not found")


def _sms(
    simulation: Simulation, request: ApiRequest, rest: list[str], at: datetime, hidden_since: datetime | None
) -> ApiAnswer | None:
    match (request.method, *rest):
        case ("POST",):
            return _send(simulation, request, at)
        case ("GET",):
            return _history(simulation, request, hidden_since)
        case (("GET" | "DELETE"), message_id):
            log = simulation.network.log.only(sms=True, mms=simulation.rules.mms_in_sms_history)
            message = log.find(message_id)
            if message is None or not is_visible(simulation, request, message, hidden_since):
                return not_found()
            return _one_message(simulation, request, message, at)
    return None


def _send(simulation: Simulation, request: ApiRequest, at: datetime) -> ApiAnswer:
    """Send an SMS or quote its price (docs/send-sms), with the checks in 46elks' likely order."""
    asked = _parse_outgoing(request)
    _check_sender(simulation, asked)
    check_webhook(simulation, "whendelivered", asked.whendelivered or "")
    if simulation.rules.is_blocked(asked.to):
        raise RefusedError("Sending SMS to this country is disallowed by default")
    parts, cost = simulation.network.quote(asked.to, asked.text)
    if request.parameters.get("dryrun") == "yes":
        # A dry run checks neither the number nor the balance: 46elks has quoted a price for "+4612".
        return as_json(responses.quoted(asked, parts, cost))
    if not is_number(asked.to):
        raise RefusedError("Invalid to number")
    check_spending(simulation, request, cost)
    fails = request.fault == Fault.FAILED_AT_ONCE.value
    message = simulation.network.accept(asked, at, fails=fails)
    simulation.subaccounts.charge(request.subaccount, message.cost)
    request.message_id = message.id
    return as_json(responses.accepted(message))


def _parse_outgoing(request: ApiRequest) -> Outgoing:
    parameters = request.parameters
    for key in _REQUIRED:
        if not parameters.get(key):
            raise RefusedError(f"Missing key {key}")
    return Outgoing(
        sender=plus(parameters["from"]),
        to=plus(parameters["to"]),
        text=parameters["message"],
        flash=parameters.get("flashsms") == "yes",
        dontlog=parameters.get("dontlog") == "message",
        whendelivered=parameters.get("whendelivered") or None,
        subaccount=request.subaccount,
    )


def _check_sender(simulation: Simulation, asked: Outgoing) -> None:
    """Refuse the senders that 46elks refuses (kb/text-sender-id).

    46elks' text for a sender with bad characters is not known.
    """
    sender = asked.sender
    if sender[0].isdigit():
        raise RefusedError("Alphanumeric numbers may not start with a digit")
    if not is_number(sender) and not _NAME.fullmatch(sender):
        raise RefusedError("Invalid from number")
    number = simulation.numbers.find(sender)
    is_foreign = is_number(sender) and simulation.rules.own_senders_only and number is None
    if is_foreign or (number and not is_usable_by(simulation, asked.subaccount, number)):
        raise RefusedError("Invalid from number")


def _history(simulation: Simulation, request: ApiRequest, hidden_since: datetime | None) -> ApiAnswer:
    """Return a page of history (docs/sms-history); 46elks does not filter by `direction`."""
    log = simulation.network.log.only(sms=True, mms=simulation.rules.mms_in_sms_history)
    return as_json(responses.page(find_page(simulation, log, request, hidden_since)))


def _one_message(
    simulation: Simulation, request: ApiRequest, message: StoredMessage, at: datetime
) -> ApiAnswer:
    """Return one SMS (docs/show-sms-id), or delete it (official specification of 2018)."""
    if request.method == "GET":
        return as_json(responses.item(message))
    simulation.network.log.delete(message)
    return as_json({"id": message.id, "deleted": format_time(at)})
