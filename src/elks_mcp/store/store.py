"""The open store of one account."""

import logging
from dataclasses import dataclass
from typing import Self

from elks_mcp.domain.kinds import Kinds
from elks_mcp.runtime.clock import Clock
from elks_mcp.store.accepted_contacts import ContactAcceptances
from elks_mcp.store.alert_runs import AlertRuns
from elks_mcp.store.alerts import AlertStore
from elks_mcp.store.arrivals import Arrivals
from elks_mcp.store.batch_approval import BatchApprovals
from elks_mcp.store.batch_interruptions import BatchInterruptions
from elks_mcp.store.batches import BatchStore
from elks_mcp.store.calls import CallStore
from elks_mcp.store.cancellation import CancellationStore
from elks_mcp.store.cleanup import Cleanup
from elks_mcp.store.db.database import Database
from elks_mcp.store.db.hashes import Hasher
from elks_mcp.store.db.notifications import Notifier
from elks_mcp.store.doubts import Doubts
from elks_mcp.store.heartbeats import Heartbeats
from elks_mcp.store.inbound import InboundStore
from elks_mcp.store.location import AccountKey, StateLocation, explain_new_account
from elks_mcp.store.opt_outs import OptOuts
from elks_mcp.store.orders import OrderStore
from elks_mcp.store.queue import Queue
from elks_mcp.store.schedule import Schedule
from elks_mcp.store.taint import TaintStore
from elks_mcp.store.tokens import Tokens
from elks_mcp.store.totals import TotalsStore
from elks_mcp.store.webhook_secrets import WebhookSecrets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """Everything stored for one account, by topic. Nearly every method is one transaction."""

    database: Database
    orders: OrderStore
    cancellations: CancellationStore
    queue: Queue
    schedule: Schedule
    batches: BatchStore
    batch_approvals: BatchApprovals
    batch_interruptions: BatchInterruptions
    doubts: Doubts
    inbound: InboundStore
    arrivals: Arrivals
    webhook_secrets: WebhookSecrets
    opt_outs: OptOuts
    taint: TaintStore
    tokens: Tokens
    accepted_contacts: ContactAcceptances
    heartbeats: Heartbeats
    calls: CallStore
    totals: TotalsStore
    cleanup: Cleanup

    @classmethod
    async def open(
        cls,
        location: StateLocation,
        account: AccountKey,
        hasher: Hasher,
        clock: Clock | None,
        notifier: Notifier,
        kinds: Kinds,
    ) -> Self:
        """Connect, and delete what is no longer needed.

        Raises:
            StateUnavailable, Misconfigured: The database cannot be used.
        """
        database = await Database.open(location, hasher, clock, notifier, kinds)
        if (known := await database.enter(account)) and account.username:
            log.warning("%s", explain_new_account(account, known))
        await (cleanup := Cleanup(database)).delete_expired()
        return cls(
            database=database,
            orders=OrderStore(database),
            cancellations=CancellationStore(database),
            queue=Queue(database),
            schedule=Schedule(database),
            batches=BatchStore(database),
            batch_approvals=BatchApprovals(database),
            batch_interruptions=BatchInterruptions(database),
            doubts=Doubts(database),
            inbound=InboundStore(database),
            arrivals=Arrivals(database),
            webhook_secrets=WebhookSecrets(database),
            opt_outs=OptOuts(database),
            taint=TaintStore(database),
            tokens=Tokens(database),
            accepted_contacts=ContactAcceptances(database),
            heartbeats=Heartbeats(database),
            calls=CallStore(database),
            totals=TotalsStore(database),
            cleanup=cleanup,
        )

    @property
    def alerts(self) -> AlertStore:
        """The alerts of the account."""
        return AlertStore(self.database)

    @property
    def alert_runs(self) -> AlertRuns:
        """The running alerts of the account, for the server that carries them on."""
        return AlertRuns(self.database)

    async def close(self) -> None:
        """Close all connections."""
        await self.database.close()
