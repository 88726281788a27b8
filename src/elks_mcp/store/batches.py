"""Batches: their plans, their start, pauses and end, and how far they are.

    planned ──start──→ running ⇄ paused
       └──24 hours──→ expired     └──cancel──→ cancelled

The start is one transaction: all rows become orders, and the whole budget is reserved, or nothing happens.
After it, nothing is stored about a batch that could disagree with its orders.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from elks_mcp.domain.batches import PLAN_KEPT, RESUMABLE_FOR, Batch, BatchPlan, BatchState, find_last_slot
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import CANCELLABLE, Approver, Draft, Order, OrderState
from elks_mcp.domain.taint import ShownText
from elks_mcp.errors import NotFound, Refused
from elks_mcp.store.batch_pauses import pause_batch
from elks_mcp.store.batch_placing import find_excess, find_send_time, place_rows, reserve, resume_rows
from elks_mcp.store.batch_plans import can_be_started, check_digest, parse_plan, write_plan
from elks_mcp.store.batch_progress import count_rows, find_state, get_row, parse_batch, select_batches
from elks_mcp.store.batch_recall import recall_all
from elks_mcp.store.db.changes import WAS_CANCELLED, erase_content
from elks_mcp.store.db.codes import make_code
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.rows import parse_order
from elks_mcp.store.db.schema import arrivals, batches, is_one_of, orders
from elks_mcp.store.db.transactions import deciding, reading
from elks_mcp.store.schedule import count_at
from elks_mcp.store.values import BatchChecks, BatchRecall, Pace, StartedBatch, SumCheck

MOST_PLANS = 50
"""How many plans a caller can have that are not started, those that wait for a person included."""


class BatchStore:
    """The batches of one account. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def recall(
        self, tx: Tx, drafts: Collection[Draft], shown: Collection[ShownText], *, at_night: bool
    ) -> BatchRecall:
        """Return what is stored about the drafts of a plan, at least one. `at_night`: as in `Pace`."""
        moments = [find_send_time(tx, each.to, each.send_at, tx.now, at_night=at_night) for each in drafts]
        return recall_all(tx, list(drafts), moments, shown)

    @reading
    def find_excess(
        self, tx: Tx, drafts: Collection[Draft], prices: Collection[Money], pace: Pace, check: SumCheck
    ) -> str:
        """Return why the budget does not allow the drafts of a plan; "" if it does."""
        return find_excess(tx, drafts, prices, pace, check)

    @deciding
    def add(self, tx: Tx, plan: BatchPlan) -> BatchPlan:
        """Store a plan under a new id, and return it with that id.

        Raises:
            Refused: `MOST_PLANS` plans of the caller can be started already.
        """
        _check_plans(tx, plan.caller)
        named = plan.model_copy(update={"id": f"B-{make_code(8)}", "planned_at": tx.now})
        tx.execute(
            insert(batches).values(
                id=named.id,
                account_id=tx.account_id,
                caller=named.caller,
                name=named.name,
                plan=write_plan(named),
                digest=named.digest,
                total=named.total.units,
                currency=named.currency,
                left_out=len(named.left_out),
                planned_at=named.planned_at,
                send_at=named.send_at,
            )
        )
        return named

    @reading
    def get_plan(self, tx: Tx, number: str, *, caller: str | None = None) -> BatchPlan:
        """Return a stored plan; after the start its rows have no texts.

        Raises:
            NotFound: There is no such batch, or its plan was deleted since.
            Refused: The plan is not the one that was stored.
        """
        row = get_row(tx, number, caller=caller, plan=True)
        if row.plan is None:
            raise NotFound(f"The plan of {row.id} was deleted.", hint="Plan the batch again.")
        plan = parse_plan(row)
        if row.started_at is None:
            check_digest(plan, row.digest)
        return plan

    @reading
    def get(self, tx: Tx, number: str, *, caller: str | None = None, pace: Pace | None = None) -> Batch:
        """Return a batch by its id or approval code, and how far it is.

        `pace`: tells when its last row goes out.

        Raises:
            NotFound: There is no such batch. Whether another caller has one is not said.
        """
        return parse_batch(tx, get_row(tx, number, caller=caller), pace)

    @reading
    def list_latest(self, tx: Tx, limit: int, caller: str | None = None) -> list[Batch]:
        """List batches, the latest first; with `caller`, only theirs."""
        ours = select_batches(plan=False).where(batches.c.account_id == tx.account_id)
        ours = ours if caller is None else ours.where(batches.c.caller == caller)
        rows = tx.all(ours.order_by(batches.c.planned_at.desc()).limit(limit))
        return [parse_batch(tx, row, None) for row in rows]

    @reading
    def list_orders(self, tx: Tx, batch_id: str, state: OrderState | None = None) -> list[tuple[int, Order]]:
        """List the orders of a batch, or those in a state, with the numbers of their rows."""
        theirs = select(orders).where(orders.c.batch_id == batch_id, orders.c.account_id == tx.account_id)
        theirs = theirs if state is None else theirs.where(orders.c.state == state)
        rows = tx.all(theirs.order_by(orders.c.batch_row))
        return [(row.batch_row, parse_order(tx, row)) for row in rows]

    @reading
    def count_replies(self, tx: Tx, batch_id: str) -> int:
        """Return how many texts of its recipients were recorded since the start of a batch."""
        theirs = select(orders.c.recipient_hash).where(orders.c.batch_id == batch_id)
        started_at = select(batches.c.started_at).where(batches.c.id == batch_id).scalar_subquery()
        replies = (
            select(func.count())
            .select_from(arrivals)
            .where(
                arrivals.c.account_id == tx.account_id,
                arrivals.c.sender_hash.in_(theirs),
                arrivals.c.received_at >= started_at,
            )
        )
        return int(tx.execute(replies).scalar_one())

    @deciding
    def start(
        self,
        tx: Tx,
        batch_id: str,
        digest: str,
        approver: Approver,
        checks: BatchChecks,
        shown: Collection[ShownText] = (),
    ) -> StartedBatch:
        """Place all rows of a plan, with the whole budget, or none; a started batch is a repeat.

        A row that may not go out by now, such as one whose recipient opted out since, is placed as cancelled,
        so that every row has an end. `digest`: the hash of what was approved.

        Raises:
            NotFound: There is no such batch.
            Refused: The plan expired, was cancelled or is not the one that was approved; or the budget.
        """
        row = get_row(tx, batch_id, lock=True, plan=True)
        if row.started_at is not None:
            return StartedBatch(parse_batch(tx, row, checks.pace), is_repeat=True)
        plan = _read_startable(tx, row, digest, checks.pace.gap)
        placed = place_rows(tx, plan, checks, shown)
        reserve(tx, placed, plan.currency, checks.total)
        if placed:
            tx.execute(insert(orders), [each | {"approver": approver} for each in placed])
        started = {"started_at": tx.now, "approver": approver, "plan": write_plan(plan.without_texts())}
        started |= {"approved_at": None, "pause_reason": ""}
        tx.execute(update(batches).where(batches.c.id == row.id).values(**started))
        return StartedBatch(parse_batch(tx, get_row(tx, batch_id), checks.pace), is_repeat=False)

    @deciding
    def pause(self, tx: Tx, batch_id: str, reason: str) -> Batch:
        """Pause the rows that have not left, and return the batch in its new state."""
        pause_if_running(tx, get_row(tx, batch_id, lock=True), reason)
        return parse_batch(tx, get_row(tx, batch_id), None)

    @deciding
    def resume(self, tx: Tx, batch_id: str, checks: BatchChecks) -> Batch:
        """Queue the paused rows of a batch again, and return the batch in its new state.

        Rows that may not go out by now end: those whose recipient opted out since are cancelled, and those
        whose send time is over expire.

        Raises:
            Refused: The batch was cancelled, or paused for more than 24 hours; or the budget does not allow
                the rest.
        """
        row = get_row(tx, batch_id, lock=True, plan=True)
        if row.cancelled_at is not None:
            raise Refused(f"{row.id} was cancelled.", hint="Plan the rest of it again.")
        if row.paused_at is None:
            return parse_batch(tx, row, checks.pace)
        if tx.now - row.paused_at > RESUMABLE_FOR:
            raise Refused(
                f"{row.id} was paused more than 24 hours ago.",
                hint="Plan the rest of it again.",
            )
        resume_rows(tx, row, checks, at_their_times=False)
        tx.execute(update(batches).where(batches.c.id == row.id).values(paused_at=None, pause_reason=""))
        return parse_batch(tx, get_row(tx, batch_id), checks.pace)

    @deciding
    def cancel(self, tx: Tx, batch_id: str) -> Batch:
        """End all rows that have not left, and return the batch in its new state.

        Rows that are being sent are finished. The plan of a batch that was not started is deleted.
        """
        cancel_unless_ended(tx, get_row(tx, batch_id, lock=True))
        return parse_batch(tx, get_row(tx, batch_id), None)


