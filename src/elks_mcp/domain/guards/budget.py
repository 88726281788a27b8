"""Guards on the cost: parts of one text, price of one message, spending in 24 hours."""

from elks_mcp.domain.guards.facts import Facts, GuardResult, refuse
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.policy import Policy, largest_day, largest_price


def too_many_parts(_draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse a text of more parts than the operator allows, since each part is billed."""
    if facts.size is None:
        return None
    quoted = facts.estimate.parts if facts.estimate else None
    parts = max(facts.size.parts, quoted or 0)
    if parts <= policy.max_parts:
        return None
    return refuse(
        f"The text takes {parts} parts, and {policy.max_parts} are allowed. Shorten it.", "ELKS_MAX_PARTS"
    )


def message_budget(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse a message that costs more than the operator allows for one."""
    if facts.estimate is None:
        return None
    price = facts.estimate.price
    if price <= (most := largest_price(policy, price.currency)):
        return None
    return refuse(
        f"The {draft.payload.NOUN} would cost {price}, and one message may cost {most} at most.",
        "ELKS_BUDGET_PER_MESSAGE",
    )


def daily_budget(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse a message that would exceed the budget of any 24 hours; queued messages count."""
    if facts.estimate is None or facts.recall is None:
        return None
    price = facts.estimate.price
    most, spent = largest_day(policy, price.currency), Money(facts.recall.spent, price.currency)
    if spent + price <= most:
        return None
    left = Money(max(0, most.units - spent.units), price.currency)
    return refuse(
        f"The {draft.payload.NOUN} would cost {price}, and {left} is left of the {most} for any 24 hours.",
        "ELKS_BUDGET_PER_DAY",
    )
