"""The results of a batch, row by row: as an answer, and as a table for a spreadsheet."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AwareDatetime, Field

from elks_mcp.answers.people import People, read_people
from elks_mcp.answers.structured import ContactName, MoneyField, StructuredAnswer
from elks_mcp.answers.text_list import LEFT_OUT
from elks_mcp.app import App
from elks_mcp.domain.batches import Batch, BatchPlan, BatchState, LeftOut
from elks_mcp.domain.orders import ACCEPTED, Order
from elks_mcp.domain.phone import Number
from elks_mcp.errors import NotFound
from elks_mcp.runtime.clock import in_zone
from elks_mcp.spreadsheets.csv_results import write_csv

_TITLES = "row", "number", "contact", "state", "reason", "parts", "cost", "time", "order"


class BatchResult(StructuredAnswer):
    """One row of a batch, and its outcome."""

    row: int
    to: str
    """The number; "" if the row has none, or a person asked to be forgotten."""

    to_name: ContactName = None
    state: str
    reason: str = ""
    parts: int | None = None
    cost: Annotated[MoneyField | None, LEFT_OUT] = None
    """The charge; before the start, the price."""

    changed_at: Annotated[AwareDatetime | None, LEFT_OUT] = None
    order_id: Annotated[str, LEFT_OUT] = ""
    fields: Annotated[Mapping[str, str], Field(repr=False)] = {}
    """The values of its merge fields."""


class BatchResultsAnswer(StructuredAnswer):
    """The rows of a batch in the order of the list."""

    batch_id: str
    status: str
    rows: tuple[BatchResult, ...]


async def list_results(app: App, batch: Batch) -> BatchResultsAnswer:
    """Return the outcome of each row of the caller's batch, rows that were left out included.

    If the plan was deleted since, its merge fields and the rows that were left out are missing.
    """
    store, people = await app.storage.open(), await read_people(app)
    ended = dict(await store.batches.list_orders(batch.id))
    plan = await _find_plan(app, batch)
    planned = {row.row: row for row in plan.rows} if plan else {}
    rows = [
        _report_order(number, order, dict(planned[number].fields) if number in planned else {}, people)
        for number, order in ended.items()
    ]
    if plan:
        rows += _report_planned(plan, batch, people) if not ended else []
        rows += [_report_left_out(each, people) for each in plan.left_out]
    return BatchResultsAnswer(
        batch_id=batch.id, status=batch.state, rows=tuple(sorted(rows, key=lambda each: each.row))
    )


def write_results(app: App, answer: BatchResultsAnswer) -> bytes:
    """Return results as CSV for Excel: numbers are whole, and merge fields are the last columns."""
    fields = list(dict.fromkeys(name for row in answer.rows for name in row.fields))
    zone = app.policy.time_zone
    lines = [
        (
            row.row,
            Number(row.to) if row.to else "",
            row.to_name or "",
            row.state,
            row.reason,
            "" if row.parts is None else row.parts,
            str(row.cost) if row.cost else "",
            f"{in_zone(row.changed_at, zone):%Y-%m-%d %H:%M}" if row.changed_at else "",
            row.order_id,
            *(row.fields.get(name, "") for name in fields),
        )
        for row in answer.rows
    ]
    return write_csv([*_TITLES, *fields], lines, whole_numbers=True)


async def _find_plan(app: App, batch: Batch) -> BatchPlan | None:
    try:
        return await (await app.storage.open()).batches.get_plan(batch.id)
    except NotFound:
        return None


def _report_order(row: int, order: Order, fields: Mapping[str, str], people: People) -> BatchResult:
    number = order.to.e164 if order.to else ""
    return BatchResult(
        row=row,
        to=number,
        to_name=people.find_name(number),
        state=order.state,
        reason=order.status_reason,
        parts=order.parts,
        cost=order.cost if order.state in ACCEPTED else None,
        changed_at=order.changed_at,
        order_id=order.id,
        fields=fields,
    )


def _report_planned(plan: BatchPlan, batch: Batch, people: People) -> list[BatchResult]:
    state = BatchState.PLANNED if batch.state is BatchState.WAITING else batch.state
    return [
        BatchResult(
            row=row.row,
            to=row.to.e164,
            to_name=people.find_name(row.to.e164),
            state=state,
            parts=row.parts,
            cost=row.price,
            fields=dict(row.fields),
        )
        for row in plan.rows
    ]


def _report_left_out(row: LeftOut, people: People) -> BatchResult:
    number = row.to.e164 if row.to else ""
    return BatchResult(
        row=row.row,
        to=number,
        to_name=people.find_name(number),
        state="left out",
        reason=row.reason,
        fields=dict(row.fields),
    )
