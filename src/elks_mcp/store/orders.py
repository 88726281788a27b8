"""Orders: placing them, approving them, finding them again."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, NamedTuple

from sqlalchemy import Row, func, insert, or_, select

from elks_mcp.domain.approval import APPROVAL_TIMEOUT
from elks_mcp.domain.models import Recall
from elks_mcp.domain.orders import NEVER_SENT, Approval, Approver, Draft, Order, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.domain.taint import ShownText
from elks_mcp.errors import InvalidInput, NotFound, Refused, StateUnavailable, StateUncertain
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.approval import check_room, expire, expire_waiting, new_approval_code
from elks_mcp.store.claims import claim_new, is_before, is_queued
from elks_mcp.store.db.changes import change, close, find_obstacle
from elks_mcp.store.db.codes import make_code
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.rows import (
    build_order,
    parse_draft,
    parse_findings,
    parse_order,
    parse_price,
    without_quotes,
    write_findings,
)
from elks_mcp.store.db.schema import is_one_of, orders
from elks_mcp.store.db.transactions import deciding, reading
from elks_mcp.store.known_numbers import recall
from elks_mcp.store.pace import find_pause
from elks_mcp.store.prior import find_prior_rows, recall_for
from elks_mcp.store.schedule import plan_times
from elks_mcp.store.values import DraftCheck, Pace, Placed, PriorOrders, QueueEstimate

_NOT_NEEDED = "A repeated request, which needed no approval, replaced this order."


class OrderStore:
    """Orders, by their ids. Each method is one transaction, except `place`.

    `place` runs a second one if the answer to its commit was lost.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def place(
        self,
        approval: Approval,
        check: DraftCheck,
        *,
        dedupe: bool = True,
        pace: Pace | None = None,
        shown: Collection[ShownText] = (),
    ) -> Placed:
        """Queue an order, or let it wait for a person, or return the order that it repeats.

        Nothing can happen between the check and the new row: both are one transaction. With `pace`, the
        order is claimed in that transaction too, unless something else has to come first. `shown` are the
        texts that this process showed to the caller's model in the last 30 minutes.

        Raises:
            InvalidInput: The idempotency key was used for another message, or the send time is past.
            Refused: `check` refuses the draft, or too many orders of the caller wait for a person.
            StateUnavailable: The order was not placed.
            StateUncertain: It is not known whether the order was placed.
        """
        order_id = f"O-{make_code(8)}"
        try:
            return await self._place(order_id, _Placing(approval, check, dedupe, pace, shown))
        except StateUncertain as error:
            return await self._find_placed(order_id, error)

    async def _find_placed(self, order_id: str, error: StateUncertain) -> Placed:
        """Return an order that was stored although the answer to the commit was lost."""
        try:
            return Placed(await self.get(order_id), is_repeat=False)
        except NotFound:
            raise StateUnavailable(str(error)) from None
        except StateUnavailable:
            raise StateUncertain(
                f"{error} It is unknown whether the text was queued. Do not send it again.",
                hint=f"Ask for the status of {order_id} once the database is available.",
            ) from None

    @deciding
    def _place(self, tx: Tx, order_id: str, request: "_Placing") -> Placed:
        approval = request.approval
        draft, waits = approval.quote.draft, approval.approver is not Approver.POLICY
        prior = find_prior_rows(tx, draft, dedupe=request.dedupe, shown=request.shown)
        if prior.repeated:
            return Placed(parse_order(tx, prior.repeated), is_repeat=True)
        _check_time(tx, draft)
        if why_not := request.check(draft, approval.quote.estimate.price, prior.recall):
            raise Refused(why_not.reason)
        if prior.waiting and waits:
            return Placed(parse_order(tx, prior.waiting), is_repeat=False)
        if prior.waiting:  # a later approval would send it again
            close(tx, prior.waiting, OrderState.CANCELLED, _NOT_NEEDED, unreported=False)
        if prior.overdue:
            expire(tx, prior.overdue)
        if waits:
            check_room(tx, draft.caller)
        row = build_new_row(tx, approval, waits=waits) | {"id": order_id}
        may_go = prior.is_first and row["state"] == OrderState.QUEUED
        claim = claim_new(tx, row, approval.quote, request.pace) if request.pace and may_go else None
        return Placed(_insert(tx, row), is_repeat=False, claim=claim)

    @deciding
    def approve(self, tx: Tx, order_id: str, check: DraftCheck) -> Placed:
        """Queue a waiting order that a person approved. If it was queued before, it is a repeat.

        An order that waited too long ends as expired. One that `check` refuses by now ends as cancelled.

        Raises:
            NotFound: There is no such order.
        """
        expire_waiting(tx)
        row = get_row(tx, order_id)
        if row.state != OrderState.WAITING:
            return Placed(parse_order(tx, row), is_repeat=row.state not in NEVER_SENT)
        return Placed(_release(tx, row, check), is_repeat=False)

    @deciding
    def release_approved(self, tx: Tx, check: DraftCheck) -> list[Order]:
        """Queue all orders that a person approved in a terminal, and return them."""
        expire_waiting(tx)
        waiting = select(orders).filter_by(account_id=tx.account_id, state=OrderState.WAITING)
        known = is_one_of(orders.c.kind, tx.kinds)
        rows = tx.all(waiting.where(orders.c.approved_at.is_not(None), known))
        return [_release(tx, row, check) for row in rows]

    @deciding
    def expire_waiting(self, tx: Tx) -> None:
        """End the orders that waited too long for a person or, once approved, for a server."""
        expire_waiting(tx)

    @reading
    def find_prior(
        self, tx: Tx, draft: Draft, *, dedupe: bool = True, shown: Collection[ShownText] = ()
    ) -> PriorOrders:
        """Return what a draft repeats, the same order that waits, and what is stored.

        Raises:
            InvalidInput: The idempotency key was used for another message.
        """
        prior = find_prior_rows(tx, draft, dedupe=dedupe, shown=shown)
        return PriorOrders(
            repeated=parse_order(tx, prior.repeated) if prior.repeated else None,
            waiting=parse_order(tx, prior.waiting) if prior.waiting else None,
            recall=prior.recall,
        )

    @reading
    def recall(self, tx: Tx, draft: Draft, shown: Collection[ShownText] = ()) -> Recall:
        """Return what is stored about a draft that is only priced, ignoring its key."""
        return recall_for(tx, draft, shown)

    @reading
    def get(self, tx: Tx, number: str, *, caller: str | None = None) -> Order:
        """Return an order by its id or its approval code; with `caller`, only one of that caller.

        Raises:
            NotFound: There is no such order. Whether another caller has one is not said.
        """
        return parse_order(tx, get_row(tx, number, caller=caller))

    @reading
    def find(self, tx: Tx, message_id: str, caller: str = "") -> Order | None:
        """Return the caller's order to which 46elks gave a message id, if there is one."""
        theirs = select(orders).filter_by(account_id=tx.account_id, caller=caller)
        row = tx.first(theirs.where(orders.c.message_id == message_id))
        return parse_order(tx, row) if row else None

    @reading
    def find_latest(self, tx: Tx, to: Number, caller: str = "") -> Order | None:
        """Return the caller's latest order to a number that 46elks accepted, if there is one."""
        theirs = select(orders).filter_by(account_id=tx.account_id, caller=caller)
        to_them = theirs.where(orders.c.recipient_hash == tx.hasher.number(to.e164))
        accepted = to_them.where(orders.c.message_id.is_not(None))
        row = tx.first(accepted.order_by(orders.c.charged_at.desc()).limit(1))
        return parse_order(tx, row) if row else None

    @reading
    def list_latest(self, tx: Tx, limit: int, caller: str = "") -> list[Order]:
        """Return the caller's latest orders, newest first."""
        theirs = select(orders).filter_by(account_id=tx.account_id, caller=caller)
        rows = tx.all(theirs.order_by(orders.c.charged_at.desc()).limit(limit))
        return [parse_order(tx, row) for row in rows]

    @reading
    def list_recipients(self, tx: Tx, limit: int) -> set[Number]:
        """Return to whom the latest orders of all callers go."""
        known = select(orders.c.recipient).where(
            orders.c.account_id == tx.account_id, orders.c.recipient.is_not(None)
        )
        rows = tx.all(known.order_by(orders.c.charged_at.desc()).limit(limit))
        return {Number(row.recipient) for row in rows}

    @reading
    def estimate(self, tx: Tx, order_id: str, pace: Pace) -> QueueEstimate | None:
        """Return when an order may go out, at this pace; None if it is not queued."""
        row = tx.first(select(orders).where(orders.c.id == order_id, is_queued(tx)))
        if row is None:
            return None
        before = select(func.count()).where(is_queued(tx), is_before(row.priority, row.due_at))
        ahead, pause = tx.execute(before).scalar_one(), find_pause(tx)
        moments = [
            tx.now,
            row.due_at,
            tx.shared["next_send_at"],
            tx.shared["paused_until"] if pause else None,
        ]
        free = max(moment for moment in moments if moment)
        return QueueEstimate(at=free + ahead * pace.gap, ahead=ahead, pause=pause)


