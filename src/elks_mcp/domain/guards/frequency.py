"""Guards on repetition: the same text again, and too many texts to one number."""

from elks_mcp.domain.guards.facts import Facts, GuardResult, refuse
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.policy import TIMES_A_DAY, Policy


def repeated(_draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Warn of a text that an order already covers, such as an agent's retry.

    The warning stops nothing: instead of sending again, the existing order is returned.
    """
    if facts.recall is None or facts.recall.repeated is None:
        return None
    order = f"order {facts.recall.repeated}, under way or at most 15 minutes old,"
    return Effect.WARN, (
        f"The text would not be sent again: {order} has the same sender, recipient and text. "
        "Use a new idempotency key to send it anyway."
    )


def velocity(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse to flood one number, at the time when the text goes out.

    Texts and calls count together, also scheduled ones and those that wait for a person's approval. A text
    from that number restarts the 10 minutes, but not the 24 hours.
    """
    if facts.recall is None:
        return None
    most, later, tomorrow = policy.max_per_number, "Try again later.", "Try again tomorrow."
    if draft.send_at:
        later = tomorrow = "Choose another time."
    if (count := facts.recall.texts_in_10_minutes) >= most:
        return refuse(f"{_count(draft, count, '10 minutes')} {later}", "ELKS_MAX_PER_NUMBER")
    if (count := facts.recall.texts_in_24_hours) >= most * TIMES_A_DAY:
        return refuse(f"{_count(draft, count, '24 hours')} {tomorrow}", "ELKS_MAX_PER_NUMBER")
    return None


def _count(draft: Draft, count: int, period: str) -> str:
    nouns = "texts and calls" if draft.payload.IS_SPOKEN else "texts"
    when = f"Within {period} of its send time" if draft.send_at else f"In the last {period}"
    return (
        f"{when}, {count} {nouns} to {draft.to.e164} were sent, are scheduled or wait for a person, who can "
        "approve or cancel them."
    )
