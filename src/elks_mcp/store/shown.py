"""Whose words a caller's model was shown, for servers that share a database: one shows, another sends."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import ColumnElement, Insert, and_, bindparam, delete, exists
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.store.database import Database, Tx, writing
from elks_mcp.store.schema import ago, shown
from elks_mcp.strangers import WORDS_WORK_FOR

_KEPT = timedelta(days=1)


class Shown:
    """Notes senders whose texts were shown. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writing
    def note(self, tx: Tx, caller: str, senders: Collection[str]) -> None:
        """Note that texts of these were shown to a caller just now."""
        rows = [
            {
                "account_id": tx.account_id,
                "caller": caller,
                "sender_hash": tx.hasher.number(sender),
                "shown_at": tx.now,
            }
            for sender in sorted(senders)
        ]
        insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(shown)
        statement = insert.on_conflict_do_update(  # type: ignore[attr-defined]
            index_elements=[shown.c.account_id, shown.c.caller, shown.c.sender_hash],
            set_={"shown_at": insert.excluded.shown_at},  # type: ignore[attr-defined]
        )
        tx.execute(statement, sorted(rows, key=lambda row: str(row["sender_hash"])))


def is_anybody_elses() -> ColumnElement[bool]:
    """Ask whether a text of `caller` to `number` may be the idea of somebody else than who gets it."""
    theirs = and_(shown.c.account_id == bindparam("account"), shown.c.caller == bindparam("caller"))
    others = and_(theirs, shown.c.sender_hash != bindparam("number"))
    return exists().where(others, shown.c.shown_at > ago(WORDS_WORK_FOR))


def forget_shown(tx: Tx) -> None:
    """Forget whose words are long at work no more."""
    ours = shown.c.account_id == tx.account_id
    tx.execute(delete(shown).where(ours, shown.c.shown_at < tx.now - _KEPT))
