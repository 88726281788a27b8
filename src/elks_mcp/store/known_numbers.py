"""Known numbers: when each was texted, when each wrote, and likely opt-outs."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Insert,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.domain.models import Direction, Message, Recall, Taint
from elks_mcp.domain.opt_outs import OptWord, asks_for_answer
from elks_mcp.domain.orders import NEVER_SENT, Draft, OrderState
from elks_mcp.domain.phone import Number, is_e164
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.moments import NOW, SEND_AT, Moment, ago, shifted
from elks_mcp.store.db.schema import accounts, is_one_of, known_numbers, opt_outs, orders
from elks_mcp.store.opt_outs import RECALLED, parse_maybe, parse_opt_out
from elks_mcp.store.totals import DAY, Peak, is_other, is_soon_after, peak_of_spending

VELOCITY_WINDOW = timedelta(minutes=10)
"""The shorter window of the guard `velocity`."""

UNREAD_FOR = timedelta(days=7)
"""How long an unreadable row makes sending ask a person: a weekend, and time to look at it."""


def recall(tx: Tx, draft: Draft, *, excluded_order: str) -> Recall:
    """Return what matters for a draft, at the time when it is to go out.

    `excluded_order` is the id of the draft's own order, which does not count.
    """
    values = recall_values(tx, draft.to, send_at=draft.send_at) | {"excluded_order": excluded_order}
    row = tx.execute(_RECALL, values).one()
    return parse_recall(tx, tx.execute(_RECALL_AMONG_LATER, values).one() if row.has_later else row)


def recall_values(tx: Tx, to: Number, *, send_at: datetime | None = None) -> dict[str, Any]:
    """Return the parameters of the query of `build_recall`."""
    return {
        "account": tx.account_id,
        "number": tx.hasher.number(to.e164),
        "send_at": send_at,
        "now": tx.known_now,
    }


def parse_recall(tx: Tx, row: Row[Any], repeated: str | None = None, taint: Taint | None = None) -> Recall:
    """Return the `Recall` that a row of the query of `build_recall` holds."""
    return Recall(
        opted_out=bool(row.opt_out),
        opt_out=parse_opt_out(tx, row),
        maybe_opted_out=parse_maybe(row),
        is_known=row.first_order_at is not None or bool(row.is_known),
        first_sent_at=min((at for at in (row.first_sent_at, row.first_order_at) if at), default=None),
        texts_in_10_minutes=row.texts_in_10_minutes,
        texts_in_24_hours=row.texts_in_24_hours,
        spent=int(row.spent),
        repeated=repeated,
        unread=bool(row.unread),
        taint=taint,
    )


def build_recall(*, among_later: bool, excluding: bool = False) -> Select[*tuple[Any, ...]]:
    """Build the query for what is stored about a number. Its result is one row.

    Without `among_later` it is a third as long, and right only if the row's `has_later` is false. With
    `excluding`, the order whose id is the parameter `excluded_order` does not count.
    """
    account: BindParameter[int] = bindparam("account")
    number: BindParameter[str] = bindparam("number")
    here = and_(known_numbers.c.account_id == accounts.c.id, known_numbers.c.number_hash == number)
    to_them = _is_to(account, number, excluding=excluding)
    # Not IS NOT NULL: for that, SQLite would scan the index of all the account's messages.
    has_message = func.length(_others.c.message_id) > 0
    accepted_at = func.coalesce(_others.c.accepted_at, _others.c.changed_at, type_=Moment)
    first_order = select(func.min(accepted_at, type_=Moment))
    peaks = _build_peaks(account, number, excluding=excluding)
    return (
        select(
            *RECALLED,
            or_(known_numbers.c.sent_at.is_not(None), known_numbers.c.received_at.is_not(None)).label(
                "is_known"
            ),
            known_numbers.c.first_sent_at,
            first_order.where(to_them, has_message)
            .correlate(known_numbers)
            .scalar_subquery()
            .label("first_order_at"),
            *(
                (peak.find_largest() if among_later else peak.sum_before()).label(name)
                for name, peak in peaks.items()
            ),
            or_(*(peak.has_later() for peak in peaks.values() if peak.length == DAY)).label("has_later"),
            (accounts.c.unread_at > ago(UNREAD_FOR)).label("unread"),
        )
        .select_from(
            accounts.outerjoin(known_numbers, here).outerjoin(opt_outs, opt_outs.c.number_hash == number)
        )
        .where(accounts.c.id == account)
    )


def _build_peaks(
    account: BindParameter[int], number: BindParameter[str], *, excluding: bool
) -> dict[str, Peak]:
    """Build the peaks around `SEND_AT`: of spending, and of texts to a number."""
    charged_at, waits = _others.c.charged_at, _others.c.state == OrderState.WAITING
    may_go = and_(~is_one_of(_others.c.state, NEVER_SENT), or_(~waits, _others.c.due_at > NOW))
    goes_at = case((and_(waits, charged_at < NOW), NOW), else_=charged_at)  # once a person approves it
    theirs = and_(_is_to(account, number, excluding=excluding), may_go)
    is_recent = charged_at > shifted(SEND_AT, -2 * DAY)  # for the index: an order waits for less than a day
    answers = known_numbers.alias("answers")
    answered_at = select(answers.c.received_at).where(
        answers.c.account_id == account, answers.c.number_hash == number
    )
    last_answer = func.coalesce(answered_at.scalar_subquery(), 0, type_=Moment)
    unanswered = and_(theirs, or_(waits, charged_at > last_answer))

    def count(which: ColumnElement[bool], window: timedelta) -> Peak:
        later = and_(which, is_soon_after(charged_at, window))
        return Peak(goes_at, literal(1), and_(which, is_recent), later, window)

    return {
        "texts_in_10_minutes": count(unanswered, VELOCITY_WINDOW),
        "texts_in_24_hours": count(theirs, DAY),
        "spent": peak_of_spending(excluding=excluding),
    }


def _is_to(
    account: BindParameter[int], number: BindParameter[str], *, excluding: bool
) -> ColumnElement[bool]:
    """Build the condition that another order is to a number."""
    ours = and_(_others.c.account_id == account, _others.c.recipient_hash == number)
    return and_(ours, is_other(_others, excluding=excluding))


_others = orders.alias("others")
_RECALL = build_recall(among_later=False, excluding=True)
_RECALL_AMONG_LATER = build_recall(among_later=True, excluding=True)


def record_numbers(tx: Tx, messages: Iterable[Message], words: Mapping[str, OptWord]) -> None:
    """Record which numbers were texted and which wrote, by messages in order of their times.

    `words`: the opt-out words of received texts, by the texts' ids.
    """
    _record(tx, _build_rows(tx, messages, words))


def record_sent(tx: Tx, which: ColumnElement[bool]) -> None:
    """Record the recipients of these orders, which are about to be deleted."""
    changed = orders.c.changed_at
    sent = select(
        orders.c.recipient_hash,
        func.min(changed).label("first"),
        func.max(changed).label("last"),
        func.max(case((orders.c.asks, changed))).label("asked_at"),
    )
    accepted = and_(which, orders.c.message_id.is_not(None), orders.c.recipient_hash.is_not(None))
    rows = tx.all(sent.where(accepted).group_by(orders.c.recipient_hash))
    _record(
        tx,
        [
            _new_row(tx, row.recipient_hash)
            | {"first_sent_at": row.first, "sent_at": row.last, "asked_at": row.asked_at}
            for row in rows
        ],
    )


def _build_rows(tx: Tx, messages: Iterable[Message], words: Mapping[str, OptWord]) -> list[dict[str, Any]]:
    """Sum messages up in order of their times, into one row for each number."""
    rows: dict[str, dict[str, Any]] = {}
    for message in messages:
        inbound = message.direction is Direction.INBOUND
        other = message.sender if inbound else message.to
        if not is_e164(other):
            continue  # anyone can take any name
        row = rows.setdefault(other, _new_row(tx, tx.hasher.number(other)))
        moment = message.created_at or tx.now
        kind = "received_at" if inbound else "sent_at"
        row[kind] = moment
        row[f"first_{kind}"] = row[f"first_{kind}"] or moment
        if inbound:
            is_maybe = words.get(message.id) is OptWord.MAYBE
            row["maybe_at"] = moment if is_maybe else None
            row["maybe_message_id"] = message.id if is_maybe else None
        elif asks_for_answer(message.text or ""):
            row["asked_at"] = moment
    return list(rows.values())


def _new_row(tx: Tx, number_hash: str) -> dict[str, Any]:
    return {
        "account_id": tx.account_id,
        "number_hash": number_hash,
        "sent_at": None,
        "received_at": None,
        "first_sent_at": None,
        "first_received_at": None,
        "asked_at": None,
        "maybe_at": None,
        "maybe_message_id": None,
    }


def _record(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Merge rows into the table: the later of latest times, the earlier of first times."""
    if rows:
        tx.execute(_build_merge(is_postgres=tx.is_postgres), sorted(rows, key=lambda row: row["number_hash"]))


