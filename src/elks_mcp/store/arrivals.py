"""Received texts: which, from which number (hashed), in which order. No words are stored."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from elks_mcp.domain.conversation import follows
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import ACCEPTED, NEVER_SENT, Order, OrderState
from elks_mcp.domain.phone import Number, is_e164
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.moments import Moment
from elks_mcp.store.db.schema import accounts, arrivals, is_one_of, known_numbers, orders
from elks_mcp.store.db.transactions import reading
from elks_mcp.store.values import Arrival, Wanted

ARRIVALS_KEPT = timedelta(days=30)
"""How long it is stored that a text was received. Callers that wait for one ask sooner."""

ANSWERED_WITHIN = timedelta(hours=24)
"""How long after a text a reply still counts as an answer to it, for a caller who may read nothing else."""

_MOST = 1000

_REACHED = (OrderState.SENT, OrderState.DELIVERED)
_NOT_OUT = (*NEVER_SENT, OrderState.WAITING, OrderState.QUEUED)
_SLACK = timedelta(seconds=5)
"""How far the clocks here and at 46elks may differ unnoticed. Another caller's text that close counts."""

_LIKELY = timedelta(hours=1)
"""How far 46elks' time of a text may be from that of our attempt and still be used."""


class Arrivals:
    """Finds received texts. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find_last(self, tx: Tx) -> int:
        """Return the position of the latest received text; 0 if there never was one."""
        row = tx.first(select(accounts.c.last_arrival).where(accounts.c.id == tx.account_id))
        return (row.last_arrival if row else None) or 0

    @reading
    def find_first(self, tx: Tx, wanted: Wanted) -> Arrival | None:
        """Return the first received text that a caller waits for, if there is one."""
        which = [arrivals.c.position > wanted.after]
        if wanted.since:
            which.append(arrivals.c.received_at >= wanted.since)
        if wanted.sender_hash:
            which.append(arrivals.c.sender_hash == wanted.sender_hash)
        if wanted.known_only:
            which.append(_is_known())
        row = tx.first(_list(tx, *which).limit(1))
        return _parse(row) if row else None

    @reading
    def list_after(self, tx: Tx, position: int) -> list[Arrival]:
        """List the texts received after a position, in order; at most 1,000."""
        return [_parse(row) for row in tx.all(_list(tx, arrivals.c.position > position).limit(_MOST))]

    @reading
    def find_known(self, tx: Tx, numbers: Iterable[str]) -> frozenset[str]:
        """Return those of these numbers to which a text was ever sent."""
        hashes = {tx.hasher.number(number): number for number in numbers}
        to_them = known_numbers.c.account_id == tx.account_id, known_numbers.c.number_hash.in_(hashes)
        written = tx.all(
            select(known_numbers.c.number_hash).where(*to_them, known_numbers.c.sent_at.is_not(None))
        )
        ours = orders.c.account_id == tx.account_id, orders.c.recipient_hash.in_(hashes)
        ordered = tx.all(select(orders.c.recipient_hash).where(*ours, orders.c.message_id.is_not(None)))
        return frozenset(hashes[row[0]] for row in [*written, *ordered])

    @reading
    def find_replies(self, tx: Tx, messages: Collection[Message], answers: Collection[str]) -> frozenset[str]:
        """Return the ids of those received texts whose sender was texted before they were written.

        A text that the account may have sent itself is not a reply. `answers` are the ids of texts whose
        sender is known to have been texted before.
        """
        numbers = {each.sender: tx.hasher.number(each.sender) for each in messages}
        first_sent = _find_first_sent(tx, frozenset(numbers.values()))
        stored = find_stored(tx, [each.id for each in messages])
        return frozenset(
            each.id
            for each in messages
            if not stored.get(each.id)
            and (each.id in answers or follows(each, first_sent.get(numbers[each.sender]), tx.now))
        )

    @reading
    def find_position(self, tx: Tx, message_id: str) -> int | None:
        """Return the position of a received text; None if there is none with that id."""
        its = select(arrivals.c.position).where(arrivals.c.message_id == message_id)
        row = tx.first(its.where(arrivals.c.account_id == tx.account_id))
        return row.position if row else None

    @reading
    def is_answer(self, tx: Tx, arrival: Arrival, order: Order, skew: timedelta) -> bool:
        """Return whether a text answers an order, and cannot be meant for another caller.

        It must come from the recipient of a text that 46elks accepted, at most 24 hours after it, and no
        other caller may have texted that number in between. `skew` is how far 46elks' clock is ahead of the
        database's.
        """
        row = tx.first(select(orders).filter_by(account_id=tx.account_id, id=order.id, caller=order.caller))
        if row is None or row.state not in _REACHED or row.attempted_at is None:
            return False
        if row.recipient_hash is None or row.recipient_hash != arrival.sender_hash:
            return False
        sent_at = row.attempted_at + skew
        if row.accepted_at and abs(row.accepted_at - sent_at) < _LIKELY:
            sent_at = row.accepted_at
        if not sent_at <= arrival.received_at <= sent_at + ANSWERED_WITHIN:
            return False
        others = exists().where(
            orders.c.account_id == tx.account_id,
            orders.c.recipient_hash == row.recipient_hash,
            orders.c.caller != order.caller,
            orders.c.attempted_at >= row.attempted_at,
            orders.c.attempted_at <= arrival.received_at - skew + _SLACK,
            orders.c.state.not_in(_NOT_OUT),
        )
        return not tx.execute(select(others)).scalar_one()

    def hash_of(self, number: Number) -> str:
        """Return the hash under which a number is stored."""
        return self._database.hasher.number(number.e164)


def _find_first_sent(tx: Tx, hashes: Collection[str]) -> dict[str, datetime]:
    """Return when each of these numbers was first texted, by history and by our own orders."""
    by_history = func.coalesce(known_numbers.c.first_sent_at, known_numbers.c.sent_at, type_=Moment)
    known = select(known_numbers.c.number_hash, by_history.label("at")).where(
        known_numbers.c.account_id == tx.account_id, known_numbers.c.number_hash.in_(hashes)
    )
    by_orders = func.min(func.coalesce(orders.c.accepted_at, orders.c.attempted_at), type_=Moment)
    accepted = select(orders.c.recipient_hash, by_orders.label("at")).where(
        orders.c.account_id == tx.account_id,
        orders.c.recipient_hash.in_(hashes),
        is_one_of(orders.c.state, ACCEPTED),
    )
    times: dict[str, datetime] = {}
    for row in [*tx.all(known), *tx.all(accepted.group_by(orders.c.recipient_hash))]:
        if row.at is not None:
            times[row[0]] = min(row.at, times.get(row[0], row.at))
    return times


def _list(tx: Tx, *which: ColumnElement[bool]) -> Select[Any]:
    ours = select(arrivals, _is_known().label("is_known")).where(arrivals.c.account_id == tx.account_id)
    return ours.where(~arrivals.c.self_caused, *which).order_by(arrivals.c.position)


def _is_known() -> ColumnElement[bool]:
    """Build the condition that something was ever sent to the sender of a received text."""
    theirs = and_(
        known_numbers.c.account_id == arrivals.c.account_id,
        known_numbers.c.number_hash == arrivals.c.sender_hash,
        known_numbers.c.sent_at.is_not(None),
    )
    to_them = and_(
        orders.c.account_id == arrivals.c.account_id,
        orders.c.recipient_hash == arrivals.c.sender_hash,
        func.length(orders.c.message_id) > 0,
    )
    return or_(exists().where(theirs), exists().where(to_them))


def _parse(row: Row[Any]) -> Arrival:
    return Arrival(row.position, row.message_id, row.sender_hash, row.received_at, row.is_known)


def record_arrivals(
    tx: Tx, messages: Iterable[Message], stored: Collection[str], self_caused: Collection[str]
) -> None:
    """Record which texts were received, each once, the oldest first.

    `stored`: the ids of those that are recorded already. `self_caused`: those that the account may have sent.
    """
    since = tx.now - ARRIVALS_KEPT
    inbound = {each.id: each for each in messages if each.direction is Direction.INBOUND}
    recent = {
        id_: at
        for id_, each in inbound.items()
        if id_ not in stored and (at := each.created_at or tx.now) > since
    }
    if not recent:
        return
    rows = [
        _build(tx, inbound[id_], at, position) | {"self_caused": id_ in self_caused}
        for position, (id_, at) in enumerate(sorted(recent.items(), key=_by_time), _last(tx) + 1)
    ]
    tx.execute(_INSERT, rows)
    tx.execute(_SET_LAST, {"account": tx.account_id, "position": rows[-1]["position"]})
    tx.announce()


_INSERT = insert(arrivals)
_SET_LAST = (
    update(accounts).where(accounts.c.id == bindparam("account")).values(last_arrival=bindparam("position"))
)


def delete_old_arrivals(tx: Tx) -> None:
    """Delete the records of texts that were received more than 30 days ago."""
    ours = arrivals.c.account_id == tx.account_id
    tx.execute(delete(arrivals).where(ours, arrivals.c.recorded_at < tx.now - ARRIVALS_KEPT))


def find_stored(tx: Tx, ids: Iterable[str]) -> dict[str, bool]:
    """Return which of these messages are stored already, and whether each is `self_caused`.

    The query does not name the account: a PostgreSQL without statistics would then read all its rows.
    """
    wanted = [*ids]
    rows = tx.execute(_STORED, {"ids": wanted}) if wanted else ()
    return {row.message_id: row.self_caused for row in rows if row.account_id == tx.account_id}


_STORED = select(arrivals.c.message_id, arrivals.c.account_id, arrivals.c.self_caused).where(
    arrivals.c.message_id.in_(bindparam("ids"))
)


def _by_time(item: tuple[str, datetime]) -> tuple[datetime, str]:
    return item[1], item[0]


def _last(tx: Tx) -> int:
    return tx.shared["last_arrival"] or 0


def _build(tx: Tx, message: Message, received_at: datetime, position: int) -> dict[str, Any]:
    is_number = is_e164(message.sender)
    return {
        "account_id": tx.account_id,
        "position": position,
        "message_id": message.id,
        "sender_hash": tx.hasher.number(message.sender) if is_number else None,
        "received_at": received_at,
        "recorded_at": tx.now,
    }
