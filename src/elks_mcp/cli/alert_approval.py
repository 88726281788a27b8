"""An alert that waits for a person: shown and approved at a terminal."""

import click

from elks_mcp.cli.contact_reading import read_contacts_leniently
from elks_mcp.cli.output import measure_columns, say
from elks_mcp.cli.state import State
from elks_mcp.domain.alert_questions import write_alert_question
from elks_mcp.domain.alerts import AlertPlan
from elks_mcp.domain.approval import explain_unnamed_reason, name_guards, reasons_to_ask
from elks_mcp.domain.display import visible
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.orders import Effect, Finding, of_effect
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.wording import format_count, format_duration
from elks_mcp.settings import Configuration
from elks_mcp.store.alert_admin import AlertAdmin, AlertRecord


def approve_alert(configuration: Configuration, state: State, record: AlertRecord) -> int:
    """Show an alert, and approve it if the person types the number of people on its path.

    Returns:
        The exit code: 0 if it is approved, now or before.
    """
    plan = record.plan
    if plan is None or record.alert.is_approved or record.alert.state is not AlertState.WAITING:
        return _report(record)
    reasons = _list_reasons(plan, configuration.policy)
    contacts = read_contacts_leniently(configuration)
    say(write_alert_question(plan, reasons, contacts, measure_columns()))
    asked = "\nTo approve it, type the number of people; anything else changes nothing"
    typed: str = click.prompt(asked, default="", show_default=False)
    if typed.strip() != str(len(plan.path.people)):
        say("Not approved: this is not the number of people. Nothing was changed.")
        return 1
    return _report(state.query(lambda database: AlertAdmin(database).approve(plan.id, plan.digest)))


def describe_waiting_alert(record: AlertRecord) -> str:
    """Return a line about an alert that waits."""
    alert, plan = record.alert, record.plan
    facts = [f"{alert.approval_code}  alert {alert.id}"]
    if plan:
        size = format_count(len(plan.path.people), "number")
        why = name_guards(of_effect(plan.findings, Effect.ASK) or (explain_unnamed_reason(),))
        waits = "approved, waits for a server," if alert.is_approved else f"because of {why};"
        facts.append(f": to {size} by {visible(alert.policy)}, at most {alert.most}; {waits}")
    return f"{''.join(facts)} expires in {format_duration(record.left)}"


def _list_reasons(plan: AlertPlan, policy: Policy) -> tuple[Finding, ...]:
    """Return why a person is asked, by the settings of this command, not of the server."""
    return reasons_to_ask(policy, plan.findings, lifts_dry_run=False) or (explain_unnamed_reason(),)


def _report(record: AlertRecord) -> int:
    """Print whether an alert is approved, and return the exit code."""
    alert, left = record.alert, format_duration(record.left)
    if alert.state is AlertState.WAITING and alert.is_approved:
        say(f"Approved. A running server starts {alert.id} now, or the next that starts within {left} does.")
        return 0
    if alert.started_at:
        say(f"It was already approved: {alert.id} is {alert.state}.")
        return 0
    why = f" {visible(alert.reason)}" if alert.reason else ""
    say(f"It does not wait for approval: {alert.id} is {alert.state}.{why}", err=True)
    return 1
