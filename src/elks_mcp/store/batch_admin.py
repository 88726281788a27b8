"""Administration: what an operator does with the batches of a database, for all accounts.

Nothing is sent from here, and no credentials are needed: a server starts what was approved, by its own rules.
"""

from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, exists, or_, select, update

from elks_mcp.domain.batches import PAUSED_BY_PERSON, PLAN_KEPT, Batch, BatchPlan, BatchState
from elks_mcp.domain.orders import UNFINISHED
from elks_mcp.store.batch_plans import can_be_started, check_digest, parse_plan
from elks_mcp.store.batch_progress import has_number, parse_batch, unknown_batch
from elks_mcp.store.batches import cancel_unless_ended, check_in_time, pause_if_running
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import accounts, batches, is_one_of, orders
from elks_mcp.store.db.transactions import reading, writing
from elks_mcp.store.location import AccountKey


class BatchRecord(NamedTuple):
    """A batch with its account."""

    batch: Batch
    plan: BatchPlan | None
    """Its plan, if it was not started and can be."""

    owner: AccountKey
    left: timedelta
    """How long until its plan expires."""


class BatchAdmin:
    """The batches of all accounts of a database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find(self, tx: Tx, number: str) -> BatchRecord | None:
        """Return a batch by its id or approval code; None if there is none."""
        row = _find(tx, number)
        return _build_record(tx, row) if row else None

    @reading
    def list_waiting(self, tx: Tx) -> list[BatchRecord]:
        """List the batches that wait for a person or, once approved, for a server; the oldest first."""
        waiting = _all().where(batches.c.approval_code.is_not(None), *can_be_started(tx))
        return [_build_record(tx, row) for row in tx.all(waiting.order_by(batches.c.planned_at))]

    @reading
    def list_latest(self, tx: Tx, limit: int) -> list[BatchRecord]:
        """List batches, the latest first."""
        latest = _all().order_by(batches.c.planned_at.desc(), batches.c.id)
        return [_build_record(tx, row) for row in tx.all(latest.limit(limit))]

    @writing
    def pause(self, tx: Tx, number: str) -> BatchRecord:
        """Pause the rows that have not left, and return the batch in its new state.

        Raises:
            NotFound: There is no such batch.
        """
        row = _decide_about(tx, number)
        pause_if_running(tx, row, PAUSED_BY_PERSON)
        return _build_record(tx, _get(tx, number))

    @writing
    def cancel(self, tx: Tx, number: str) -> BatchRecord:
        """End all rows that have not left, and return the batch in its new state.

        Raises:
            NotFound: There is no such batch.
        """
        row = _decide_about(tx, number)
        cancel_unless_ended(tx, row)
        return _build_record(tx, _get(tx, number))

    @reading
    def list_current(self, tx: Tx, within: timedelta) -> list[BatchRecord]:
        """List the batches that wait for a person, failed to start or are under way, by age.

        `within`: how long a plan is listed after it was made, and a batch after its last row changed.
        """
        is_recent = or_(is_one_of(orders.c.state, UNFINISHED), orders.c.changed_at > tx.now - within)
        has_recent_rows = exists().where(orders.c.batch_id == batches.c.id, is_recent)
        needs_a_person = or_(batches.c.approval_code.is_not(None), batches.c.pause_reason != "")
        is_listed = or_(needs_a_person, batches.c.planned_at > tx.now - within)
        current = _all().where(or_(and_(*can_be_started(tx), is_listed), has_recent_rows))
        return [_build_record(tx, row) for row in tx.all(current.order_by(batches.c.planned_at))]

    @writing
    def approve(self, tx: Tx, number: str, digest: str) -> BatchRecord:
        """Mark a waiting batch as approved by a person, and return it in its new state.

        A batch that does not wait is not changed. `digest`: of the plan that the person saw.

        Raises:
            NotFound: There is no such batch.
            Refused: Its plan is another one, or its time is over.
        """
        row = _get(tx, number, lock=True)
        record = _build_record(tx, row)
        if record.plan is None or record.batch.state is not BatchState.WAITING:
            return record
        check_digest(record.plan, digest)
        check_in_time(tx, record.plan)
        tx.execute(update(batches).where(batches.c.id == row.id).values(approved_at=tx.now))
        return record._replace(batch=record.batch.model_copy(update={"is_approved": True}))


def _all() -> Select[Any]:
    return select(batches, accounts.c.base_url, accounts.c.username).join(accounts)


def _find(tx: Tx, number: str, *, lock: bool = False) -> Row[Any] | None:
    found = _all().where(has_number(number))
    return tx.first(found.with_for_update(of=batches) if lock else found)


def _get(tx: Tx, number: str, *, lock: bool = False) -> Row[Any]:
    if row := _find(tx, number, lock=lock):
        return row
    raise unknown_batch()


def _decide_about(tx: Tx, number: str) -> Row[Any]:
    """Lock a batch and its account against other transactions, and return the batch."""
    tx.account_id = _get(tx, number).account_id
    tx.lock()
    return _get(tx, number, lock=True)


def _build_record(tx: Tx, row: Row[Any]) -> BatchRecord:
    batch = parse_batch(tx, row, None)
    is_open = batch.state in {BatchState.PLANNED, BatchState.WAITING}
    return BatchRecord(
        batch=batch,
        plan=parse_plan(row) if is_open else None,
        owner=AccountKey(row.base_url, row.username),
        left=row.planned_at + PLAN_KEPT - tx.now,
    )
