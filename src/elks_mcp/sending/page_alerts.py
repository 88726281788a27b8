"""Alerts as a sandbox's page shows them: what a person decides about."""

from elks_mcp.domain.alert_questions import describe_stages, explain_caps
from elks_mcp.domain.alerts import AlertPlan
from elks_mcp.domain.approval import explain_unnamed_reason, reasons_to_ask
from elks_mcp.domain.cleaning import has_invisible
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.orders import Effect, of_effect
from elks_mcp.domain.phone import written
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.wording import format_exactly
from elks_mcp.sandbox.page_context import WaitingText


def describe_alert(plan: AlertPlan, code: str, policy: Policy, contacts: Contacts) -> WaitingText:
    """Return an alert that waits for a person, for the page."""
    asked = reasons_to_ask(policy, plan.findings, lifts_dry_run=False) or (explain_unnamed_reason(),)
    steps = {f"Step {at}": line for at, line in enumerate(describe_stages(plan, contacts), 1)}
    rounds = {"Rounds": str(plan.path.rounds)} if plan.path.rounds > 1 else {}
    hidden = {"Contains": "invisible characters"} if has_invisible(plan.text) else {}
    return WaitingText(
        code=code,
        to=plan.path.people[0].e164,
        sender=written(plan.sender),
        message=plan.text,
        reasons=(
            *(each.in_words for each in asked),
            *(f"Note: {each.reason}" for each in of_effect(plan.findings, Effect.WARN)),
            *(f"Note: {each}" for each in explain_caps(plan)),
        ),
        details={
            **steps,
            **rounds,
            "At most": f"{plan.most}, {format_exactly(plan.time_cap)}",
            **hidden,
            "Alert": plan.id,
        },
    )
