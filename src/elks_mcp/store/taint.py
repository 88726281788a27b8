"""Taint among servers that share a database: one may show a text, and another send.

The rule is in `domain/taint.py`. SQL repeats its comparisons here, with senders as keyed hashes.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Insert, and_, bindparam, case, delete, exists, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.domain.models import Taint
from elks_mcp.domain.orders import NEVER_SENT, Draft, OrderState
from elks_mcp.domain.taint import TAINT_KEPT, TAINT_LASTS, SendingHold, ShownText, find_hold, judge_taint
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.moments import ago
from elks_mcp.store.db.schema import orders, taint
from elks_mcp.store.db.transactions import reading, writing


class TaintStore:
    """The senders whose texts were shown to a caller's model. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writing
    def record(self, tx: Tx, caller: str, texts: Iterable[ShownText]) -> None:
        """Record that these texts were shown to a caller now."""
        rows = [
            {
                "account_id": tx.account_id,
                "caller": caller,
                "sender_hash": tx.hasher.number(each.sender),
                "shown_at": tx.now,
                "created_at": each.created_at,
            }
            for each in texts
        ]
        insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(taint)
        new = insert.excluded  # type: ignore[attr-defined]
        is_over = taint.c.shown_at <= tx.now - TAINT_LASTS
        is_oldest = or_(is_over, new.created_at < taint.c.created_at)
        statement = insert.on_conflict_do_update(  # type: ignore[attr-defined]
            index_elements=[taint.c.account_id, taint.c.caller, taint.c.sender_hash],
            set_={
                "shown_at": new.shown_at,
                "created_at": case((is_oldest, new.created_at), else_=taint.c.created_at),
            },
        )
        tx.execute(statement, sorted(rows, key=lambda row: str(row["sender_hash"])))

    @reading
    def find_hold(self, tx: Tx, caller: str) -> SendingHold | None:
        """Return the period in which sending is held back for a caller; None if it is not."""
        return find_hold(row.shown_at for row in _list_active(tx, caller))

    @reading
    def was_shown_others(self, tx: Tx, caller: str, number: str) -> bool:
        """Return whether a caller was recently shown texts of others than `number` by any server."""
        sender_hash = tx.hasher.number(number)
        return any(row.sender_hash != sender_hash for row in _list_active(tx, caller))


def is_tainted() -> ColumnElement[bool]:
    """Return a condition: `caller` was recently shown texts of senders other than `number`."""
    theirs = and_(taint.c.account_id == bindparam("account"), taint.c.caller == bindparam("caller"))
    others = and_(theirs, taint.c.sender_hash != bindparam("number"))
    return exists().where(others, taint.c.shown_at > ago(TAINT_LASTS))


def find_taint(tx: Tx, draft: Draft, here: Collection[ShownText], *, elsewhere: bool) -> Taint | None:
    """Return what taints a draft: texts from others than its recipient that the model saw.

    Args:
        tx: the transaction.
        draft: the draft.
        here: the texts that this process showed in the last 30 minutes.
        elsewhere: whether other servers showed any.
    """
    if not here and not elsewhere:
        return None
    created_at = _find_oldest(tx, here, _list_active(tx, draft.caller) if elsewhere else ())
    recipient = tx.hasher.number(draft.to.e164)
    if created_at.keys() <= {recipient}:
        return None
    return judge_taint(created_at, recipient, _list_texted(tx, draft.caller))


def read_taint(tx: Tx, caller: str, here: Collection[ShownText]) -> tuple[Mapping[str, datetime], set[str]]:
    """Return the senders whose texts a caller's model saw, and who was texted since.

    Both by hash. If nothing was shown, no texted number matters. `here`: as for `find_taint`.
    """
    created_at = _find_oldest(tx, here, _list_active(tx, caller))
    return created_at, _list_texted(tx, caller) if created_at else set()


def _find_oldest(tx: Tx, here: Collection[ShownText], elsewhere: Collection[Any]) -> dict[str, datetime]:
    """Return when the oldest text of each sender was written, of all texts that were shown."""
    created_at = {tx.hasher.number(each.sender): each.created_at for each in here}
    for row in elsewhere:
        known = created_at.get(row.sender_hash, row.created_at)
        created_at[row.sender_hash] = min(known, row.created_at)
    return created_at


def _list_active(tx: Tx, caller: str) -> Collection[Any]:
    theirs = select(taint).where(taint.c.account_id == tx.account_id, taint.c.caller == caller)
    return tx.all(theirs.where(taint.c.shown_at > tx.now - TAINT_LASTS))


def _list_texted(tx: Tx, caller: str) -> set[str]:
    """Return the hashes of the recipients for whom a caller placed texts in the last 30 minutes."""
    theirs = orders.c.account_id == tx.account_id, orders.c.caller == caller
    went_out = orders.c.state.not_in((*NEVER_SENT, OrderState.WAITING))
    since = tx.now - TAINT_LASTS
    recent = and_(orders.c.placed_at > since, orders.c.charged_at > since)  # the latter has an index
    hashes = select(orders.c.recipient_hash).distinct().where(*theirs, went_out, recent)
    return {row.recipient_hash for row in tx.all(hashes) if row.recipient_hash}


def delete_old_taint(tx: Tx) -> None:
    """Delete what was shown more than a day ago."""
    ours = taint.c.account_id == tx.account_id
    tx.execute(delete(taint).where(ours, taint.c.shown_at < tx.now - TAINT_KEPT))
