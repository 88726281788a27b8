"""How far an alert is: who was reached, what comes next, and who acknowledged it."""

from datetime import tzinfo
from typing import Annotated

from pydantic import AwareDatetime, Field

from elks_mcp.answers.people import People, read_people
from elks_mcp.answers.structured import Answer, MoneyField, StructuredAnswer
from elks_mcp.answers.text_list import LEFT_OUT
from elks_mcp.app import App
from elks_mcp.domain.alert_questions import describe_next, describe_path, explain_caps
from elks_mcp.domain.alerts import AckMeans, Alert, AlertAttempt, AlertPlan
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.orders import Effect, of_effect
from elks_mcp.domain.phone import Number
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.workflows.alerts import Alerts

DRY_RUN_STATUS = "dry run"


def build_alerts(app: App) -> Alerts:
    """Return what raises, follows and ends the alerts of the caller."""
    path = app.configuration.settings.escalation
    return app.alerts.escalations.alerts(app.planner, app.contacts, path, app.caller.agent)


class AlertStep(StructuredAnswer):
    """One person whom an alert reached or skipped."""

    step: int
    to: str
    by: str
    status: Annotated[str, Field(description="The state of the text; skipped: nothing was sent.")]
    why: Annotated[str, LEFT_OUT] = ""
    order_id: Annotated[str | None, LEFT_OUT] = None


class AlertAnswer(Answer):
    """How far an alert is."""

    status: str
    alert_id: Annotated[str | None, LEFT_OUT] = None
    policy: str
    summary: Annotated[str, Field(description="The status in words, and what to do.")]
    acknowledged_by: Annotated[str | None, LEFT_OUT] = None
    acknowledged_at: Annotated[AwareDatetime | None, LEFT_OUT] = None
    next_at: Annotated[AwareDatetime | None, LEFT_OUT] = None
    spent: MoneyField
    most: Annotated[MoneyField, Field(description="The most that it can cost.")]
    steps: tuple[AlertStep, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """The status."""
        return self.status

    def in_words(self) -> str:
        """Return the status, what became of each step, and the notes."""
        about = f"Alert {self.alert_id}. " if self.alert_id else ""
        most = f"of at most {self.most}"
        if self.spent.amount > self.most.amount:
            most = f"instead of at most {self.most}, because 46elks charged more than was reserved"
        lines = [self.summary, f"{about}Spent {self.spent} {most}."]
        lines += [
            f"- Step {each.step}: {each.to} by {each.by}: {each.status}{f'. {each.why}' if each.why else ''}"
            for each in self.steps
        ]
        return "\n".join([*lines, *self.notes])


async def report_alert_dry_run(app: App, plan: AlertPlan) -> AlertAnswer:
    """Return the bill of an alert that is not raised."""
    people = await read_people(app)
    path = describe_path(plan.path, people.label)
    return AlertAnswer(
        status=DRY_RUN_STATUS,
        policy=plan.policy,
        summary=f"Dry run: nobody was alerted. It would {path}, and cost {plan.most} at most.",
        spent=plan.most.times(0),
        most=plan.most,
        notes=_list_notes(plan, people),
    )


async def report_alert(app: App, alert: Alert, *, is_repeat: bool = False) -> AlertAnswer:
    """Return how far an alert is. `is_repeat`: the request raised no new one."""
    people = await read_people(app)
    store = await app.storage.open()
    notes: tuple[str, ...] = ()
    if alert.path:
        notes = _list_notes(await store.alerts.get_plan(alert.id), people)
    again = "This is the alert of an earlier, equal request. " if is_repeat else ""
    done = alert.state is AlertState.ACKNOWLEDGED
    return AlertAnswer(
        status=alert.state,
        alert_id=alert.id,
        policy=alert.policy,
        summary=again + _summarize(alert, people, app.policy.time_zone),
        acknowledged_by=_name(alert.acknowledged_by, people) if done else None,
        acknowledged_at=alert.ended_at if done else None,
        next_at=alert.next_at if alert.state is AlertState.RUNNING else None,
        spent=alert.spent,
        most=alert.most,
        steps=tuple(_describe_attempt(each, people) for each in alert.attempts),
        notes=(*notes, *_list_answers(alert, people)),
    )


def _summarize(alert: Alert, people: People, zone: tzinfo | None) -> str:
    if alert.state is AlertState.RUNNING:
        return _summarize_running(alert, people, zone)
    if alert.state is AlertState.ACKNOWLEDGED:
        by, how = _name(alert.acknowledged_by, people), alert.acknowledged_how or AckMeans.PERSON
        return f"Acknowledged by {by}{_HOW[how]}. Nobody else is alerted."
    if alert.state is AlertState.WAITING:
        return _summarize_waiting(alert, zone)
    return _SUMMARIES[alert.state].format(alert.reason)


def _summarize_waiting(alert: Alert, zone: tzinfo | None) -> str:
    until = f"until {format_time_in(zone, alert.ends_at)}. Nobody was alerted yet."
    if alert.is_approved:
        return f"Waiting: a person approved it, and a server can start it {until}"
    code = f" {alert.approval_code}" if alert.approval_code else ""
    return f"Waiting for approval{code}: a person can approve it {until}"


_SUMMARIES = {
    AlertState.UNANSWERED: "Unanswered: nobody acknowledged it. {} Tell the user.",
    AlertState.FAILED: "Failed: {} Tell the user.",
    AlertState.EXPIRED: "Expired: nobody was alerted. {}",
    AlertState.ENDED: "Ended: {}",
}

_HOW = {AckMeans.TEXT: " by text", AckMeans.CALL: " by a digit in a call", AckMeans.PERSON: " at a terminal"}


def _summarize_running(alert: Alert, people: People, zone: tzinfo | None) -> str:
    steps = format_count(alert.path.length, "step") if alert.path else "its steps"
    done = f"{alert.position} of {steps} done"
    goes_on = describe_next(alert, people.label)
    at = f" at about {format_time_in(zone, alert.next_at)}" if alert.next_at and alert.position else " now"
    rest = f"next: {goes_on}{at}" if goes_on else f"it ends{at}"
    return f"Running: {done}; {rest}, unless somebody acknowledges it. Do not raise it again."


def _name(number: Number | None, people: People) -> str:
    return people.label(number.e164) if number else "a person"


def _describe_attempt(attempt: AlertAttempt, people: People) -> AlertStep:
    return AlertStep(
        step=attempt.position + 1,
        to=_name(attempt.to, people),
        by=attempt.means,
        status="skipped" if attempt.skipped else (attempt.order_state or "unknown"),
        why=attempt.skipped,
        order_id=attempt.order_id,
    )


def _list_notes(plan: AlertPlan, people: People) -> tuple[str, ...]:
    """Return who is left out, what the guards warn of, and what the caps mean."""
    left_out = [f"Left out: {people.label(each.to.e164)}. {each.reason}" for each in plan.left_out]
    warnings = [f"Note: {each.reason}" for each in of_effect(plan.findings, Effect.WARN)]
    return (*left_out, *warnings, *(f"Note: {each}" for each in explain_caps(plan)))


def _list_answers(alert: Alert, people: People) -> list[str]:
    """Return what was received and did not acknowledge it."""
    lines = [
        f"{_name(each.to, people)} sent {each.wrong_codes} wrong codes, so no text from that number "
        "acknowledges it any more."
        for each in alert.blocked
    ]
    if alert.late_at:
        lines.append(f"It was acknowledged after its end by {_name(alert.late_by, people)}.")
    return lines
