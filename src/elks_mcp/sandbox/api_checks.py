"""Steps that several of 46elks' routes share: read numbers, check addresses, page a log."""

from datetime import datetime

from elks_mcp.sandbox.messages import (
    PAGE_LIMIT,
    HistoryPage,
    MessageLog,
    StoredMessage,
    is_hidden,
    parse_time,
)
from elks_mcp.sandbox.requests import ApiRequest, RefusedError
from elks_mcp.sandbox.simulation import Simulation


def plus(written: str) -> str:
    """Return `written` with a leading space as a plus; 46elks' curl examples do not encode it."""
    return "+" + written[1:] if written.startswith(" ") else written


def check_webhook(simulation: Simulation, key: str, url: str) -> None:
    """Refuse an address of this machine on a port that is not configured; 46elks refuses none.

    Raises:
        RefusedError: with the reason.
    """
    if refusal := simulation.webhooks.find_refusal(url):
        raise RefusedError(f"{key} {refusal}")


def check_spending(simulation: Simulation, request: ApiRequest, cost: int) -> None:
    """Refuse what the account cannot pay, or a subaccount's limit does not allow.

    Raises:
        RefusedError: with the reason.
    """
    if not simulation.account.can_pay(cost):
        raise RefusedError("Not enough credits")
    spender = simulation.subaccounts.find(request.subaccount)
    if spender is None or (simulation.rules.zero_is_no_limit and spender.usage_limit == 0):
        return
    if not spender.may_spend(cost, exactly=simulation.rules.limit_is_exact):
        raise RefusedError(simulation.rules.limit_refusal)


def is_visible(
    simulation: Simulation, request: ApiRequest, message: StoredMessage, hidden_since: datetime | None
) -> bool:
    """Return whether the caller of `request` sees `message` in history."""
    return find_owner(simulation, request) in {None, message.subaccount} and not is_hidden(
        message, hidden_since
    )


def find_owner(simulation: Simulation, request: ApiRequest) -> str | None:
    """Return whose messages the caller sees: None for all, or the id of its own subaccount."""
    sees_all = not request.subaccount or simulation.rules.subaccounts_see_everything
    return None if sees_all else request.subaccount


def find_page(
    simulation: Simulation, log: MessageLog, request: ApiRequest, hidden_since: datetime | None
) -> HistoryPage:
    """Return the page of `log` that the query of `request` asks for.

    Raises:
        RefusedError: `start`, `end` or `limit` cannot be read.
    """
    start, end, limit = parse_range(request)
    return log.page(
        start=start,
        end=end,
        to=request.query.get("to") or None,
        limit=limit,
        hidden_since=hidden_since,
        only_of=find_owner(simulation, request),
    )


def parse_range(request: ApiRequest) -> tuple[datetime | None, datetime | None, int]:
    """Return the newer bound, the older bound and the size of the page that a query asks for.

    Raises:
        RefusedError: one of them cannot be read.
    """
    asked = request.query
    try:
        return (
            parse_time(asked["start"]) if asked.get("start") else None,
            parse_time(asked["end"]) if asked.get("end") else None,
            int(asked.get("limit") or PAGE_LIMIT),
        )
    except ValueError:
        raise RefusedError("Invalid start, end or limit") from None
