"""The test of a batch: one row's text goes to the operator's own number on the ordinary way."""

from dataclasses import dataclass

from elks_mcp.answers.outcomes import carry_out
from elks_mcp.app import App
from elks_mcp.domain.batches import BatchPlan
from elks_mcp.domain.phone import Number, written
from elks_mcp.errors import ElksError
from elks_mcp.sending.plan import Decision, Planned, SmsRequest
from elks_mcp.store.my_number import read_my_number


@dataclass(frozen=True, slots=True)
class BatchTest:
    """A plan, and the test of one of its rows."""

    plan: BatchPlan
    row: int | None = None
    """The row that is tested; None if none is."""

    text: str = ""
    planned: Planned | None = None
    """The outcome of planning that text; None if nothing is tested, or the test failed."""

    failure: str = ""
    """Why it is not sent."""


async def plan_test(
    app: App, plan: BatchPlan, row: int | None, *, can_ask: bool, is_answer: bool
) -> BatchTest:
    """Return a plan with the test of a row. A test that fails does not spoil the plan.

    The arguments are those of `Planner.plan`.
    """
    if row is None:
        return BatchTest(plan)
    try:
        number = read_my_number(app.configuration.settings.personal_dir)
        if number is None:
            return BatchTest(plan, row, failure=_explain_missing(app))
        draft = app.batch_planner.draft_test(plan, row, Number(number))
        request = SmsRequest(to=number, message=draft.text, sender=written(draft.sender))
        planned = await app.planner.plan(request, can_ask=can_ask, is_answer=is_answer)
    except ElksError as error:
        return BatchTest(plan, row, failure=error.explain())
    return BatchTest(plan, row, draft.text, planned)


def _explain_missing(app: App) -> str:
    return (
        f"The operator's own number is not stored. A person can do that: {app.command('send --to-me Test')}"
    )


async def report_test(app: App, test: BatchTest, decision: Decision) -> str:
    """Send the test unless it lacks approval. Return what became of it, "" if nothing is tested."""
    if test.row is None:
        return ""
    if test.planned is None:
        return f"Test: row {test.row} was not sent. {test.failure}"
    try:
        answer = await carry_out(app, test.planned, decision, test.text)
    except ElksError as error:
        return f"Test: row {test.row} was not sent. {error.explain()}"
    order = f" Order {answer.order_id}." if answer.order_id else ""
    return f"Test of row {test.row}, to the operator's own number: {answer.summary}{order}"