class _Placing(NamedTuple):
    """The arguments of `OrderStore.place`."""

    approval: Approval
    check: DraftCheck
    dedupe: bool
    pace: Pace | None
    shown: Collection[ShownText]


def get_row(tx: Tx, number: str, *, caller: str | None = None, lock: bool = False) -> Row[Any]:
    """Return the row of an order, by its id or its approval code.

    `caller`: only an order of this caller is found.

    Raises:
        NotFound: There is no such order. Whether another caller has one is not said.
    """
    by_number = or_(orders.c.id == number, orders.c.approval_code == number)
    found = select(orders).where(orders.c.account_id == tx.account_id, by_number)
    if caller is not None:
        found = found.where(orders.c.caller == caller)
    if row := tx.first(found.with_for_update() if lock else found):
        return row
    raise NotFound("No order has that id.", hint=f"To list them: {show_command('outbox')}.")


def build_new_row(tx: Tx, approval: Approval, *, waits: bool) -> dict[str, Any]:
    findings, draft = approval.quote.findings, approval.quote.draft
    row = build_order(tx, approval.quote) | plan_times(tx, draft)
    row |= {
        "findings": write_findings(findings if waits else without_quotes(findings)),
        "approver": approval.approver,
        "approval_code": new_approval_code(tx) if waits else None,
        "placed_at": tx.now,
        "changed_at": tx.now,
        "charge": 0 if waits else approval.quote.estimate.price.units,
        "unreported": False,
    }
    if waits:
        row |= {"state": OrderState.WAITING, "due_at": min(tx.now + APPROVAL_TIMEOUT, row["expires_at"])}
    return row


