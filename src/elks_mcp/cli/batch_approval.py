"""A batch that waits for a person: shown and approved at a terminal."""

from datetime import timedelta

import click

from elks_mcp.cli.contact_reading import read_contacts_leniently
from elks_mcp.cli.output import measure_columns, say
from elks_mcp.cli.state import State
from elks_mcp.domain.approval import explain_unnamed_reason
from elks_mcp.domain.batch_questions import count_people, list_reasons, write_batch_question
from elks_mcp.domain.batches import BatchPlan, BatchState
from elks_mcp.domain.display import visible
from elks_mcp.domain.orders import Finding
from elks_mcp.domain.phone import written
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.wording import format_count, format_duration
from elks_mcp.settings import Configuration
from elks_mcp.store.batch_admin import BatchAdmin, BatchRecord


def approve_batch(configuration: Configuration, state: State, record: BatchRecord) -> int:
    """Show a batch, and approve it if the person types the number of its recipients.

    Returns:
        The exit code: 0 if it is approved, now or before.
    """
    plan = record.plan
    if plan is None or record.batch.is_approved or record.batch.state is not BatchState.WAITING:
        return _report(record)
    if not _confirm(configuration, plan):
        say("Not approved: this is not the number of recipients. Nothing was changed.")
        return 1
    return _report(state.query(lambda database: BatchAdmin(database).approve(plan.id, plan.digest)))


def describe_waiting_batch(record: BatchRecord, policy: Policy) -> str:
    """Return a line about a batch that waits."""
    batch, plan = record.batch, record.plan
    facts = [f"{batch.approval_code}  batch {batch.id}"]
    if plan:
        size = f"{format_count(len(plan.rows), 'text')} to {format_count(count_people(plan), 'recipient')}"
        price = f"{format_count(plan.parts, 'part')}, {plan.total}"
        why = ", ".join(each.guard for each in _list_reasons(plan, policy))
        state = "approved, waits for a server," if batch.is_approved else f"because of {why};"
        facts.append(f": {size} from {visible(written(plan.sender))}, {price}; {state}")
    return f"{''.join(facts)} expires in {format_duration(record.left)}"


def _list_reasons(plan: BatchPlan, policy: Policy) -> tuple[Finding, ...]:
    """Return why a person is asked, by the settings of this command, not of the server."""
    return list_reasons(policy, plan) or (explain_unnamed_reason(),)


def _confirm(configuration: Configuration, plan: BatchPlan) -> bool:
    settings = configuration.settings
    gap = timedelta(minutes=1) / settings.sms_per_minute
    question = write_batch_question(
        plan,
        _list_reasons(plan, configuration.policy),
        read_contacts_leniently(configuration),
        plan.find_duration(gap),
        settings.time_zone,
        measure_columns(),
    )
    say(question)
    asked = "\nTo approve it, type the number of recipients; anything else changes nothing"
    typed: str = click.prompt(asked, default="", show_default=False)
    return typed.strip() == str(count_people(plan))


def _report(record: BatchRecord) -> int:
    """Print whether a batch is approved, and return the exit code."""
    batch, left = record.batch, format_duration(record.left)
    if batch.state is BatchState.WAITING and batch.is_approved:
        say(f"Approved. A running server starts {batch.id} now, or the next that starts within {left} does.")
        return 0
    if batch.started_at:
        say(f"It was already approved: {batch.id} is {batch.state}.")
        return 0
    why = f" {visible(batch.pause_reason)}" if batch.pause_reason else ""
    say(f"It does not wait for approval: {batch.id} is {batch.state}.{why}", err=True)
    return 1
