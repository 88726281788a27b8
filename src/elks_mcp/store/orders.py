"""The book of orders: placing them, approving them, finding them again."""

from collections.abc import Collection
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row, exists, func, insert, or_, select

from elks_mcp.domain.models import Recall
from elks_mcp.domain.orders import NEVER_SENT, Approval, Approver, Draft, Order, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.domain.taint import ShownText
from elks_mcp.errors import NotFound, Refused, StateUnavailable, StateUncertain
from elks_mcp.store.claims import claim_new
from elks_mcp.store.db.changes import change, close
from elks_mcp.store.db.codes import make_code
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
from elks_mcp.store.db.transactions import Database, Tx, deciding, reading
from elks_mcp.store.known_numbers import recall
from elks_mcp.store.prior import find_prior_rows, recall_for
from elks_mcp.store.values import DraftCheck, Pace, Placed, PriorOrders

KEPT_WAITING_FOR_YES = timedelta(minutes=30)
"""How long an order waits for a person. The price is as good as it was for that long."""

KEPT_WAITING_TO_GO = timedelta(hours=1)
"""How long an order that a person approved waits for a server to send it."""

MOST_WAITING = 20
"""How many orders of one caller may wait for a person: about what one can read in the time that they wait."""

_NOT_NEEDED = "It was asked for again, and by then nobody had to agree."


