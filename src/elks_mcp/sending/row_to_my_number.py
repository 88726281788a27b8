"""Send one row of a batch to the operator's own number (`test_row`), as any single text."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from elks_mcp.domain.batches import BatchPlan
from elks_mcp.domain.phone import Number, written
from elks_mcp.errors import ElksError
from elks_mcp.sending.batch_plans import BatchPlanner
from elks_mcp.sending.outcomes import SendOutcome, carry_out
from elks_mcp.sending.plan import Decision, DryRunOnly, Planned
from elks_mcp.sending.send_requests import SmsRequest
from elks_mcp.store.my_number import read_my_number


@dataclass(frozen=True, slots=True)
class RowToMyNumber:
    """A plan, and the text of one of its rows on its way to the operator's own number."""

    plan: BatchPlan
    row: int | None = None
    """None if no row was chosen."""

    text: str = ""
    planned: Planned | None = None
    """The plan of that text; None if no row was chosen, or it cannot be sent."""

    outcome: DryRunOnly | SendOutcome | None = None
    """None until it was sent or priced."""

    failure: str = ""
    """Why it is not sent."""


async def plan_row(
    batch_planner: BatchPlanner,
    plan: BatchPlan,
    row: int | None,
    folder: Path,
    *,
    can_ask: bool,
    is_answer: bool,
) -> RowToMyNumber:
    """Plan to send a row's text. If that fails, the batch can still be planned.

    `folder`: the directory with the operator's own number. `can_ask` and `is_answer`: as in `Planner.plan`.
    """
    if row is None:
        return RowToMyNumber(plan)
    try:
        number = read_my_number(folder)
        if number is None:
            return RowToMyNumber(plan, row, failure=_explain_missing(batch_planner))
        draft = batch_planner.draft_row(plan, row, Number(number))
        request = SmsRequest(to=number, message=draft.text, sender=written(draft.sender))
        planned = await batch_planner.planner.plan(request, can_ask=can_ask, is_answer=is_answer)
    except ElksError as error:
        return RowToMyNumber(plan, row, failure=error.explain())
    return RowToMyNumber(plan, row, draft.text, planned)


def _explain_missing(batch_planner: BatchPlanner) -> str:
    command = batch_planner.planner.setup.command("send --to-me Test")
    return f"The operator's own number is not stored. A person can do that: {command}"


async def send_row(
    batch_planner: BatchPlanner, planned: RowToMyNumber, decision: Decision, within: timedelta
) -> RowToMyNumber:
    """Send the text unless it lacks approval, and return it with its outcome.

    The arguments are those of `carry_out`.
    """
    if planned.planned is None:
        return planned
    try:
        outcome = await carry_out(batch_planner.planner, planned.planned, decision, within)
    except ElksError as error:
        return replace(planned, failure=error.explain())
    return replace(planned, outcome=outcome)
