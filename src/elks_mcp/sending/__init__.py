"""Send texts: from a request to an order, and from the order to 46elks' receipt.

    queued ──claim──→ sending ──POST──┬→ sent
      ↑                               ├→ rejected   46elks refused the text
      ├───────────────────────────────┼→ queued     surely not accepted: no connection, 429, no money
      │                               └→ in doubt   time-out, 5xx, cut connection, or the process ended
      │   in doubt ─┬→ sent      history holds exactly this message, or a delivery report names our order
      └─────────────┼→ queued    absent from history twice, after the quiet period
                    └→ unknown   ambiguous, or too long in doubt: a person decides

The store, which several processes share, holds the state of each order and the process that works on it. The
POST runs in a task of the worker, not of the caller: cancelling a call cancels only its wait.
"""

from elks_mcp.sending.options import LEASE_SPARE, OutboxOptions
from elks_mcp.sending.outbox import Outbox

__all__ = ["LEASE_SPARE", "Outbox", "OutboxOptions"]
