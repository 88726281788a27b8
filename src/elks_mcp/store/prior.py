"""Earlier orders that a draft may repeat, and what is stored about its recipient."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Executable, Row, and_, bindparam, case, exists, or_, select

from elks_mcp.domain.models import Recall
from elks_mcp.domain.orders import UNFINISHED, Draft, OrderState
from elks_mcp.domain.phone import written
from elks_mcp.domain.taint import ShownText
from elks_mcp.errors import InvalidInput
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.moments import NOW, SEND_AT, shifted
from elks_mcp.store.db.rows import fingerprint, identity_hash, key_hash, parse_payload
from elks_mcp.store.db.schema import is_one_of, orders
from elks_mcp.store.known_numbers import build_recall, parse_recall, recall_values
from elks_mcp.store.taint import find_taint, is_tainted

REPEATED_WITHIN = timedelta(minutes=15)

_IN_PLAY = tuple(UNFINISHED)
_LATER = (OrderState.SCHEDULED, OrderState.PAUSED)
MAY_BE_OUT = (OrderState.SENT, OrderState.DELIVERED, OrderState.UNKNOWN)


class PriorRows(NamedTuple):
    """The rows that matter for a draft."""

    recall: Recall

    is_first: bool
    """Whether nothing is queued that goes out before it."""

    repeated: Row[Any] | None = None
    """The order with the draft's key; without a key, the same message, on its way or just sent."""

    waiting: Row[Any] | None = None
    """The order for exactly this draft that waits for a person."""

    overdue: Row[Any] | None = None
    """The order with the draft's key that has waited too long for a person."""


def find_prior_rows(tx: Tx, draft: Draft, *, dedupe: bool, shown: Collection[ShownText] = ()) -> PriorRows:
    """Return what came before a draft. Without `dedupe`, only a key makes a repeat.

    `shown` are the texts that this process showed to the caller's model in the last 30 minutes.

    Raises:
        InvalidInput: The idempotency key was used for another message.
    """
    first, rows = _query(tx, draft)
    is_first = not first.is_behind
    if draft.idempotency_key:
        return _apply_key(tx, PriorRows(_parse(tx, first, draft, shown), is_first), rows, draft)
    repeated = _find_repeated(rows) if dedupe else None
    waiting = [row for row in rows if _is_waiting(row) and _is_exactly(tx, row, draft)]
    earlier = PriorRows(_parse(tx, first, draft, shown, repeated), is_first, repeated)
    return _with_waiting(earlier, waiting[0]) if waiting else earlier


def _is_waiting(row: Row[Any]) -> bool:
    return bool(row.state == OrderState.WAITING and row.key_hash is None and row.due_at > row.asked_at)


def _is_exactly(tx: Tx, row: Row[Any], draft: Draft) -> bool:
    return row.send_at == draft.send_at and parse_payload(tx, row).options == draft.payload.options


def recall_for(tx: Tx, draft: Draft, shown: Collection[ShownText] = ()) -> Recall:
    """Return what matters for a draft that is only priced. Its idempotency key is not checked."""
    first, rows = _query(tx, draft)
    repeated = None if draft.idempotency_key else _find_repeated(rows)
    return _parse(tx, first, draft, shown, repeated)


def _parse(
    tx: Tx, row: Row[Any], draft: Draft, shown: Collection[ShownText], repeated: Row[Any] | None = None
) -> Recall:
    taint = find_taint(tx, draft, shown, elsewhere=row.tainted)
    return parse_recall(tx, row, repeated=repeated.id if repeated else None, taint=taint)


def _query(tx: Tx, draft: Draft) -> tuple[Row[Any], Sequence[Row[Any]]]:
    """Return a row with what is stored, and the orders that the draft may repeat, latest first."""
    values = recall_values(tx, draft.to, send_at=draft.send_at) | {
        "fingerprint": fingerprint(tx, draft),
        "key": key_hash(tx, draft),
        "caller": draft.caller,
    }
    row = tx.execute(_build_prior(frozenset(tx.kinds), among_later=False), values).one()
    if row.has_later:
        row = tx.execute(_build_prior(frozenset(tx.kinds), among_later=True), values).one()
    alike = tx.execute(_ALIKE, values).all() if row.has_alike else []
    if values["key"]:
        alike = [each for each in alike if each.key_hash == values["key"]]
    return row, alike


