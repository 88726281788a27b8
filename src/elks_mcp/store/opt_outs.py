"""Opt-outs, for all accounts of a database: received by text, or recorded by a person."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Insert,
    Row,
    ScalarSelect,
    and_,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.domain.conversation import LastSent, find_opt_words
from elks_mcp.domain.models import Direction, Message, OptOut
from elks_mcp.domain.opt_outs import OptWord
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.phone import Number, is_e164
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import is_one_of, known_numbers, opt_outs, orders
from elks_mcp.store.db.transactions import reading, writing

BY_TEXT, BY_PERSON = "text", "person"


class OptOutRecord(NamedTuple):
    """A number that opted out, or whose opt-out was lifted by a person or START."""

    masked: str
    """"" if an older version recorded the opt-out, or the number was deleted since."""

    opted_out: bool
    at: datetime
    by_person: bool
    reason: str


class OptOuts:
    """The opt-outs of all accounts of a database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def list_all(self, tx: Tx) -> list[OptOutRecord]:
        """List the numbers that opted out, then those whose opt-out was lifted; latest first."""
        listed = select(opt_outs).order_by(opt_outs.c.opted_out.desc(), opt_outs.c.at.desc())
        return [_parse(row) for row in tx.all(listed.order_by(opt_outs.c.number_hash))]

    @writing
    def add(self, tx: Tx, numbers: Sequence[Number], reason: str) -> list[Number]:
        """Record that numbers opted out. Return those that had not opted out before."""
        hashes = {tx.hasher.number(number.e164): number for number in numbers}
        known = select(opt_outs.c.number_hash).where(opt_outs.c.number_hash.in_(hashes), opt_outs.c.opted_out)
        for row in tx.all(known):
            del hashes[row.number_hash]
        _merge(tx, [_by_person(tx, number, reason, opted_out=True) for number in hashes.values()])
        return list(hashes.values())

    @writing
    def remove(self, tx: Tx, number: Number, reason: str) -> bool:
        """Lift the opt-out, or likely opt-out, of a number. Return whether there was one."""
        theirs = tx.hasher.number(number.e164)
        maybe = exists().where(known_numbers.c.number_hash == theirs, known_numbers.c.maybe_at.is_not(None))
        known = exists().where(opt_outs.c.number_hash == theirs, opt_outs.c.opted_out)
        found = tx.execute(select(or_(maybe, known))).scalar_one()
        if found:
            _merge(tx, [_by_person(tx, number, reason, opted_out=False)])
        return bool(found)

    @reading
    def read_words(self, tx: Tx, messages: Sequence[Message]) -> dict[str, OptWord]:
        """Return which texts opt out, or may, by their ids. A recorded opt-out of a text counts."""
        ids = [each.id for each in messages if each.direction is Direction.INBOUND]
        stops = select(opt_outs.c.message_id).where(opt_outs.c.message_id.in_(ids), opt_outs.c.opted_out)
        maybes = select(known_numbers.c.maybe_message_id).where(
            known_numbers.c.account_id == tx.account_id, known_numbers.c.maybe_message_id.in_(ids)
        )
        recorded = {row[0]: OptWord.MAYBE for row in tx.all(maybes)}
        recorded |= {row[0]: OptWord.STOP for row in tx.all(stops)}
        words = find_opt_words(messages, tx.now, lambda each, before: find_last_sent(tx, each.sender, before))
        return words | recorded


def has_opted_out() -> ColumnElement[bool]:
    """Build the condition that the recipient of an order opted out."""
    return exists().where(opt_outs.c.number_hash == orders.c.recipient_hash, opt_outs.c.opted_out)


def opted_out_at() -> ScalarSelect[datetime]:
    """Build the time at which the recipient of an order opted out; NULL if they did not."""
    theirs = select(opt_outs.c.at).where(opt_outs.c.number_hash == orders.c.recipient_hash)
    return theirs.where(opt_outs.c.opted_out).correlate(orders).scalar_subquery()


RECALLED = (
    opt_outs.c.opted_out.label("opt_out"),
    opt_outs.c.at.label("opt_out_at"),
    opt_outs.c.account_id.label("opt_out_account"),
    opt_outs.c.message_id.label("opt_out_message"),
    opt_outs.c.source.label("opt_out_source"),
    opt_outs.c.reason.label("opt_out_reason"),
    known_numbers.c.maybe_at,
    known_numbers.c.maybe_message_id,
)
"""The columns that `parse_opt_out` and `parse_maybe` read."""


def parse_opt_out(tx: Tx, row: Row[Any] | SimpleNamespace) -> OptOut | None:
    """Return the opt-out in a row.

    It has no message id if another account received the text: that cannot be fetched here.
    """
    if not row.opt_out:
        return None
    is_ours = row.opt_out_account == tx.account_id
    return OptOut(
        at=row.opt_out_at,
        message_id=row.opt_out_message if is_ours else None,
        by_person=row.opt_out_source == BY_PERSON,
        reason=row.opt_out_reason,
    )


