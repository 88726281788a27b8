"""Reading what is stored about all recipients of a batch, with few queries."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true

from elks_mcp.domain.batches import COVERED_WITHIN
from elks_mcp.domain.models import Recall, Taint
from elks_mcp.domain.orders import NEVER_SENT, UNFINISHED, Draft, OrderState
from elks_mcp.domain.taint import ShownText, judge_taint
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.moments import Moment
from elks_mcp.store.db.rows import fingerprint
from elks_mcp.store.db.schema import accounts, alert_attempts, is_one_of, known_numbers, opt_outs, orders
from elks_mcp.store.known_numbers import UNREAD_FOR, VELOCITY_WINDOW
from elks_mcp.store.opt_outs import parse_maybe, parse_opt_out
from elks_mcp.store.prior import MAY_BE_OUT
from elks_mcp.store.taint import read_taint
from elks_mcp.store.totals import DAY, find_spent_around
from elks_mcp.store.values import BatchRecall, Covered

_MOST_ASKED = 400
"""Values in one query: SQLite allows 32,766 parameters, and PostgreSQL plans short lists best."""


def recall_all(
    tx: Tx,
    drafts: Sequence[Draft],
    moments: Sequence[datetime],
    shown: Collection[ShownText],
    *,
    resumed: str | None = None,
    alert_id: str | None = None,
) -> BatchRecall:
    """Return what matters for each draft of a batch or an alert. `moments`: when each goes out.

    `resumed` and `alert_id`: the batch whose paused rows, or the alert whose orders, are no other texts.
    The drafts do not count for each other, except that a model that was shown texts of others spreads them
    to all recipients of the batch.
    """
    hashes = [tx.hasher.number(draft.to.e164) for draft in drafts]
    known, opted = _read_known(tx, hashes), _read_opt_outs(tx, hashes)
    others = _is_other(resumed, alert_id)
    times, first_orders = _read_orders(tx, hashes, min(moments), others)
    shared = _read_shared(tx, moments[0])
    created_at, texted = read_taint(tx, drafts[0].caller, shown)
    taints = _judge_taints(created_at, hashes, texted)
    recalls = []
    for each, moment in zip(hashes, moments, strict=True):
        row = SimpleNamespace(**_NOTHING_KNOWN | known.get(each, {}) | opted.get(each, {}))
        in_ten, in_day = _count_around(times[each], moment, row.received_at)
        recalls.append(
            Recall(
                opted_out=bool(row.opt_out),
                opt_out=parse_opt_out(tx, row),
                maybe_opted_out=parse_maybe(row),
                is_known=each in first_orders or bool(row.sent_at or row.received_at),
                first_sent_at=min(filter(None, (row.first_sent_at, first_orders.get(each))), default=None),
                texts_in_10_minutes=in_ten,
                texts_in_24_hours=in_day,
                taint=taints.get(each),
                **shared,
            )
        )
    return BatchRecall(recalls, _find_covered(tx, drafts, others))


_NOTHING_KNOWN: dict[str, Any] = {
    **dict.fromkeys(("sent_at", "received_at", "first_sent_at", "maybe_at", "maybe_message_id")),
    **dict.fromkeys(("opt_out", "opt_out_at", "opt_out_account", "opt_out_message", "opt_out_source")),
    "opt_out_reason": "",
}


def _is_other(resumed: str | None, alert_id: str | None) -> ColumnElement[bool]:
    """Build the condition that an order is neither a paused row of this batch nor of this alert."""
    o = orders.c
    condition: ColumnElement[bool] = true()
    if resumed is not None:
        condition = or_(o.batch_id.is_(None), o.batch_id != resumed, o.state != OrderState.PAUSED)
    if alert_id is not None:
        its = alert_attempts.c.order_id == o.id, alert_attempts.c.alert_id == alert_id
        condition = and_(condition, ~exists().where(*its))
    return condition


def _read_known(tx: Tx, hashes: Iterable[str]) -> dict[str, dict[str, Any]]:
    ours = select(known_numbers).where(known_numbers.c.account_id == tx.account_id)
    rows = (tx.all(ours.where(known_numbers.c.number_hash.in_(some))) for some in _chunks(hashes))
    return {row.number_hash: dict(row._mapping) for found in rows for row in found}  # noqa: SLF001


def _read_opt_outs(tx: Tx, hashes: Iterable[str]) -> dict[str, dict[str, Any]]:
    rows = (tx.all(select(opt_outs).where(opt_outs.c.number_hash.in_(some))) for some in _chunks(hashes))
    return {
        row.number_hash: {
            "opt_out": row.opted_out,
            "opt_out_at": row.at,
            "opt_out_account": row.account_id,
            "opt_out_message": row.message_id,
            "opt_out_source": row.source,
            "opt_out_reason": row.reason,
        }
        for found in rows
        for row in found
    }


def _read_orders(
    tx: Tx, hashes: Iterable[str], since: datetime, others: ColumnElement[bool]
) -> tuple[defaultdict[str, list[tuple[datetime, bool]]], dict[str, datetime]]:
    """Return by recipient when texts go out, whether they wait, and when the first was accepted.

    `since`: texts that go out more than a day before that are left out of the former. `others`: which orders
    count there.
    """
    times: defaultdict[str, list[tuple[datetime, bool]]] = defaultdict(list)
    first: dict[str, datetime] = {}
    o = orders.c
    accepted_at = func.coalesce(o.accepted_at, o.changed_at, type_=Moment)
    for some in _chunks(hashes):
        theirs = o.account_id == tx.account_id, o.recipient_hash.in_(some)
        near = or_(o.charged_at > since - DAY, o.state == OrderState.WAITING)
        may_go = select(o.recipient_hash, o.state, o.charged_at, o.due_at, o.send_at)
        for row in tx.all(may_go.where(*theirs, near, others, ~is_one_of(o.state, NEVER_SENT))):
            waits = row.state == OrderState.WAITING
            if not waits or row.due_at > tx.now:
                at = tx.now if waits and row.send_at is None else row.charged_at
                times[row.recipient_hash].append((at, waits))
        sent = select(o.recipient_hash, func.min(accepted_at, type_=Moment).label("at"))
        sent = sent.where(*theirs, func.length(o.message_id) > 0).group_by(o.recipient_hash)
        first |= {row.recipient_hash: row.at for row in tx.all(sent)}
    return times, first


def _judge_taints(
    created_at: Mapping[str, datetime], hashes: Collection[str], texted: set[str]
) -> dict[str, Taint | None]:
    """Return what taints the texts to these recipients, who are all texted."""
    everyone = texted.union(hashes)
    if (stranger := judge_taint(created_at, "", everyone)) is None:
        return {}
    without_itself = stranger.model_copy(update={"texted": stranger.texted - 1})
    writers = {each: judge_taint(created_at, each, everyone) for each in created_at.keys() & set(hashes)}
    taints: dict[str, Taint | None] = dict.fromkeys(hashes, without_itself)
    return taints | writers


def _count_around(
    times: Iterable[tuple[datetime, bool]], moment: datetime, answered_at: datetime | None
) -> tuple[int, int]:
    """Return the most texts in any 10 minutes, and in any 24 hours, that contain a moment."""
    listed = list(times)
    recent = [at for at, waits in listed if waits or answered_at is None or at > answered_at]
    return _find_peak(recent, moment, VELOCITY_WINDOW), _find_peak((at for at, _ in listed), moment, DAY)


def _find_peak(times: Iterable[datetime], moment: datetime, length: timedelta) -> int:
    near = [at for at in times if moment - length < at < moment + length]
    ends = [moment, *(at for at in near if at > moment)]
    return max(sum(end - length < at <= end for at in near) for end in ends)


def _read_shared(tx: Tx, moment: datetime) -> dict[str, Any]:
    """Return what is the same for all recipients."""
    unread_at = tx.execute(select(accounts.c.unread_at).where(accounts.c.id == tx.account_id)).scalar()
    return {
        "spent": find_spent_around(tx, moment),
        "unread": unread_at is not None and unread_at > tx.now - UNREAD_FOR,
    }


def _find_covered(tx: Tx, drafts: Sequence[Draft], others: ColumnElement[bool]) -> list[Covered | None]:
    """Return for each draft the earlier order that covers it. `others`: which orders can.

    A text without a send time is compared as of now, and is covered by any that is queued. Its slot, and that
    of the other, can be hours away, which makes it no other text.
    """
    prints = [fingerprint(tx, draft) for draft in drafts]
    send_at = {each: draft.send_at for each, draft in zip(prints, drafts, strict=True)}
    o, covered = orders.c, {}
    for some in _chunks(prints):
        alike = select(o.id, o.batch_id, o.fingerprint, o.state, o.charged_at, o.send_at)
        alike = alike.where(o.account_id == tx.account_id, o.fingerprint.in_(some), others)
        alike = alike.where(is_one_of(o.state, (*UNFINISHED, *MAY_BE_OUT)))
        for row in tx.all(alike):
            is_queued = row.state in UNFINISHED
            at, goes_at = row.charged_at, send_at[row.fingerprint] or tx.now
            if is_queued:
                at = tx.now if row.send_at is None else max(at, tx.now)
            if abs(at - goes_at) < COVERED_WITHIN:
                covered[row.fingerprint] = Covered(row.id, row.batch_id)
    return [covered.get(each) for each in prints]


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    distinct = list(dict.fromkeys(values))
    for start in range(0, len(distinct), _MOST_ASKED):
        yield distinct[start : start + _MOST_ASKED]