@cache
def _build_prior(kinds: frozenset[str], *, among_later: bool) -> Executable:
    """Build the query, once: building it takes longer than running it."""
    return build_recall(among_later=among_later).add_columns(
        _is_anything_due(kinds).label("is_behind"),
        is_tainted().label("tainted"),
        or_(*(exists().where(each) for each in _build_likeness())).label("has_alike"),
    )


def _build_likeness() -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a repeat: the same key, or the same text at nearly its time."""
    ours = orders.c.account_id == bindparam("account")  # in both, otherwise SQLite ignores the indexes
    yield and_(ours, orders.c.key_hash == bindparam("key"))
    is_in_play, may_be_out = is_one_of(orders.c.state, _IN_PLAY), is_one_of(orders.c.state, MAY_BE_OUT)
    send_at, due_at = orders.c.send_at, orders.c.due_at
    is_later = and_(is_one_of(orders.c.state, _LATER), due_at > NOW)
    goes_at = case((send_at > NOW, send_at), (is_later, due_at), else_=NOW)
    goes_near = and_(_is_near(goes_at), goes_at < shifted(SEND_AT, REPEATED_WITHIN))
    is_near = or_(and_(is_in_play, goes_near), and_(may_be_out, _is_near(orders.c.changed_at)))
    yield and_(ours, orders.c.fingerprint == bindparam("fingerprint"), is_near)


def _is_near(moment: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Build the condition that a draft that goes out at `SEND_AT` comes too soon after a text."""
    return moment > shifted(SEND_AT, -REPEATED_WITHIN)


_ALIKE = (
    select(NOW.label("asked_at"), orders).where(or_(*_build_likeness())).order_by(orders.c.placed_at.desc())
)


def _is_anything_due(kinds: frozenset[str]) -> ColumnElement[bool]:
    """Build the condition that a single text is due: the rows of batches come after it."""
    queued = orders.alias("queued")
    return exists().where(
        queued.c.account_id == bindparam("account"),
        queued.c.state == OrderState.QUEUED,
        queued.c.priority == 0,
        queued.c.due_at <= NOW,
        is_one_of(queued.c.kind, kinds),
    )


def _find_repeated(rows: Sequence[Row[Any]]) -> Row[Any] | None:
    return next((row for row in rows if row.state != OrderState.WAITING), None)


def _apply_key(tx: Tx, earlier: PriorRows, rows: Sequence[Row[Any]], draft: Draft) -> PriorRows:
    """Add the order that has the draft's idempotency key: a repeat, waiting or overdue."""
    if not rows:
        return earlier
    [row] = rows
    _check_same(tx, row, draft)
    if row.state != OrderState.WAITING:
        return earlier._replace(repeated=row)
    if row.due_at > row.asked_at:
        return _with_waiting(earlier, row)
    return earlier._replace(overdue=row)


def _with_waiting(earlier: PriorRows, waiting: Row[Any]) -> PriorRows:
    """Add the order that is exactly the draft, and do not count it as another text."""
    recall = earlier.recall
    less = {
        "texts_in_10_minutes": recall.texts_in_10_minutes - 1,
        "texts_in_24_hours": recall.texts_in_24_hours - 1,
    }
    return earlier._replace(waiting=waiting, recall=recall.model_copy(update=less))


def _check_same(tx: Tx, row: Row[Any], draft: Draft) -> None:
    differing = ["kind"] if row.kind != draft.kind else _list_differences(tx, row, draft)
    if differing:
        raise InvalidInput(
            f"The idempotency key was used before, with another {', '.join(differing)}.",
            hint="Use a new key for a new message, or repeat the old one unchanged to ask about it.",
        )


def _list_differences(tx: Tx, row: Row[Any], draft: Draft) -> list[str]:
    """Return what differs between an order and a draft of its kind, in words."""
    known = parse_payload(tx, row).options
    return [
        name
        for name, one, other in (
            ("recipient", row.recipient_hash, tx.hasher.number(draft.to.e164)),
            ("text", row.text_hash, identity_hash(tx, draft.payload)),
            ("sender", row.sender, written(draft.sender)),
            ("send time", row.send_at, draft.send_at),
            *((name, known.get(name), value) for name, value in draft.payload.options.items()),
        )
        if one != other
    ]