def _check_plans(tx: Tx, caller: str) -> None:
    theirs = batches.c.account_id == tx.account_id, batches.c.caller == caller
    stored = select(func.count()).select_from(batches).where(*theirs, *can_be_started(tx))
    if tx.execute(stored).scalar_one() >= MOST_PLANS:
        raise Refused(
            f"{MOST_PLANS} batches of this caller are planned and not started, which is the limit.",
            hint="Start or cancel one of them. A plan expires after 24 hours.",
        )


def pause_if_running(tx: Tx, row: Row[Any], reason: str) -> None:
    if find_state(tx, row, count_rows(tx, row.id)) in {BatchState.RUNNING, BatchState.PAUSED}:
        pause_batch(tx, row.id, reason)


def cancel_unless_ended(tx: Tx, row: Row[Any]) -> None:
    if find_state(tx, row, count_rows(tx, row.id)) not in _OPEN:
        return
    kept = {} if row.started_at else {"plan": None, "approved_at": None}
    tx.execute(update(batches).where(batches.c.id == row.id).values(cancelled_at=tx.now, **kept))
    _end_rows(tx, row.id)


_OPEN = {BatchState.PLANNED, BatchState.WAITING, BatchState.RUNNING, BatchState.PAUSED}


def _read_startable(tx: Tx, row: Row[Any], digest: str, gap: timedelta) -> BatchPlan:
    if row.cancelled_at is not None:
        raise Refused(f"{row.id} was cancelled.", hint="Plan the batch again.")
    if row.plan is None or tx.now - row.planned_at > PLAN_KEPT:
        raise Refused(f"The plan {row.id} is more than 24 hours old.", hint="Plan the batch again.")
    plan = parse_plan(row)
    check_digest(plan, digest)
    check_digest(plan, row.digest)
    check_in_time(tx, plan, gap)
    return plan


def check_in_time(tx: Tx, plan: BatchPlan, gap: timedelta = timedelta()) -> None:
    """Check that the texts of a plan can still leave in time.

    `gap`: the time from one text to the next.

    Raises:
        Refused: they cannot.
    """
    if plan.send_at is None:
        return
    texts = count_at(tx, plan.send_at) + len(plan.rows)
    last_at = find_last_slot(max(tx.now, plan.send_at), texts, gap)
    if last_at > plan.send_at + plan.lateness:
        raise Refused(
            f"The time of {plan.id} is over: its texts cannot all leave in time.",
            hint="Plan the batch again, for a later time.",
        )


def _end_rows(tx: Tx, batch_id: str) -> None:
    ended = update(orders).where(orders.c.batch_id == batch_id, is_one_of(orders.c.state, CANCELLABLE))
    changes = {"state": OrderState.CANCELLED, "status_reason": WAS_CANCELLED, "charge": 0}
    tx.execute(ended.values(**changes, changed_at=tx.now, lease=None, **erase_content(tx)))