@cache  # building it takes longer than running it, and each batch of webhooks needs it
def _build_merge(*, is_postgres: bool) -> Insert:
    insert: Insert = (postgresql.insert if is_postgres else sqlite.insert)(known_numbers)
    new = insert.excluded  # type: ignore[attr-defined]
    wrote_later = or_(known_numbers.c.received_at.is_(None), known_numbers.c.received_at < new.received_at)
    wrote_later = and_(new.received_at.is_not(None), wrote_later)
    changes = {
        "sent_at": _later(known_numbers.c.sent_at, new.sent_at),
        "received_at": _later(known_numbers.c.received_at, new.received_at),
        "first_sent_at": _earlier(known_numbers.c.first_sent_at, new.first_sent_at),
        "first_received_at": _earlier(known_numbers.c.first_received_at, new.first_received_at),
        "asked_at": _later(known_numbers.c.asked_at, new.asked_at),
        "maybe_at": case((wrote_later, new.maybe_at), else_=known_numbers.c.maybe_at),
        "maybe_message_id": case((wrote_later, new.maybe_message_id), else_=known_numbers.c.maybe_message_id),
    }
    merge: Insert = insert.on_conflict_do_update(  # type: ignore[attr-defined]
        index_elements=[known_numbers.c.account_id, known_numbers.c.number_hash], set_=changes
    )
    return merge


def _earlier(known: Column[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((or_(known.is_(None), known > new), new), else_=known)


def _later(known: Column[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((or_(known.is_(None), known < new), new), else_=known)
