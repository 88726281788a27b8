"""Converting plans of batches to JSON, and back; and what they say about one number."""

import json
from typing import Any

from sqlalchemy import ColumnElement, Row, select, update

from elks_mcp.domain.batches import PLAN_KEPT, BatchFinding, BatchPlan, BatchRow, LeftOut
from elks_mcp.domain.money import Money
from elks_mcp.domain.number_search import find_numbers
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
            "at_night": plan.at_night,
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


def can_be_started(tx: Tx) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the batches of all accounts whose plan can be started."""
    c = batches.c
    is_recent = c.planned_at > tx.now - PLAN_KEPT
    return c.started_at.is_(None), c.cancelled_at.is_(None), c.plan.is_not(None), is_recent


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
            "at_night": plan.get("at_night", False),  # plans of earlier versions lack it
        }
    )


def list_rows(tx: Tx, account_id: int, number: Number) -> list[dict[str, Any]]:
    """Return the rows of an account's plans that are for a number or name it."""
    planned = select(batches.c.id, batches.c.plan).where(batches.c.plan.is_not(None))
    rows = tx.all(planned.where(batches.c.account_id == account_id).order_by(batches.c.planned_at))
    return [
        {"batch": row.id, "row": each[0], said: each[2], "fields": each[-1]}
        for row in rows
        for part, said in _PARTS.items()
        for each in json.loads(row.plan)[part]
        if _is_for(each, number) or _names(each, number)
    ]


def forget_rows(tx: Tx, number: Number) -> int:
    """Delete what all plans say about a number; return how many plans were deleted whole.

    A plan that was not started is deleted whole: without that row, it is not what a person may have approved.
    Another person's row loses only the values that name the number.
    """
    deleted = 0
    for row in tx.all(select(batches).where(batches.c.plan.is_not(None))):
        plan = json.loads(row.plan)
        left = {
            part: [_forget(each, number) for each in plan[part] if not _is_for(each, number)]
            for part in _PARTS
        }
        if all(left[part] == plan[part] for part in _PARTS):
            continue
        deleted += not row.started_at
        kept = _dump(plan | left) if row.started_at else None
        tx.execute(update(batches).where(batches.c.id == row.id).values(plan=kept))
    return deleted


_PARTS = {"rows": "text", "left_out": "reason"}
"""The lists of rows in a plan, and what the third value of each row is."""


def _is_for(row: list[Any], number: Number) -> bool:
    """Return whether a row of a plan, as JSON, is for a number.

    A row without a usable number is for each number that it names.
    """
    return row[1] == number.e164 if row[1] else _names(row, number)


def _names(row: list[Any], number: Number) -> bool:
    return any(_contains(value, number) for value in row[-1].values())


def _forget(row: list[Any], number: Number) -> list[Any]:
    fields = {name: "" if _contains(value, number) else value for name, value in row[-1].items()}
    return [*row[:-1], fields]


def _contains(text: str, number: Number) -> bool:
    """Return whether a text has a number, also as it is written in the number's own country."""
    return any(each.number == number for each in find_numbers(text, number.region))


def _dump(plan: dict[str, Any]) -> str:
    return json.dumps(plan, ensure_ascii=False, separators=(",", ":"))
