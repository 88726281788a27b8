"""The guard on the recipient and the sender of an MMS."""

from elks_mcp.domain.guards.facts import Facts, GuardResult
from elks_mcp.domain.mms_payload import NO_REPLY, Mms
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.phone import SenderId
from elks_mcp.domain.policy import Policy

_COUNTRY = "SE"


def mms_deliverable(draft: Draft, _facts: Facts, _policy: Policy) -> GuardResult:
    """Refuse an MMS to another country than Sweden, and one from a name.

    46elks delivers neither (https://46elks.com/guides/sending-mms).
    """
    if not isinstance(draft.payload, Mms):
        return None
    if draft.to.region != _COUNTRY:
        where = f"46elks delivers MMS only in Sweden, and {draft.to.e164} is a number of {draft.to.country}"
        return Effect.REFUSE, f"{where}. Send a text instead."
    if isinstance(draft.sender, SenderId) and draft.sender.name != NO_REPLY:
        return Effect.REFUSE, (
            f"An MMS needs a number as sender, and {draft.sender.name} is a name. Use a number of the "
            f"account that can send MMS, or {NO_REPLY}, which cannot be answered."
        )
    return None
