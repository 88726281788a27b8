"""Orders of a restored backup: they may have been sent since the backup was made."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update

from elks_mcp.domain.escalation import OPEN_STATES, AlertState
from elks_mcp.domain.orders import OrderState
from elks_mcp.store.alert_ending import end_alert
from elks_mcp.store.batch_plans import can_be_started
from elks_mcp.store.batches import cancel_unless_ended
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import accounts, alerts, batches, is_one_of, orders
from elks_mcp.store.db.transactions import reading, writing

_WAS_RESTORED = "It may have been sent after the restored backup was made."
_MAY_BE_APPROVED = (
    "A person may have approved it after the restored backup was made, so it may have been sent."
)
_ALERT_WAS_RESTORED = "A backup was restored, and what this alert did since it was made is not known."


class RestoredOrders(NamedTuple):
    """The numbers of things in a restored backup that were not over, by what becomes of them."""

    doubted: int = 0
    """Orders that may have been sent since. History is read before any of them is sent."""

    unknown: int = 0
    """Orders that waited for a person. They are not sent; a person finds out about them."""

    plans: int = 0
    """Batches that may have been started since. They are cancelled."""

    alerts: int = 0
    """Alerts that were open. They end."""

    scheduled: int = 0
    """Orders whose time has not come. They are sent at their time."""


class Restoration:
    """The orders of a restored backup, for all accounts. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def count(self, tx: Tx) -> RestoredOrders:
        """Count what `hold` would change, and change nothing."""
        open_alerts = is_one_of(alerts.c.state, OPEN_STATES)
        return RestoredOrders(
            doubted=_count(tx, orders, _may_have_left(tx)),
            unknown=_count(tx, orders, _may_be_approved(tx)),
            plans=_count(tx, batches, and_(*can_be_started(tx))),
            alerts=_count(tx, alerts, open_alerts),
            scheduled=_count(tx, orders, and_(_is_later(tx), _is_one(OrderState.SCHEDULED))),
        )

    @writing
    def hold(self, tx: Tx, hidden: Collection[str]) -> None:
        """Put in doubt what may have been sent since the backup, and end what cannot be looked up.

        An order in doubt is sent only if 46elks' history does not have its message, and it is still in time.
        Run it while no server runs. `hidden`: the kinds whose content 46elks is asked not to store.
        """
        for account_id in tx.execute(select(accounts.c.id).order_by(accounts.c.id)).scalars().all():
            tx.account_id = account_id
            tx.lock()
        is_unknown, is_doubtful = _may_be_approved(tx), _may_have_left(tx)
        _change_orders(tx, is_unknown, state=OrderState.UNKNOWN, status_reason=_MAY_BE_APPROVED)
        began = case((orders.c.send_at > orders.c.placed_at, orders.c.send_at), else_=orders.c.placed_at)
        _change_orders(
            tx,
            is_doubtful,
            state=OrderState.IN_DOUBT,
            status_reason=_WAS_RESTORED,
            attempted_at=func.coalesce(orders.c.attempted_at, began),
            is_hidden=or_(orders.c.is_hidden, *(orders.c.kind == kind for kind in sorted(hidden))),
            absent_at=None,
        )
        for row in tx.all(select(batches).where(*can_be_started(tx)).with_for_update()):
            tx.account_id = row.account_id
            cancel_unless_ended(tx, row)
        for row in tx.all(select(alerts).where(is_one_of(alerts.c.state, OPEN_STATES)).with_for_update()):
            tx.account_id = row.account_id
            end_alert(tx, row, AlertState.ENDED, reason=_ALERT_WAS_RESTORED)


def _change_orders(tx: Tx, which: ColumnElement[bool], **changes: Any) -> None:
    """Change orders, which from now on count towards the budget as if they were sent now."""
    charged = {"charge": orders.c.price, "charged_at": tx.now, "due_at": tx.now, "changed_at": tx.now}
    tx.execute(update(orders).where(which).values(**changes, **charged))


def _count(tx: Tx, table: Any, which: ColumnElement[bool]) -> int:
    return int(tx.execute(select(func.count()).select_from(table).where(which)).scalar_one())


def _is_one(*states: OrderState) -> ColumnElement[bool]:
    return is_one_of(orders.c.state, states)


def _is_later(tx: Tx) -> ColumnElement[bool]:
    return func.coalesce(orders.c.send_at, orders.c.placed_at) > tx.now


def _may_have_left(tx: Tx) -> ColumnElement[bool]:
    """Build the condition that an order was approved in the backup and may have been sent since."""
    claimed = _is_one(OrderState.SENDING, OrderState.IN_DOUBT)
    ready = _is_one(OrderState.QUEUED, OrderState.SCHEDULED, OrderState.PAUSED)
    return or_(claimed, and_(ready, ~_is_later(tx)))


def _may_be_approved(tx: Tx) -> ColumnElement[bool]:
    return and_(_is_one(OrderState.WAITING), ~_is_later(tx))
