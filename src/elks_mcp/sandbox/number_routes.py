"""46elks' routes for the account's numbers: list, read and configure them.

Sources: https://46elks.se/docs/list-numbers and https://46elks.se/docs/configure-number.
"""

from datetime import datetime

from elks_mcp.sandbox import responses
from elks_mcp.sandbox.account import SandboxNumber
from elks_mcp.sandbox.api_checks import check_webhook
from elks_mcp.sandbox.requests import ApiAnswer, ApiRequest, as_json
from elks_mcp.sandbox.simulation import Simulation

_ADDRESSES = ("sms_url", "mms_url", "voice_start")
_LONGEST_NAME = 50


def answer_numbers(
    simulation: Simulation, request: ApiRequest, rest: list[str], at: datetime
) -> ApiAnswer | None:
    """Carry out a request for numbers; return None if there is no such path or number.

    Raises:
        RefusedError: 46elks refuses it.
    """
    listed = [each for each in simulation.numbers if is_usable_by(simulation, request.subaccount, each)]
    if not rest and request.method == "GET":
        return as_json({"data": [responses.number(each, simulation.rules) for each in listed]})
    found = next((each for each in listed if rest == [each.id]), None)
    if found is None or request.method not in {"GET", "POST"}:
        return None
    if request.method == "POST":
        _configure(simulation, found, request.parameters, at)
    return as_json(responses.number(found, simulation.rules))


def is_usable_by(simulation: Simulation, subaccount: str, number: SandboxNumber) -> bool:
    """Return whether a subaccount ("" for the account) may send from a number, and sees it."""
    shares = not number.owner and simulation.rules.subaccounts_use_numbers
    return not subaccount or number.owner == subaccount or shares


def _configure(simulation: Simulation, number: SandboxNumber, asked: dict[str, str], at: datetime) -> None:
    """Change a number; `none` or a space clears a field, and `active=no` ends it for ever."""
    for field in _ADDRESSES:
        if field in asked:
            check_webhook(simulation, field, asked[field])
            setattr(number, field, "" if asked[field].strip() in {"", "none"} else asked[field])
    if "sms_replies" in asked:
        number.sms_replies = asked["sms_replies"] != "no"
    if "name" in asked:
        number.name = "" if asked["name"].strip() in {"", "none"} else asked["name"][:_LONGEST_NAME]
    if asked.get("active") == "no" and number.is_active:
        number.deallocated_at = at
