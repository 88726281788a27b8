"""The kinds of orders: how each is read from the database, and how doubts are cleared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from elks_mcp.domain.call_doubts import judge_calls
from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.doubts import Doubt, Verdict, judge
from elks_mcp.domain.mms_doubts import judge_mms
from elks_mcp.domain.mms_payload import Mms
from elks_mcp.domain.models import Message
from elks_mcp.domain.payloads import Payload, Sms


class Judge(Protocol):
    """Says what 46elks' history shows about orders in doubt."""

    def __call__(
        self, doubts: Iterable[Doubt], history: Iterable[Message], *, has_gaps: bool = False
    ) -> dict[str, Verdict]:
        """Return a verdict for each order, by the order's id. `has_gaps`: rows could not be read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of order."""

    payload: type[Payload]
    judge: Judge | None = None
    """How history clears a doubt. Without it, an order in doubt becomes unknown, and a person decides."""

    is_tried_again: bool = True
    """Whether an order that history does not show is queued again. If not, it becomes unknown."""


Kinds = Mapping[str, Kind]

SMS, MMS, CALL = "sms", "mms", "call"

KINDS: Kinds = {
    SMS: Kind(Sms, judge),
    MMS: Kind(Mms, judge_mms),
    CALL: Kind(Call, judge_calls, is_tried_again=False),
}
"""The kinds that this version sends, by the names in the `kind` column."""