class OrderStore:
    """Orders by their numbers. Each method is one transaction; `place` looks again where it lost the word."""

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
        """Put an order in the queue, or return the one it repeats; where a person has to agree, it waits.

        Between the check of what is remembered and the new row nothing can come in between. `pace`: claim
        it as well, at this pace, if it need not wait for anybody or anything. `shown`: texts of others that
        this process showed to the caller's model in the last 30 minutes.

        Raises:
            InvalidInput: the idempotency key was used for another message.
            Refused: a guard minds, or too many orders of the caller wait for a person.
            StateUnavailable: it is in no queue.
            StateUncertain: nobody knows whether it is.
        """
        order_id = f"O-{make_code(8)}"
        try:
            return await self._place(order_id, approval, check, dedupe=dedupe, pace=pace, shown=shown)
        except StateUncertain as error:
            return await self._find_placed(order_id, error)

    async def _find_placed(self, order_id: str, error: StateUncertain) -> Placed:
        """Look whether an order was kept after all, when only word of that was lost."""
        try:
            return Placed(await self.get(order_id), is_repeat=False)
        except NotFound:
            raise StateUnavailable(str(error)) from None
        except StateUnavailable:
            raise StateUncertain(
                f"{error} Nobody knows whether the text was queued: do not send it again.",
                hint=f"Ask check_sms_status ({order_id}) when the database is back.",
            ) from None

    @deciding
    def _place(
        self,
        tx: Tx,
        order_id: str,
        approval: Approval,
        check: DraftCheck,
        *,
        dedupe: bool,
        pace: Pace | None,
        shown: Collection[ShownText],
    ) -> Placed:
        draft = approval.quote.draft
        earlier = find_prior_rows(tx, draft, dedupe=dedupe, shown=shown)
        if earlier.repeated:
            return Placed(parse_order(tx, earlier.repeated), is_repeat=True)
        if why_not := check(draft, approval.quote.estimate.price, earlier.recall):
            raise Refused(why_not)
        waits = approval.approver is not Approver.POLICY
        if earlier.waiting and waits:
            return Placed(parse_order(tx, earlier.waiting), is_repeat=False)
        if earlier.waiting:
            close(tx, earlier.waiting, OrderState.CANCELLED, _NOT_NEEDED)  # or a late yes would send it twice
        if earlier.overdue:
            _expire_waiting(tx, earlier.overdue)
        if waits:
            _check_room(tx, draft.caller)
        row = _new_row(tx, approval, waits=waits) | {"id": order_id}
        may_go = earlier.is_first and not waits
        claim = claim_new(tx, row, approval.quote, pace) if pace and may_go else None
        return Placed(_insert(tx, row), is_repeat=False, claim=claim)

    @deciding
    def approve(self, tx: Tx, order_id: str, check: DraftCheck) -> Placed:
        """Let a waiting order go, after a person's yes: once. It is a repeat where it went before.

        Where it waited too long, or a guard minds by now, it ends as expired or cancelled.

        Raises:
            NotFound: there is no such order.
        """
        expire_waiting(tx)
        row = _get(tx, order_id)
        if row.state != OrderState.WAITING:
            return Placed(parse_order(tx, row), is_repeat=row.state not in NEVER_SENT)
        return Placed(_release(tx, row, check), is_repeat=False)

    @deciding
    def release_approved(self, tx: Tx, check: DraftCheck) -> list[Order]:
        """Let all orders go that a person has approved in a terminal."""
        expire_waiting(tx)
        waiting = select(orders).filter_by(account_id=tx.account_id, state=OrderState.WAITING)
        known = is_one_of(orders.c.kind, tx.kinds)
        rows = tx.all(waiting.where(orders.c.approved_at.is_not(None), known))
        return [_release(tx, row, check) for row in rows]

    @deciding
    def expire_waiting(self, tx: Tx) -> None:
        """End what waited too long for a person, or for a server after a person's yes."""
        expire_waiting(tx)

    @reading
    def find_prior(
        self, tx: Tx, draft: Draft, *, dedupe: bool = True, shown: Collection[ShownText] = ()
    ) -> PriorOrders:
        """Say what a draft repeats, what exactly like it waits for a person, and what is remembered.

        Raises:
            InvalidInput: the key was used for another message.
        """
        earlier = find_prior_rows(tx, draft, dedupe=dedupe, shown=shown)
        return PriorOrders(
            repeated=parse_order(tx, earlier.repeated) if earlier.repeated else None,
            waiting=parse_order(tx, earlier.waiting) if earlier.waiting else None,
            recall=earlier.recall,
        )

    @reading
    def recall(self, tx: Tx, draft: Draft, shown: Collection[ShownText] = ()) -> Recall:
        """Recall what bears on a draft that is only priced; what its key was used for is of no account."""
        return recall_for(tx, draft, shown)

    @reading
    def get(self, tx: Tx, number: str, *, caller: str | None = None) -> Order:
        """Return an order by its own number, or by its approval's; where a caller is named, one of theirs.

        Raises:
            NotFound: there is none by that number; whether it is somebody else's is not told.
        """
        return parse_order(tx, _get(tx, number, caller=caller))

    @reading
    def find(self, tx: Tx, message_id: str, caller: str = "") -> Order | None:
        """Find the order of a caller's that 46elks gave a message id for."""
        theirs = select(orders).filter_by(account_id=tx.account_id, caller=caller)
        row = tx.first(theirs.where(orders.c.message_id == message_id))
        return parse_order(tx, row) if row else None

    @reading
    def find_latest(self, tx: Tx, to: Number, caller: str = "") -> Order | None:
        """Find the latest order of a caller's to a number that 46elks accepted."""
        theirs = select(orders).filter_by(account_id=tx.account_id, caller=caller)
        to_them = theirs.where(orders.c.recipient_hash == tx.hasher.number(to.e164))
        accepted = to_them.where(orders.c.message_id.is_not(None))
        row = tx.first(accepted.order_by(orders.c.charged_at.desc()).limit(1))
        return parse_order(tx, row) if row else None

    @reading
    def list_latest(self, tx: Tx, limit: int, caller: str = "") -> list[Order]:
        """List the latest orders of a caller's, the newest first."""
        theirs = select(orders).filter_by(account_id=tx.account_id, caller=caller)
        return [
            parse_order(tx, row) for row in tx.all(theirs.order_by(orders.c.charged_at.desc()).limit(limit))
        ]

    @deciding
    def cancel(self, tx: Tx, order_id: str, why: str) -> Order:
        """Cancel an order that is not on the wire yet; return how it stands."""
        row = _get(tx, order_id, lock=True)  # 46elks' word may be being put down just now
        if row.state not in {OrderState.WAITING, OrderState.QUEUED}:
            return parse_order(tx, row)
        return close(tx, row, OrderState.CANCELLED, why)


