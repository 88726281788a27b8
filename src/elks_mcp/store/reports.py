"""What 46elks reports of a text's delivery, put down beside its order: in any order, as often as it comes."""

from collections.abc import Iterable

from sqlalchemy import select

from elks_mcp.models import OrderState, Receipt, Report
from elks_mcp.store.changes import accept, change
from elks_mcp.store.database import Database, Tx, writing
from elks_mcp.store.schema import orders

_STATES = {"delivered": OrderState.DELIVERED, "failed": OrderState.FAILED}


class Reports:
    """Delivery reports. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writing
    def hear(self, tx: Tx, reports: Iterable[Report]) -> list[Report]:
        """Put down reports; return those that are about no order of ours.

        A report that carries our order's number proves that 46elks accepted it, even if its answer to
        us was lost. A status never goes back, and delivered is the last word.
        """
        return [report for report in reports if not _hear(tx, report)]


def _hear(tx: Tx, report: Report) -> bool:
    ours = select(orders).filter_by(account_id=tx.account_id).with_for_update()
    row = tx.first(ours.where(orders.c.message_id == report.message_id))
    if row is None and report.order_id:
        row = tx.first(ours.where(orders.c.id == report.order_id))
        if row is not None and row.message_id is None:
            accept(tx, row.id, Receipt(message_id=report.message_id, status=report.status))
        elif row is not None and row.message_id != report.message_id:
            return False
    if row is None:
        return False
    state = _STATES.get(report.status)
    if state and row.state != OrderState.DELIVERED:
        change(tx, row.id, state=state, message_status=report.status)
    return True