def parse_maybe(row: Row[Any] | SimpleNamespace) -> OptOut | None:
    """Return the likely opt-out in a row, unless a person or START lifted it since."""
    if row.maybe_at is None or (row.opt_out_at and row.opt_out_at >= row.maybe_at):
        return None
    return OptOut(at=row.maybe_at, message_id=row.maybe_message_id)


# ── words in texts ──


def read_new_words(
    tx: Tx, messages: Sequence[Message], stored: Collection[str], self_caused: Collection[str]
) -> dict[str, OptWord]:
    """Return the words that count of texts that were just received, by their ids.

    `stored` are the ids of those that were received before. One that may be an answer was judged then, and
    counts as an answer: later, less may be known of the question. `self_caused` are the ids of texts that
    prove nothing about their sender. A STOP in them counts.
    """

    def find_asked(message: Message, before: datetime) -> LastSent:
        if message.id in stored:
            return LastSent(asked_at=before)
        return find_last_sent(tx, message.sender, before)

    words = find_opt_words(messages, tx.now, find_asked)
    return {
        each.id: word
        for each in messages
        if (word := words.get(each.id)) and (word is OptWord.STOP or _proves(each, word, self_caused))
    }


def _proves(message: Message, word: OptWord, self_caused: Collection[str]) -> bool:
    """Return whether a word other than STOP counts: a START without a time lifts nothing."""
    is_timed = message.created_at is not None or word is not OptWord.START
    return is_timed and message.id not in self_caused


def record_opt_outs(tx: Tx, messages: Iterable[Message], words: Mapping[str, OptWord]) -> None:
    """Record which senders opted out or in by these texts, in order of their times."""
    rows: dict[str, dict[str, Any]] = {}
    for message in messages:
        word = words.get(message.id)
        if word not in {OptWord.STOP, OptWord.START} or not is_e164(message.sender):
            continue  # anyone can take any name
        number = Number(message.sender)
        rows[message.sender] = _row(tx, number, opted_out=word is OptWord.STOP) | {
            "at": message.created_at or tx.now,
            "account_id": tx.account_id,
            "message_id": message.id,
            "source": BY_TEXT,
        }
    _merge(tx, list(rows.values()))


def find_last_sent(tx: Tx, number: str, before: datetime) -> LastSent:
    """Return when a number was last texted and asked before a time, by history and orders."""
    theirs = tx.hasher.number(number)
    known = tx.first(select(known_numbers).filter_by(account_id=tx.account_id, number_hash=theirs))
    times = (known.sent_at, known.asked_at) if known else ()
    seen = [moment if moment and moment <= before else None for moment in times]
    at = func.coalesce(orders.c.accepted_at, orders.c.attempted_at)
    ordered = select(func.max(at), func.max(case((orders.c.asks, at))))
    to_them = and_(orders.c.account_id == tx.account_id, orders.c.recipient_hash == theirs)
    [ours] = tx.all(ordered.where(to_them, is_one_of(orders.c.state, _MAY_BE_OUT), at <= before))
    return LastSent(*seen).later(LastSent(*ours))


_MAY_BE_OUT = (
    OrderState.SENDING,
    OrderState.IN_DOUBT,
    OrderState.UNKNOWN,
    OrderState.SENT,
    OrderState.DELIVERED,
    OrderState.FAILED,
)


# ── rows ──


def _row(tx: Tx, number: Number, *, opted_out: bool) -> dict[str, Any]:
    theirs = {"number_hash": tx.hasher.number(number.e164), "masked": number.masked}
    return theirs | {"opted_out": opted_out, "reason": ""}


def _by_person(tx: Tx, number: Number, reason: str, *, opted_out: bool) -> dict[str, Any]:
    more = {"at": tx.now, "account_id": None, "message_id": None, "source": BY_PERSON, "reason": reason}
    return _row(tx, number, opted_out=opted_out) | more


def _merge(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Merge opt-outs and opt-ins into the table. The later one wins."""
    if not rows:
        return
    insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(opt_outs)
    new = insert.excluded  # type: ignore[attr-defined]
    statement = insert.on_conflict_do_update(  # type: ignore[attr-defined]
        index_elements=[opt_outs.c.number_hash],
        set_={column: new[column] for column in rows[0] if column != "number_hash"},
        where=opt_outs.c.at <= new.at,
    )
    tx.execute(statement, sorted(rows, key=lambda row: str(row["number_hash"])))


def _parse(row: Row[Any]) -> OptOutRecord:
    return OptOutRecord(row.masked, row.opted_out, row.at, row.source == BY_PERSON, row.reason)


# ── what is stored about one number ──


def find_opt_out(tx: Tx, number: Number) -> Row[Any] | None:
    """Return what is recorded about a number's opt-out."""
    return tx.first(select(opt_outs).where(opt_outs.c.number_hash == tx.hasher.number(number.e164)))


def reduce_opt_out(tx: Tx, number: Number) -> None:
    """Delete everything recorded about a number's opt-out except that it opted out, and when."""
    theirs = opt_outs.c.number_hash == tx.hasher.number(number.e164)
    tx.execute(delete(opt_outs).where(theirs, ~opt_outs.c.opted_out))
    tx.execute(update(opt_outs).where(theirs).values(message_id=None, account_id=None, reason="", masked=""))
