"""The toolset `escalation`: alert people until one of them answers."""

from typing import Annotated

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Context, Resolve
from pydantic import Field

from elks_mcp.answers.alerts import AlertAnswer, build_alerts, report_alert, report_alert_dry_run
from elks_mcp.app import App
from elks_mcp.domain.models import Scope
from elks_mcp.mcp_server.alert_approval import (
    AlertConsent,
    EndConsent,
    PlannedEnd,
    ask_to_alert,
    ask_to_end,
    plan_end,
    prepare_alert,
)
from elks_mcp.mcp_server.approval import read_decision
from elks_mcp.mcp_server.tools.base import CANCELS, FOR_ALL, READS, SENDS, ElksTool
from elks_mcp.mcp_server.tools.params import DryRun, Key
from elks_mcp.workflows.alerts import AlertDryRun, AlertPrepared, AlertRepeated

AlertText = Annotated[str, Field(description="The text. How to acknowledge it is added.")]
PolicyName = Annotated[str, Field(description="A policy of the operator's file.")]
AlertId = Annotated[str, Field(description="E-… from alert_until_acknowledged.")]


async def alert_until_acknowledged(
    message: AlertText,
    policy: PolicyName,
    prepared: Annotated[AlertPrepared, Resolve(prepare_alert)],
    asked: Annotated[ElicitationResult[AlertConsent], Resolve(ask_to_alert)],
    ctx: Context[App],
    idempotency_key: Key = "",
    dry_run: DryRun = None,
) -> AlertAnswer:
    """Alert people, one after the other, until one acknowledges it. It costs money, up to a cap.

    The operator's policy says who, how, and how long to wait; it goes on by itself, also at
    night. Texts that left cannot be recalled; end_alert stops the rest. A person may be asked
    first. Use it for an incident that somebody must take; then follow it with check_alert, and
    do not raise it again.
    """
    app = ctx.request_context.lifespan_context
    if isinstance(prepared, AlertDryRun):
        return await report_alert_dry_run(app, prepared.plan)
    if isinstance(prepared, AlertRepeated):
        return await report_alert(app, prepared.alert, is_repeat=True)
    return await report_alert(app, await build_alerts(app).start(prepared, read_decision(asked)))


async def check_alert(alert_id: AlertId, ctx: Context[App]) -> AlertAnswer:
    """Return how far an alert is, and who acknowledged it. It costs nothing.

    Use it after alert_until_acknowledged: it says who was reached, and what comes next.
    """
    app = ctx.request_context.lifespan_context
    return await report_alert(app, await build_alerts(app).get(alert_id))


async def end_alert(
    alert_id: AlertId,
    planned: Annotated[PlannedEnd, Resolve(plan_end)],
    asked: Annotated[ElicitationResult[EndConsent], Resolve(ask_to_end)],
    ctx: Context[App],
) -> AlertAnswer:
    """End an alert: nobody else is alerted. It costs nothing, and cannot be undone.

    A person may be asked first. Use it when the incident is over, and only if the user says so.
    """
    app = ctx.request_context.lifespan_context
    ended = await build_alerts(app).end(planned.alert, planned.reason, read_decision(asked))
    return await report_alert(app, ended)


_SENDS = frozenset({Scope.SEND})

TOOLS = (
    ElksTool.of(
        alert_until_acknowledged,
        title="Alert until acknowledged",
        hints=SENDS,
        failed="Nobody was alerted: ",
        needs=_SENDS,
    ),
    ElksTool.of(check_alert, title="Follow an alert", hints=READS, needs=FOR_ALL),
    ElksTool.of(end_alert, title="End an alert", hints=CANCELS, failed="Not ended: ", needs=_SENDS),
)
