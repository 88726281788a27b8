"""Earlier orders that a draft may mean: the one it repeats, and the one that waits for a person's yes."""

from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Executable, Row, and_, bindparam, or_, select

from elks_mcp.errors import InvalidInput
from elks_mcp.models import Draft, OrderState
from elks_mcp.phone import written
from elks_mcp.store.database import Tx
from elks_mcp.store.rows import fingerprint, key_hash
from elks_mcp.store.schema import Moment, is_one_of, orders

REPEATED_WITHIN = timedelta(minutes=15)

_IN_PLAY = (OrderState.WAITING, OrderState.QUEUED, OrderState.SENDING, OrderState.IN_DOUBT)
_MAY_BE_OUT = (OrderState.SENT, OrderState.DELIVERED, OrderState.UNKNOWN)


class Earlier(NamedTuple):
    """What was ordered before."""

    repeated: Row[Any] | None = None
    """The draft's key was used for it; without a key, it is the same text, on its way or just sent."""

    waiting: Row[Any] | None = None
    """Exactly this waits for a person."""

    overdue: Row[Any] | None = None
    """It waited too long for a person, and still holds the draft's key."""


def find_earlier(tx: Tx, draft: Draft, *, dedupe: bool) -> Earlier:
    """Find what a draft may mean. Without `dedupe` only a key makes a repeat.

    Raises:
        InvalidInput: the key was used for another message.
    """
    values = {
        "account": tx.account_id,
        "fingerprint": fingerprint(tx, draft.sender, draft.to, draft.text),
        "key": key_hash(tx, draft.idempotency_key),
        "recently": tx.now - REPEATED_WITHIN,
    }
    rows = tx.execute(_ALIKE, values).all()
    if values["key"]:
        return _of_key(tx, [row for row in rows if row.key_hash == values["key"]], draft)
    repeated = [row for row in rows if row.state != OrderState.WAITING]
    exactly = [row for row in rows if row.state == OrderState.WAITING and row.flash == draft.flash]
    waiting = [row for row in exactly if row.key_hash is None and row.due_at > tx.now]
    return Earlier(_first(repeated) if dedupe else None, _first(waiting))


def _build_alike() -> Executable:
    """Build the question once; that takes longer than to answer it."""
    recently = orders.c.changed_at > bindparam("recently", type_=Moment)
    ours = orders.c.account_id == bindparam("account")  # in both halves, or SQLite uses no index but its own
    keyed = and_(ours, orders.c.key_hash == bindparam("key"))
    same = and_(
        ours,
        orders.c.fingerprint == bindparam("fingerprint"),
        or_(is_one_of(orders.c.state, _IN_PLAY), and_(is_one_of(orders.c.state, _MAY_BE_OUT), recently)),
    )
    return select(orders).where(or_(keyed, same)).order_by(orders.c.placed_at.desc())


_ALIKE = _build_alike()


def _of_key(tx: Tx, rows: list[Row[Any]], draft: Draft) -> Earlier:
    """Say what the order with the draft's key is to it."""
    if not rows:
        return Earlier()
    [row] = rows
    _check_same(tx, row, draft)
    if row.state != OrderState.WAITING:
        return Earlier(repeated=row)
    return Earlier(waiting=row) if row.due_at > tx.now else Earlier(overdue=row)


def _check_same(tx: Tx, row: Row[Any], draft: Draft) -> None:
    differing = [
        name
        for name, one, other in (
            ("to", row.recipient_hash, tx.hasher.number(draft.to.e164)),
            ("message", row.text_hash, tx.hasher.of("text", draft.text)),
            ("from", row.sender, written(draft.sender)),
            ("flashsms", row.flash, draft.flash),
        )
        if one != other
    ]
    if differing:
        raise InvalidInput(
            f"The idempotencyKey was used before, with another {', '.join(differing)}.",
            hint="Use a new key for a new message, or the same arguments to ask about the old one.",
        )


def _first(rows: list[Row[Any]]) -> Row[Any] | None:
    return rows[0] if rows else None
