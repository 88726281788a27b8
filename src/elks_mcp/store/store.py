"""The store, opened."""

import logging
from dataclasses import dataclass
from typing import Self

from elks_mcp.runtime.clock import Clock
from elks_mcp.store.arrivals import Arrivals
from elks_mcp.store.cleanup import Upkeep
from elks_mcp.store.db.hashes import Hasher
from elks_mcp.store.db.notifications import Bell
from elks_mcp.store.db.transactions import Database
from elks_mcp.store.doubts import Doubts
from elks_mcp.store.inbound import Events
from elks_mcp.store.location import Account, Place, explain_new_account
from elks_mcp.store.opt_outs import OptOuts
from elks_mcp.store.orders import Book
from elks_mcp.store.queue import Queue
from elks_mcp.store.taint import Shown
from elks_mcp.store.tokens import Tokens
from elks_mcp.store.webhook_secrets import Generations

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """All that is remembered for one account, by topic. A method is one transaction unless it says more."""

    database: Database
    book: Book
    queue: Queue
    doubts: Doubts
    events: Events
    arrivals: Arrivals
    generations: Generations
    opt_outs: OptOuts
    shown: Shown
    tokens: Tokens
    upkeep: Upkeep

    @classmethod
    async def open(
        cls, place: Place, account: Account, hasher: Hasher, clock: Clock | None, bell: Bell
    ) -> Self:
        """Connect, and tidy up what is no longer needed.

        Raises:
            StateUnavailable, Misconfigured: the database cannot be used.
        """
        database = await Database.open(place, hasher, clock, bell)
        if (known := await database.enter(account)) and account.username:
            log.warning("%s", explain_new_account(account, known))
        upkeep = Upkeep(database)
        await upkeep.tidy()
        return cls(
            database=database,
            book=Book(database),
            queue=Queue(database),
            doubts=Doubts(database),
            events=Events(database),
            arrivals=Arrivals(database),
            generations=Generations(database),
            opt_outs=OptOuts(database),
            shown=Shown(database),
            tokens=Tokens(database),
            upkeep=upkeep,
        )

    async def close(self) -> None:
        """Close it."""
        await self.database.close()
