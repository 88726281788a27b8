"""Calls: what they play, and what came of each.

An outcome may come by webhook or by polling, in any order and any number of times. The first digits that are
not empty and the first end count, so a repeated or forged report changes nothing.
"""

import logging
from collections.abc import Collection
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

from sqlalchemy import Insert, Row, and_, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.calls import CONCLUDED, CallEvent, CallOutcome, CallRecord, CallState
from elks_mcp.domain.kinds import CALL
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import ACCEPTED, Order, OrderState, Receipt
from elks_mcp.store.audio_calls import plays_audio
from elks_mcp.store.audio_expiry import (
    AUDIO_KEPT,
    delete_expired_audio,
    extend_audio,
    is_audio_kept,
    release_audio,
)
from elks_mcp.store.db.changes import accept, alter
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.rows import parse_order, parse_payload
from elks_mcp.store.db.schema import call_audio, calls, is_one_of, orders
from elks_mcp.store.db.transactions import deciding, reading, writing
from elks_mcp.store.ongoing_calls import FOLLOWED_FOR, list_ongoing
from elks_mcp.store.values import OwnCall

log = logging.getLogger(__name__)


class StoredAudio(NamedTuple):
    """Audio that a call plays."""

    content: bytes
    format: str


class OngoingCall(NamedTuple):
    """A call that 46elks accepted, and whose end is not known."""

    order_id: str
    call_id: str


class CallStore:
    """The calls of one account. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writing
    def keep_audio(self, tx: Tx, digest: str, audio: StoredAudio, *, time: timedelta = AUDIO_KEPT) -> None:
        """Store audio by its digest for `time`, or longer if it is stored for longer already."""
        delete_expired_audio(tx)
        insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(call_audio)
        key = {"account_id": tx.account_id, "digest": digest}
        more = {"content": audio.content, "format": audio.format, "expires_at": tx.now + time}
        tx.execute(insert.values(**key, **more).on_conflict_do_nothing())  # type: ignore[attr-defined]
        extend_audio(tx, digest, time)

    @writing
    def begin(self, tx: Tx, order_id: str) -> None:
        """Note that a call is about to be handed to 46elks, so that its end is asked about."""
        insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(calls)
        row = {"order_id": order_id, "account_id": tx.account_id, "state": CallState.ONGOING}
        tx.execute(insert.values(**row).on_conflict_do_nothing())  # type: ignore[attr-defined]

    @writing
    def extend_audio(self, tx: Tx, digest: str, time: timedelta) -> str | None:
        """Keep stored audio for `time` from now on, at least. Return its format; None if it is gone."""
        found = tx.first(select(call_audio.c.format).where(is_audio_kept(tx, digest)))
        if found is None:
            return None
        extend_audio(tx, digest, time)
        return str(found.format)

    @reading
    def find_audio(self, tx: Tx, digest: str) -> StoredAudio | None:
        """Return audio that is stored and has not expired."""
        row = tx.first(select(call_audio).where(is_audio_kept(tx, digest)))
        return StoredAudio(row.content, row.format) if row else None

    @reading
    def find_outcome(self, tx: Tx, order_id: str) -> CallOutcome | None:
        """Return the outcome of a call; None if there is no such call, or it was not made."""
        ours = and_(orders.c.account_id == tx.account_id, orders.c.kind == CALL)
        row = tx.first(select(orders).where(ours, orders.c.id == order_id))
        if row is None:
            return None
        if row.state == OrderState.UNKNOWN:
            return CallOutcome(order_id=order_id, state=CallState.UNKNOWN, digits=None)
        return _build_outcome(tx, row) if row.state in ACCEPTED else None

    @reading
    def list_ongoing(self, tx: Tx) -> list[OngoingCall]:
        """List the calls whose end is not known, and that are recent enough to be asked about."""
        rows = tx.all(list_ongoing(tx))
        return [OngoingCall(row.id, row.message_id) for row in rows]

    @reading
    def list_own(self, tx: Tx, call_ids: Collection[str], caller: str) -> list[OwnCall]:
        """List which of these calls a caller made, and the outcome of each."""
        theirs = select(orders).filter_by(account_id=tx.account_id, kind=CALL, caller=caller)
        rows = tx.all(theirs.where(orders.c.message_id.in_(call_ids)))
        return [OwnCall(parse_order(tx, row), row.message_id, _build_outcome(tx, row)) for row in rows]

    @reading
    def list_unknown(self, tx: Tx, caller: str) -> list[Order]:
        """List a caller's calls of which it is not known whether they were made, newest first."""
        theirs = select(orders).filter_by(account_id=tx.account_id, kind=CALL, caller=caller)
        unknown = theirs.where(is_one_of(orders.c.state, (OrderState.UNKNOWN, OrderState.IN_DOUBT)))
        rows = tx.all(unknown.order_by(orders.c.charged_at.desc()).limit(_MOST_UNKNOWN))
        return [parse_order(tx, row) for row in rows]

    @reading
    def count_queued_audio(self, tx: Tx) -> int:
        """Count the queued calls whose audio 46elks fetches from a server."""
        queued = select(func.count().label("number")).where(
            orders.c.account_id == tx.account_id, orders.c.state == OrderState.QUEUED, plays_audio()
        )
        return int(tx.execute(queued).one().number)

    @deciding
    def record_event(self, tx: Tx, event: CallEvent) -> bool:
        """Record a report about a call. Return False if it cannot be about that order's call.

        A webhook that comes before the answer to the POST proves that 46elks accepted the order.
        """
        ours = and_(orders.c.account_id == tx.account_id, orders.c.kind == CALL)
        row = tx.first(select(orders).where(ours, orders.c.id == event.order_id).with_for_update())
        if row is None or (row.recipient, row.sender) != (event.to, event.sender):
            return False
        if row.message_id is None and row.state in _MAY_BE_MADE:
            accept(tx, row.id, Receipt(message_id=event.call_id, status=CallState.ONGOING))
            row = tx.execute(select(orders).where(orders.c.id == event.order_id)).one()
        if row.message_id != event.call_id:
            return False
        payload = parse_payload(tx, row)
        if not isinstance(payload, Call) or len(event.digits or "") > payload.digits:
            return False
        _merge(tx, row, _CallReport(event.state, event.digits, event.seconds, event.cost_units))
        return True

    @deciding
    def record_call(self, tx: Tx, order_id: str, call: CallRecord) -> bool:
        """Record what 46elks' history says about the call of an order. Return whether it is new."""
        ours = and_(orders.c.account_id == tx.account_id, orders.c.message_id == call.id)
        row = tx.first(select(orders).where(ours, orders.c.id == order_id).with_for_update())
        if row is None:
            return False
        report = _CallReport(call.state, call.digits, call.seconds, call.cost.units if call.cost else None)
        return _merge(tx, row, report)


