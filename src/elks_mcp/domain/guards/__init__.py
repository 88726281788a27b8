"""The guards: rules that refuse a text, ask a person about it, or warn of it.

A guard is a pure function of the draft, the facts and the operator's policy. It returns an effect and
the reason, or None. `GUARDS` lists all guards in the order in which their findings are shown. All of
them run on every draft, and all findings are reported together.
"""

from collections.abc import Mapping

from elks_mcp.domain.guards.budget import daily_budget, message_budget, too_many_parts
from elks_mcp.domain.guards.facts import Facts, Guard, GuardResult
from elks_mcp.domain.guards.frequency import repeated, velocity
from elks_mcp.domain.guards.links import link
from elks_mcp.domain.guards.mms import mms_deliverable
from elks_mcp.domain.guards.night import night
from elks_mcp.domain.guards.opt_outs import maybe_opted_out, opted_out, unread_history
from elks_mcp.domain.guards.recipient import (
    allowed_country,
    allowed_recipient,
    first_contact,
    own_number,
    placeholder,
    textable_number,
)
from elks_mcp.domain.guards.sender import impersonation, sender_usable, unknown_sender
from elks_mcp.domain.guards.taint import tainted
from elks_mcp.domain.orders import Draft, Finding
from elks_mcp.domain.policy import Policy

__all__ = [
    "GUARDS",
    "GUARD_NAMES",
    "NOT_RECHECKED",
    "NOT_SWITCHABLE",
    "Facts",
    "Guard",
    "GuardResult",
    "check_draft",
    "is_on",
]

GUARDS: tuple[Guard, ...] = (
    textable_number,
    placeholder,
    allowed_country,
    allowed_recipient,
    own_number,
    opted_out,
    maybe_opted_out,
    unread_history,
    impersonation,
    unknown_sender,
    sender_usable,
    mms_deliverable,
    too_many_parts,
    message_budget,
    daily_budget,
    repeated,
    velocity,
    link,
    first_contact,
    tainted,
    night,
)

GUARD_NAMES = tuple(guard.__name__ for guard in GUARDS)

NOT_SWITCHABLE = frozenset({"impersonation", "opted_out", "daily_budget"})
"""Guards that `ELKS_GUARDS_OFF` cannot switch off."""

_ONLY_ASKS = "It refuses nothing, and a person was asked or warned before."
_UNCHANGED = "Its result depends on the draft alone, or on the account, so it is the same."
_NEEDS_NUMBERS = "It needs 46elks' list of the account's numbers, which the sending server may lack."

NOT_RECHECKED: Mapping[str, str] = {
    "textable_number": _UNCHANGED,
    "placeholder": _UNCHANGED,
    "own_number": _NEEDS_NUMBERS,
    "maybe_opted_out": _ONLY_ASKS,
    "unread_history": _ONLY_ASKS,
    "unknown_sender": _NEEDS_NUMBERS,
    "sender_usable": _UNCHANGED,
    "mms_deliverable": _UNCHANGED,
    "repeated": _ONLY_ASKS,
    "velocity": "It counts the texts around the send time when the text is placed and when it is approved.",
    "link": _ONLY_ASKS,
    "first_contact": _ONLY_ASKS,
    "tainted": _ONLY_ASKS,
    "night": _ONLY_ASKS,
}
"""Guards that are not run again when a text goes out, each with the reason. All others are.

The operator's limits may be lower by then, so a guard that reads one belongs here only with a good reason.
"""

_QUOTING = frozenset({"opted_out", "maybe_opted_out"})
"""Guards whose findings quote what the recipient wrote."""


def check_draft(
    draft: Draft, facts: Facts, policy: Policy, only: frozenset[str] | None = None
) -> tuple[Finding, ...]:
    """Run the guards that are switched on, and return their findings.

    `only`: run no others than these.
    """
    results = (
        (guard.__name__, guard(draft, facts, policy))
        for guard in GUARDS
        if is_on(guard.__name__, policy) and (only is None or guard.__name__ in only)
    )
    return tuple(
        Finding(guard=name, effect=result[0], reason=result[1], quote=facts.quote if name in _QUOTING else "")
        for name, result in results
        if result
    )


def is_on(guard: str, policy: Policy) -> bool:
    """Return whether a guard is switched on."""
    return guard in NOT_SWITCHABLE or guard not in policy.guards_off
