"""Personal data: showing and deleting everything stored about one number."""

import json
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, delete, select, update

from elks_mcp.domain.kinds import CALL
from elks_mcp.domain.orders import UNFINISHED
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Refused
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.admin import lock_all
from elks_mcp.store.alert_cleanup import check_no_open_alert, forget_in_alerts, list_alerts_about
from elks_mcp.store.batch_plans import forget_rows, list_rows
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import accounts, arrivals, calls, known_numbers, orders, taint
from elks_mcp.store.db.transactions import reading, writing
from elks_mcp.store.location import AccountKey
from elks_mcp.store.opt_outs import find_opt_out, reduce_opt_out


class StoredData(NamedTuple):
    """The data about a number for one account: rows, by the names of their columns."""

    owner: AccountKey
    orders: list[dict[str, Any]]
    known_number: dict[str, Any] | None
    arrivals: list[dict[str, Any]]
    """Texts received from it: which, and when."""

    taint: list[dict[str, Any]]
    """Which callers' models were last shown its texts, and when."""

    batches: list[dict[str, Any]]
    """The rows of plans for it, or that name it: batch, row, text or why it was left out, and the cells."""

    alerts: list[dict[str, Any]]
    """The alerts that reached it or were to reach it, and whether it acknowledged them."""


class Removed(NamedTuple):
    """The number of rows that were deleted, and whether an opt-out was kept."""

    orders: int
    known_numbers: int
    plans: int
    """Plans of batches that were not started, which are deleted whole."""

    opted_out: bool


_ERASED = {
    "recipient": None,
    "content": None,
    "recipient_hash": None,
    "text_hash": None,
    "fingerprint": None,
    "key_hash": None,
    "message_id": None,
    "findings": "[]",  # they name the number
    "status_reason": "The recipient was forgotten.",
}
"""The columns that an order loses with its recipient. Cost and time stay, for the budget."""

_NOT_SHOWN = frozenset({"account_id", "lease"})


class PersonalData:
    """Shows and deletes what is stored about a number. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def list_stored(self, tx: Tx, number: Number) -> list[StoredData]:
        """Return everything stored about a number, by account, without empty accounts."""
        every = [_read(tx, row, number) for row in tx.all(select(accounts).order_by(accounts.c.id))]
        return [held for held in every if any(held[1:])]

    @reading
    def find_opt_out(self, tx: Tx, number: Number) -> dict[str, Any] | None:
        """Return what is recorded about a number's opt-out, which applies to all accounts."""
        row = find_opt_out(tx, number)
        return _shown(row) if row else None

    @writing
    def remove(self, tx: Tx, number: Number) -> Removed:
        """Delete everything stored about a number except that it opted out, and when.

        Raises:
            Refused: An order to that number is unfinished.
        """
        theirs = known_numbers.c.number_hash == tx.hasher.number(number.e164)
        lock_all(tx)
        _check_finished(tx, number)
        check_no_open_alert(tx, number)
        forget_in_alerts(tx, number)
        tx.execute(delete(calls).where(calls.c.order_id.in_(select(orders.c.id).where(_to(tx, number)))))
        removed = tx.execute(update(orders).where(_to(tx, number)).values(**_ERASED)).rowcount
        known = tx.execute(delete(known_numbers).where(theirs)).rowcount
        opt_out = find_opt_out(tx, number)
        reduce_opt_out(tx, number)
        plans = forget_rows(tx, number)
        for table in (arrivals, taint):
            tx.execute(delete(table).where(table.c.sender_hash == tx.hasher.number(number.e164)))
        return Removed(removed, known, plans, bool(opt_out and opt_out.opted_out))


def _to(tx: Tx, number: Number) -> ColumnElement[bool]:
    return orders.c.recipient_hash == tx.hasher.number(number.e164)


def _read(tx: Tx, account: Row[Any], number: Number) -> StoredData:
    ours = select(orders).where(orders.c.account_id == account.id, _to(tx, number))
    rows = tx.all(ours.order_by(orders.c.placed_at))
    theirs = {"account_id": account.id, "number_hash": tx.hasher.number(number.e164)}
    known = tx.first(select(known_numbers).filter_by(**theirs))
    its = {"account_id": account.id, "sender_hash": theirs["number_hash"]}
    came = select(arrivals).filter_by(**its)
    return StoredData(
        owner=AccountKey(account.base_url, account.username),
        orders=[_show_order(row) | _show_outcome(tx, row) for row in rows],
        known_number=_shown(known) if known else None,
        arrivals=[_shown(row) for row in tx.all(came.order_by(arrivals.c.position))],
        taint=[_shown(row) for row in tx.all(select(taint).filter_by(**its).order_by(taint.c.shown_at))],
        batches=list_rows(tx, account.id, number),
        alerts=list_alerts_about(tx, account.id, number),
    )


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name not in _NOT_SHOWN}


def _show_order(row: Row[Any]) -> dict[str, Any]:
    """Return an order's columns, with the payload's fields in place of its JSON."""
    columns = _shown(row)
    payload = {**json.loads(columns.pop("details")), **json.loads(columns.pop("content") or '{"text": null}')}
    return columns | payload | {"findings": json.loads(row.findings)}


def _show_outcome(tx: Tx, row: Row[Any]) -> dict[str, Any]:
    """Return what came of an order's call; nothing for other orders."""
    outcome = tx.first(select(calls).where(calls.c.order_id == row.id)) if row.kind == CALL else None
    return {"call": {name: getattr(outcome, name) for name in _OUTCOME}} if outcome else {}


_OUTCOME = ("state", "digits", "seconds", "ended_at")


def _check_finished(tx: Tx, number: Number) -> None:
    unfinished = select(orders.c.id, orders.c.state).where(_to(tx, number), orders.c.state.in_(UNFINISHED))
    if rows := tx.all(unfinished.order_by(orders.c.placed_at)):
        named = ", ".join(f"{row.id} ({row.state})" for row in rows)
        raise Refused(
            f"Texts to this number are unfinished: {named}. Nothing was removed.",
            hint="A running server finishes texts that are being sent. To cancel waiting or queued ones: "
            f"{show_command('outbox cancel O-…')}.",
        )
