"""`elks-mcp escalation test`: raise an alert by a policy, and follow it until it is over."""

from datetime import timedelta

import click

from elks_mcp.answers.alerts import AlertAnswer, build_alerts, report_alert, report_alert_dry_run
from elks_mcp.app import App
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import can_ask, measure_columns, progress, say, wrap
from elks_mcp.cli.sending import DECLINED, NO_TERMINAL, confirm_or_decline, print_waiting
from elks_mcp.cli.session import Session, session_command
from elks_mcp.cli.sms import yes_option
from elks_mcp.domain.alert_questions import write_alert_question
from elks_mcp.domain.alerts import Alert
from elks_mcp.domain.escalation import OPEN_STATES, AlertState
from elks_mcp.errors import NotApproved
from elks_mcp.sending.plan import Decision
from elks_mcp.workflows.alert_plans import AlertRequest
from elks_mcp.workflows.alerts import (
    AlertDryRun,
    AlertNeedsApproval,
    AlertPrepared,
    AlertReady,
    AlertRepeated,
)

_MESSAGE = "This is a test of the alarm."
_INTERVAL = timedelta(seconds=1)


@click.command()
@click.argument("policy", metavar="POLICY")
@click.option("--message", default=_MESSAGE, show_default=True, help="The text.")
@yes_option
@session_command(sends="own")
def test(session: Session, *, policy: str, message: str, yes: bool) -> int:
    """Raise an alert by a policy, and follow it until it is over.

    It really alerts people, and costs what an alert costs: the text, the people and the cap are shown first.
    A running `elks-mcp serve` carries it on. Ctrl-C ends the command, not the alert.

    Exit code 0 if it was acknowledged or priced, 1 if it was not, 3 if it waits for a person.
    """
    request = AlertRequest(message=message, policy=policy)
    with progress("Asking 46elks for the price …"):
        prepared = session.do(_prepare, session.app, request)
    if isinstance(prepared, AlertDryRun):
        return _print(session, session.do(report_alert_dry_run, session.app, prepared.plan))
    if isinstance(prepared, AlertNeedsApproval) and not can_ask():
        return _let_wait(session, prepared)
    alert = prepared.alert if isinstance(prepared, AlertRepeated) else _start(session, prepared, yes=yes)
    return _follow(session, alert)


async def _prepare(app: App, request: AlertRequest) -> AlertPrepared:
    await app.contacts.read_leniently()  # for the names in the question
    return await build_alerts(app).prepare(request, can_ask=can_ask())


def _start(session: Session, prepared: AlertNeedsApproval | AlertReady, *, yes: bool) -> Alert:
    """Ask the person what has to be asked, and start the alert. Raises NotApproved."""
    reasons = prepared.reasons if isinstance(prepared, AlertNeedsApproval) else ()
    decision = Decision.NOT_NEEDED
    if reasons or (can_ask() and not yes):
        contacts, columns = session.app.contacts.known, measure_columns()
        say(write_alert_question(prepared.plan, reasons, contacts, columns), err=True)
        decision = Decision.APPROVED if confirm_or_decline("\nAlert them?") else Decision.DECLINED
    if decision is Decision.DECLINED and isinstance(prepared, AlertReady):
        raise NotApproved(DECLINED)
    started: Alert = session.do(build_alerts(session.app).start, prepared, decision)
    return started


def _let_wait(session: Session, needed: AlertNeedsApproval) -> int:
    """Print how to approve an alert, since there is no terminal."""
    waiting = session.do(build_alerts(session.app).get, needed.plan.id)
    message = build_alerts(session.app).explain_waiting(needed, waiting, NO_TERMINAL)
    print_waiting(
        session, waiting.approval_code, {"alertId": waiting.id}, message, "A server then starts it."
    )
    return ExitCode.WAITS


def _follow(session: Session, alert: Alert) -> int:
    """Show each step as it is taken, until the alert is over."""
    shown = 0
    try:
        while alert.state in OPEN_STATES:
            session.do(_wait, session.app)
            alert = session.do(build_alerts(session.app).get, alert.id)
            answer = session.do(report_alert, session.app, alert)
            for step in answer.steps[shown:]:
                say(f"Step {step.step}: {step.to} by {step.by}", err=True)
            shown = len(answer.steps)
    except KeyboardInterrupt:
        command = session.app.command(f"escalation end {alert.id}")
        say(f"elks-mcp: the alert {alert.id} goes on. To end it: {command}", err=True)
        return ExitCode.FAILED
    return _print(session, session.do(report_alert, session.app, alert))


async def _wait(app: App) -> None:
    await app.clock.sleep_until(app.clock.now() + _INTERVAL)


def _print(session: Session, answer: AlertAnswer) -> int:
    session.print(answer, wrap(answer.summary))
    done = {AlertState.ACKNOWLEDGED, "dry run"}
    return ExitCode.DONE if answer.status in done else ExitCode.FAILED
