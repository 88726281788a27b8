"""Which generation the secrets of webhooks are in. They hang on the key and on it, and are kept nowhere."""

from sqlalchemy import insert, select, update

from elks_mcp.store.db.schema import state
from elks_mcp.store.db.transactions import Database, Tx, reading, writing

_NAME = "webhook generation"


class WebhookSecrets:
    """Counts generations, for all who share this database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find(self, tx: Tx) -> int:
        """Say which is in use."""
        return _find(tx) or 0

    @writing
    def rotate(self, tx: Tx) -> int:
        """Begin the next; say which it is."""
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
