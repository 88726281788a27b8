"""Ask a person whether to start, cancel or resume a batch, in both eras of the protocol.

The functions are resolvers, as those in `approval.py` are. A question names the digest of its plan: in the
newer era the SDK accepts an answer only to the same question.
"""

from typing import Annotated

from mcp.server.mcpserver import Context, Elicit, Resolve
from pydantic import Field

from elks_mcp.app import App
from elks_mcp.domain.batch_questions import write_batch_question
from elks_mcp.domain.batches import Batch
from elks_mcp.domain.orders import Finding
from elks_mcp.domain.wording import format_count
from elks_mcp.mcp_server.approval import OneBoxForm, can_ask, show_form
from elks_mcp.sending.batch_changes import BatchChange, BatchChanges, PlannedChange
from elks_mcp.sending.batches import BatchNeedsApproval, BatchPrepared
from elks_mcp.sending.plan import Decision


class BatchConsent(OneBoxForm):
    """The form about a batch."""

    send: bool = Field(title="Send them all?", description="Send exactly these texts to these recipients.")


class BatchChangeConsent(OneBoxForm):
    """The form about cancelling or resuming a batch."""

    approve: bool = Field(title="Approve it?", description="Exactly that is done with this batch.")


async def prepare_start(batch_id: str, ctx: Context[App]) -> BatchPrepared:
    """Return what a call of `start_batch` would do."""
    app = ctx.request_context.lifespan_context
    await app.contacts.read_leniently()
    return await app.batches.prepare(batch_id, can_ask=can_ask(ctx))


async def ask_to_start(
    prepared: Annotated[BatchPrepared, Resolve(prepare_start)], ctx: Context[App]
) -> Decision | Elicit[BatchConsent]:
    """Ask a person about a call of `start_batch`, if one has to approve it."""
    if not isinstance(prepared, BatchNeedsApproval):
        return Decision.NOT_NEEDED
    app, plan = ctx.request_context.lifespan_context, prepared.plan
    duration, zone = plan.find_duration(app.outbox.pace.gap), app.policy.time_zone
    question = write_batch_question(plan, prepared.reasons, app.contacts.known, duration, zone)
    return await show_form(ctx, question, BatchConsent)


async def plan_change(batch_id: str, change: BatchChange, ctx: Context[App]) -> PlannedChange:
    """Return what a call of `stop_batch` would do."""
    app = ctx.request_context.lifespan_context
    return await build_changes(app).plan(batch_id, change)


async def ask_to_change(
    planned: Annotated[PlannedChange, Resolve(plan_change)], ctx: Context[App]
) -> Decision | Elicit[BatchChangeConsent]:
    """Ask a person about a call of `stop_batch`, if one has to approve it."""
    if planned.reason is None:
        return Decision.NOT_NEEDED
    return await show_form(
        ctx, _write_change_question(planned.batch, planned.change, planned.reason), BatchChangeConsent
    )


def _write_change_question(batch: Batch, change: BatchChange, reason: Finding) -> str:
    """Return the question about a change of a batch, the same for the same batch and reason."""
    size = format_count(batch.row_count, "text") if batch.started_at else "nothing sent yet"
    return "\n".join(
        [
            f"{change.capitalize()} the batch {batch.id} ({size}, {batch.total})?",
            _CONSEQUENCES[change],
            f"You are asked because of: {reason.guard}.",
            f"- {reason.reason}",
        ]
    )


_CONSEQUENCES = {
    "cancel": "If you do, the texts that have not left are never sent. If you do not, it continues.",
    "resume": "If you do, the texts that have not left are sent. If you do not, it stays paused.",
}


def build_changes(app: App) -> BatchChanges:
    """Return what pauses, resumes and cancels the batches of the caller."""
    return BatchChanges(app.batches, app.policy)
