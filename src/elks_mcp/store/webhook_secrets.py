"""The generation of the webhook secrets.

The secrets are derived from the key and the generation, and are not stored.
"""

from sqlalchemy import insert, select, update

from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import state
from elks_mcp.store.db.transactions import reading, writing

_NAME = "webhook generation"


class WebhookSecrets:
    """Counts generations for all servers on this database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find(self, tx: Tx) -> int:
        """Return the generation in use."""
        return _find(tx) or 0

    @writing
    def rotate(self, tx: Tx) -> int:
        """Start the next generation and return it."""
        known = _find(tx)
        following = (known or 0) + 1
        if known is None:
            tx.execute(insert(state).values(name=_NAME, value=str(following)))
        else:
            tx.execute(update(state).where(state.c.name == _NAME).values(value=str(following)))
        return following


def _find(tx: Tx) -> int | None:
    row = tx.first(select(state.c.value).where(state.c.name == _NAME))
    return int(row.value) if row else None