def _get(tx: Tx, number: str, *, caller: str | None = None, lock: bool = False) -> Row[Any]:
    by_number = or_(orders.c.id == number, orders.c.approval == number)
    found = select(orders).where(orders.c.account_id == tx.account_id, by_number)
    if caller is not None:
        found = found.where(orders.c.caller == caller)
    if row := tx.first(found.with_for_update() if lock else found):
        return row
    raise NotFound("There is no order by that number here.", hint="To list them: `elks-mcp outbox`.")


def expire_waiting(tx: Tx) -> None:
    """End what waited too long for a person."""
    overdue = select(orders).filter_by(account_id=tx.account_id, state=OrderState.WAITING)
    for row in tx.all(overdue.where(orders.c.due_at <= tx.now)):
        _expire_waiting(tx, row)


def _expire_waiting(tx: Tx, row: Row[Any]) -> None:
    why = "No server ran to send it" if row.approved_at else "Nobody agreed"
    close(tx, row, OrderState.EXPIRED, f"{why} in time.")


def _check_room(tx: Tx, caller: str) -> None:
    """Check that one more order of a caller may wait for a person.

    Raises:
        Refused: too many of them do.
    """
    theirs = select(func.count()).select_from(orders).filter_by(account_id=tx.account_id, caller=caller)
    waiting = theirs.where(orders.c.state == OrderState.WAITING, orders.c.due_at > tx.now)
    if tx.execute(waiting).scalar_one() >= MOST_WAITING:
        raise Refused(
            f"{MOST_WAITING} texts of this caller wait for a person, and no more may.",
            hint="A person lists them with `elks-mcp pending`. Each one that is approved or cancelled makes "
            "room; one that nobody approves expires after 30 minutes.",
        )


def _new_row(tx: Tx, approval: Approval, *, waits: bool) -> dict[str, Any]:
    findings = approval.quote.findings
    return build_order(tx, approval.quote) | {
        "findings": write_findings(findings if waits else without_quotes(findings)),
        "state": OrderState.WAITING if waits else OrderState.QUEUED,
        "approver": approval.approver,
        "approval": _new_approval(tx) if waits else None,
        "placed_at": tx.now,
        "changed_at": tx.now,
        "due_at": tx.now + KEPT_WAITING_FOR_YES if waits else tx.now,
        "charge": 0 if waits else approval.quote.estimate.price.units,
        "charged_at": tx.now,
    }


def _insert(tx: Tx, row: dict[str, Any]) -> Order:
    tx.execute(_INSERT, row)
    return parse_order(tx, SimpleNamespace(**row))  # what was just written need not be read again


_INSERT = insert(orders)


def _new_approval(tx: Tx) -> str:
    """Make a number that a person can type, and that no other order ever had here."""
    while True:
        code = f"A-{make_code(4)}"
        if not (tx.all(select(exists().where(orders.c.approval == code))))[0][0]:
            return code


def _release(tx: Tx, row: Row[Any], check: DraftCheck) -> Order:
    draft = parse_draft(tx, row)
    if why_not := check(draft, parse_price(row), recall(tx, draft.to, besides=row.id)):
        return close(tx, row, OrderState.CANCELLED, why_not)
    return change(
        tx,
        row.id,
        state=OrderState.QUEUED,
        approved_at=row.approved_at or tx.now,
        placed_at=tx.now,
        changed_at=tx.now,
        due_at=tx.now,
        charge=row.price,
        charged_at=tx.now,
        findings=write_findings(without_quotes(parse_findings(row.findings))),
    )
