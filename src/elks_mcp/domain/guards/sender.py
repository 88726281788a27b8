"""Guards on the sender: impersonation, unknown senders, and rules of countries."""

from elks_mcp.domain.guards.facts import Facts, GuardResult, refuse
from elks_mcp.domain.guards.lookalike import find_imitated_name
from elks_mcp.domain.mms_payload import NO_REPLY, Mms
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.phone import Number, SenderId, written
from elks_mcp.domain.policy import Policy


def impersonation(draft: Draft, _facts: Facts, policy: Policy) -> GuardResult:
    """Refuse a sender that looks like a bank, an authority or a known brand.

    Names are compared by their skeleton, alone or with additions that fraudsters use: `P0LICE` and
    `NORDEALOGIN` are refused, `Bankeryd` and `FoodBank` are not. A configured sender is never refused. Once
    the operator has listed senders, all others are refused.
    """
    if draft.sender in policy.senders:
        return None
    if policy.allowed_senders:
        allowed = ", ".join(written(sender) for sender in policy.senders)
        return refuse(
            f"{written(draft.sender)} is not one of the allowed senders: {allowed}.", "ELKS_ALLOWED_SENDERS"
        )
    if isinstance(draft.sender, SenderId) and (name := find_imitated_name(draft.sender.name)):
        return refuse(
            f"The sender {draft.sender.name} looks like {name}: a bank, an authority or a known brand.",
            "ELKS_ALLOWED_SENDERS",
        )
    return None


def unknown_sender(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse a number that is not the account's; ask about a name that is not configured.

    A dry run only warns. 46elks does not document that it rejects other people's numbers
    (https://46elks.com/kb/text-sender-id).
    """
    if draft.sender in policy.senders:
        return None
    name, own = written(draft.sender), facts.own_numbers
    if isinstance(draft.payload, Mms) and name == NO_REPLY:
        return None
    if isinstance(draft.sender, SenderId):
        return Effect.ASK, (
            f"The sender {name} is not configured here. "
            "The operator can add it to ELKS_ALLOWED_SENDERS; no other senders can be used then."
        )
    if name in own:
        return None
    unread = (
        f" 46elks' list of them could not be read: {own.read_error}"
        if own.read_error and not own.listed
        else ""
    )
    return Effect.REFUSE if facts.live else Effect.WARN, (
        f"The sender {name} is not a number of this 46elks account, so the {draft.payload.NOUN} would appear "
        f"to come from someone else.{unread} Leave the sender out. If the number belongs to the operator, "
        "such as a mobile number verified at 46elks, which 46elks does not list: set ELKS_PHONE_NUMBER or "
        "ELKS_ALLOWED_SENDERS to it."
    )


_NO_TEXT_SENDERS = frozenset({"US", "CA", "PR", "CN"})
_REGISTERED_SENDERS = frozenset({"FI", "IE", "ES", "SG", "AU", "IN", "GB", "NO"})
"""Countries whose networks change or block unregistered text senders, as of 2026-11."""


def sender_usable(draft: Draft, _facts: Facts, _policy: Policy) -> GuardResult:
    """Check that the recipient's country accepts text senders, or only registered ones."""
    if isinstance(draft.sender, Number):
        return None
    if draft.to.region in _NO_TEXT_SENDERS:
        return Effect.REFUSE, (
            f"{draft.to.country} does not accept a name as sender. Use a phone number as sender."
        )
    if draft.to.region in _REGISTERED_SENDERS:
        otherwise = "others are changed, marked as spam or dropped"
        return Effect.WARN, f"{draft.to.country} requires names of senders to be registered; {otherwise}."
    return None
