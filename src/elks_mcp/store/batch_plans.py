"""Converting plans of batches to JSON, and back; and what they say about one number."""

import json
from typing import Any

from sqlalchemy import ColumnElement, Row, select, update

from elks_mcp.domain.batches import BatchFinding, BatchPlan, BatchRow, LeftOut
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number, written
from elks_mcp.errors import Refused
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.rows import parse_sender
from elks_mcp.store.db.schema import batches


def write_plan(plan: BatchPlan) -> str:
    """Return a plan as compact JSON; what the batch's row holds is left out."""
    return _dump(
        {
            "sender": written(plan.sender),
            "lateness": plan.lateness.total_seconds(),
            "again": plan.again,
            "repairs": dict(plan.repairs),
            "rows": [
                [row.row, row.to.e164, row.text, row.parts, row.price.units, dict(row.fields)]
                for row in plan.rows
            ],
            "left_out": [
                [each.row, each.to.e164 if each.to else None, each.reason, dict(each.fields)]
                for each in plan.left_out
            ],
            "findings": [each.model_dump(mode="json") for each in plan.findings],
        }
    )


def check_digest(plan: BatchPlan, digest: str) -> None:
    """Check that a plan is the one with this digest.

    Raises:
        Refused: it is not.
    """
    if plan.digest != digest:
        raise Refused(f"{plan.id} is not the plan that was approved.", hint="Plan the batch again.")


def is_approved(tx: Tx) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the account's batches that are approved and not started."""
    ours = batches.c.account_id == tx.account_id
    return ours, batches.c.approved_at.is_not(None), batches.c.started_at.is_(None)


def parse_plan(row: Row[Any]) -> BatchPlan:
    """Return the plan of a batch's row, which must hold one."""
    plan = json.loads(row.plan)
    return BatchPlan.model_validate(
        {
            "id": row.id,
            "caller": row.caller,
            "name": row.name,
            "sender": parse_sender(plan["sender"]),
            "rows": tuple(
                BatchRow(
                    row=number,
                    to=Number(to),
                    text=text,
                    parts=parts,
                    price=Money(units, row.currency),
                    fields=fields,
                )
                for number, to, text, parts, units, fields in plan["rows"]
            ),
            "left_out": tuple(
                LeftOut(row=number, to=Number(to) if to else None, reason=reason, fields=fields)
                for number, to, reason, fields in plan["left_out"]
            ),
            "findings": tuple(BatchFinding.model_validate(each) for each in plan["findings"]),
            "repairs": plan["repairs"],
            "planned_at": row.planned_at,
            "send_at": row.send_at,
            "lateness": plan["lateness"],
            "again": plan["again"],
        }
    )


def list_rows(tx: Tx, account_id: int, number: Number) -> list[dict[str, Any]]:
    """Return what the plans of an account say about a number."""
    planned = select(batches.c.id, batches.c.plan).where(batches.c.plan.is_not(None))
    rows = tx.all(planned.where(batches.c.account_id == account_id).order_by(batches.c.planned_at))
    return [
        {"batch": row.id, "row": each[0], "fields": each[-1]}
        for row in rows
        for each in _select(json.loads(row.plan), number)
    ]


def forget_rows(tx: Tx, number: Number) -> None:
    """Delete what the plans of all accounts say about a number.

    A plan that was not started is deleted whole: without that row, it is not what a person may have approved.
    """
    for row in tx.all(select(batches).where(batches.c.plan.is_not(None))):
        plan = json.loads(row.plan)
        if not (theirs := _select(plan, number)):
            continue
        for part in ("rows", "left_out"):
            plan[part] = [each for each in plan[part] if each not in theirs]
        left = _dump(plan) if row.started_at else None
        tx.execute(update(batches).where(batches.c.id == row.id).values(plan=left))


def _select(plan: dict[str, Any], number: Number) -> list[list[Any]]:
    """Return the rows of a plan, as JSON, that are for a number."""
    return [each for part in ("rows", "left_out") for each in plan[part] if each[1] == number.e164]


def _dump(plan: dict[str, Any]) -> str:
    return json.dumps(plan, ensure_ascii=False, separators=(",", ":"))