_MOST_UNKNOWN = 20
_MAY_BE_MADE = frozenset({OrderState.SENDING, OrderState.IN_DOUBT, OrderState.UNKNOWN})


def delete_old_calls(tx: Tx) -> None:
    """Delete the outcomes of orders that are gone, and audio that has expired."""
    known = select(orders.c.id).where(orders.c.id == calls.c.order_id)
    tx.execute(delete(calls).where(calls.c.account_id == tx.account_id, ~known.exists()))
    delete_expired_audio(tx)


def _build_outcome(tx: Tx, row: Row[Any]) -> CallOutcome:
    """Return the outcome of an accepted order."""
    known = tx.first(select(calls).where(calls.c.order_id == row.id)) or _NOTHING_KNOWN
    if row.state == OrderState.FAILED and known.ended_at is None:  # 46elks said so in its answer to the POST
        return CallOutcome(order_id=row.id, state=CallState.FAILED, digits="", ended_at=row.changed_at)
    is_lost = known.ended_at is None and row.changed_at <= tx.now - FOLLOWED_FOR
    return CallOutcome(
        order_id=row.id,
        state=CallState.UNKNOWN if is_lost else CallState(known.state),
        digits=known.digits,
        seconds=known.seconds,
        ended_at=known.ended_at,
    )


class _CallReport(NamedTuple):
    """The content of one report about a call."""

    state: CallState
    digits: str | None
    seconds: int | None
    cost: int | None


_NOTHING_KNOWN = SimpleNamespace(state=CallState.ONGOING, digits=None, seconds=None, ended_at=None)


def _merge(tx: Tx, row: Row[Any], report: _CallReport) -> bool:
    """Add what is new about a call to what is known, and notify those who wait.

    Returns:
        Whether something is new.
    """
    stored = tx.first(select(calls).where(calls.c.order_id == row.id))
    known = stored or _NOTHING_KNOWN
    ends = report.state in CONCLUDED and known.ended_at is None
    digits = report.digits
    if ends and report.state is not CallState.ANSWERED and digits is None:
        digits = ""  # nobody could press anything
    values: dict[str, Any] = {
        "state": report.state if ends else known.state,
        "digits": known.digits if known.digits or digits is None else digits,
        "seconds": report.seconds if ends else known.seconds,
        "ended_at": tx.now if ends else known.ended_at,
    }
    is_new = any(getattr(known, name) != value for name, value in values.items())
    if stored is None:
        tx.execute(calls.insert().values(order_id=row.id, account_id=tx.account_id, **values))
    elif is_new:
        tx.execute(update(calls).where(calls.c.order_id == row.id).values(**values))
    if ends:
        _end(tx, row, report.state)
    if _charge(tx, row, report, CallState(values["state"])):
        is_new = True
    if is_new:
        tx.announce()
    return is_new


def _charge(tx: Tx, row: Row[Any], report: _CallReport, state: CallState) -> bool:
    """Record the cost of a call, which replaces its reservation. Return whether it is new.

    A call that nobody answered costs what 46elks says, and nothing if 46elks says nothing. One that was
    answered costs something, so its reservation stays until 46elks names an amount. While a call goes on,
    only a higher cost counts: a late report may be of an earlier moment.
    """
    is_unanswered = state in _UNANSWERED
    cost = 0 if report.cost is None and is_unanswered and row.cost is None else report.cost
    is_final = report.state in CONCLUDED
    if cost is None or cost == row.cost or not (is_final or cost > (row.cost or -1)):
        return False
    alter(tx, row.id, cost=cost, charge=max(0, cost) if is_unanswered or cost > 0 else row.price)
    if cost > row.price:
        log.warning(
            "46elks charged %s for the call %s, and its upper bound was %s",
            Money(cost, row.currency),
            row.id,
            Money(row.price, row.currency),
        )
    return True


_UNANSWERED = frozenset({CallState.BUSY, CallState.FAILED})


def _end(tx: Tx, row: Row[Any], state: CallState) -> None:
    """Settle the order of a call that has ended, and let audio that is not needed expire."""
    reached = OrderState.DELIVERED if state is CallState.ANSWERED else OrderState.FAILED
    alter(tx, row.id, state=reached, message_status=state, status_reason=_REASONS.get(state, ""))
    release_audio(tx, parse_payload(tx, row))


_REASONS = {CallState.BUSY: "The phone was busy.", CallState.FAILED: "Nobody answered."}
