"""46elks' routes for subaccounts: list, create, read and change them.

Only the account's own credentials may do that. Whether a subaccount may read itself is not documented:
`Rules.subaccounts_read_themselves`.
"""

from datetime import datetime
from typing import Any

from elks_mcp.sandbox.messages import PAGE_LIMIT, format_time, parse_time
from elks_mcp.sandbox.requests import ApiAnswer, ApiRequest, RefusedError, as_json
from elks_mcp.sandbox.simulation import Simulation
from elks_mcp.sandbox.subaccounts import SandboxSubaccount

_NOT_ALLOWED = "Subaccounts may not do this"
"""Made up: what 46elks answers to a subaccount is not known."""


def answer_subaccounts(
    simulation: Simulation, request: ApiRequest, rest: list[str], at: datetime
) -> ApiAnswer | None:
    """Carry out a request for subaccounts; return None if there is no such path or subaccount.

    Raises:
        RefusedError: 46elks refuses it.
    """
    reads_itself = request.method == "GET" and rest == [request.subaccount]
    if request.subaccount and not (reads_itself and simulation.rules.subaccounts_read_themselves):
        raise RefusedError(_NOT_ALLOWED)
    match (request.method, *rest):
        case ("GET",):
            return _list(simulation, request)
        case ("POST",):
            return _create(simulation, request, at)
        case (("GET" | "POST"), subaccount_id):
            found = simulation.subaccounts.find(subaccount_id)
            if found is None:
                return None
            if request.method == "POST":
                _change(simulation, found, request.parameters, at)
            return as_json(show(found))
    return None


def show(subaccount: SandboxSubaccount) -> dict[str, Any]:
    """Return a subaccount as in docs/get-subaccount-id: an active one has its secret in clear."""
    shown: dict[str, Any] = {"secret": subaccount.secret} if subaccount.is_active else {}
    shown["created"] = format_time(subaccount.created_at)
    if subaccount.usage_limit is not None:
        shown["usagelimit"] = subaccount.usage_limit
    shown |= {"id": subaccount.id, "name": subaccount.name}
    if subaccount.used > 0:
        shown["balanceused"] = subaccount.used
    if subaccount.deactivated_at:
        shown |= {"active": "no", "deactivated": format_time(subaccount.deactivated_at)}
    return shown


def _list(simulation: Simulation, request: ApiRequest) -> ApiAnswer:
    """Return a page of subaccounts, newest first (docs/get-subaccounts)."""
    asked = request.query
    try:
        start = parse_time(asked["start"]) if asked.get("start") else None
        limit = max(1, min(int(asked.get("limit") or PAGE_LIMIT), PAGE_LIMIT))
    except ValueError:
        raise RefusedError("Invalid start, end or limit") from None
    found = [
        each
        for each in reversed(list(simulation.subaccounts))
        if (start is None or each.created_at < start) and (each.is_active or asked.get("active") != "yes")
    ]
    answer: dict[str, Any] = {"data": [show(each) for each in found[:limit]]}
    if len(found) > limit:
        answer["next"] = format_time(found[limit - 1].created_at)
    return as_json(answer)


def _create(simulation: Simulation, request: ApiRequest, at: datetime) -> ApiAnswer:
    asked = request.parameters
    if not asked.get("name"):
        raise RefusedError("Missing key name")
    limit = _parse_limit(asked["usagelimit"]) if "usagelimit" in asked else None
    if not simulation.rules.usage_limit_at_creation:
        limit = None
    return as_json(show(simulation.subaccounts.add(asked["name"], at, limit)))


def _change(simulation: Simulation, found: SandboxSubaccount, asked: dict[str, str], at: datetime) -> None:
    """Change a subaccount (docs/update-subaccount). One that was deactivated stays so.

    The account's numbers belong to the account itself, so a subaccount has none and can be deactivated.
    """
    if "usagelimit" in asked:
        found.usage_limit = _parse_limit(asked["usagelimit"])
    found.name = asked.get("name") or found.name
    found.secret = asked.get("secret") or found.secret
    if asked.get("active") == "no" and found.is_active:
        if any(each.owner == found.id and each.is_active for each in simulation.numbers):
            raise RefusedError("The subaccount has active numbers")
        found.deactivated_at = at


def _parse_limit(written: str) -> int | None:
    """Return a limit; `none` removes it (docs/update-subaccount)."""
    if written == "none":
        return None
    try:
        return int(written)
    except ValueError:
        raise RefusedError("Invalid usagelimit") from None