def _insert(tx: Tx, row: dict[str, Any]) -> Order:
    tx.execute(_INSERT, row)
    return parse_order(tx, SimpleNamespace(**row))  # the row that was just written is not read again


_INSERT = insert(orders)


def _release(tx: Tx, row: Row[Any], check: DraftCheck) -> Order:
    draft = parse_draft(tx, row)
    if draft.send_at and row.expires_at < tx.now:
        return close(tx, row, OrderState.EXPIRED, "It was approved too late for its send time.")
    if why_not := check(draft, parse_price(row), recall(tx, draft, excluded_order=row.id)):
        return close(tx, row, OrderState.CANCELLED, why_not.reason)
    released = plan_times(tx, draft) | {
        "approved_at": row.approved_at or tx.now,
        "placed_at": tx.now,
        "changed_at": tx.now,
        "charge": row.price,
        "findings": write_findings(without_quotes(parse_findings(row.findings))),
        "status_reason": "",
        "unreported": False,
    }
    return change(tx, row.id, **(released | find_obstacle(tx, row)))


def _check_time(tx: Tx, draft: Draft) -> None:
    """Check that a draft can still go out at its time, by the database's clock."""
    if draft.send_at and draft.send_at + draft.lateness < tx.now:
        raise InvalidInput(
            "It is too late for the send time, by the clock of the database.", hint="Name a later time."
        )
