"""What is remembered of the people texted: whether we know them, how often, and who said STOP."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Executable,
    Insert,
    ScalarSelect,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.models import NEVER_SENT, Direction, Draft, Message, OrderState, Recall
from elks_mcp.opt_out import OptWord, find_word
from elks_mcp.phone import Number
from elks_mcp.store.database import Database, Tx, deciding, reading
from elks_mcp.store.earlier import find_earlier
from elks_mcp.store.schema import Moment, accounts, contacts, is_one_of, orders

LATELY = timedelta(minutes=10)
DAY = timedelta(hours=24)

_NOT_COUNTED = (*NEVER_SENT, OrderState.WAITING)


class People:
    """Answers what a guard asks about a recipient, and listens to history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def recall(self, tx: Tx, draft: Draft) -> Recall:
        """Recall what bears on a draft that is only priced; what its key was used for is of no account."""
        if draft.idempotency_key:
            return recall(tx, draft.to)
        earlier = find_earlier(tx, draft, dedupe=True)
        return recall(tx, draft.to, repeated=earlier.repeated.id if earlier.repeated else None)

    @reading
    def heard_until(self, tx: Tx) -> datetime | None:
        """Say up to when history was heard; None where it never was."""
        found = tx.first(select(accounts.c.heard_until).where(accounts.c.id == tx.account_id))
        return found.heard_until if found else None

    @deciding
    def hear(self, tx: Tx, messages: Iterable[Message], *, until: datetime | None = None) -> None:
        """Take note of messages, in any order and as often as they come: who wrote, to whom, who said STOP.

        `until`: history was heard without a gap up to then.
        """
        _note(tx, _news(tx, messages))
        if until:
            tx.execute(update(accounts).where(accounts.c.id == tx.account_id).values(heard_until=until))


def recall(tx: Tx, to: Number, *, besides: str = "", repeated: str | None = None) -> Recall:
    """Recall what bears on a text to a number; of its own order, `besides`, nothing counts."""
    values = {
        "account": tx.account_id,
        "number": tx.hasher.number(to.e164),
        "besides": besides,
        "lately": tx.now - LATELY,
        "day_ago": tx.now - DAY,
    }
    found = tx.execute(_RECALL, values).one()
    return Recall(
        opted_out=found.opted_out,
        is_known=found.was_sent or bool(found.is_contact),
        lately=found.lately,
        today=found.today,
        spent=int(found.spent),
        repeated=repeated,
    )


def _build_recall() -> Executable:
    """Build the question once; that takes longer than to answer it."""
    account: BindParameter[int] = bindparam("account")
    number: BindParameter[str] = bindparam("number")
    lately, day_ago = bindparam("lately", type_=Moment), bindparam("day_ago", type_=Moment)
    here = and_(contacts.c.account_id == accounts.c.id, contacts.c.number_hash == number)
    since = case((contacts.c.received_at > lately, contacts.c.received_at), else_=lately)
    others = and_(orders.c.account_id == account, orders.c.id != bindparam("besides"))
    today = and_(others, orders.c.charged_at > day_ago)
    theirs = and_(today, orders.c.recipient_hash == number, ~is_one_of(orders.c.state, _NOT_COUNTED))
    # Not IS NOT NULL, for which SQLite would go through all messages of the account by their index.
    has_message = func.length(orders.c.message_id) > 0
    accepted = and_(others, orders.c.recipient_hash == number, has_message)
    return (
        select(
            func.coalesce(contacts.c.opted_out, false()).label("opted_out"),
            or_(contacts.c.sent_at.is_not(None), contacts.c.received_at.is_not(None)).label("is_contact"),
            exists().where(accepted).label("was_sent"),
            _count(and_(theirs, orders.c.charged_at > since)).label("lately"),
            _count(theirs).label("today"),
            _sum(orders.c.charge, today).label("spent"),
        )
        .select_from(accounts.outerjoin(contacts, here))
        .where(accounts.c.id == account)
    )


def _count(which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(orders).where(which).correlate(contacts).scalar_subquery()


def _sum(column: Column[int], which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.coalesce(func.sum(column), 0)).where(which).scalar_subquery()


_RECALL = _build_recall()


def note_sent(tx: Tx, which: ColumnElement[bool]) -> None:
    """Note who was written to by these orders, which are about to go."""
    sent = select(orders.c.recipient_hash, func.max(orders.c.changed_at).label("at"))
    accepted = and_(which, orders.c.message_id.is_not(None), orders.c.recipient_hash.is_not(None))
    rows = tx.all(sent.where(accepted).group_by(orders.c.recipient_hash))
    _note(tx, [_contact(tx, row.recipient_hash) | {"sent_at": row.at} for row in rows])


def _news(tx: Tx, messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Sum messages up, one row for each number."""
    rows: dict[str, dict[str, Any]] = {}
    for message in sorted(messages, key=lambda each: (each.created_at or tx.now, each.id)):
        inbound = message.direction is Direction.INBOUND
        other = message.sender if inbound else message.to
        if not re.fullmatch(r"\+[0-9]+", other):
            continue  # a name can be anybody's
        row = rows.setdefault(other, _contact(tx, tx.hasher.number(other)))
        moment = message.created_at or tx.now
        row["received_at" if inbound else "sent_at"] = moment
        if inbound and (word := find_word(message.text or "")):
            row |= {"opted_out": word is OptWord.STOP, "word_at": moment}
    return list(rows.values())


def _contact(tx: Tx, number_hash: str) -> dict[str, Any]:
    return {
        "account_id": tx.account_id,
        "number_hash": number_hash,
        "sent_at": None,
        "received_at": None,
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
        "opted_out": case((said_later, new.opted_out), else_=contacts.c.opted_out),
        "word_at": _later(contacts.c.word_at, new.word_at),
    }
    statement = insert.on_conflict_do_update(  # type: ignore[attr-defined]
        index_elements=[contacts.c.account_id, contacts.c.number_hash], set_=changes
    )
    tx.execute(statement, sorted(rows, key=lambda row: row["number_hash"]))


def _later(known: Column[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((or_(known.is_(None), known < new), new), else_=known)
