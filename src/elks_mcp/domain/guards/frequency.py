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
    """Refuse to flood one number; texts that wait for a person's approval count.

    A text from that number restarts the 10 minutes, but not the 24 hours.
    """
    if facts.recall is None:
        return None
    most = policy.max_per_number
    if (count := facts.recall.texts_in_10_minutes) >= most:
        found = f"In the last 10 minutes, {count} texts to {draft.to.e164} {_SENT_OR_WAITING}"
        return refuse(f"{found}. Try again later.", "ELKS_MAX_PER_NUMBER")
    if (count := facts.recall.texts_in_24_hours) >= most * TIMES_A_DAY:
        found = f"In the last 24 hours, {count} texts to {draft.to.e164} {_SENT_OR_WAITING}"
        return refuse(f"{found}. Try again tomorrow.", "ELKS_MAX_PER_NUMBER")
    return None


_SENT_OR_WAITING = "were sent or wait for a person, who can approve or cancel them"
