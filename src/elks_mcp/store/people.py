"""What is remembered of the people texted: whether we know them, how often, and who said STOP."""

import re
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Insert,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.models import NEVER_SENT, Direction, Message, OrderState, Recall, Taint
from elks_mcp.opt_out import OptWord, find_word
from elks_mcp.phone import Number
from elks_mcp.store.database import Tx
from elks_mcp.store.schema import Moment, accounts, ago, contacts, is_one_of, orders

LATELY = timedelta(minutes=10)
DAY = timedelta(hours=24)

_NOT_COUNTED = (*NEVER_SENT, OrderState.WAITING)


def recall(tx: Tx, to: Number, *, besides: str) -> Recall:
    """Recall what bears on a text to a number; of its own order, `besides`, nothing counts."""
    values = recall_values(tx, to, besides=besides)
    return parse_recall(tx.execute(_RECALL, values).one())


def recall_values(tx: Tx, to: Number, *, besides: str = "") -> dict[str, Any]:
    """Give what the question of `build_recall` is asked with."""
    return {
        "account": tx.account_id,
        "number": tx.hasher.number(to.e164),
        "besides": besides,
        "now": tx.known_now,
    }


def parse_recall(row: Row[Any], repeated: str | None = None, taint: Taint | None = None) -> Recall:
    """Read the answer."""
    return Recall(
        opted_out=row.opted_out,
        is_known=row.first_order_at is not None or bool(row.is_contact),
        first_sent_at=min((at for at in (row.first_sent_at, row.first_order_at) if at), default=None),
        lately=row.lately,
        today=row.today,
        spent=int(row.spent),
        repeated=repeated,
        taint=taint,
    )


def build_recall() -> Select[*tuple[Any, ...]]:
    """Build the question what is remembered of a number, which has one row for an answer."""
    account: BindParameter[int] = bindparam("account")
    number: BindParameter[str] = bindparam("number")
    here = and_(contacts.c.account_id == accounts.c.id, contacts.c.number_hash == number)
    since = case((contacts.c.received_at > ago(LATELY), contacts.c.received_at), else_=ago(LATELY))
    other = and_(_others.c.account_id == account, _others.c.id != bindparam("besides"))
    to_them = and_(other, _others.c.recipient_hash == number)
    counted = and_(to_them, _others.c.charged_at > ago(DAY), ~is_one_of(_others.c.state, _NOT_COUNTED))
    # Not IS NOT NULL, for which SQLite would go through all messages of the account by their index.
    has_message = func.length(_others.c.message_id) > 0
    accepted_at = func.coalesce(_others.c.accepted_at, _others.c.changed_at, type_=Moment)
    first_order = select(func.min(accepted_at, type_=Moment))
    return (
        select(
            func.coalesce(contacts.c.opted_out, false()).label("opted_out"),
            or_(contacts.c.sent_at.is_not(None), contacts.c.received_at.is_not(None)).label("is_contact"),
            contacts.c.first_sent_at,
            first_order.where(to_them, has_message)
            .correlate(contacts)
            .scalar_subquery()
            .label("first_order_at"),
            _count(and_(counted, _others.c.charged_at > since)).label("lately"),
            _count(counted).label("today"),
            sum_spent(other).label("spent"),
        )
        .select_from(accounts.outerjoin(contacts, here))
        .where(accounts.c.id == account)
    )


def sum_spent(which: ColumnElement[bool] | None = None) -> ScalarSelect[int]:
    """Sum up what was charged or reserved in the last 24 hours, for the account or `which` of `_others`."""
    ours = _others.c.account_id == bindparam("account") if which is None else which
    total = select(func.coalesce(func.sum(_others.c.charge), 0))
    return total.where(ours, _others.c.charged_at > ago(DAY)).scalar_subquery()


