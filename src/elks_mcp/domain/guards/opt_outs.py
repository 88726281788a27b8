"""Guards on opt-outs: recorded ones, possible ones, and history that could hold one."""

from elks_mcp.domain.conversation import quote
from elks_mcp.domain.guards.facts import Facts, GuardResult
from elks_mcp.domain.models import OptOut
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.wording import format_time_in


def opted_out(_draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse a recipient who opted out, until START or until a person removes the opt-out."""
    if facts.recall is None or not facts.recall.opted_out:
        return None
    opt_out = facts.recall.opt_out
    when = f" on {format_time_in(policy.time_zone, opt_out.at)}" if opt_out else ""
    recorded = f" (recorded by a person{_reason(opt_out)})" if opt_out and opt_out.by_person else ""
    return Effect.REFUSE, f"The recipient opted out{when}{recorded}. {_UNTIL_START}"


_UNTIL_START = "They get no texts until they write START. If this is a mistake, only a person can correct it."
"""Names no command, since an assistant may have a shell."""


def maybe_opted_out(_draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Ask a person if the latest text from the recipient is likely an opt-out."""
    if facts.recall is None or facts.recall.opted_out or facts.recall.maybe_opted_out is None:
        return None
    when = format_time_in(policy.time_zone, facts.recall.maybe_opted_out.at)
    return Effect.ASK, f"The latest text from the recipient, on {when}, may be an opt-out."


def unread_history(_draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Ask if the account's history holds a text that cannot be read, since it may be an opt-out."""
    if facts.recall is None or not facts.recall.unread:
        return None
    return Effect.ASK, (
        "In the last 7 days, a text in 46elks' history could not be read. It may be an opt-out from any "
        "number. A person can read it on 46elks.com, under SMS history."
    )


def _reason(opt_out: OptOut) -> str:
    return f': "{quote(opt_out.reason)}"' if opt_out.reason else ""
