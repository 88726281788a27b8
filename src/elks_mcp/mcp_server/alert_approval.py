"""Ask a person whether to raise or end an alert, in both eras of the protocol.

The functions are resolvers, as those in `approval.py` are. A question names the digest of its plan: in the
newer era the SDK accepts an answer only to the same question.
"""

from dataclasses import dataclass
from typing import Annotated

from mcp.server.mcpserver import Context, Elicit, Resolve
from pydantic import Field

from elks_mcp.answers.alerts import build_alerts
from elks_mcp.app import App
from elks_mcp.domain.alert_questions import write_alert_question
from elks_mcp.domain.alerts import Alert
from elks_mcp.domain.orders import Finding
from elks_mcp.mcp_server.approval import OneBoxForm, can_ask, show_form
from elks_mcp.sending.plan import Decision
from elks_mcp.workflows.alert_plans import AlertRequest
from elks_mcp.workflows.alerts import AlertNeedsApproval, AlertPrepared


class AlertConsent(OneBoxForm):
    """The form about an alert."""

    alert: bool = Field(title="Alert them?", description="Exactly this text, these people and this cap.")


class EndConsent(OneBoxForm):
    """The form about the end of an alert."""

    end: bool = Field(title="End it?", description="Nobody else is alerted then.")


@dataclass(frozen=True, slots=True)
class PlannedEnd:
    """An alert that the caller wants to end, and why a person has to approve that, if so."""

    alert: Alert
    reason: Finding | None


async def prepare_alert(
    message: str, policy: str, idempotency_key: str, dry_run: bool | None, ctx: Context[App]
) -> AlertPrepared:
    """Return what a call of `alert_until_acknowledged` would do."""
    request = AlertRequest(message=message, policy=policy, idempotency_key=idempotency_key, dry_run=dry_run)
    alerts, is_answer = build_alerts(ctx.request_context.lifespan_context), ctx.request_state is not None
    return await alerts.prepare(request, can_ask=can_ask(ctx), is_answer=is_answer)


async def ask_to_alert(
    prepared: Annotated[AlertPrepared, Resolve(prepare_alert)], ctx: Context[App]
) -> Decision | Elicit[AlertConsent]:
    """Ask a person about a call of `alert_until_acknowledged`, if one has to approve it."""
    if not isinstance(prepared, AlertNeedsApproval):
        return Decision.NOT_NEEDED
    app = ctx.request_context.lifespan_context
    question = write_alert_question(prepared.plan, prepared.reasons, app.contacts.known)
    return await show_form(ctx, question, AlertConsent)


async def plan_end(alert_id: str, ctx: Context[App]) -> PlannedEnd:
    """Return what a call of `end_alert` would do."""
    alerts = build_alerts(ctx.request_context.lifespan_context)
    alert = await alerts.get(alert_id)
    return PlannedEnd(alert, await alerts.find_reason_to_ask(alert))


async def ask_to_end(
    planned: Annotated[PlannedEnd, Resolve(plan_end)], ctx: Context[App]
) -> Decision | Elicit[EndConsent]:
    """Ask a person about a call of `end_alert`, if one has to approve it."""
    if planned.reason is None:
        return Decision.NOT_NEEDED
    lines = [
        f"End the alert {planned.alert.id} of the policy {planned.alert.policy}?",
        "If you do, nobody else is alerted. If you do not, it goes on.",
        f"You are asked because of: {planned.reason.guard}.",
        f"- {planned.reason.reason}",
    ]
    return await show_form(ctx, "\n".join(lines), EndConsent)