def _count(which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(_others).where(which).correlate(contacts).scalar_subquery()


_others = orders.alias("others")
_RECALL = build_recall()


def has_opted_out() -> ColumnElement[bool]:
    """Say of an order that its recipient said STOP."""
    return exists().where(
        contacts.c.account_id == orders.c.account_id,
        contacts.c.number_hash == orders.c.recipient_hash,
        contacts.c.opted_out,
    )


def note_messages(tx: Tx, messages: Iterable[Message], *, self_caused: Collection[str] = ()) -> None:
    """Note who wrote, who was written to, and who said STOP.

    `self_caused`: ids of incoming texts that prove nothing about their sender, except that a STOP counts.
    """
    _note(tx, _news(tx, messages, self_caused))


def note_sent(tx: Tx, which: ColumnElement[bool]) -> None:
    """Note who was written to by these orders, which are about to go."""
    first, last = func.min(orders.c.changed_at), func.max(orders.c.changed_at)
    sent = select(orders.c.recipient_hash, first.label("first"), last.label("last"))
    accepted = and_(which, orders.c.message_id.is_not(None), orders.c.recipient_hash.is_not(None))
    rows = tx.all(sent.where(accepted).group_by(orders.c.recipient_hash))
    _note(
        tx,
        [
            _contact(tx, row.recipient_hash) | {"first_sent_at": row.first, "sent_at": row.last}
            for row in rows
        ],
    )


def _news(tx: Tx, messages: Iterable[Message], self_caused: Collection[str]) -> list[dict[str, Any]]:
    """Sum messages up, one row for each number."""
    rows: dict[str, dict[str, Any]] = {}
    for message in sorted(messages, key=lambda each: (each.created_at or tx.now, each.id)):
        inbound = message.direction is Direction.INBOUND
        other = message.sender if inbound else message.to
        if not re.fullmatch(r"\+[0-9]+", other):
            continue  # a name can be anybody's
        row = rows.setdefault(other, _contact(tx, tx.hasher.number(other)))
        moment = message.created_at or tx.now
        word = find_word(message.text or "") if inbound else None
        if message.id in self_caused:
            word = word if word is OptWord.STOP else None
        else:
            kind = "received_at" if inbound else "sent_at"
            row[kind] = moment
            row[f"first_{kind}"] = row[f"first_{kind}"] or moment
        if word:
            row |= {"opted_out": word is OptWord.STOP, "word_at": moment}
    return list(rows.values())


def _contact(tx: Tx, number_hash: str) -> dict[str, Any]:
    return {
        "account_id": tx.account_id,
        "number_hash": number_hash,
        "sent_at": None,
        "received_at": None,
        "first_sent_at": None,
        "first_received_at": None,
        "opted_out": False,
        "word_at": None,
    }


def _note(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Put rows beside what is known, where the later word counts."""
    if not rows:
        return
    insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(contacts)
    new = insert.excluded  # type: ignore[attr-defined]
    said_later = and_(
        new.word_at.is_not(None), or_(contacts.c.word_at.is_(None), contacts.c.word_at <= new.word_at)
    )
    changes = {
        "sent_at": _later(contacts.c.sent_at, new.sent_at),
        "received_at": _later(contacts.c.received_at, new.received_at),
        "first_sent_at": _earlier(contacts.c.first_sent_at, new.first_sent_at),
        "first_received_at": _earlier(contacts.c.first_received_at, new.first_received_at),
        "opted_out": case((said_later, new.opted_out), else_=contacts.c.opted_out),
        "word_at": _later(contacts.c.word_at, new.word_at),
    }
    statement = insert.on_conflict_do_update(  # type: ignore[attr-defined]
        index_elements=[contacts.c.account_id, contacts.c.number_hash], set_=changes
    )
    tx.execute(statement, sorted(rows, key=lambda row: row["number_hash"]))


def _earlier(known: Column[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((or_(known.is_(None), known > new), new), else_=known)


def _later(known: Column[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((or_(known.is_(None), known < new), new), else_=known)
