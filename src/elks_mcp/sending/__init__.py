"""The worker that hands queued orders to 46elks, one POST each.

    queued ──claim──→ sending ──POST──┬→ sent
      ↑                               ├→ rejected   46elks said no
      ├───────────────────────────────┼→ queued     surely not accepted: no connection, 429, no money
      │                               └→ in doubt   time-out, 5xx, cut connection, or we died
      │   in doubt ─┬→ sent      history holds exactly this message, or a delivery report names our order
      └─────────────┼→ queued    absent from history twice, after the quiet period
                    └→ unknown   ambiguous, or too long in doubt: a person decides

Where an order stands is in the store, which several processes share; who works on what, is too. The
POST runs in the worker's task, never in the caller's: who hangs up cancels only the wait.
"""

from elks_mcp.sending.options import LEASE_SPARE, OutboxOptions
from elks_mcp.sending.outbox import Outbox

__all__ = ["LEASE_SPARE", "Outbox", "OutboxOptions"]
